import type { Bus } from '@tailrace/bus/bus';
import { tailrace } from '@tailrace/protocol/generated';
import type { KnownRepeats } from '../catch-up/log-range.ts';
import { ownerSubject } from '../subjects.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

/** Ranges start at a multiple of this: clients that resume from nearly the same position share one request. */
const alignPositions = 1_024;
/** Positions that are requested beyond a range: the partition grows while clients resume one after the other. */
const aheadPositions = 8_192;

interface Known {
  readonly from: number;
  readonly until: number;
  readonly positions: ReadonlySet<number>;
}

/**
 * Requests the positions of a range whose reports repeat a message ID from the owner of the partition. The owner has
 * read all of the range; here it would cost reading the window of message IDs before it. A reply stays valid, so the
 * last one of each partition is cached.
 */
export class RepeatLookup {
  readonly #bus: Pick<Bus, 'request'>;
  readonly #ownerOf: (partition: number) => string | undefined;
  readonly #deadlineMs: number;
  readonly #known = new Map<number, Known>();
  /** One request at a time for each partition. */
  readonly #pending = new Map<number, Promise<Known | undefined>>();

  /** `ownerOf`: returns the owner, if there is one. */
  constructor(options: {
    bus: Pick<Bus, 'request'>;
    ownerOf: (partition: number) => string | undefined;
    /** For one reply. */
    deadlineMs: number;
  }) {
    this.#bus = options.bus;
    this.#ownerOf = options.ownerOf;
    this.#deadlineMs = options.deadlineMs;
  }

  /** Resolves with undefined if the owner does not know all of the range, or does not reply. Never rejects. */
  async repeatsOf(partition: number, from: number, until: number): Promise<KnownRepeats | undefined> {
    let known = this.#known.get(partition);
    if (known === undefined || from < known.from || until > known.until) {
      const before = this.#pending.get(partition) ?? Promise.resolve(undefined);
      const pending = before.then(() => this.#lookUp(partition, from, until));
      this.#pending.set(partition, pending);
      known = await pending;
      if (this.#pending.get(partition) === pending) this.#pending.delete(partition);
    }
    return known?.positions;
  }

  async #lookUp(partition: number, from: number, until: number): Promise<Known | undefined> {
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
      // Instead, this node reads the window before the range.
      return undefined;
    }
  }

  async #request(owner: string, partition: number, from: number, until: number): Promise<Known | undefined> {
    // Without a name: this node requests no interest, and an owner of version 0.1.0, which ignores `repeats`, changes
    // nothing.
    const request = OwnerRequest.encode({
      node: '',
      partition,
      held: 0,
      repeats: { from, until: until + aheadPositions },
    }).finish();
    const [part] = await this.#bus.request(ownerSubject(owner), request, { deadlineMs: this.#deadlineMs });
    if (part === undefined) return undefined;
    const { decidedFrom, next, repeated } = OwnerReply.decode(part);
    if (decidedFrom === undefined || decidedFrom === null || decidedFrom > from || next < until) return undefined;
    const known = { from, until: next, positions: new Set(repeated.map((offset) => from + offset)) };
    this.#known.set(partition, known);
    return known;
  }
}
