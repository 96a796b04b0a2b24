import type { Bus } from '@tailrace/bus/bus';
import type { MemoryNetwork } from '@tailrace/bus/memory';
import { type Control, createControl } from '@tailrace/control/app';
import { type ControlSettings, controlSettings } from '@tailrace/control/config';
import type { EventLog } from '@tailrace/eventlog/event-log';
import type { MemoryEventLog, MemoryLog } from '@tailrace/eventlog/memory';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { noTracing } from '@tailrace/platform/tracing';
import type { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import type { Chance } from './chance.ts';
import { partitions, sessionMs } from './limits.ts';
import { busOf, logOf } from './ports.ts';
import { Process } from './process.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimulatedStore, StoreConnection } from './store.ts';

export interface ControlParts {
  readonly name: string;
  readonly startNumber: number;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly network: MemoryNetwork;
  readonly log: MemoryLog;
  readonly store: SimulatedStore;
  readonly logFault: () => TailraceError | undefined;
  readonly seam: (bus: Bus) => Bus;
  readonly logSeam: (eventLog: EventLog) => EventLog;
  readonly onError: (what: string, thrown: unknown) => void;
}

/** As short as the product allows, so that each command has its final state soon. */
const config: ControlSettings = {
  ...z.object(controlSettings).parse({ tokenSecret: 'a secret of the simulation: 32 bytes' }),
  ...{ telemetryPartitions: partitions, unconfirmedMs: 10_000, subjectCommandsPerSecond: 1_000 },
};

/** One start of a process of control: the product, without the API, on the store of the simulation. */
export class SimulatedControl {
  readonly name: string;
  readonly process: Process;
  readonly #eventLog: MemoryEventLog;
  readonly #bus: Bus;
  readonly #connection: StoreConnection;
  readonly #control: Control;
  #ids = 0;

  constructor(parts: ControlParts) {
    const { name, startNumber, scheduler, chance, network, log, store, onError } = parts;
    this.name = name;
    this.process = new Process(scheduler, { offsetMs: 0, rate: 1 });
    const { process } = this;
    this.#eventLog = log.connect({ injectError: parts.logFault });
    this.#bus = network.createBus({ node: name, logger: silentLogger });
    this.#connection = store.connect(process, chance.fork());
    const logger: Logger = {
      ...silentLogger,
      error: (facts, sentence) => onError(`${name}: ${sentence}`, 'error' in facts ? facts.error : facts),
    };
    this.#control = createControl({
      database: this.#connection.database,
      eventLog: parts.logSeam(logOf(process, this.#eventLog, scheduler, chance.fork())),
      bus: parts.seam(busOf(process, this.#bus)),
      ...{ clock: process.clock, random: chance.fork().random, logger, config, node: name },
      ...{ servesApi: false, migratesStore: false },
      metrics: createMetrics({ service: 'control', node: name, processMetrics: false }),
      tracing: noTracing,
      uniqueId: () => `${startNumber}-${++this.#ids}`,
    });
  }

  /** Rejects where log, bus or store is unavailable, as the service does, which exits then. */
  async start(): Promise<void> {
    await this.#eventLog.start();
    await this.#bus.start();
    await this.#connection.database.start();
    await this.#control.start();
  }

  get isReady(): boolean {
    return this.process.state === 'running' && this.#control.notReady() === undefined;
  }

  pause(): void {
    this.process.pause();
    this.#connection.suspended();
    this.#eventLog.disconnect(sessionMs);
  }

  resume(): void {
    this.process.resume();
    this.#eventLog.reconnect();
  }

  /** The network between it and the store is lost. */
  isolateFromStore(): void {
    this.#connection.isolate();
  }

  healStore(): void {
    this.#connection.heal();
  }

  /** Kills it, as SIGKILL does. */
  crash(): void {
    this.process.kill();
    this.#connection.crash();
    this.#eventLog.crash(sessionMs);
    void this.#bus.close();
  }

  /** Stops it, as at SIGTERM. */
  async stop(): Promise<void> {
    await this.#control.drain();
    await this.#control.stop();
    await this.#connection.database.close();
    await this.#bus.close();
    await this.#eventLog.close();
    this.process.kill();
  }
}
