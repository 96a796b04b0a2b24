import type { Clock } from '@tailrace/platform/clock';
import type { Sample, SampleSink, Value } from '../sample.ts';
import type { OpcuaDataValue } from './opcua-port.ts';
import { SourceClock } from './source-clock.ts';
import { sampleFrom, type ValueCounts, type ValueFormat } from './value.ts';

/** What a tag needs for its samples. */
export interface StatefulTag extends ValueFormat {
  /** Longest time without a sample, ms. */
  readonly maxSilenceMs: number;
  /** The server reports no smaller change. */
  readonly serverDeadband?: number | undefined;
}

interface TagState {
  /** Of the newest sample, source time. -Infinity: none yet. */
  time: number;
  value: Value | undefined;
  /** Why the newest sample is bad. */
  badReason: string | undefined;
  /** When the newest sample was sent, monotonic ms. */
  sentMs: number;
  /** Of the newest value; undefined: none yet. */
  dataType: number | undefined;
  /** The next value is that with which an item starts; it may have come before. */
  isInitial: boolean;
}

/** What a read showed that should have been notified. */
export type Confirmation = 'unchanged' | 'recent' | 'unreported';

/** So that a heartbeat is not one millisecond too early for the filter, which counts in source time. */
const heartbeatMarginMs = 50;
/** The least step of times that a reading can have, ms. */
const leastStepMs = 0.001;

/**
 * The newest sample of each tag of a source. Sends samples of notified values, of values that were read as proof of
 * life, and of tags without a value.
 *
 * A notified value has its own time. What a read confirms is newer than its source time: its sample has the time of the
 * source's clock, so that it follows a sample of quality bad.
 */
export class TagStates {
  readonly clockOfSource = new SourceClock();
  readonly counts: ValueCounts = { inexact: 0, overflows: 0 };
  readonly #tags: readonly StatefulTag[];
  readonly #states: readonly TagState[];
  readonly #sink: SampleSink;
  readonly #clock: Clock;
  #badTags = 0;

  constructor(tags: readonly StatefulTag[], sink: SampleSink, clock: Clock) {
    this.#tags = tags;
    this.#sink = sink;
    this.#clock = clock;
    this.#states = tags.map(() => ({
      time: Number.NEGATIVE_INFINITY,
      value: undefined,
      badReason: undefined,
      sentMs: clock.monotonic(),
      dataType: undefined,
      isInitial: false,
    }));
  }

  /** Tags whose newest sample is bad. */
  get badTags(): number {
    return this.#badTags;
  }

  isBad(tag: number): boolean {
    return this.#states[tag]!.badReason !== undefined;
  }

  /** Returns the type of the newest value; undefined: none yet. */
  dataTypeOf(tag: number): number | undefined {
    return this.#states[tag]?.dataType;
  }

  /** The next notified value of the tag is that of a new item. */
  expectInitial(tag: number): void {
    this.#states[tag]!.isInitial = true;
  }

  /** Takes a value that the server notified. One that equals the newest in time, value and status is a repetition. */
  notified(tag: number, data: OpcuaDataValue): void {
    const state = this.#states[tag];
    if (state === undefined) return;
    const nowMs = this.#clock.now();
    const sample = sampleFrom(tag, this.#tags[tag]!, data, this.clockOfSource.timeAt(nowMs), this.counts);
    state.dataType = data.value?.dataType ?? state.dataType;
    const wasInitial = state.isInitial;
    state.isInitial = false;
    // Servers send the present values again when a session goes on, and when an item starts.
    if (sample.time === state.time && sample.value === state.value && sample.reason === state.badReason) return;
    if (!wasInitial && sample.quality !== 'bad') this.clockOfSource.observed(sample.time, nowMs);
    // An item that starts has the present value, which may be of long ago.
    const isConfirmed = wasInitial && state.badReason !== undefined && sample.time <= state.time;
    this.#send(state, isConfirmed ? { ...sample, time: this.#timeAfter(state) } : sample);
  }

  /**
   * Takes a value that was read, at most `notifiedWithinMs` after its change was to be notified. Sends it, unless its
   * change is so recent that the notification is on its way.
   */
  confirmed(tag: number, data: OpcuaDataValue, notifiedWithinMs: number): Confirmation {
    const state = this.#states[tag]!;
    const options = this.#tags[tag]!;
    const nowMs = this.clockOfSource.timeAt(this.#clock.now());
    const sample = sampleFrom(tag, options, data, nowMs, this.counts);
    const isSame =
      sample.value !== undefined && state.value !== undefined && sample.quality !== 'bad'
        ? isWithin(sample.value, state.value, options.serverDeadband ?? 0)
        : sample.reason === state.badReason;
    const isNewer = sample.time > state.time;
    if (!isSame && isNewer && sample.time > nowMs - notifiedWithinMs && state.badReason === undefined) return 'recent';
    const isUnreported = !isSame && state.value !== undefined && state.badReason === undefined;
    const time = isNewer && !isSame ? sample.time : Math.max(nowMs, state.time + leastStepMs);
    if (sample.quality === 'bad') {
      if (state.badReason !== sample.reason) this.#send(state, { ...sample, time });
    } else this.#send(state, { ...sample, time });
    return isUnreported ? 'unreported' : 'unchanged';
  }

  /** Sends the newest value again: its subscription is alive, and reports no change. */
  repeat(tag: number): void {
    const state = this.#states[tag]!;
    if (state.value === undefined || state.badReason !== undefined) return;
    this.#send(state, { tag, time: this.#timeAfter(state), value: state.value, quality: 'good' });
  }

  /** Sends one sample of quality bad, if the newest is not bad already. */
  bad(tag: number, reason: string): void {
    const state = this.#states[tag]!;
    if (state.badReason !== undefined) return;
    this.#send(state, { tag, time: this.#timeAfter(state), value: undefined, quality: 'bad', reason });
  }

  /** Returns the tags that have no sample for their longest time, the longest first. Bad ones are not among them. */
  due(tags: readonly number[]): number[] {
    const nowMs = this.#clock.monotonic();
    const due = tags.filter((tag) => {
      const { badReason, sentMs } = this.#states[tag]!;
      return badReason === undefined && nowMs - sentMs >= this.#tags[tag]!.maxSilenceMs + heartbeatMarginMs;
    });
    if (due.length > 1) due.sort((a, b) => this.#states[a]!.sentMs - this.#states[b]!.sentMs);
    return due;
  }

  #timeAfter(state: TagState): number {
    return Math.max(this.clockOfSource.timeAt(this.#clock.now()), state.time + leastStepMs);
  }

  #send(state: TagState, sample: Sample): void {
    const isBad = sample.quality === 'bad';
    if (sample.time >= state.time) {
      if (isBad !== (state.badReason !== undefined)) this.#badTags += isBad ? 1 : -1;
      state.badReason = isBad ? (sample.reason ?? 'bad') : undefined;
      state.time = sample.time;
      if (!isBad) state.value = sample.value;
    }
    state.sentMs = this.#clock.monotonic();
    this.#sink(sample);
  }
}

function isWithin(a: Value, b: Value, deadband: number): boolean {
  return typeof a === 'number' && typeof b === 'number' ? Math.abs(a - b) <= deadband : a === b;
}
