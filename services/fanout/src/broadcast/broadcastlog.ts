import { tailrace } from '@tailrace/protocol/generated';

const { Broadcast, BroadcastRequest } = tailrace.v1;

/** What a broadcast says; the protocol's own messages. */
export type BroadcastContent =
  | { readonly revocations: tailrace.v1.IRevocationList }
  | { readonly notice: tailrace.v1.IOperatorNotice };

/** Entries of a list in one part of an answer: at 420 bytes the longest, below what a bus takes at once. */
const entriesOfPart = 1_000;

/**
 * What this node has said to all since it started, its era: numbered from 1, the last `keptMax` kept, so that whoever missed some can have them. What is older is
 * told by what still holds of it.
 */
export class BroadcastLog {
  last = 0;
  readonly era: string;
  readonly #origin: string;
  readonly #keptMax: number;
  readonly #kept: Uint8Array[] = [];
  readonly #holding: () => readonly tailrace.v1.IRevocation[];

  /** `holding`: everything that is in force now, whoever said it. */
  constructor(parts: {
    origin: string;
    era: string;
    keptMax: number;
    holding: () => readonly tailrace.v1.IRevocation[];
  }) {
    this.era = parts.era;
    this.#origin = parts.origin;
    this.#keptMax = parts.keptMax;
    this.#holding = parts.holding;
  }

  get kept(): number {
    return this.#kept.length;
  }

  /** The next one, as it goes over the bus. */
  append(content: BroadcastContent): Uint8Array {
    this.last++;
    const bytes = Broadcast.encode({ origin: this.#origin, era: this.era, seq: this.last, ...content }).finish();
    this.#kept.push(bytes);
    if (this.#kept.length > this.#keptMax) this.#kept.shift();
    return bytes;
  }

  /**
   * A BroadcastRequest → the parts of the answer: what was said after. Where that is not kept any more, and where nothing was heard yet, first what
   * holds, under the number 0. There is always one part, so that the era is told. A request that cannot be read is one of somebody who knows nothing.
   */
  answer(bytes: Uint8Array): Uint8Array[] {
    const { era, after } = requestFrom(bytes);
    const first = this.last - this.#kept.length;
    if (era === this.era && after > 0 && after >= first)
      return this.#kept.slice(Math.min(after - first, this.#kept.length - 1));
    return [...this.#held(), ...this.#kept];
  }

  #held(): Uint8Array[] {
    const entries = this.#holding();
    const parts: Uint8Array[] = [];
    for (let at = 0; at === 0 || at < entries.length; at += entriesOfPart) {
      const revocations = { entries: entries.slice(at, at + entriesOfPart) };
      parts.push(Broadcast.encode({ origin: this.#origin, era: this.era, seq: 0, revocations }).finish());
    }
    return parts;
  }
}

function requestFrom(bytes: Uint8Array): { era: string; after: number } {
  try {
    return BroadcastRequest.decode(bytes);
  } catch {
    return { era: '', after: 0 };
  }
}
