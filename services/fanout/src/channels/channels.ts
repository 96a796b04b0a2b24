import { partitionOf } from '@tailrace/protocol/partition';
import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import { Channel } from './channel.ts';
import type { Device } from './device.ts';

/** Every channel that somebody on this node watches, and which of them a device belongs to. */
export class Channels {
  /** Grows with every change, so that a device knows when its cached match is out of date. */
  version = 0;
  readonly #byPattern = new Map<string, Channel>();
  readonly #trie = new PatternTrie<Channel>();
  readonly #all: readonly number[];
  readonly #subtrees = new Set<Channel>();
  /** Channels of one device, by its partition. */
  readonly #byPartition: readonly Set<Channel>[];

  constructor(partitions: number) {
    this.#all = Array.from({ length: partitions }, (_, partition) => partition);
    this.#byPartition = this.#all.map(() => new Set<Channel>());
  }

  get size(): number {
    return this.#byPattern.size;
  }

  /** Of the log. */
  get partitions(): number {
    return this.#all.length;
  }

  find(pattern: string): Channel | undefined {
    return this.#byPattern.get(pattern);
  }

  /** The channel of a valid pattern, made if it is new. */
  open(pattern: string): Channel {
    let channel = this.#byPattern.get(pattern);
    if (channel === undefined) {
      const subtree = pattern.endsWith('>');
      channel = new Channel(pattern, subtree ? this.#all : [partitionOf(pattern, this.#all.length)]);
      this.#byPattern.set(pattern, channel);
      this.#trie.add(pattern, channel);
      this.#alike(channel).add(channel);
      this.version++;
    }
    return channel;
  }

  close(channel: Channel): void {
    if (this.#byPattern.get(channel.pattern) !== channel) return;
    this.#byPattern.delete(channel.pattern);
    this.#trie.delete(channel.pattern, channel);
    this.#alike(channel).delete(channel);
    this.version++;
  }

  /** The channels that cover a device, matched once and then remembered until a channel comes or goes. */
  of(device: Device): readonly Channel[] {
    if (device.channelsVersion !== this.version) {
      const channels: Channel[] = [];
      this.#trie.match(device.path, (channel) => channels.push(channel));
      device.channels = channels;
      device.channelsVersion = this.version;
    }
    return device.channels;
  }

  all(): Iterable<Channel> {
    return this.#byPattern.values();
  }

  /** Channels with devices in a partition. Others are not looked at. */
  *in(partition: number): Iterable<Channel> {
    yield* this.#subtrees;
    yield* this.#byPartition[partition]!;
  }

  #alike(channel: Channel): Set<Channel> {
    return channel.isSubtree ? this.#subtrees : this.#byPartition[channel.partitions[0]!]!;
  }
}
