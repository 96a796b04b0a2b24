import type { Bus } from '@tailrace/bus/bus';
import { tailrace } from '@tailrace/protocol/generated';
import type { KnownRepeats } from '../catch-up/log-range.ts';
import { ownerSubject } from '../subjects.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

/**
 * What is asked for begins at a multiple of this: clients that come back to nearly the same position are answered by
 * one question.
 */
const alignPositions = 1_024;

interface Known {
  readonly from: number;
  readonly until: number;
  readonly positions: ReadonlySet<number>;
}

/**
 * Asks the owner of a partition which positions of a range hold a report that repeats a message ID. The owner has
 * read all of it, and knows; to find out here costs reading the window of message IDs before the range. What it
 * answers holds for good, so the last answer of each partition is kept.
 */
export class RepeatLookup {
  readonly #bus: Pick<Bus, 'request'>;
  readonly #ownerOf: (partition: number) => string | undefined;
  readonly #deadlineMs: number;
  readonly #known = new Map<number, Known>();
  /** One question at a time for each partition. */
  readonly #asking = new Map<number, Promise<Known | undefined>>();

  /** `ownerOf`: the node, where there is one. */
  constructor(parts: {
    bus: Pick<Bus, 'request'>;
    ownerOf: (partition: number) => string | undefined;
    /** For one answer. */
    deadlineMs: number;
  }) {
    this.#bus = parts.bus;
    this.#ownerOf = parts.ownerOf;
    this.#deadlineMs = parts.deadlineMs;
  }

  /** Undefined where the owner does not know all of the range, or does not answer. Never rejects. */
  async repeatsOf(partition: number, from: number, until: number): Promise<KnownRepeats | undefined> {
    let known = this.#known.get(partition);
    if (known === undefined || from < known.from || until > known.until) {
      const before = this.#asking.get(partition) ?? Promise.resolve(undefined);
      const asking = before.then(() => this.#ask(partition, from, until));
      this.#asking.set(partition, asking);
      known = await asking;
      if (this.#asking.get(partition) === asking) this.#asking.delete(partition);
    }
    return known?.positions;
  }

  async #ask(partition: number, from: number, until: number): Promise<Known | undefined> {
    const known = this.#known.get(partition);
    if (known !== undefined && from >= known.from && until <= known.until) return known;
    const owner = this.#ownerOf(partition);
    if (owner === undefined) return undefined;
    try {
      const start = from - (from % alignPositions);
      return (
        (await this.#request(owner, partition, start, until)) ?? (await this.#request(owner, partition, from, until))
      );
    } catch {
      // The range is looked back over here instead.
      return undefined;
    }
  }

  async #request(owner: string, partition: number, from: number, until: number): Promise<Known | undefined> {
    // Without a name: it holds no interest there, and an owner of 0.1.0 that does not know the question changes
    // nothing.
    const request = OwnerRequest.encode({ node: '', partition, held: 0, repeats: { from, until } }).finish();
    const [part] = await this.#bus.request(ownerSubject(owner), request, { deadlineMs: this.#deadlineMs });
    if (part === undefined) return undefined;
    const { decidedFrom, next, repeated } = OwnerReply.decode(part);
    if (decidedFrom === undefined || decidedFrom === null || decidedFrom > from || next < until) return undefined;
    const known = { from, until, positions: new Set(repeated.map((offset) => from + offset)) };
    this.#known.set(partition, known);
    return known;
  }
}
