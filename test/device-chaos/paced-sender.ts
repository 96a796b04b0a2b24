import assert from 'node:assert/strict';
import { eventually } from '@tailrace/testkit/eventually';
import type { Ledger } from './ledger.ts';

/** The senders of one protocol. */
export interface Sender {
  readonly ledger: Ledger;
  /** Most messages without an acknowledgment: a fault may put them into the log again. */
  readonly inFlightMax: number;
  /** Most messages that one fault may lose before they reach Tailrace. */
  readonly lossMax: number;
  /** Resolves when messages are sent. */
  start(): Promise<void>;
  /** Sends nothing new. Resolves when Tailrace has what is to come of what was sent. */
  finish(): Promise<void>;
  /** Closes all connections. Idempotent. */
  stop(): Promise<void>;
}

const tickMs = 20;
const finishMs = 90_000;

/** Calls `send` at a rate, while fewer than `inFlightMax` messages are in flight. */
export class Pace {
  readonly #ledger: Ledger;
  readonly #inFlightMax: number;
  readonly #waiting: () => number;
  readonly #perSecond: number;
  readonly #send: (key: string, number: number) => void;
  readonly #prefix: string;
  /** When each message without an acknowledgment was sent, monotonic ms. */
  readonly #sentMs = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #number = 0;
  #owed = 0;
  #lastMs = 0;

  constructor(options: {
    readonly ledger: Ledger;
    /** Of the keys. */
    readonly prefix: string;
    readonly inFlightMax: number;
    readonly perSecond: number;
    readonly send: (key: string, number: number) => void;
    /** Returns the number of messages in flight. Default: those without an acknowledgment. */
    readonly waiting?: () => number;
  }) {
    this.#ledger = options.ledger;
    this.#prefix = options.prefix;
    this.#inFlightMax = options.inFlightMax;
    this.#perSecond = options.perSecond;
    this.#send = options.send;
    this.#waiting = options.waiting ?? (() => this.#sentMs.size);
  }

  /** Idempotent. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#lastMs = performance.now();
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Unknown and repeated keys are ignored. */
  acknowledged(key: string): void {
    const sentMs = this.#sentMs.get(key);
    if (sentMs === undefined) return;
    this.#sentMs.delete(key);
    this.#ledger.acknowledge(key, sentMs);
  }

  /** Stops, and resolves when everything is acknowledged. */
  async finish(): Promise<void> {
    this.stop();
    const { protocol } = this.#ledger;
    await eventually(() => assert.equal(this.#sentMs.size, 0), {
      deadlineMs: finishMs,
      pollMs: 20,
      describe: `all messages of ${protocol} are acknowledged`,
    });
  }

  /** Resolves when this message is acknowledged, the last one of a sender whose messages keep their order. */
  async settled(key: string): Promise<void> {
    const { protocol } = this.#ledger;
    await eventually(() => !this.#sentMs.has(key), {
      deadlineMs: finishMs,
      pollMs: 20,
      describe: `the last message of ${protocol} is acknowledged`,
    });
  }

  /** Sends one message more. Returns its key. */
  next(): string {
    const key = `${this.#prefix}${this.#number}`;
    this.#ledger.send(key);
    this.#sentMs.set(key, performance.now());
    this.#send(key, this.#number++);
    return key;
  }

  #tick(): void {
    const nowMs = performance.now();
    // After a wait it continues at its rate, without catching up.
    this.#owed = Math.min(this.#owed + ((nowMs - this.#lastMs) * this.#perSecond) / 1000, this.#perSecond);
    this.#lastMs = nowMs;
    for (; this.#owed >= 1 && this.#waiting() < this.#inFlightMax; this.#owed--) this.next();
  }
}
