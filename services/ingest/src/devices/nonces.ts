import type { Clock } from '@tailrace/platform/clock';
import { HashSet } from '@tailrace/platform/hash-set';
import { TextHash } from '@tailrace/platform/text-hash';
import { SharedLimit } from '../shared-limit.ts';

/** How far the time of an `auth` may be from the clock of ingest, either way. */
export const authWindowMs = 60_000;

/**
 * The nonces of `auth` messages, so that a recorded one is refused when it is sent again. A nonce is kept as long as
 * its message is valid: until its own time plus the window, not a window after its receipt, because its time may be
 * ahead.
 *
 * Stores hashes of 64 bits in one set for each window of expiry times, which is dropped whole; at most three live at a
 * time. At `max` nothing is evicted, because that would allow the evicted one again: the caller refuses the login. One
 * sender has half of `max` at most, so that it cannot keep others from logging in.
 */
export class Nonces {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #max: number;
  readonly #hash = new TextHash();
  /** Called for each nonce that is new, so that other nodes refuse it too. Default: none. */
  onNew: ((high: number, low: number, untilMs: number) => void) | undefined;
  /** By the window in which they expire. */
  readonly #generations = new Map<number, Generation>();
  /** Those of this node, by identity. */
  readonly #bySender: SharedLimit;

  constructor(clock: Pick<Clock, 'now'>, max: number) {
    this.#clock = clock;
    this.#max = max;
    this.#bySender = new SharedLimit(max);
  }

  get size(): number {
    let size = 0;
    for (const { hashes } of this.#generations.values()) size += hashes.size;
    return size;
  }

  /** Of the sender that has most. For metrics. */
  get sizeOfOne(): number {
    return this.#bySender.mostOfOne();
  }

  /**
   * Adds the nonce of an `auth`. `timeMs`: its time, within the window. `seen`: it was added before. `full`: at the
   * limit of all, or of the sender.
   */
  take(identity: string, timeMs: number, nonce: string): 'new' | 'seen' | 'full' {
    this.#hash.take(JSON.stringify([identity, timeMs, nonce]), 0, 0);
    const { high, low } = this.#hash;
    const untilMs = timeMs + authWindowMs;
    const outcome = this.#add(high, low, untilMs, identity);
    if (outcome === 'new') this.onNew?.(high, low, untilMs);
    return outcome;
  }

  /**
   * Adds a nonce that another node has accepted, as `onNew` has passed it there. At `max` it is not remembered, so that
   * no other node takes the capacity of this one.
   */
  merge(high: number, low: number, untilMs: number): void {
    const latestMs = this.#clock.now() + 3 * authWindowMs;
    this.#add(high, low, Math.min(untilMs, latestMs), undefined);
  }

  /** `identity`: undefined for a nonce of another node. */
  #add(high: number, low: number, untilMs: number, identity: string | undefined): 'new' | 'seen' | 'full' {
    this.#dropExpired();
    const window = Math.floor(untilMs / authWindowMs);
    const known = this.#generations.get(window);
    if (known?.hashes.has(high, low)) return 'seen';
    if (this.size >= this.#max) return 'full';
    if (identity !== undefined && this.#bySender.exceeded(identity) !== undefined) return 'full';
    const generation = known ?? { hashes: new HashSet(), bySender: new Map() };
    generation.hashes.add(high, low);
    this.#generations.set(window, generation);
    if (identity === undefined) return 'new';
    this.#bySender.add(identity);
    generation.bySender.set(identity, (generation.bySender.get(identity) ?? 0) + 1);
    return 'new';
  }

  #dropExpired(): void {
    const nowMs = this.#clock.now();
    for (const [window, { bySender }] of this.#generations) {
      if ((window + 1) * authWindowMs > nowMs) continue;
      this.#generations.delete(window);
      for (const [identity, count] of bySender) this.#bySender.add(identity, -count);
    }
  }
}

/** Nonces that expire in one window. */
interface Generation {
  readonly hashes: HashSet;
  /** Those of this node, by identity. */
  readonly bySender: Map<string, number>;
}
