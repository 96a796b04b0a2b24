import type { TailraceError } from '@tailrace/protocol/error';
import type { Position, RecordSettled } from '../event-log.ts';

/** The records of one call. */
export interface AppendCall {
  /** Monotonic ms. */
  readonly startedMs: number;
  /** Whether the records that follow one that has failed are not to be sent. */
  readonly failsTogether: boolean;
  /** Called at most once for a record. */
  acknowledged(index: number, partition: number, seq: number): void;
  /** Called once for each record of a failed batch. */
  failed(index: number, error: TailraceError): void;
}

/** A call of `append`: fails with its first record that fails. */
export class AppendAllCall implements AppendCall {
  readonly startedMs: number;
  readonly failsTogether = true;
  /** The answer of the call. */
  readonly promise: Promise<readonly Position[]>;
  readonly #positions: Position[];
  readonly #resolve: (positions: readonly Position[]) => void;
  readonly #reject: (error: TailraceError) => void;
  #unacknowledged: number;

  constructor(startedMs: number, records: number) {
    this.startedMs = startedMs;
    this.#positions = new Array<Position>(records);
    this.#unacknowledged = records;
    const { promise, resolve, reject } = Promise.withResolvers<readonly Position[]>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  acknowledged(index: number, partition: number, seq: number): void {
    this.#positions[index] = { partition, seq };
    if (--this.#unacknowledged === 0) this.#resolve(this.#positions);
  }

  failed(_index: number, error: TailraceError): void {
    this.#reject(error);
  }
}

/** A call of `appendEach`: its records are settled one by one. */
export class AppendEachCall implements AppendCall {
  readonly startedMs: number;
  readonly failsTogether = false;
  readonly #settled: RecordSettled;
  #refused: { readonly index: number; readonly error: TailraceError }[] = [];

  constructor(startedMs: number, settled: RecordSettled) {
    this.startedMs = startedMs;
    this.#settled = settled;
  }

  acknowledged(index: number, partition: number, seq: number): void {
    this.#settled(index, undefined, partition, seq);
  }

  failed(index: number, error: TailraceError): void {
    this.#settled(index, error, -1, -1);
  }

  /** Fails a record that is not accepted, after the call has returned. */
  refuse(index: number, error: TailraceError): void {
    if (this.#refused.length === 0) queueMicrotask(this.#settleRefused);
    this.#refused.push({ index, error });
  }

  /** Fails all records of a call that is not accepted. */
  refuseAll(records: number, error: TailraceError): void {
    for (let index = 0; index < records; index++) this.refuse(index, error);
  }

  readonly #settleRefused = (): void => {
    const refused = this.#refused;
    this.#refused = [];
    for (const { index, error } of refused) this.failed(index, error);
  };
}
