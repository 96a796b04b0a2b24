import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { SampleSink } from '../sample.ts';
import type { OpenStream } from './byte-stream.ts';
import { ModbusConnection } from './connection.ts';
import type { Framing } from './frame.ts';
import type { ModbusTagOptions } from './modbus-tag.ts';
import type { PollGroup } from './poll-group.ts';
import type { ReadLimits } from './read-plan.ts';
import type { Table } from './register-address.ts';
import { ModbusUnit } from './unit.ts';

export interface PollerUnit {
  readonly unit: number;
  readonly tags: readonly ModbusTagOptions[];
  readonly limitsOf: (table: Table) => ReadLimits;
}

export interface ModbusPollerOptions {
  /** For the log. */
  readonly name: string;
  readonly units: readonly PollerUnit[];
  readonly openStream: OpenStream;
  readonly framing: Framing;
  /** Most units with a request in flight; 1 with RTU framing. Above 1, reads leave one of them to commands. */
  readonly inFlightMax: number;
  readonly timeoutMs: number;
  readonly sink: SampleSink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** How long the connection may be lost until the tags are bad, ms. */
const staleAfterMs = 5_000;

/**
 * Polls the units of one connection. Each group of tags has a fixed grid of times; a cycle that is not finished at the
 * next time skips it. Units take turns, with at most `inFlightMax` requests in flight: a unit that does not answer
 * holds one of them, and only its own. Requests of commands come before all reads, and reads leave a place for them: a
 * command does not wait for the timeout of another unit. The requests of a write follow each other, up to the first
 * read-back: it waits once, for the request in flight of its unit.
 */
export class ModbusPoller {
  readonly connection: ModbusConnection;
  readonly units: readonly ModbusUnit[];
  readonly #options: ModbusPollerOptions;
  readonly #timers = new Map<PollGroup, Timer>();
  #staleTimer: Timer | undefined;
  #startedMs = 0;
  #inFlight = 0;
  #readsInFlight = 0;
  #turn = 0;
  #isStopped = true;

  constructor(options: ModbusPollerOptions) {
    const { openStream, framing, timeoutMs, clock, random, sink } = options;
    this.#options = options;
    this.connection = new ModbusConnection({
      openStream,
      framing,
      timeoutMs,
      clock,
      random,
      onChange: (isConnected, reason) => this.#onConnection(isConnected, reason),
    });
    this.units = options.units.map(
      (unit) =>
        new ModbusUnit({
          ...unit,
          timeoutMs,
          hasTransactions: framing.hasTransactions,
          send: (number, request, limitMs) => this.connection.send(number, request, limitMs),
          onReady: () => this.#sendNext(),
          sink,
          clock,
          random,
        }),
    );
  }

  start(): void {
    this.#isStopped = false;
    this.#startedMs = this.#options.clock.monotonic();
    this.#startStaleTimer();
    this.connection.start();
    for (const unit of this.units) for (const group of unit.groups) this.#cycle(unit, group);
  }

  /** Idempotent. A write in flight resolves as `disconnected`. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#staleTimer?.cancel();
    this.connection.stop();
    for (const unit of this.units) unit.stop();
  }

  #cycle(unit: ModbusUnit, group: PollGroup): void {
    unit.poll(group);
    this.#sendNext();
    const { clock } = this.#options;
    const sinceMs = clock.monotonic() - this.#startedMs;
    const nextMs = (Math.floor(sinceMs / group.pollMs) + 1) * group.pollMs;
    this.#timers.set(
      group,
      clock.after(nextMs - sinceMs, () => this.#cycle(unit, group)),
    );
  }

  /** Sends the requests for which there is a place, unit by unit. */
  #sendNext(): void {
    const max = this.#options.framing.hasTransactions ? this.#options.inFlightMax : 1;
    while (this.#inFlight < max && !this.#isStopped && this.connection.state === 'connected') {
      const unit =
        this.#nextUnit((each) => each.hasExchange) ?? (this.#mayRead(max) ? this.#nextUnit(() => true) : undefined);
      if (unit === undefined) return;
      void this.#run(unit);
    }
  }

  /** Whether a read may take a place. The only one is left to a write that goes on. */
  #mayRead(max: number): boolean {
    if (max === 1) return !this.units.some(({ isHeld }) => isHeld);
    return this.#readsInFlight < max - 1;
  }

  /** Returns the next unit that is ready and suitable, after the one before. */
  #nextUnit(isSuitable: (unit: ModbusUnit) => boolean): ModbusUnit | undefined {
    const count = this.units.length;
    for (let tried = 0; tried < count; tried++) {
      const unit = this.units[(this.#turn + tried) % count]!;
      if (!unit.isReady || !isSuitable(unit)) continue;
      this.#turn = (this.#turn + tried + 1) % count;
      return unit;
    }
    return undefined;
  }

  async #run(unit: ModbusUnit): Promise<void> {
    const reads = unit.hasExchange ? 0 : 1;
    this.#inFlight++;
    this.#readsInFlight += reads;
    try {
      await unit.runNext();
    } finally {
      this.#inFlight--;
      this.#readsInFlight -= reads;
    }
    this.#sendNext();
  }

  #onConnection(isConnected: boolean, reason: string): void {
    const { logger, name } = this.#options;
    if (isConnected) {
      this.#staleTimer?.cancel();
      this.#staleTimer = undefined;
      logger.info({ source: name }, 'connected to the Modbus device');
      this.#sendNext();
    } else if (!this.#isStopped) {
      logger.warn({ source: name, reason }, 'the connection to the Modbus device is lost; connecting again');
      this.#startStaleTimer();
    }
  }

  /** Its tags are bad if there is no connection in time. */
  #startStaleTimer(): void {
    this.#staleTimer ??= this.#options.clock.after(staleAfterMs, () => {
      for (const unit of this.units) unit.allBad('no_connection');
    });
  }
}
