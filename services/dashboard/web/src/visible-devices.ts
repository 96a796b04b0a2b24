/** A subscription. */
export interface Subscribed {
  unsubscribe(): void;
}

interface Waiting {
  cancel(): void;
}

export interface VisibleDevicesOptions {
  readonly subscribe: (path: string) => Subscribed;
  /** The device is no longer subscribed to. */
  readonly onGone: (path: string) => void;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => Waiting;
}

/** Rows are subscribed to after they were visible for so long, ms: while the user scrolls, none is. */
const settleMs = 120;
/** During a long scroll, the visible rows are subscribed to this often, ms. */
const updateMs = 600;
/** A hidden device stays subscribed for so long, ms: small movements bring it back. */
const lingerMs = 3000;
/** Devices subscribed to at once: a large screen, and hidden ones. */
const subscribedMax = 250;
/**
 * New subscriptions at once, and a second. Each costs two messages, to subscribe and to unsubscribe; the server takes
 * 50 messages a second of a connection, and some two thousand at once.
 */
const burstMax = 300;
const perSecondMax = 15;

/**
 * Subscribes to the devices whose rows are visible, one subscription each. So the traffic of the connection depends on
 * the screen, not on the number of devices.
 */
export class VisibleDevices {
  readonly #options: VisibleDevicesOptions;
  #visible: ReadonlySet<string> = new Set();
  /** By path; `hiddenMs`: since when its row is hidden, monotonic ms. */
  readonly #subscribed = new Map<string, { readonly subscription: Subscribed; hiddenMs: number | undefined }>();
  #settle: Waiting | undefined;
  /** When it is updated in any case. */
  #updateAtMs = Number.POSITIVE_INFINITY;
  #later: Waiting | undefined;
  /** Subscriptions that may start now, as of `#allowedAtMs`. */
  #allowed = burstMax;
  #allowedAtMs: number;

  constructor(options: VisibleDevicesOptions) {
    this.#options = options;
    this.#allowedAtMs = options.now();
  }

  has(path: string): boolean {
    return this.#subscribed.has(path);
  }

  /** These are visible now, and no others. */
  show(paths: readonly string[]): void {
    if (paths.length === this.#visible.size && paths.every((path) => this.#visible.has(path))) return;
    this.#visible = new Set(paths);
    const nowMs = this.#options.now();
    this.#updateAtMs = Math.min(this.#updateAtMs, nowMs + updateMs);
    this.#settle?.cancel();
    this.#settle = this.#options.after(Math.min(settleMs, this.#updateAtMs - nowMs), () => this.#update());
  }

  #update(): void {
    this.#settle?.cancel();
    this.#later?.cancel();
    this.#updateAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#options.now();
    const refill = ((nowMs - this.#allowedAtMs) / 1000) * perSecondMax;
    this.#allowed = Math.min(burstMax, this.#allowed + refill);
    this.#allowedAtMs = nowMs;
    for (const [path, subscribed] of this.#subscribed) {
      if (this.#visible.has(path)) subscribed.hiddenMs = undefined;
      else subscribed.hiddenMs ??= nowMs;
    }
    let nextMs = Number.POSITIVE_INFINITY;
    for (const path of this.#visible) {
      if (this.#subscribed.has(path)) continue;
      if (this.#allowed < 1) {
        nextMs = 1000 / perSecondMax;
        break;
      }
      this.#allowed--;
      this.#subscribed.set(path, { subscription: this.#options.subscribe(path), hiddenMs: undefined });
    }
    for (const [path, { subscription, hiddenMs }] of this.#subscribed) {
      if (hiddenMs === undefined) continue;
      const leftMs = hiddenMs + lingerMs - nowMs;
      if (leftMs > 0 && this.#subscribed.size <= subscribedMax) {
        nextMs = Math.min(nextMs, leftMs);
        continue;
      }
      this.#subscribed.delete(path);
      subscription.unsubscribe();
      this.#options.onGone(path);
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#later = this.#options.after(nextMs, () => this.#update());
  }
}
