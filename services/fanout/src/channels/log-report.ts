import { deliveryText } from '@tailrace/protocol/delivery-text';
import type { tailrace } from '@tailrace/protocol/generated';
import type { Report } from '@tailrace/protocol/report';
import { type ReportHeader, parseReportHeader } from '@tailrace/protocol/report-header';
import { decodeReport, deliveryBytes } from '@tailrace/protocol/report-proto';
import { effectiveTimeOf } from '@tailrace/protocol/source-time';

/**
 * One report on its way from the log, or from the node that owns its partition, to every view that wants it. Decoded at most once and
 * encoded at most once per encoding, however many views and sockets it goes to; neither if nobody watches.
 */
export class LogReport {
  readonly partition: number;
  readonly seq: number;
  /** The report as it lies in the log, Protobuf. */
  readonly bytes: Uint8Array;
  #header: ReportHeader | undefined;
  #report: Report | undefined;
  #json: string | undefined;
  #delivery: Uint8Array | undefined;
  #packed: Packed | undefined;
  #lasting: LogReport | undefined;

  /** `header`: of a report that was checked already. */
  constructor(partition: number, seq: number, bytes: Uint8Array, header?: ReportHeader) {
    this.partition = partition;
    this.seq = seq;
    this.bytes = bytes;
    this.#header = header;
  }

  /** One that was kept. */
  static of(partition: number, seq: number, kept: Packed): LogReport {
    const logReport = new LogReport(partition, seq, unpacked(kept));
    logReport.#packed = kept;
    return logReport;
  }

  /** A report of the owner of its partition. In Protobuf an absent field is 0 or empty. */
  static fromUpdate(partition: number, { seq, report }: tailrace.v1.IRelayUpdate): LogReport {
    // A copy: the bytes are a slice of a whole frame, which would live as long as the last values of the device.
    return new LogReport(partition, seq ?? 0, new Uint8Array(report ?? []));
  }

  /** To be kept: one string, however many keep it. */
  get packed(): Packed {
    this.#packed ??= packed(this.bytes);
    return this.#packed;
  }

  /** The same without what was made of it on its way, to be held for long: one, however many hold it. */
  get lasting(): LogReport {
    this.#lasting ??= new LogReport(this.partition, this.seq, this.bytes);
    return this.#lasting;
  }

  /** As much of the report as says where it goes: a twentieth of the cost of `report`. Throws as `report`. */
  get header(): ReportHeader {
    this.#header ??= parseReportHeader(this.bytes);
    return this.#header;
  }

  /** Effective time of its readings that have no time of their own, epoch ms. */
  get timeMs(): number {
    const { time, clock, received } = this.header;
    return effectiveTimeOf(time, clock !== 0 && clock !== 2, received);
  }

  /**
   * The bytes were checked when they came from the log, or by the owner that sent them. Throws `invalid_report` for
   * others.
   */
  get report(): Report {
    this.#report ??= decodeReport(this.bytes, true);
    return this.#report;
  }

  get json(): string {
    this.#json ??= deliveryText(this.bytes, this.partition, this.seq);
    return this.#json;
  }

  get delivery(): Uint8Array {
    this.#delivery ??= deliveryBytes(this.bytes, this.partition, this.seq);
    return this.#delivery;
  }
}

/**
 * A report's bytes as they are kept for long, each a character of a string. In V8 a string takes 16 bytes more than its characters; a Uint8Array with a
 * buffer of its own takes 300 more, and one without keeps the whole fetch that it came in.
 */
export type Packed = string;

export function packed(bytes: Uint8Array): Packed {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function unpacked(text: Packed): Uint8Array {
  return Buffer.from(text, 'latin1');
}
