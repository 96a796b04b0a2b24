import { deliveryText } from '@tailrace/protocol/delivery-text';
import type { Report } from '@tailrace/protocol/report';
import { parseReportHeader, type ReportHeader } from '@tailrace/protocol/report-header';
import { decodeReport, deliveryBytes } from '@tailrace/protocol/report-proto';
import { effectiveTimeOf } from '@tailrace/protocol/source-time';
import { type Packed, packed, unpacked } from './packed.ts';

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
