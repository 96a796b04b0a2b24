import { deliveryText } from '@tailrace/protocol/delivery-text';
import type { tailrace } from '@tailrace/protocol/generated';
import type { Report } from '@tailrace/protocol/report';
import { parseReportHeader, type ReportHeader } from '@tailrace/protocol/report-header';
import { decodeReport, deliveryBytes } from '@tailrace/protocol/report-proto';
import { effectiveTimeOf } from '@tailrace/protocol/source-time';

/**
 * One report on its way from the log, or from the owner of its partition, to the views. Decoded at most once, and
 * encoded at most once per encoding, for any number of views and sockets; neither without subscriptions.
 */
export class LogReport {
  readonly partition: number;
  readonly seq: number;
  /** The report as in the log, Protobuf. */
  readonly bytes: Uint8Array;
  #header: ReportHeader | undefined;
  #report: Report | undefined;
  #json: string | undefined;
  #delivery: Uint8Array | undefined;
  #packed: Packed | undefined;
  #lasting: LogReport | undefined;

  /** `header`: if it was parsed already. */
  constructor(partition: number, seq: number, bytes: Uint8Array, header?: ReportHeader) {
    this.partition = partition;
    this.seq = seq;
    this.bytes = bytes;
    this.#header = header;
  }

  /** Returns a report from its packed bytes. */
  static of(partition: number, seq: number, kept: Packed): LogReport {
    const logReport = new LogReport(partition, seq, unpacked(kept));
    logReport.#packed = kept;
    return logReport;
  }

  /** Returns a report from an update of its owner. An absent field is 0 or empty in Protobuf. */
  static fromUpdate(partition: number, { seq, report }: tailrace.v1.IRelayUpdate): LogReport {
    // A copy: the bytes are a slice of the frame, which would stay in memory as long as the last values of the device.
    return new LogReport(partition, seq ?? 0, new Uint8Array(report ?? []));
  }

  /** The packed bytes: one string for all that keep the report. */
  get packed(): Packed {
    this.#packed ??= packed(this.bytes);
    return this.#packed;
  }

  /**
   * The same report without its cached decodings and encodings, to be kept for long: one object for all that keep it.
   */
  get lasting(): LogReport {
    this.#lasting ??= new LogReport(this.partition, this.seq, this.bytes);
    return this.#lasting;
  }

  /** The fields that routing needs, at a twentieth of the cost of `report`. Throws as `report`. */
  get header(): ReportHeader {
    this.#header ??= parseReportHeader(this.bytes);
    return this.#header;
  }

  /** Effective time of its readings without a time of their own, epoch ms. */
  get timeMs(): number {
    const { time, clock, received } = this.header;
    return effectiveTimeOf(time, clock !== 0 && clock !== 2, received);
  }

  /**
   * The decoded report. Throws `invalid_report` for bytes that were not checked, here or by the owner that sent them.
   */
  get report(): Report {
    this.#report ??= decodeReport(this.bytes);
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
 * The bytes of a report to be kept for long, one character of a string each. In V8 a string takes 16 bytes more than
 * its characters. A Uint8Array with its own buffer takes 300 more, and one without keeps the whole fetch in memory.
 */
export type Packed = string;

export function packed(bytes: Uint8Array): Packed {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function unpacked(text: Packed): Uint8Array {
  return Buffer.from(text, 'latin1');
}
