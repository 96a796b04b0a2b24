import type { Delivery, Quality, Reading } from '@tailrace/protocol/report';
import { effectiveTime } from '@tailrace/protocol/source-time';
import { tagsRememberedMax } from './delivered.ts';
import type { Stream } from './stream.ts';
import type { Presence, Subscription } from './subscription.ts';

/** What a screen shows of one tag of one device. */
export interface ShownReading {
  /** Undefined before the first one. */
  readonly value: Reading['value'] | undefined;
  readonly unit: string | undefined;
  readonly quality: Quality | undefined;
  /** Epoch ms, the device's clock. */
  readonly time: number | undefined;
  /** Not to be taken for what is now: the device is silent, or its server cannot be heard, or there was nothing yet. */
  readonly stale: boolean;
}

export const nothingYet: ShownReading = {
  value: undefined,
  unit: undefined,
  quality: undefined,
  time: undefined,
  stale: true,
};

/** As far as a browser has it. */
interface Frames {
  requestAnimationFrame?: (call: () => void) => number;
}

/** Once before the next frame is painted; where nothing is painted, once what runs now is done. A page that is hidden is not painted, and need not be. */
function beforeNextFrame(call: () => void): void {
  const { requestAnimationFrame } = globalThis as Frames;
  if (requestAnimationFrame === undefined) queueMicrotask(call);
  else requestAnimationFrame(call);
}

/** One device that something on the screen looks at. All its tags come by one subscription. */
class WatchedDevice {
  /** The newest of each tag, with its effective time; that told longest ago first. */
  readonly readings = new Map<string, Reading & { readonly time: number; readonly effectiveMs: number }>();
  readonly shown = new Map<string, ShownReading>();
  readonly listeners = new Set<() => void>();
  subscription: Subscription | undefined;
  presence: Presence['state'] = 'online';

  /** As a server chooses last values: a late report does not take the place of a newer reading. */
  take(reports: readonly Delivery[]): void {
    for (const report of reports) {
      for (const reading of report.readings) {
        const effectiveMs = effectiveTime(report, reading.time);
        // A late one replaces nothing newer.
        if (effectiveMs < (this.readings.get(reading.tag)?.effectiveMs ?? effectiveMs)) continue;
        this.readings.delete(reading.tag);
        if (this.readings.size === tagsRememberedMax) this.#forgetFirst();
        this.readings.set(reading.tag, { ...reading, time: reading.time ?? report.time, effectiveMs });
      }
    }
  }

  /** A device may make up tags without end. */
  #forgetFirst(): void {
    for (const tag of this.readings.keys()) {
      this.readings.delete(tag);
      this.shown.delete(tag);
      return;
    }
  }

  /** The same object as long as it says the same. */
  of(tag: string): ShownReading {
    const stale = this.presence !== 'online' || this.subscription?.state.name !== 'live';
    const reading = this.readings.get(tag);
    if (reading === undefined) return nothingYet;
    const shown = this.shown.get(tag) ?? nothingYet;
    const { value, unit, quality = 'good', time } = reading;
    const next: ShownReading = { value, unit, quality, time, stale };
    // By its own keys, so that none is forgotten.
    for (const key of Object.keys(next) as (keyof ShownReading)[]) {
      if (next[key] === shown[key]) continue;
      this.shown.set(tag, next);
      return next;
    }
    return shown;
  }
}

/**
 * The last readings of the devices that are on the screen, however many components look at them and however often they report: components are told
 * once a frame. A device is subscribed to while anybody looks at it, and a moment longer, because React's strict mode and a change of page look away
 * and back again.
 */
export class ReadingStore {
  readonly #stream: Stream;
  readonly #devices = new Map<string, WatchedDevice>();
  readonly #dirty = new Set<WatchedDevice>();

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /** What is shown now. It changes only between frames. */
  read(device: string, tag: string): ShownReading {
    return this.#devices.get(device)?.shown.get(tag) ?? nothingYet;
  }

  /** Calls when something of the device has changed. The answer ends it. */
  watch(device: string, listener: () => void): () => void {
    const watched = this.#devices.get(device) ?? this.#begin(device);
    watched.listeners.add(listener);
    return () => {
      watched.listeners.delete(listener);
      queueMicrotask(() => {
        if (watched.listeners.size === 0) this.#end(device, watched);
      });
    };
  }

  #begin(device: string): WatchedDevice {
    const watched = new WatchedDevice();
    this.#devices.set(device, watched);
    const take = (reports: readonly Delivery[]) => {
      watched.take(reports);
      this.#mark(watched);
    };
    watched.subscription = this.#stream.subscribe(device, {
      onSnapshot: take,
      onReports: take,
      onPresence: ({ state }) => {
        watched.presence = state;
        this.#mark(watched);
      },
      onState: () => this.#mark(watched),
    });
    return watched;
  }

  #end(device: string, watched: WatchedDevice): void {
    if (this.#devices.get(device) !== watched) return;
    this.#devices.delete(device);
    watched.subscription?.unsubscribe();
  }

  #mark(watched: WatchedDevice): void {
    this.#dirty.add(watched);
    if (this.#dirty.size === 1) beforeNextFrame(() => this.#show());
  }

  #show(): void {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const watched of dirty) {
      for (const tag of watched.readings.keys()) watched.of(tag);
      for (const listener of [...watched.listeners]) listener();
    }
  }
}
