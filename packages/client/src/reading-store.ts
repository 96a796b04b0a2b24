import type { Delivery, Quality, Reading } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { tagsRememberedMax } from './delivered.ts';
import type { Stream } from './stream.ts';
import type { Presence, Subscription } from './subscription.ts';

/** The latest reading of one tag of one device. */
export interface LatestReading {
  /** Undefined before the first reading. */
  readonly value: Reading['value'] | undefined;
  readonly unit: string | undefined;
  readonly quality: Quality | undefined;
  /** Epoch ms by the device's clock. */
  readonly time: number | undefined;
  /**
   * Whether the value may be out of date: the device is not online, the subscription is not live, or no reading came.
   */
  readonly stale: boolean;
}

export const noReading: LatestReading = {
  value: undefined,
  unit: undefined,
  quality: undefined,
  time: undefined,
  stale: true,
};

/** Present in browsers. */
interface Frames {
  requestAnimationFrame?: (call: () => void) => number;
}

/** Calls before the next animation frame; in a microtask where there are none. A hidden page has no frames. */
function beforeNextFrame(call: () => void): void {
  const { requestAnimationFrame } = globalThis as Frames;
  if (requestAnimationFrame === undefined) queueMicrotask(call);
  else requestAnimationFrame(call);
}

/** A device that components use. All its tags come by one subscription. */
class WatchedDevice {
  /** The latest reading of each tag with its effective time; the least recently updated first. */
  readonly readings = new Map<string, Reading & { readonly time: number; readonly effectiveMs: number }>();
  readonly rendered = new Map<string, LatestReading>();
  readonly listeners = new Set<() => void>();
  subscription: Subscription | undefined;
  presence: Presence['state'] = 'online';

  /**
   * Updates the readings as a server updates last values: a late report does not replace a newer reading, and a
   * historical one replaces none.
   */
  update(reports: readonly Delivery[]): void {
    for (const report of reports) {
      if (report.historical === true) continue;
      for (const reading of report.readings) {
        const effectiveMs = effectiveTime(report, reading.time);
        if (effectiveMs < (this.readings.get(reading.tag)?.effectiveMs ?? effectiveMs)) continue;
        this.readings.delete(reading.tag);
        if (this.readings.size === tagsRememberedMax) this.#evictFirst();
        this.readings.set(reading.tag, { ...reading, time: reading.time ?? report.time, effectiveMs });
      }
    }
  }

  /** Bounds the memory for a device that invents tags without end. */
  #evictFirst(): void {
    for (const tag of this.readings.keys()) {
      this.readings.delete(tag);
      this.rendered.delete(tag);
      return;
    }
  }

  /** Returns the same object as long as its fields are the same. */
  latest(tag: string): LatestReading {
    const stale = this.presence !== 'online' || this.subscription?.state.name !== 'live';
    const reading = this.readings.get(tag);
    if (reading === undefined) return noReading;
    const before = this.rendered.get(tag) ?? noReading;
    const { value, unit, quality = 'good', time } = reading;
    const next: LatestReading = { value, unit, quality, time, stale };
    for (const key of Object.keys(next) as (keyof LatestReading)[]) {
      if (next[key] === before[key]) continue;
      this.rendered.set(tag, next);
      return next;
    }
    return before;
  }
}

/**
 * The latest readings of the devices that components use. Components are notified at most once per animation frame. A
 * device is subscribed while it has listeners and a microtask longer, because React's strict mode and navigation
 * remove listeners and add them again.
 */
export class ReadingStore {
  readonly #stream: Stream;
  readonly #devices = new Map<string, WatchedDevice>();
  readonly #dirty = new Set<WatchedDevice>();

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** Returns the rendered reading, which changes only between frames. */
  read(device: string, tag: string): LatestReading {
    return this.#devices.get(device)?.rendered.get(tag) ?? noReading;
  }

  /** Calls `listener` after changes of the device. Returns a function that removes it. */
  watch(device: string, listener: () => void): () => void {
    const watched = this.#devices.get(device) ?? this.#subscribe(device);
    watched.listeners.add(listener);
    return () => {
      watched.listeners.delete(listener);
      queueMicrotask(() => {
        if (watched.listeners.size === 0) this.#unsubscribe(device, watched);
      });
    };
  }

  #subscribe(device: string): WatchedDevice {
    const watched = new WatchedDevice();
    this.#devices.set(device, watched);
    const update = (reports: readonly Delivery[]) => {
      watched.update(reports);
      this.#schedule(watched);
    };
    watched.subscription = this.#stream.subscribe(device, {
      onSnapshot: update,
      onReports: update,
      onPresence: ({ state }) => {
        watched.presence = state;
        this.#schedule(watched);
      },
      onState: () => this.#schedule(watched),
    });
    return watched;
  }

  #unsubscribe(device: string, watched: WatchedDevice): void {
    if (this.#devices.get(device) !== watched) return;
    this.#devices.delete(device);
    watched.subscription?.unsubscribe();
  }

  #schedule(watched: WatchedDevice): void {
    this.#dirty.add(watched);
    if (this.#dirty.size === 1) beforeNextFrame(() => this.#render());
  }

  #render(): void {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const watched of dirty) {
      for (const tag of watched.readings.keys()) watched.latest(tag);
      for (const listener of [...watched.listeners]) listener();
    }
  }
}
