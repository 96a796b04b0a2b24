import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { WriteResult } from '../read-back.ts';
import type { SampleSink, Value } from '../sample.ts';
import { writeRefusal } from '../write-bounds.ts';
import { type OpenStream, tcpStreams } from './byte-stream.ts';
import type { ModbusSource } from './modbus-source.ts';
import type { ModbusTag } from './modbus-tag.ts';
import { ModbusPoller } from './poller.ts';
import { rtuFraming } from './rtu-frame.ts';
import { tcpFraming } from './tcp-frame.ts';
import type { ModbusUnit } from './unit.ts';
import { writeTag } from './write.ts';

export interface PolledSourceOptions {
  readonly source: ModbusSource;
  readonly sink: SampleSink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Default: TCP connections to the host of the source. */
  readonly openStream?: OpenStream;
}

/** A Modbus source that runs: its connections, and the writes to its tags. */
export class PolledSource {
  readonly pollers: readonly ModbusPoller[];
  readonly #options: PolledSourceOptions;
  /** By the position of the tag in the list of the source. */
  readonly #tags: { readonly unit: ModbusUnit; readonly tag: ModbusTag }[] = [];

  constructor(options: PolledSourceOptions) {
    const { source, sink, clock, random, logger } = options;
    const { host, port, framing, inFlightMax, timeoutMs, connections } = source.modbus;
    this.#options = options;
    // Only some converters accept several connections; then a unit that does not answer delays no other.
    const groups = connections === 'perUnit' ? source.units.map((unit) => [unit]) : [source.units];
    this.pollers = groups.map(
      (units) =>
        new ModbusPoller({
          name: source.name,
          units,
          openStream: options.openStream ?? tcpStreams(host, port),
          framing: framing === 'tcp' ? tcpFraming : rtuFraming,
          inFlightMax,
          timeoutMs,
          sink,
          clock,
          random,
          logger,
        }),
    );
    for (const { units } of this.pollers) {
      for (const unit of units) for (const tag of unit.tags) this.#tags[tag.tag] = { unit, tag };
    }
  }

  start(): void {
    for (const poller of this.pollers) poller.start();
  }

  /** Idempotent. */
  stop(): void {
    for (const poller of this.pollers) poller.stop();
  }

  /**
   * Writes a value to the tag at this position, if its bounds allow it, and reads it back. `deadlineMs`: time until it
   * must be sent. Never rejects.
   */
  async write(tagNumber: number, value: Value, deadlineMs: number): Promise<WriteResult> {
    const { source, clock } = this.#options;
    const bounds = source.tags[tagNumber]?.write;
    const refusal = writeRefusal(bounds, value);
    if (refusal !== undefined) return { state: 'failed', code: 'forbidden', message: refusal };
    const { unit, tag } = this.#tags[tagNumber]!;
    return writeTag({
      unit,
      tag,
      value,
      writeWith: source.tags[tagNumber]!.writeWith,
      deadlineMs,
      timeoutMs: source.modbus.timeoutMs,
      clock,
    });
  }
}
