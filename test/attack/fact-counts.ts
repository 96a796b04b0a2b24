import type { RawResponse } from '@tailrace/testkit/raw-socket';

/** Counts facts by name. */
export class FactCounts {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  /** Keeps the largest value. */
  most(name: string, value: number): void {
    this.#counts.set(name, Math.max(this.#counts.get(name) ?? 0, value));
  }

  get(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  entries(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Counts an HTTP response: `http 429 rate_limited`, or `http 431` where its body has no code. */
  response({ status, body }: Pick<RawResponse, 'status' | 'body'>): void {
    const code = codeIn(body);
    this.add(code === undefined ? `http ${status}` : `http ${status} ${code}`);
  }

  /** Counts the rejected reports of a 202: `rejected limit_reached`. */
  rejected(body: string): void {
    try {
      const { rejected = [] } = JSON.parse(body) as { rejected?: { code: string }[] };
      for (const { code } of rejected) this.add(`rejected ${code}`);
    } catch {
      this.add('unreadable answer');
    }
  }

  /** Counts a message `error` on a stream: `error limit_reached`. */
  error(code: string): void {
    this.add(`error ${code}`);
  }

  /** Counts a close code of a stream: `close 4429`. */
  close(code: number): void {
    this.add(`close ${code}`);
  }
}

function codeIn(body: string): string | undefined {
  return /"error"\s*:\s*\{\s*"code"\s*:\s*"([a-z_]+)"/.exec(body)?.[1];
}
