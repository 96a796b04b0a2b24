import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { PgliteClient } from './pglite-client.ts';
import type { PgliteCall } from './pglite-messages.ts';
import type { Session, SessionResult } from './session.ts';

interface PgliteSessionOptions {
  readonly client: PgliteClient;
  readonly clock: Clock;
  readonly statementTimeoutMs: number;
  /** Whether the store starts again with its data after its thread was stopped. */
  readonly recovers: boolean;
  release(): void;
}

/** How long a statement may exceed its time-out before the thread is stopped: as long again, at most. */
const graceMs = 30_000;

/** The one connection, while one caller has it. */
export class PgliteSession implements Session {
  readonly #options: PgliteSessionOptions;
  #statementTimeoutMs: number;
  #cancel: (() => void) | undefined;
  /** Settles when PostgreSQL has nothing of this session in progress. */
  #idle: Promise<unknown> = Promise.resolve();

  constructor(options: PgliteSessionOptions) {
    this.#options = options;
    this.#statementTimeoutMs = options.statementTimeoutMs;
  }

  async query(sql: string, parameters: readonly (string | null)[]): Promise<SessionResult> {
    return (await this.#call({ call: 'query', sql, parameters }))!;
  }

  async script(sql: string): Promise<void> {
    await this.#call({ call: 'script', sql });
  }

  async copy(sql: string, chunks: AsyncIterable<string>): Promise<void> {
    const statement = sql.replace(/STDIN$/, "'/dev/blob'");
    for await (const text of chunks) await this.#call({ call: 'copy', sql: statement, text });
  }

  /** Copies the data folder, see `PgliteCall`. */
  async backUp(to: string): Promise<void> {
    await this.#call({ call: 'backup', to });
  }

  async setStatementTimeout(limitMs: number): Promise<void> {
    this.#statementTimeoutMs = limitMs;
  }

  cancel(): void {
    this.#cancel?.();
  }

  /** A transaction that is still open is rolled back. */
  release(broken = false): void {
    const { client, release } = this.#options;
    const rolledBack = broken ? client.call({ call: 'script', sql: 'ROLLBACK' }) : undefined;
    void Promise.allSettled([this.#idle, rolledBack]).then(release);
  }

  /** A statement without end would block every other caller. */
  #terminateAfterGrace(limitMs: number, idle: Promise<void>): void {
    const { client, clock } = this.#options;
    const timer = clock.after(Math.min(limitMs, graceMs), () => void client.terminate());
    void idle.then(() => timer.cancel());
  }

  /** Rejects when PostgreSQL does, after the time-out, or when it is canceled, whichever is first. */
  async #call(call: PgliteCall): Promise<SessionResult | undefined> {
    const { client, clock, recovers } = this.#options;
    const limitMs = this.#statementTimeoutMs;
    const done = client.call(call);
    const idle = done.then(
      () => {},
      () => {},
    );
    this.#idle = idle;
    const interrupted = Promise.withResolvers<never>();
    const timer = clock.after(limitMs, () => {
      interrupted.reject(new TailraceError('timeout', `database: the statement has not finished within ${limitMs} ms`));
      if (recovers) this.#terminateAfterGrace(limitMs, idle);
    });
    this.#cancel = () => interrupted.reject(new TailraceError('canceled', 'database: the statement was canceled'));
    try {
      return await Promise.race([done, interrupted.promise]);
    } finally {
      timer.cancel();
      this.#cancel = undefined;
    }
  }
}
