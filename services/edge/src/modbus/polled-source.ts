import type { WriteResult, WriteTurn } from '../read-back.ts';
import type { Value } from '../sample.ts';
import type { Source, SourceOptions } from '../source.ts';
import { writeRefusal } from '../write-bounds.ts';
import { type OpenStream, tcpStreams } from './byte-stream.ts';
import type { ModbusSource, ModbusSourceTag } from './modbus-source.ts';
import type { ModbusTag } from './modbus-tag.ts';
import { ModbusPoller } from './poller.ts';
import { rtuFraming } from './rtu-frame.ts';
import { tcpFraming } from './tcp-frame.ts';
import type { ModbusUnit } from './unit.ts';
import { writeTag } from './write.ts';

export interface PolledSourceOptions extends Omit<SourceOptions, 'pkiPath'> {
  readonly source: ModbusSource;
  /** Default: TCP connections to the host of the source. */
  readonly openStream?: OpenStream;
}

/** A Modbus source that runs: its connections, and the writes to its tags. */
export class PolledSource implements Source {
  readonly name: string;
  readonly tags: readonly ModbusSourceTag[];
  readonly pollers: readonly ModbusPoller[];
  readonly #options: PolledSourceOptions;
  /** By the position of the tag in the list of the source. */
  readonly #places: { readonly unit: ModbusUnit; readonly tag: ModbusTag }[] = [];

  constructor(options: PolledSourceOptions) {
    const { source, sink, clock, random, logger } = options;
    const { host, port, framing, inFlightMax, timeoutMs, connections } = source.modbus;
    this.#options = options;
    this.name = source.name;
    this.tags = source.tags;
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
      for (const unit of units) for (const tag of unit.tags) this.#places[tag.tag] = { unit, tag };
    }
  }

  /** The state of its connection; `no_answer`: it is connected, and no unit answers. */
  get state(): string {
    const states = this.pollers.map(({ connection }) => connection.state);
    if (!states.includes('connected')) return states[0] ?? 'closed';
    return this.isLive ? 'connected' : 'no_answer';
  }

  get isLive(): boolean {
    return this.pollers.some(
      ({ connection, units }) => connection.state === 'connected' && units.some(({ isAnswering }) => isAnswering),
    );
  }

  get badTags(): number {
    let count = 0;
    for (const { units } of this.pollers) for (const unit of units) count += unit.badTags;
    return count;
  }

  start(): void {
    for (const poller of this.pollers) poller.start();
  }

  /** Idempotent. */
  stop(): void {
    for (const poller of this.pollers) poller.stop();
  }

  heldValue(tagNumber: number, value: Value): Value {
    return this.#places[tagNumber]!.tag.codec.held(value);
  }

  /**
   * Writes a value to the tag at this position, if its bounds allow it, and reads it back. `deadlineMs`: time until it
   * must be sent. Never rejects.
   */
  async write(tagNumber: number, value: Value, deadlineMs: number, turn?: WriteTurn): Promise<WriteResult> {
    const { source, clock } = this.#options;
    const refusal = writeRefusal(source.tags[tagNumber]?.write, value);
    if (refusal !== undefined) return { state: 'failed', code: 'forbidden', message: refusal };
    const { unit, tag } = this.#places[tagNumber]!;
    return writeTag({
      unit,
      tag,
      value,
      writeWith: source.tags[tagNumber]!.writeWith,
      deadlineMs,
      turn,
      timeoutMs: source.modbus.timeoutMs,
      clock,
    });
  }
}
