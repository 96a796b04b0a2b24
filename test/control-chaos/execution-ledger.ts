import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

/** A device has executed a command. */
export interface Execution {
  readonly id: string;
  readonly device: string;
  /** Epoch ms. */
  readonly atMs: number;
  /** Fencing token of the command; 0: none. */
  readonly fence: number;
  readonly name: string;
}

/** What devices have executed: a file, written and synced before the device answers. */
export class ExecutionLedger {
  readonly #path: string;
  readonly #file: number;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, 'a');
  }

  add(execution: Execution): void {
    writeSync(this.#file, `${JSON.stringify(execution)}\n`);
    fsyncSync(this.#file);
  }

  /** Returns all executions, in their order. */
  read(): Execution[] {
    return readFileSync(this.#path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Execution);
  }

  close(): void {
    closeSync(this.#file);
  }
}
