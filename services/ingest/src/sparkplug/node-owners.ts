import { assignPartitions } from '@tailrace/eventlog/rendezvous';
import { partitionOf } from '@tailrace/protocol/partition';

/** Edge nodes are divided into as many groups, which move as a whole between the nodes of ingest. */
const groups = 256;

/**
 * Which node of ingest appends the messages of an edge node. Every node of ingest receives all of them and knows the
 * births, and one of those that are connected to the broker is the owner: by rendezvous hashing, so that an added or
 * lost node of ingest moves only its own part.
 */
export class NodeOwners {
  readonly #own: string;
  #names: readonly string[] = [];
  #isOwn: readonly boolean[] = [];

  /** `own`: the name of this node of ingest. */
  constructor(own: string) {
    this.#own = own;
  }

  /** Names of the nodes of ingest that are connected to the broker. Returns whether they have changed. */
  update(names: readonly string[]): boolean {
    const sorted = [...names].sort();
    if (sorted.length === this.#names.length && sorted.every((name, index) => name === this.#names[index]))
      return false;
    this.#names = sorted;
    const own = new Set(assignPartitions(sorted, groups).get(this.#own));
    this.#isOwn = Array.from({ length: groups }, (_, group) => own.has(group));
    return true;
  }

  /** Returns whether this node is the owner. `key`: group and edge node, or the topic of a host. */
  owns(key: string): boolean {
    return this.#isOwn[partitionOf(key, groups)] === true;
  }
}
