import { deliveryText } from '@tailrace/protocol/delivery-text';
import type { Report } from '@tailrace/protocol/report';
import { parseReportHeader, type ReportHeader } from '@tailrace/protocol/report-header';
import { decodeReport, deliveryBytes } from '@tailrace/protocol/report-proto';
import { effectiveTimeOf } from '@tailrace/protocol/source-time';
import { type Packed, packed, unpacked } from './packed.ts';

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
