import { type Coroutine, reserved } from '../catch-up/coroutine.ts';
import type { WorkQueue } from '../catch-up/work-scheduler.ts';
import type { Device } from '../channels/device.ts';
import type { Partition } from '../ownership/partition.ts';
import { offline } from '../presence/presences.ts';

/** Selects a page of devices. */
export interface DeviceQuery {
  /** No device lies in two of them: see `disjointPatterns`. */
  readonly patterns: readonly string[];
  /** Only paths after this one; empty: from the first. */
  readonly after: string;
  /** Devices in the reply, at most. */
  readonly limit: number;
  /** Whether `count` and `notOnline` are requested. */
  readonly counts: boolean;
}

export type DeviceState = 'online' | 'stale' | 'offline';

export interface ListedDevice {
  readonly path: string;
  readonly state: DeviceState;
  /** When ingest received its last report, epoch ms; 0: unknown. */
  readonly receivedMs: number;
}

export interface DevicePage {
  /** In the order of their paths, byte by byte. */
  readonly devices: readonly ListedDevice[];
  /** All devices that the patterns cover, and those of them that are stale or offline; 0 if not requested. */
  readonly count: number;
  readonly notOnline: number;
}

type ListedPartition = Pick<Partition, 'index' | 'idleStateOf' | 'notOnlineCount'>;

/** Devices taken from a partition's index at once. */
const chunkDevices = 64;
/** Partitions visited, or devices added to the reply, in one step. */
const perStep = 64;

/** Memory of a device in a reply under construction, approximate. */
export const listedDeviceBytes = 512;

/** Runs `devicePage` once there is memory for the reply. */
export function* devicePageWithin(
  queue: WorkQueue,
  partitions: readonly ListedPartition[],
  query: DeviceQuery,
): Coroutine<DevicePage> {
  const memory = yield* reserved(queue, query.limit * listedDeviceBytes);
  try {
    return yield* devicePage(partitions, query);
  } finally {
    memory.release();
  }
}

/** Iterates over the devices of one partition that a pattern covers, chunk by chunk. */
class Cursor {
  readonly partition: ListedPartition;
  readonly #pattern: string;
  #devices: readonly Device[];
  #at = 0;

  constructor(partition: ListedPartition, pattern: string, after: string) {
    this.partition = partition;
    this.#pattern = pattern;
    this.#devices = partition.index.page(pattern, after, chunkDevices);
  }

  /** Undefined after the last. */
  get device(): Device | undefined {
    return this.#devices[this.#at];
  }

  advance(): void {
    this.#at++;
    if (this.#at < this.#devices.length || this.#devices.length < chunkDevices) return;
    this.#devices = this.partition.index.page(this.#pattern, this.#devices.at(-1)!.path, chunkDevices);
    this.#at = 0;
  }
}

/**
 * Returns a page of the devices of some partitions, merged by path. Each pattern is one range of the order, and the
 * ranges do not overlap, so they are listed one after the other.
 */
export function* devicePage(partitions: readonly ListedPartition[], query: DeviceQuery): Coroutine<DevicePage> {
  const { patterns, after, limit, counts } = query;
  let [count, notOnline] = [0, 0];
  if (counts) {
    for (const pattern of patterns) {
      for (let i = 0; i < partitions.length; i++) {
        count += partitions[i]!.index.count(pattern);
        notOnline += partitions[i]!.notOnlineCount(pattern);
        if (i % perStep === perStep - 1) yield undefined;
      }
      yield undefined;
    }
  }
  const devices: ListedDevice[] = [];
  if (limit > 0) {
    for (const pattern of [...patterns].sort(byRange)) {
      yield* merge(partitions, pattern, after, limit, devices);
      if (devices.length === limit) break;
      yield undefined;
    }
  }
  return { devices, count, notOnline };
}

function* merge(
  partitions: readonly ListedPartition[],
  pattern: string,
  after: string,
  limit: number,
  devices: ListedDevice[],
): Coroutine {
  const heap: Cursor[] = [];
  for (let i = 0; i < partitions.length; i++) {
    const cursor = new Cursor(partitions[i]!, pattern, after);
    if (cursor.device !== undefined) heap.push(cursor);
    if (i % perStep === perStep - 1) yield undefined;
  }
  for (let i = heap.length >> 1; i >= 0; i--) siftDown(heap, i);
  while (heap.length > 0 && devices.length < limit) {
    const cursor = heap[0]!;
    devices.push(listed(cursor.partition, cursor.device!));
    cursor.advance();
    if (cursor.device === undefined) {
      const last = heap.pop()!;
      if (heap.length > 0) heap[0] = last;
    }
    siftDown(heap, 0);
    if (devices.length % perStep === 0) yield undefined;
  }
}

/** Restores the order of a binary heap, whose first cursor has the least path, below `i`. */
function siftDown(heap: Cursor[], i: number): void {
  for (let at = i; ; ) {
    let least = at;
    for (const child of [2 * at + 1, 2 * at + 2])
      if (child < heap.length && heap[child]!.device!.path < heap[least]!.device!.path) least = child;
    if (least === at) return;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}

function listed(partition: ListedPartition, device: Device): ListedDevice {
  const presence = partition.idleStateOf(device);
  const state = presence === undefined ? 'online' : presence.state === offline ? 'offline' : 'stale';
  return { path: device.path, state, receivedMs: presence?.sinceMs ?? device.reportInterval?.lastMs ?? 0 };
}

/** `a.b.>` is the range of the paths with the prefix `a.b.`. */
function byRange(a: string, b: string): number {
  return startOf(a) < startOf(b) ? -1 : 1;
}

function startOf(pattern: string): string {
  return pattern.endsWith('>') ? pattern.slice(0, -1) : pattern;
}
