import type { Clock } from '@tailrace/platform/clock';
import { HashSet } from '@tailrace/platform/hash-set';
import { TextHash } from '@tailrace/platform/text-hash';

/** How far the time of an `auth` may be from the clock of ingest, either way. */
export const authWindowMs = 60_000;

/**
 * The nonces of `auth` messages, so that a recorded one is refused when it is sent again. A nonce is kept as long as
 * its message is valid: until its own time plus the window, not a window after its receipt, because its time may be
 * ahead.
 *
 * Stores hashes of 64 bits in one set for each window of expiry times, which is dropped whole; at most three live at a
 * time. At `max` nothing is evicted, because that would allow the evicted one again: the caller refuses the login.
 */
export class Nonces {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #max: number;
  readonly #hash = new TextHash();
  /** Called for each nonce that is new, so that other nodes refuse it too. Default: none. */
  onNew: ((high: number, low: number, untilMs: number) => void) | undefined;
  /** By the window in which they expire. */
  readonly #generations = new Map<number, HashSet>();

  constructor(clock: Pick<Clock, 'now'>, max: number) {
    this.#clock = clock;
    this.#max = max;
  }

  get size(): number {
    let size = 0;
    for (const generation of this.#generations.values()) size += generation.size;
    return size;
  }

  /** Adds the nonce of an `auth`. `timeMs`: its time, within the window. `seen`: it was added before. */
  take(identity: string, timeMs: number, nonce: string): 'new' | 'seen' | 'full' {
    this.#hash.take(JSON.stringify([identity, timeMs, nonce]), 0, 0);
    const { high, low } = this.#hash;
    const untilMs = timeMs + authWindowMs;
    const outcome = this.#add(high, low, untilMs);
    if (outcome === 'new') this.onNew?.(high, low, untilMs);
    return outcome;
  }

  /**
   * Adds a nonce that another node has accepted, as `onNew` has passed it there. At `max` it is not remembered, so that
   * no other node takes the capacity of this one.
   */
  merge(high: number, low: number, untilMs: number): void {
    const latestMs = this.#clock.now() + 3 * authWindowMs;
    this.#add(high, low, Math.min(untilMs, latestMs));
  }

  #add(high: number, low: number, untilMs: number): 'new' | 'seen' | 'full' {
    this.#dropExpired();
    const window = Math.floor(untilMs / authWindowMs);
    const generation = this.#generations.get(window);
    if (generation?.has(high, low)) return 'seen';
    if (this.size >= this.#max) return 'full';
    if (generation !== undefined) generation.add(high, low);
    else {
      const created = new HashSet();
      created.add(high, low);
      this.#generations.set(window, created);
    }
    return 'new';
  }

  #dropExpired(): void {
    const nowMs = this.#clock.now();
    for (const window of this.#generations.keys())
      if ((window + 1) * authWindowMs <= nowMs) this.#generations.delete(window);
  }
}
