import type { Report } from '@tailrace/protocol/report';

/** What one protocol has sent, and which of it Tailrace has acknowledged. A message has a key that is used once. */
export class Ledger {
  readonly protocol: string;
  readonly sent = new Set<string>();
  readonly acknowledged = new Set<string>();
  /** Returns the keys of the messages of this protocol in a report of the log. */
  readonly keysIn: (report: Report) => readonly string[];
  #latestMs = 0;

  constructor(protocol: string, keysIn: (report: Report) => readonly string[]) {
    this.protocol = protocol;
    this.keysIn = keysIn;
  }

  /** When the newest of the acknowledged messages was sent, monotonic ms; 0: none is. */
  get acknowledgedSentMs(): number {
    return this.#latestMs;
  }

  get unacknowledged(): number {
    return this.sent.size - this.acknowledged.size;
  }

  send(key: string): void {
    this.sent.add(key);
  }

  /** `sentMs`: when the message was first sent, monotonic ms. */
  acknowledge(key: string, sentMs: number): void {
    this.acknowledged.add(key);
    this.#latestMs = Math.max(this.#latestMs, sentMs);
  }
}

/** Returns a `keysIn` for messages whose key is the ID of their report, which starts with `prefix`. */
export function idsWith(prefix: string): (report: Report) => readonly string[] {
  return ({ id }) => (id?.startsWith(prefix) ? [id] : []);
}
