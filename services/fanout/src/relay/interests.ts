import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import type { Device } from '../channels/device.ts';

interface Lease {
  readonly channels: Set<string>;
  expiresAt: number;
}

/**
 * What other nodes want of one partition that this node owns. A node's interest is leased: it lapses, all of it, when the node
 * has not renewed it for `leaseMs`.
 */
export class Interests {
  /** Grows with every change, so that a device knows when its cached answer is out of date. */
  version = 0;
  readonly #leaseMs: number;
  readonly #leases = new Map<string, Lease>();
  readonly #trie = new PatternTrie<string>();
  #chain: number;

  /** `chain`: the first one; other than that of the node's last start. */
  constructor(leaseMs: number, chain = 0) {
    this.#leaseMs = leaseMs;
    this.#chain = chain;
  }

  /**
   * Changes when a node loses what it holds without having asked for that. It may not know: frames that others still want follow each other without a gap, and lack
   * what it wants. So every frame names its chain, and whoever was answered under another one asks again.
   */
  get chain(): number {
    return this.#chain;
  }

  get empty(): boolean {
    return this.#leases.size === 0;
  }

  /** Channels that a node holds here. */
  held(node: string): number {
    return this.#leases.get(node)?.channels.size ?? 0;
  }

  /** Takes down what a node wants more, and renews the lease of all it has. */
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

  /** Ends all that a node holds. */
  drop(node: string): void {
    const lease = this.#leases.get(node);
    if (lease === undefined) return;
    this.#chain++;
    this.release(node, [...lease.channels]);
  }

  expire(nowMs: number): void {
    for (const [node, lease] of this.#leases) if (lease.expiresAt <= nowMs) this.drop(node);
  }

  clear(): void {
    for (const node of this.#leases.keys()) this.drop(node);
  }

  /** Whether any node wants the device. Matched once and then remembered until an interest comes or goes. */
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
