import { encodeReport } from '@tailrace/protocol/report-proto';
import { WireWriter } from '@tailrace/protocol/wire-writer';

export interface NameFlood {
  /** Distinct device names. */
  readonly names: number;
  /** Characters of each, the tenant included. */
  readonly length: number;
  readonly tenant: string;
  /** Epoch ms: the time of the reports. */
  readonly timeMs: number;
  /** Reports of one batch. Default: 5,000. */
  readonly batch?: number;
}

export interface FloodReport {
  readonly device: string;
  /** Protobuf `Report`, as a sender writes it. */
  readonly bytes: Uint8Array;
}

const readings = [{ tag: 'on', value: true }];

/** Yields one small report of each of many new devices, as a sender with a token for a subtree can invent them. */
export function* nameFlood({ names, length, tenant, timeMs, batch = 5_000 }: NameFlood): Iterable<FloodReport[]> {
  for (let from = 0; from < names; from += batch) {
    yield Array.from({ length: Math.min(batch, names - from) }, (_, i) => {
      const head = `${tenant}.`;
      const device = head + `d${from + i}-`.padEnd(length - head.length, 'x');
      return { device, bytes: encodeReport({ device, time: timeMs, readings }) };
    });
  }
}

/** Returns the reports as the body of a request, Protobuf `ReportBatch`. */
export function floodBody(reports: readonly FloodReport[]): Buffer {
  const writer = new WireWriter();
  return Buffer.concat(
    reports.flatMap(({ bytes }) => {
      writer.reset();
      writer.byte(0x0a);
      writer.varint(bytes.length);
      return [writer.finish(), bytes];
    }),
  );
}
