import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import type { Reading } from '@tailrace/protocol/reading';
import { decodeReport } from '@tailrace/protocol/report-proto';
import type { SeenDevice } from './device-store.ts';

const { Announcement, OwnerRequest, OwnerReply, PresenceState } = tailrace.v1;

/** Fanout nodes announce themselves every 500 ms; one without an announcement for this time is absent. */
const absentMs = 3_000;
/** Devices of one page, as fanout limits it. */
export const pageDevicesMax = 1_000;

export interface FanoutOwnersOptions {
  readonly bus: Pick<Bus, 'subscribe' | 'request'>;
  readonly clock: Clock;
  /** Name of this process on the bus, one token. */
  readonly name: string;
  /** Of the telemetry topic. */
  readonly partitions: number;
}

/** The last values of a device, and whether it is neither stale nor offline. */
export interface CurrentDevice {
  readonly isOnline: boolean;
  /** By tag; the last value, whatever its quality. */
  readonly readings: ReadonlyMap<string, Reading>;
  /** By tag, the position of the report that has its last value, in the partition of the device. */
  readonly positions: ReadonlyMap<string, number>;
}

interface KnownNode {
  readonly partitions: readonly number[];
  /** Of its last announcement, monotonic ms. */
  readonly seenMs: number;
}

/**
 * What control requests of the fanout nodes, which own the partitions and have the last values: pages of devices, and
 * current values of a few. So readings do not pass through control or its store.
 */
export class FanoutOwners {
  readonly #options: FanoutOwnersOptions;
  readonly #nodes = new Map<string, KnownNode>();
  #subscription: BusSubscription | undefined;
  #requests = 0;

  constructor(options: FanoutOwnersOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#subscription = await this.#options.bus.subscribe('tailrace.v1.node', (payload) => this.#announced(payload));
  }

  async stop(): Promise<void> {
    await this.#subscription?.stop();
  }

  #announced(payload: Uint8Array): void {
    let announced: tailrace.v1.Announcement;
    try {
      announced = Announcement.decode(payload);
    } catch {
      return;
    }
    const { node, leaving } = announced;
    const partitions = [...announced.partitions, ...announced.acting];
    if (leaving) this.#nodes.delete(node);
    else this.#nodes.set(node, { partitions, seenMs: this.#options.clock.monotonic() });
  }

  /** The partitions of each node, without nodes that are absent. */
  #owners(): ReadonlyMap<string, readonly number[]> {
    const nowMs = this.#options.clock.monotonic();
    for (const [node, { seenMs }] of this.#nodes) if (nowMs - seenMs > absentMs) this.#nodes.delete(node);
    return new Map([...this.#nodes].map(([node, { partitions }]) => [node, partitions]));
  }

  /**
   * Calls `onPage` with all devices that fanout knows, page by page, each page after the former one is taken. Resolves
   * with whether some node is known, and all have replied. Rejects with what `onPage` throws.
   */
  async eachDevice(deadlineMs: number, onPage: (devices: readonly SeenDevice[]) => Promise<void>): Promise<boolean> {
    const owners = this.#owners();
    let isComplete = owners.size > 0;
    for (const [node, partitions] of owners) {
      for (let after = ''; ; ) {
        const page = await this.#page(node, partitions, after, deadlineMs);
        if (page === undefined) isComplete = false;
        if (page === undefined || page.length === 0) break;
        await onPage(page);
        if (page.length < pageDevicesMax) break;
        after = page.at(-1)!.path;
      }
    }
    return isComplete;
  }

  /** Resolves with undefined if the node does not reply. Never rejects. */
  async #page(
    node: string,
    partitions: readonly number[],
    after: string,
    deadlineMs: number,
  ): Promise<readonly SeenDevice[] | undefined> {
    const { bus, name } = this.#options;
    try {
      const devices = { partitions: [...partitions], patterns: ['>'], after, limit: pageDevicesMax, counts: false };
      const request = OwnerRequest.encode({ node: name, devices, deadlineMs }).finish();
      const [part] = await bus.request(ownerSubject(node), request, { deadlineMs });
      const listed = part === undefined ? undefined : OwnerReply.decode(part).devices;
      return listed?.devices?.map(({ path, received }) => ({ path: path ?? '', receivedMs: received ?? 0 }));
    } catch {
      return undefined;
    }
  }

  /**
   * Resolves with the current values of devices, at most some hundred. One that fanout does not know is absent. Rejects
   * with `unavailable` if the owner of a device does not reply.
   */
  async current(devices: readonly string[], deadlineMs: number): Promise<ReadonlyMap<string, CurrentDevice>> {
    const byPartition = new Map<number, string[]>();
    for (const device of devices) {
      const partition = partitionOf(device, this.#options.partitions);
      byPartition.set(partition, [...(byPartition.get(partition) ?? []), device]);
    }
    const found = new Map<string, CurrentDevice>();
    const owners = this.#owners();
    await Promise.all(
      [...byPartition].map(async ([partition, ofPartition]) => {
        const node = [...owners].find(([, partitions]) => partitions.includes(partition))?.[0];
        if (node === undefined) throw noOwner(partition);
        const parts = await this.#interest(node, partition, ofPartition, deadlineMs);
        for (const [device, current] of currentFrom(parts)) found.set(device, current);
      }),
    );
    return found;
  }

  /** Registers interest, for the last values that the reply has, and releases it. */
  async #interest(
    node: string,
    partition: number,
    channels: readonly string[],
    deadlineMs: number,
  ): Promise<readonly tailrace.v1.OwnerReply[]> {
    const { bus, name } = this.#options;
    const subject = ownerSubject(node);
    // Under a name of its own, so that two requests at once do not change each other's interest.
    const common = { node: `${name}-${++this.#requests}`, partition, deadlineMs };
    const interests = channels.map((channel) => ({ channel }));
    const request = OwnerRequest.encode({ ...common, interests, held: channels.length }).finish();
    try {
      const parts = await bus.request(subject, request, { deadlineMs });
      return parts.map((part) => OwnerReply.decode(part));
    } finally {
      const release = OwnerRequest.encode({ ...common, released: [...channels], held: 0 }).finish();
      // The owner forgets an interest that is not renewed.
      bus.request(subject, release, { deadlineMs }).catch(() => undefined);
    }
  }
}

/** Returns the devices of a reply. Throws `unavailable` if the owner had no time for one of them. */
function currentFrom(parts: readonly tailrace.v1.OwnerReply[]): ReadonlyMap<string, CurrentDevice> {
  const found = new Map<
    string,
    { isOnline: boolean; readings: Map<string, Reading>; positions: Map<string, number> }
  >();
  const updates = parts.flatMap((part) => part.updates).sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  for (const { report, seq } of updates) {
    if (!report) continue;
    const { device, readings } = decodeReport(report);
    const known = found.get(device) ?? { isOnline: true, readings: new Map(), positions: new Map() };
    found.set(device, known);
    for (const reading of readings) {
      known.readings.set(reading.tag, reading);
      known.positions.set(reading.tag, seq ?? 0);
    }
  }
  for (const part of parts) {
    if (part.deferred) throw new TailraceError('unavailable', `last values of ${part.channel}: the owner had no time`);
    for (const { device, state } of part.presences) {
      const known = found.get(device ?? '');
      if (known !== undefined) known.isOnline = (state ?? 0) === PresenceState.PRESENCE_STATE_UNSPECIFIED;
    }
  }
  return found;
}

function ownerSubject(node: string): string {
  return `tailrace.v1.owner.${node}`;
}

function noOwner(partition: number): TailraceError {
  return new TailraceError('unavailable', `partition ${partition}: expected a fanout node that serves it, got none`);
}
