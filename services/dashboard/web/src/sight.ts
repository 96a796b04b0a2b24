/** Something that is watched until it is ended. */
export interface Watched {
  unsubscribe(): void;
}

interface Waiting {
  cancel(): void;
}

export interface SightParts {
  readonly subscribe: (path: string) => Watched;
  /** Nothing is shown of it any more. */
  readonly onGone: (path: string) => void;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => Waiting;
}

/** Rows have to stay in sight for so long before they are subscribed to, ms: while one scrolls, none does. */
const settleMs = 120;
/** While the list moves all the time, it is looked at this often, ms. */
const lookMs = 600;
/** A device out of sight is kept for a moment, ms: small movements bring it back. */
const lingerMs = 3000;
/** Devices subscribed to at once: a large screen, and what lingers. */
const heldMax = 250;
/**
 * New subscriptions: so many at once, and a second. Each is two messages, with its end, and the server's bound for a
 * connection is 50 messages a second, and some two thousand at once.
 */
const burstMax = 300;
const perSecondMax = 15;

/**
 * Which devices are subscribed to: those on the screen, one subscription each. So what comes over the connection grows
 * with the screen, and not with the devices that there are.
 */
export class Sight {
  readonly #parts: SightParts;
  #wanted: ReadonlySet<string> = new Set();
  /** By path; since when it is out of sight, monotonic ms, where it is. The one seen last comes last. */
  readonly #held = new Map<string, { readonly watched: Watched; hiddenMs: number | undefined }>();
  #settle: Waiting | undefined;
  /** When it is looked at in any case. */
  #lookAtMs = Number.POSITIVE_INFINITY;
  #later: Waiting | undefined;
  /** Subscriptions that may begin now, as of `#allowedAtMs`. */
  #allowed = burstMax;
  #allowedAtMs: number;

  constructor(parts: SightParts) {
    this.#parts = parts;
    this.#allowedAtMs = parts.now();
  }

  has(path: string): boolean {
    return this.#held.has(path);
  }

  /** Devices that are subscribed to. */
  get size(): number {
    return this.#held.size;
  }

  /** These are on the screen now, and no others. */
  show(paths: readonly string[]): void {
    if (paths.length === this.#wanted.size && paths.every((path) => this.#wanted.has(path))) return;
    this.#wanted = new Set(paths);
    const nowMs = this.#parts.now();
    this.#lookAtMs = Math.min(this.#lookAtMs, nowMs + lookMs);
    this.#settle?.cancel();
    this.#settle = this.#parts.after(Math.min(settleMs, this.#lookAtMs - nowMs), () => this.#apply());
  }

  #apply(): void {
    this.#settle?.cancel();
    this.#later?.cancel();
    this.#lookAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#parts.now();
    const refill = ((nowMs - this.#allowedAtMs) / 1000) * perSecondMax;
    this.#allowed = Math.min(burstMax, this.#allowed + refill);
    this.#allowedAtMs = nowMs;
    for (const [path, held] of this.#held) {
      if (this.#wanted.has(path)) held.hiddenMs = undefined;
      else held.hiddenMs ??= nowMs;
    }
    let nextMs = Number.POSITIVE_INFINITY;
    for (const path of this.#wanted) {
      if (this.#held.has(path)) continue;
      if (this.#allowed < 1) {
        nextMs = 1000 / perSecondMax;
        break;
      }
      this.#allowed--;
      this.#held.set(path, { watched: this.#parts.subscribe(path), hiddenMs: undefined });
    }
    for (const [path, { watched, hiddenMs }] of this.#held) {
      if (hiddenMs === undefined) continue;
      const leftMs = hiddenMs + lingerMs - nowMs;
      if (leftMs > 0 && this.#held.size <= heldMax) {
        nextMs = Math.min(nextMs, leftMs);
        continue;
      }
      this.#held.delete(path);
      watched.unsubscribe();
      this.#parts.onGone(path);
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#later = this.#parts.after(nextMs, () => this.#apply());
  }
}
