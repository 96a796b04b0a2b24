import { batch, type Signal, signal } from '@preact/signals';
import type { AskForPage, ListedDevice, ListFault } from './device-list-api.ts';
import { orderKeyOf } from './tree.ts';

/** More devices than this are not listed; the page says so. */
export const listedDevicesMax = 100_000;
/** As many as a page of the API may have. */
const pageDevices = 1000;
/** How often it is asked how many devices there are, ms; and while there is none, for whoever waits for the first. */
const pollMs = 3000;
const emptyPollMs = 1000;
/** How often the whole list is read in any case, ms: one device may have come while another one went. */
const reloadMs = 300_000;
/** A list that changes all the time is read for at most this part of the time. */
const readingShare = 0.1;

/** What waits. */
interface Waiting {
  cancel(): void;
}

export interface FleetListParts {
  readonly ask: AskForPage;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => Waiting;
}

/**
 * Which devices there are, as the server lists them, page by page: so what the page receives does not grow with them.
 * A few times a minute it asks for their number, and reads the list again where that has changed.
 */
export class FleetList {
  /** In the order of the list. */
  readonly paths: Signal<readonly string[]> = signal([]);
  /** Devices that there are, and those of them that are silent, as the server counts; undefined: not known yet. */
  readonly count: Signal<number | undefined> = signal(undefined);
  readonly silent: Signal<number> = signal(0);
  /** Whether all pages have been read at least once. */
  readonly isComplete: Signal<boolean> = signal(false);
  /** Why the list could not be read the last time. */
  readonly fault: Signal<ListFault | undefined> = signal(undefined);
  /** Partitions whose devices the server could not list. */
  readonly missing: Signal<number> = signal(0);
  /** Whether there are more devices than are listed. */
  readonly isFull: Signal<boolean> = signal(false);
  readonly #parts: FleetListParts;
  #entries = new Map<string, ListedDevice>();
  readonly #keys = new Map<string, string>();
  /** Of the last whole reading. */
  #countRead: number | undefined;
  #readAtMs = 0;
  #notBeforeMs = 0;
  #isBusy = false;
  #isVisible = true;
  #waiting: Waiting | undefined;

  constructor(parts: FleetListParts) {
    this.#parts = parts;
  }

  /** What the list said of a device. */
  entry(path: string): ListedDevice | undefined {
    return this.#entries.get(path);
  }

  /** Now, and from now on again and again while the page is visible. */
  async check(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#waiting?.cancel();
    try {
      const nowMs = this.#parts.now();
      if (this.#countRead === undefined || nowMs - this.#readAtMs >= reloadMs) await this.#read();
      else if (await this.#hasChanged()) await this.#read();
    } finally {
      this.#isBusy = false;
    }
    this.#waiting?.cancel();
    const isFirstAwaited = this.count.value === 0 && this.fault.value === undefined;
    const waitMs = isFirstAwaited ? emptyPollMs : pollMs;
    if (this.#isVisible) this.#waiting = this.#parts.after(waitMs, () => void this.check());
  }

  /** A page that nobody sees asks for nothing. */
  show(isVisible: boolean): void {
    if (this.#isVisible === isVisible) return;
    this.#isVisible = isVisible;
    if (isVisible) void this.check();
    else this.#waiting?.cancel();
  }

  /** A device reports that is not listed yet. */
  add(path: string): void {
    if (this.#entries.has(path) || this.#entries.size >= listedDevicesMax) return;
    this.#entries.set(path, { device: path, state: 'online' });
    this.#publish();
  }

  async #hasChanged(): Promise<boolean> {
    const answer = await this.#parts.ask(undefined, 0);
    if ('fault' in answer) {
      this.fault.value = answer.fault;
      return false;
    }
    const { count = 0, silent = 0, missing = [] } = answer.page;
    batch(() => {
      this.fault.value = undefined;
      this.count.value = count;
      this.silent.value = silent;
    });
    const isOther = count !== this.#countRead || missing.length !== this.missing.value;
    return isOther && this.#parts.now() >= this.#notBeforeMs;
  }

  async #read(): Promise<void> {
    const startMs = this.#parts.now();
    const read = new Map<string, ListedDevice>();
    const missing = new Set<number>();
    let [count, silent] = [0, 0];
    let after: string | undefined;
    do {
      const answer = await this.#parts.ask(after, pageDevices);
      if ('fault' in answer) {
        this.fault.value = answer.fault;
        return;
      }
      const { page } = answer;
      if (after === undefined) ({ count = 0, silent = 0 } = page);
      for (const device of page.devices) read.set(device.device, device);
      for (const partition of page.missing ?? []) missing.add(partition);
      after = page.next;
      // At first there is something to see at once.
      if (!this.isComplete.value) {
        batch(() => {
          this.count.value = count;
          this.silent.value = silent;
          this.#take(read);
        });
      }
    } while (after !== undefined && read.size < listedDevicesMax);
    // What could not be listed has not gone for that.
    if (missing.size > 0) for (const [path, device] of this.#entries) if (!read.has(path)) read.set(path, device);
    const endMs = this.#parts.now();
    this.#countRead = count;
    this.#readAtMs = endMs;
    this.#notBeforeMs = endMs + (endMs - startMs) * (1 / readingShare - 1);
    batch(() => {
      this.fault.value = undefined;
      this.count.value = count;
      this.silent.value = silent;
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
    // The same devices are the same list, so that nothing is laid out again.
    if (paths.length === before.length && paths.every((path, i) => path === before[i])) return;
    this.paths.value = paths;
  }
}
