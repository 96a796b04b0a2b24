import type { Bus } from '@tailrace/bus/bus';
import { tailrace } from '@tailrace/protocol/generated';
import { awaited, reserved, type Steps } from '../catchup/steps.ts';
import type { WorkQueue } from '../catchup/work-scheduler.ts';
import type { Partition } from '../ownership/partition.ts';
import { ownerSubject } from '../subjects.ts';
import { devicePageFrom } from './device-list-message.ts';
import { type DevicePage, type DeviceQuery, devicePage, type ListedDevice, listedDeviceBytes } from './device-page.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

export interface DeviceDirectoryParts {
  readonly node: string;
  readonly partitions: readonly Partition[];
  /** The node that serves a partition, where there is one. */
  readonly ownerOf: (partition: number) => string | undefined;
  readonly bus: Pick<Bus, 'request'>;
  /** For the answer of one owner. */
  readonly deadlineMs: number;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Requests to owners, and those that failed. */
  readonly counts: { asks: number; askFailures: number };
}

/** A page of the devices of a whole installation. */
export interface DeviceListing extends DevicePage {
  /** The path to go on after; undefined: this is the last page. */
  readonly next: string | undefined;
  /** Partitions whose devices are not listed, because no node serves them now, or their owner did not answer. */
  readonly missing: readonly number[];
}

/** How long a count of devices is given to those who ask for the same, ms: every open dashboard asks all the time. */
const countMs = 1_000;
/** Different counts that are kept. */
const countsMax = 256;

/** What the devices of some partitions are, as their owner answered. */
interface OwnerPage {
  readonly partitions: readonly number[];
  readonly page: DevicePage;
}

/**
 * The devices of all partitions, wherever they are: each owner is asked for a page of its partitions, and the pages are
 * merged. A page goes on after a path, not after a number of devices, so that devices that come and go meanwhile
 * neither shift nor repeat the others; compare the cursors of Eclipse Ditto's search and the `nextToken` of AWS IoT's
 * fleet index, which are opaque where this is a path.
 */
export class DeviceDirectory {
  readonly #parts: DeviceDirectoryParts;
  /** The last counts by their patterns, the one made last last. */
  readonly #counted = new Map<string, { readonly listing: DeviceListing; readonly atMs: number }>();

  constructor(parts: DeviceDirectoryParts) {
    this.#parts = parts;
  }

  /** To be run in slices of `queue`. */
  *list(queue: WorkQueue, asked: DeviceQuery): Steps<DeviceListing> {
    if (asked.limit > 0) return yield* this.#list(queue, asked);
    const key = JSON.stringify(asked);
    const known = this.#counted.get(key);
    if (known !== undefined && this.#parts.now() - known.atMs < countMs) return known.listing;
    const listing = yield* this.#list(queue, asked);
    this.#counted.delete(key);
    this.#counted.set(key, { listing, atMs: this.#parts.now() });
    if (this.#counted.size > countsMax) this.#counted.delete(this.#counted.keys().next().value!);
    return listing;
  }

  *#list(queue: WorkQueue, asked: DeviceQuery): Steps<DeviceListing> {
    const { partitions } = this.#parts;
    // One more shows whether there is another page.
    const query = asked.limit === 0 ? asked : { ...asked, limit: asked.limit + 1 };
    const here: Partition[] = [];
    const elsewhere = new Map<string, number[]>();
    const missing: number[] = [];
    for (const partition of partitions) {
      const owner = this.#parts.ownerOf(partition.number);
      if (partition.role === 'owned') here.push(partition);
      else if (owner === undefined || owner === this.#parts.node) missing.push(partition.number);
      else elsewhere.set(owner, [...(elsewhere.get(owner) ?? []), partition.number]);
    }
    const memory = yield* reserved(queue, (1 + elsewhere.size) * query.limit * listedDeviceBytes);
    try {
      const asking = [...elsewhere].map(([owner, numbers]) => this.#ask(owner, numbers, query));
      const pages = [yield* devicePage(here, query)];
      const answers = yield* awaited(Promise.all(asking));
      const answered = new Set(answers.flatMap((answer) => answer?.partitions ?? []));
      for (const numbers of elsewhere.values()) missing.push(...numbers.filter((number) => !answered.has(number)));
      pages.push(...answers.flatMap((answer) => answer?.page ?? []));
      return { ...joined(pages, asked.limit), missing: missing.sort((a, b) => a - b) };
    } finally {
      memory.release();
    }
  }

  /** Undefined where the owner does not answer. Never rejects. */
  async #ask(owner: string, partitions: readonly number[], query: DeviceQuery): Promise<OwnerPage | undefined> {
    const { node, bus, deadlineMs, counts } = this.#parts;
    counts.asks++;
    try {
      const devices = { partitions: [...partitions], ...query, patterns: [...query.patterns] };
      const request = OwnerRequest.encode({ node, devices, deadlineMs }).finish();
      const [part] = await bus.request(ownerSubject(owner), request, { deadlineMs });
      const list = part && OwnerReply.decode(part).devices;
      if (!list) return undefined;
      return { partitions: list.partitions ?? [], page: devicePageFrom(list) };
    } catch {
      counts.askFailures++;
      return undefined;
    }
  }
}

function joined(pages: readonly DevicePage[], limit: number): DevicePage & Pick<DeviceListing, 'next'> {
  const devices: ListedDevice[] = [];
  const sorted = pages.flatMap((page) => page.devices).sort((a, b) => (a.path < b.path ? -1 : 1));
  // While a partition changes hands two nodes may list its devices.
  for (const device of sorted) if (device.path !== devices.at(-1)?.path) devices.push(device);
  return {
    devices: devices.slice(0, limit),
    count: pages.reduce((sum, { count }) => sum + count, 0),
    silent: pages.reduce((sum, { silent }) => sum + silent, 0),
    next: limit > 0 && devices.length > limit ? devices[limit - 1]!.path : undefined,
  };
}
