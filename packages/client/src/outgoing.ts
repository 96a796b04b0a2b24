import type { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { utf8Bytes } from '@tailrace/protocol/text';

/** A report that ingest refused, and the reason. */
export interface RefusedReport {
  readonly report: Report;
  readonly code: string;
  /** What was expected, and the invalid value. */
  readonly message: string;
}

/** The result of the reports of one `publish`. */
export interface PublishResult {
  /** Number of reports that are durable in the log. */
  readonly accepted: number;
  readonly refused: readonly RefusedReport[];
}

/** The reports of one call of `publish`. Resolves when each has its result. */
export class Publication {
  readonly promise: Promise<PublishResult>;
  readonly #refused: RefusedReport[] = [];
  #accepted = 0;
  #open: number;
  #resolve!: (result: PublishResult) => void;
  #reject!: (error: TailraceError) => void;

  constructor(reports: number) {
    this.#open = reports;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (reports === 0) this.#resolve({ accepted: 0, refused: [] });
  }

  settle(refused: RefusedReport | undefined): void {
    if (refused === undefined) this.#accepted++;
    else this.#refused.push(refused);
    if (--this.#open === 0) this.#resolve({ accepted: this.#accepted, refused: this.#refused });
  }

  /** Rejects the call, whatever the results of its other reports. */
  fail(error: TailraceError): void {
    this.#reject(error);
  }
}

/** A report in the queue: encoded once, sent until it has a result. */
export interface Outgoing {
  readonly report: Report;
  readonly json: string;
  readonly bytes: number;
  readonly publication: Publication;
  /** When it was published, monotonic ms. */
  readonly sinceMs: number;
  /** When it was first sent, monotonic ms; undefined: not yet. */
  sentMs: number | undefined;
}

/** Throws what JSON.stringify throws. */
export function outgoingFrom(report: Report, publication: Publication, sinceMs: number): Outgoing {
  const json = JSON.stringify(report);
  return { report, json, bytes: utf8Bytes(json), publication, sinceMs, sentMs: undefined };
}

/**
 * Returns the number of reports for the next request: at most `reportsMax`, and `bytesMax` unless the first one alone
 * is larger.
 */
export function batchLength(queue: readonly Outgoing[], reportsMax: number, bytesMax: number): number {
  let bytes = 2;
  let length = 0;
  for (const outgoing of queue) {
    bytes += outgoing.bytes + 1;
    if (length === reportsMax || (length > 0 && bytes > bytesMax)) break;
    length++;
  }
  return length;
}

/** Returns a batch as the JSON array for ingest. */
export function batchBody(batch: readonly Outgoing[]): string {
  return `[${batch.map((outgoing) => outgoing.json).join(',')}]`;
}
