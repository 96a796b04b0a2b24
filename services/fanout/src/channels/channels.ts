import { partitionOf } from '@tailrace/protocol/partition';
import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import { Channel } from './channel.ts';
import type { Device } from './device.ts';

/** The channels that are open on this node, and an index of the channels that cover a device. */
export class Channels {
  /** Increases with every change, which invalidates the match that a device has cached. */
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

  /** Number of partitions of the log. */
  get partitions(): number {
    return this.#all.length;
  }

  find(pattern: string): Channel | undefined {
    return this.#byPattern.get(pattern);
  }

  /** Returns the channel of a valid pattern; creates it if it is not open. */
  open(pattern: string): Channel {
    let channel = this.#byPattern.get(pattern);
    if (channel === undefined) {
      const subtree = pattern.endsWith('>');
      channel = new Channel(pattern, subtree ? this.#all : [partitionOf(pattern, this.#all.length)]);
      this.#byPattern.set(pattern, channel);
      this.#trie.add(pattern, channel);
      this.#setOf(channel).add(channel);
      this.version++;
    }
    return channel;
  }

  close(channel: Channel): void {
    if (this.#byPattern.get(channel.pattern) !== channel) return;
    this.#byPattern.delete(channel.pattern);
    this.#trie.delete(channel.pattern, channel);
    this.#setOf(channel).delete(channel);
    this.version++;
  }

  /** Returns the channels that cover a device. The match is cached until a channel is opened or closed. */
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

  /** Iterates over the channels with devices in a partition, without visiting others. */
  *in(partition: number): Iterable<Channel> {
    yield* this.#subtrees;
    yield* this.#byPartition[partition]!;
  }

  #setOf(channel: Channel): Set<Channel> {
    return channel.isSubtree ? this.#subtrees : this.#byPartition[channel.partitions[0]!]!;
  }
}
