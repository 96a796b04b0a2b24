import type { Reading, Report } from '@tailrace/protocol/report';
import { deliveryJson } from '@tailrace/protocol/report-json';
import { deliveryBytes, encodeReport } from '@tailrace/protocol/report-proto';

/** A report as a view publishes it: whole, which a `LogReport` is, or with some of its readings. */
export interface Publication {
  readonly partition: number;
  readonly seq: number;
  /** The whole report as encoded in the log. */
  readonly bytes: Uint8Array;
  /** With the readings that are published. */
  readonly report: Report;
  readonly json: string;
  readonly delivery: Uint8Array;
}

/** Some readings of a report. Encoded once, for one view. */
export class FilteredPublication implements Publication {
  readonly partition: number;
  readonly seq: number;
  readonly bytes: Uint8Array;
  readonly report: Report;
  readonly #delta: boolean;
  #json: string | undefined;
  #delivery: Uint8Array | undefined;

  /** `delta`: readings that are left out equal those sent before. */
  constructor(whole: Publication, readings: readonly Reading[], delta: boolean) {
    this.partition = whole.partition;
    this.seq = whole.seq;
    this.bytes = whole.bytes;
    this.report = { ...whole.report, readings };
    this.#delta = delta;
  }

  get json(): string {
    this.#json ??= deliveryJson(this.report, this.partition, this.seq, this.#delta);
    return this.#json;
  }

  get delivery(): Uint8Array {
    this.#delivery ??= deliveryBytes(encodeReport(this.report), this.partition, this.seq, this.#delta);
    return this.#delivery;
  }
}
