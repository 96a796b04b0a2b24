import { partitionOf } from '@tailrace/protocol/partition';
import type { Ring } from '../ownership/ring.ts';

/** Where clients are best off: for speed, never for correctness. */
export interface Placement {
  /** Clients told that their device lives elsewhere. */
  readonly counts: { told: number };
  /** Where the channel is served at less cost than here; undefined where it is here, is no single device, or nobody can be sent there now. */
  elsewhere(channel: string): string | undefined;
}

/** The place of a device by the ring: with its owner, as long as that one can and will take clients. */
export class RingPlacement implements Placement {
  readonly counts = { told: 0 };
  readonly #ring: Pick<Ring, 'owner' | 'node' | 'isSuspect'>;
  readonly #node: string;
  readonly #partitions: number;

  constructor(parts: { ring: Pick<Ring, 'owner' | 'node' | 'isSuspect'>; node: string; partitions: number }) {
    this.#ring = parts.ring;
    this.#node = parts.node;
    this.#partitions = parts.partitions;
  }

  elsewhere(channel: string): string | undefined {
    if (channel.endsWith('>')) return undefined;
    const home = this.home(channel);
    return home === undefined || home.node === this.#node ? undefined : home.url;
  }

  /** Where a client that is nowhere yet should go for a device; undefined while nobody serves it. */
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
