import { partitionOf } from '@tailrace/protocol/partition';
import type { Ring } from '../ownership/ring.ts';

/** The node that serves a channel at the lowest cost. An optimization only: every node serves every channel. */
export interface Placement {
  /** Number of `moved` messages sent to clients. */
  readonly counts: { moved: number };
  /**
   * Returns the URL of another node that owns the device. Undefined: this node owns it, the channel is a subtree, or
   * the owner takes no clients now.
   */
  elsewhere(channel: string): string | undefined;
}

/** Places a device with its owner by the ring, as long as that node takes clients. */
export class RingPlacement implements Placement {
  readonly counts = { moved: 0 };
  readonly #ring: Pick<Ring, 'owner' | 'node' | 'isSuspect'>;
  readonly #node: string;
  readonly #partitions: number;

  constructor(options: { ring: Pick<Ring, 'owner' | 'node' | 'isSuspect'>; node: string; partitions: number }) {
    this.#ring = options.ring;
    this.#node = options.node;
    this.#partitions = options.partitions;
  }

  elsewhere(channel: string): string | undefined {
    if (channel.endsWith('>')) return undefined;
    const home = this.home(channel);
    return home === undefined || home.node === this.#node ? undefined : home.url;
  }

  /** Returns the node that a new client should connect to for a device; undefined while no node serves it. */
  home(device: string): { readonly node: string; readonly url: string } | undefined {
    const owner = this.#ring.owner(partitionOf(device, this.#partitions));
    if (owner === undefined) return undefined;
    const { node, url } = owner;
    if (node === this.#node || (!owner.isStandby && this.#isOpen(node))) return { node, url };
    // Every node serves every device.
    const here = this.#ring.node(this.#node);
    return here === undefined ? { node, url } : { node: here.node, url: here.url };
  }

  #isOpen(name: string): boolean {
    const node = this.#ring.node(name);
    if (node === undefined || this.#ring.isSuspect(name)) return false;
    return node.reachable && !node.draining && node.connections < node.connectionsMax;
  }
}
