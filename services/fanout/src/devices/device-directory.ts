import type { Bus } from '@tailrace/bus/bus';
import { tailrace } from '@tailrace/protocol/generated';
import { awaited, type Coroutine, reserved } from '../catch-up/coroutine.ts';
import type { WorkQueue } from '../catch-up/work-scheduler.ts';
import type { Partition } from '../ownership/partition.ts';
import { ownerSubject } from '../subjects.ts';
import { devicePageFrom } from './device-list-message.ts';
import { type DevicePage, type DeviceQuery, devicePage, type ListedDevice, listedDeviceBytes } from './device-page.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

export interface DeviceDirectoryOptions {
  readonly node: string;
  readonly partitions: readonly Partition[];
  /** Returns the node that serves a partition, if there is one. */
  readonly ownerOf: (partition: number) => string | undefined;
  readonly bus: Pick<Bus, 'request'>;
  /** For the reply of one owner, ms. */
  readonly deadlineMs: number;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Requests to owners, and those that failed. */
  readonly counts: { requests: number; requestFailures: number };
}

/** A page of the devices of a whole installation. */
export interface DeviceListing extends DevicePage {
  /** The path after which the next page starts; undefined: this is the last page. */
  readonly next: string | undefined;
  /** Partitions whose devices are not listed, because no node serves them now, or their owner did not reply. */
  readonly missing: readonly number[];
}

/** How long a count of devices is reused for equal requests, ms: every open dashboard polls it. */
const countMs = 1_000;
/** Cached counts. */
const countsMax = 256;

/** The reply of an owner, and its partitions. */
interface OwnerPage {
  readonly partitions: readonly number[];
  readonly page: DevicePage;
}

/**
 * Lists the devices of all partitions: requests a page from each owner, and merges the pages.
 *
 * Paging is by key: a page continues after a path, not after a number of devices. Devices that appear or disappear
 * meanwhile neither shift nor repeat others. The cursors of Eclipse Ditto's search and the `nextToken` of AWS IoT fleet
 * indexing do the same, but are opaque.
 */
export class DeviceDirectory {
  readonly #options: DeviceDirectoryOptions;
  /** The last counts by request, the newest last. */
  readonly #counted = new Map<string, { readonly listing: DeviceListing; readonly atMs: number }>();

  constructor(options: DeviceDirectoryOptions) {
    this.#options = options;
  }

  /** Runs in slices of `queue`. */
  *list(queue: WorkQueue, requested: DeviceQuery): Coroutine<DeviceListing> {
    if (requested.limit > 0) return yield* this.#list(queue, requested);
    const key = JSON.stringify(requested);
    const known = this.#counted.get(key);
    if (known !== undefined && this.#options.now() - known.atMs < countMs) return known.listing;
    const listing = yield* this.#list(queue, requested);
    this.#counted.delete(key);
    this.#counted.set(key, { listing, atMs: this.#options.now() });
    if (this.#counted.size > countsMax) this.#counted.delete(this.#counted.keys().next().value!);
    return listing;
  }

  *#list(queue: WorkQueue, requested: DeviceQuery): Coroutine<DeviceListing> {
    const { partitions } = this.#options;
    // One device more than requested shows whether there is another page.
    const query = requested.limit === 0 ? requested : { ...requested, limit: requested.limit + 1 };
    const here: Partition[] = [];
    const elsewhere = new Map<string, number[]>();
    const missing: number[] = [];
    for (const partition of partitions) {
      const owner = this.#options.ownerOf(partition.number);
      if (partition.role === 'owned') here.push(partition);
      else if (owner === undefined || owner === this.#options.node) missing.push(partition.number);
      else elsewhere.set(owner, [...(elsewhere.get(owner) ?? []), partition.number]);
    }
    const memory = yield* reserved(queue, (1 + elsewhere.size) * query.limit * listedDeviceBytes);
    try {
      const requests = [...elsewhere].map(([owner, numbers]) => this.#request(owner, numbers, query));
      const pages = [yield* devicePage(here, query)];
      const replies = yield* awaited(Promise.all(requests));
      const listed = new Set(replies.flatMap((reply) => reply?.partitions ?? []));
      for (const numbers of elsewhere.values()) missing.push(...numbers.filter((number) => !listed.has(number)));
      pages.push(...replies.flatMap((reply) => reply?.page ?? []));
      yield undefined;
      return { ...merged(pages, requested.limit), missing: missing.sort((a, b) => a - b) };
    } finally {
      memory.release();
    }
  }

  /** Resolves with undefined if the owner does not reply. Never rejects. */
  async #request(owner: string, partitions: readonly number[], query: DeviceQuery): Promise<OwnerPage | undefined> {
    const { node, bus, deadlineMs, counts } = this.#options;
    counts.requests++;
    try {
      const devices = { partitions: [...partitions], ...query, patterns: [...query.patterns] };
      const request = OwnerRequest.encode({ node, devices, deadlineMs }).finish();
      const [part] = await bus.request(ownerSubject(owner), request, { deadlineMs });
      const list = part && OwnerReply.decode(part).devices;
      if (!list) return undefined;
      return { partitions: list.partitions ?? [], page: devicePageFrom(list) };
    } catch {
      counts.requestFailures++;
      return undefined;
    }
  }
}

function merged(pages: readonly DevicePage[], limit: number): DevicePage & Pick<DeviceListing, 'next'> {
  const devices: ListedDevice[] = [];
  const at = pages.map(() => 0);
  while (limit > 0 && devices.length <= limit) {
    let least = -1;
    for (const [i, page] of pages.entries()) {
      const device = page.devices[at[i]!];
      if (device !== undefined && (least < 0 || device.path < pages[least]!.devices[at[least]!]!.path)) least = i;
    }
    if (least < 0) break;
    const device = pages[least]!.devices[at[least]!++]!;
    // During a change of owner two nodes may list the same device.
    if (device.path !== devices.at(-1)?.path) devices.push(device);
  }
  return {
    devices: devices.slice(0, limit),
    count: pages.reduce((sum, { count }) => sum + count, 0),
    notOnline: pages.reduce((sum, { notOnline }) => sum + notOnline, 0),
    next: devices.length > limit ? devices[limit - 1]!.path : undefined,
  };
}
