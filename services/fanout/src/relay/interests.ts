import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import type { Device } from '../channels/device.ts';

interface Lease {
  readonly channels: Set<string>;
  expiresAt: number;
}

/**
 * The interest of other nodes in one partition that this node owns. All interest of a node is leased, and expires if
 * the node does not renew it for `leaseMs`.
 */
export class Interests {
  /** Increases with every change, which invalidates the match that a device has cached. */
  version = 0;
  readonly #leaseMs: number;
  readonly #leases = new Map<string, Lease>();
  readonly #trie = new PatternTrie<string>();
  #streamEpoch: number;

  /** `streamEpoch`: the first one, different from the ones before a restart of the node. */
  constructor(leaseMs: number, streamEpoch = 0) {
    this.#leaseMs = leaseMs;
    this.#streamEpoch = streamEpoch;
  }

  /**
   * The epoch of the stream of frames. It changes when a node loses interest that it has not released. That node may
   * not notice: frames for other nodes follow each other without a gap, and lack its channels. So every frame has the
   * stream epoch, and a node whose reply had another one requests its interest again.
   */
  get chain(): number {
    return this.#streamEpoch;
  }

  get empty(): boolean {
    return this.#leases.size === 0;
  }

  /** Returns the number of channels of a node. */
  held(node: string): number {
    return this.#leases.get(node)?.channels.size ?? 0;
  }

  /** Adds channels of a node, and renews the lease of all its channels. */
  add(node: string, channels: readonly string[], nowMs: number): void {
    let lease = this.#leases.get(node);
    if (lease === undefined) {
      if (channels.length === 0) return;
      lease = { channels: new Set(), expiresAt: 0 };
      this.#leases.set(node, lease);
    }
    lease.expiresAt = nowMs + this.#leaseMs;
    for (const channel of channels) {
      if (lease.channels.has(channel)) continue;
      lease.channels.add(channel);
      this.#trie.add(channel, node);
      this.version++;
    }
  }

  release(node: string, channels: Iterable<string>): void {
    const lease = this.#leases.get(node);
    if (lease === undefined) return;
    for (const channel of channels) {
      if (!lease.channels.delete(channel)) continue;
      this.#trie.delete(channel, node);
      this.version++;
    }
    if (lease.channels.size === 0) this.#leases.delete(node);
  }

  /** Removes all channels of a node, and changes the stream epoch. */
  drop(node: string): void {
    const lease = this.#leases.get(node);
    if (lease === undefined) return;
    this.#streamEpoch++;
    this.release(node, [...lease.channels]);
  }

  expire(nowMs: number): void {
    for (const [node, lease] of this.#leases) if (lease.expiresAt <= nowMs) this.drop(node);
  }

  clear(): void {
    for (const node of this.#leases.keys()) this.drop(node);
  }

  /** Whether any node has interest in the device. The match is cached until an interest is added or removed. */
  want(device: Device): boolean {
    if (device.interestVersion !== this.version) {
      device.wantedElsewhere = false;
      this.#trie.match(device.path, () => {
        device.wantedElsewhere = true;
      });
      device.interestVersion = this.version;
    }
    return device.wantedElsewhere;
  }
}
