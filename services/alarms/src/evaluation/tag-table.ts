import type { Reading } from '@tailrace/protocol/reading';
import type { TagValue } from '@tailrace/rules/rule-condition';

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
