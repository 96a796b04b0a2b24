import type { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { utf8Bytes } from '@tailrace/protocol/text';

/** A report that ingest refused, and why. */
export interface RefusedReport {
  readonly report: Report;
  readonly code: string;
  /** What is wrong with it, with the value, and what would be right. */
  readonly message: string;
}

/** What became of the reports of one `publish`. */
export interface PublishResult {
  /** In the log, for good. */
  readonly accepted: number;
  readonly refused: readonly RefusedReport[];
}

/** The reports of one call, waiting for the fate of each. */
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

  /** The rest of its reports will not be known. */
  fail(error: TailraceError): void {
    this.#reject(error);
  }
}

/** One report on its way: encoded once, sent as often as need be. */
export interface Outgoing {
  readonly report: Report;
  readonly json: string;
  readonly bytes: number;
  readonly publication: Publication;
  /** When it was given, ms of a clock that never goes back. */
  readonly sinceMs: number;
  /** When it was sent first, of the same clock; undefined: it was not. */
  sentMs: number | undefined;
}

/** Throws what JSON.stringify throws. */
export function outgoingFrom(report: Report, publication: Publication, sinceMs: number): Outgoing {
  const json = JSON.stringify(report);
  return { report, json, bytes: utf8Bytes(json), publication, sinceMs, sentMs: undefined };
}

/** How many of the first reports go into one request: at most `reportsMax`, and `bytesMax` unless the first one alone is larger. */
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

/** A batch as the JSON array that ingest takes. */
export function batchBody(batch: readonly Outgoing[]): string {
  return `[${batch.map((outgoing) => outgoing.json).join(',')}]`;
}
