import type { Reading } from '@tailrace/protocol/reading';
import type { TagValue } from '../rule-condition.ts';

/** The last value of a tag that some rule reads. */
export class TagSlot<P> {
  readonly tag: string;
  /** Undefined: none yet. */
  value: TagValue | undefined = undefined;
  /** Whether the value may be evaluated: its quality is not bad. */
  isTrusted = false;
  unit = '';
  /** Effective time, epoch ms; see `effectiveTime`. */
  time: number = Number.NEGATIVE_INFINITY;
  /** Epoch ms by the clock of ingest, and position, of its report. */
  received = 0;
  seq = -1;
  /** What reads the tag: as its condition, and as its inhibition. */
  readonly readers: P[] = [];
  readonly inhibited: P[] = [];

  constructor(tag: string) {
    this.tag = tag;
  }

  /** Returns whether the reading is the last value now: a late one is not, as for last values on screens. */
  take(reading: Reading, time: number, received: number, seq: number): boolean {
    if (time < this.time) return false;
    this.value = reading.value;
    this.isTrusted = reading.quality !== 'bad';
    this.unit = reading.unit ?? '';
    this.time = time;
    this.received = received;
    this.seq = seq;
    return true;
  }
}

export type TagSlotState = readonly [
  value: TagValue,
  isTrusted: 0 | 1,
  unit: string,
  time: number,
  received: number,
  seq: number,
];

/** Returns the last value of a tag of the device; undefined: there is none, or its quality is bad. */
export type TagValues = (tag: string) => TagValue | undefined;

/** What reads which tags. */
export interface TagReader<P> {
  readonly reader: P;
  readonly condition: readonly string[];
  readonly inhibition: readonly string[];
  /** Tags that only accompany a transition. */
  readonly context: readonly string[];
}

/** The tags of a device that some rule reads, with their last values. */
export class TagTable<P> {
  readonly #slots = new Map<string, TagSlot<P>>();

  constructor(state: Readonly<Record<string, TagSlotState>> = {}) {
    for (const [tag, [value, isTrusted, unit, time, received, seq]] of Object.entries(state)) {
      Object.assign(this.#slot(tag), { value, isTrusted: isTrusted === 1, unit, time, received, seq });
    }
  }

  /** Sets what reads the tags. Tags that nothing reads are forgotten. */
  setReaders(readers: readonly TagReader<P>[]): void {
    for (const slot of this.#slots.values()) {
      slot.readers.length = 0;
      slot.inhibited.length = 0;
    }
    const used = new Set<string>();
    const slot = (tag: string) => {
      used.add(tag);
      return this.#slot(tag);
    };
    for (const { reader, condition, inhibition, context } of readers) {
      for (const tag of condition) slot(tag).readers.push(reader);
      for (const tag of inhibition) slot(tag).inhibited.push(reader);
      for (const tag of context) slot(tag);
    }
    for (const tag of this.#slots.keys()) if (!used.has(tag)) this.#slots.delete(tag);
  }

  /** Returns undefined for a tag that nothing reads. */
  readonly slotOf = (tag: string): TagSlot<P> | undefined => this.#slots.get(tag);

  readonly valueOf: TagValues = (tag) => {
    const slot = this.#slots.get(tag);
    return slot?.isTrusted ? slot.value : undefined;
  };

  /** Returns the slot with the newest value, the first one of equal times. Expects tags that are read, at least one. */
  newestOf(tags: readonly string[]): TagSlot<P> {
    const slots = tags.map((tag) => this.#slot(tag));
    return slots.reduce((a, b) => (b.time > a.time ? b : a), slots[0]!);
  }

  state(): Record<string, TagSlotState> {
    const state: Record<string, TagSlotState> = {};
    for (const { tag, value, isTrusted, unit, time, received, seq } of this.#slots.values()) {
      if (value !== undefined) state[tag] = [value, isTrusted ? 1 : 0, unit, time, received, seq];
    }
    return state;
  }

  #slot(tag: string): TagSlot<P> {
    let slot = this.#slots.get(tag);
    if (slot === undefined) {
      slot = new TagSlot(tag);
      this.#slots.set(tag, slot);
    }
    return slot;
  }
}
