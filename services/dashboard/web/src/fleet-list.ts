import { batch, type Signal, signal } from '@preact/signals';
import type { ListError, ListedDevice, RequestPage } from './device-list-api.ts';
import { orderKeyOf } from './tree.ts';

/** More devices than this are not listed; the page shows a notice. */
export const listedDevicesMax = 100_000;
/** As many as a page of the API may have. */
const pageDevices = 1000;
/** How often the number of devices is polled, ms; and while there is none, so that the first one appears at once. */
const pollMs = 3000;
const emptyPollMs = 1000;
/** How often the whole list is read in any case, ms: a new device may have replaced another one. */
const reloadMs = 300_000;
/** A list that changes all the time is read for at most this part of the time. */
const readingShare = 0.1;

interface Waiting {
  cancel(): void;
}

export interface FleetListOptions {
  readonly requestPage: RequestPage;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => Waiting;
}

/**
 * The list of devices, read page by page from `GET /v1/devices`. It polls their number, and reads the list again when
 * that has changed.
 */
export class FleetList {
  /** In the order of the list. */
  readonly paths: Signal<readonly string[]> = signal([]);
  /** All devices, and those of them that are stale or offline, as the server counts; undefined: not known yet. */
  readonly count: Signal<number | undefined> = signal(undefined);
  readonly notOnline: Signal<number> = signal(0);
  /** Whether all pages have been read at least once. */
  readonly isComplete: Signal<boolean> = signal(false);
  /** Why the last request failed. */
  readonly error: Signal<ListError | undefined> = signal(undefined);
  /** Partitions whose devices the server could not list. */
  readonly missing: Signal<number> = signal(0);
  /** Whether there are more devices than `listedDevicesMax`. */
  readonly isFull: Signal<boolean> = signal(false);
  readonly #options: FleetListOptions;
  #entries = new Map<string, ListedDevice>();
  readonly #keys = new Map<string, string>();
  /** Of the last complete read. */
  #countRead: number | undefined;
  #readAtMs = 0;
  #notBeforeMs = 0;
  #isBusy = false;
  #isVisible = true;
  #waiting: Waiting | undefined;

  constructor(options: FleetListOptions) {
    this.#options = options;
  }

  /** Returns a device as it was last listed. */
  entry(path: string): ListedDevice | undefined {
    return this.#entries.get(path);
  }

  /** Polls now, and then again and again while the page is visible. */
  async check(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#waiting?.cancel();
    try {
      const nowMs = this.#options.now();
      if (this.#countRead === undefined || nowMs - this.#readAtMs >= reloadMs) await this.#read();
      else if (await this.#hasChanged()) await this.#read();
    } finally {
      this.#isBusy = false;
    }
    this.#waiting?.cancel();
    const isEmpty = this.count.value === 0 && this.error.value === undefined;
    const waitMs = isEmpty ? emptyPollMs : pollMs;
    if (this.#isVisible) this.#waiting = this.#options.after(waitMs, () => void this.check());
  }

  /** Stops polling while the page is hidden. */
  show(isVisible: boolean): void {
    if (this.#isVisible === isVisible) return;
    this.#isVisible = isVisible;
    if (isVisible) void this.check();
    else this.#waiting?.cancel();
  }

  /** Adds a device that reports and is not listed yet. */
  add(path: string): void {
    if (this.#entries.has(path) || this.#entries.size >= listedDevicesMax) return;
    this.#entries.set(path, { device: path, state: 'online' });
    this.#publish();
  }

  async #hasChanged(): Promise<boolean> {
    const answer = await this.#options.requestPage(undefined, 0);
    if ('error' in answer) {
      this.error.value = answer.error;
      return false;
    }
    const { count = 0, notOnline = 0, missing = [] } = answer.page;
    batch(() => {
      this.error.value = undefined;
      this.count.value = count;
      this.notOnline.value = notOnline;
    });
    const isOther = count !== this.#countRead || missing.length !== this.missing.value;
    return isOther && this.#options.now() >= this.#notBeforeMs;
  }

  async #read(): Promise<void> {
    const startMs = this.#options.now();
    const read = new Map<string, ListedDevice>();
    const missing = new Set<number>();
    let [count, notOnline] = [0, 0];
    let after: string | undefined;
    do {
      const answer = await this.#options.requestPage(after, pageDevices);
      if ('error' in answer) {
        this.error.value = answer.error;
        return;
      }
      const { page } = answer;
      if (after === undefined) ({ count = 0, notOnline = 0 } = page);
      for (const device of page.devices) read.set(device.device, device);
      for (const partition of page.missing ?? []) missing.add(partition);
      after = page.next;
      // The first time, each page is shown as it arrives.
      if (!this.isComplete.value) {
        batch(() => {
          this.count.value = count;
          this.notOnline.value = notOnline;
          this.#take(read);
        });
      }
    } while (after !== undefined && read.size < listedDevicesMax);
    // Devices of a partition that the server could not list are kept.
    if (missing.size > 0) for (const [path, device] of this.#entries) if (!read.has(path)) read.set(path, device);
    const endMs = this.#options.now();
    this.#countRead = count;
    this.#readAtMs = endMs;
    this.#notBeforeMs = endMs + (endMs - startMs) * (1 / readingShare - 1);
    batch(() => {
      this.error.value = undefined;
      this.count.value = count;
      this.notOnline.value = notOnline;
      this.missing.value = missing.size;
      this.isFull.value = after !== undefined;
      this.isComplete.value = true;
      this.#take(read);
    });
  }

  #take(read: Map<string, ListedDevice>): void {
    this.#entries = read;
    for (const path of this.#keys.keys()) if (!read.has(path)) this.#keys.delete(path);
    this.#publish();
  }

  #publish(): void {
    const keys = this.#keys;
    for (const path of this.#entries.keys()) if (!keys.has(path)) keys.set(path, orderKeyOf(path));
    const paths = [...this.#entries.keys()].sort((a, b) => (keys.get(a)! < keys.get(b)! ? -1 : 1));
    const before = this.paths.value;
    // The same devices keep the same array, so that the rows are not computed again.
    if (paths.length === before.length && paths.every((path, i) => path === before[i])) return;
    this.paths.value = paths;
  }
}
