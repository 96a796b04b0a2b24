import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { tailrace } from '@tailrace/protocol/generated';
import { isDevicePath } from '@tailrace/protocol/path';
import { floodLimits, floodRuleId } from '@tailrace/rules/flood-limits';
import { AlarmRate } from './alarm-rate.ts';
import { areaOf, areaOfFlood, floodDeviceOf } from './flood-rule.ts';

const { Event, AlarmCause } = tailrace.v1;

/** Areas whose rate is known; alarms of further ones are not counted. */
export const areasMax = 10_000;
/** Numbers of alarms of a partition that are known, so that a transition that was written twice counts once. */
const numbersMax = 10_000;

interface Area {
  readonly rate: AlarmRate;
  /** The last rate that the events have of it; undefined: this process has written none. */
  written: number | 'other' | undefined;
}

/** A rate that is due. */
export interface DueRate {
  readonly area: string;
  readonly device: string;
  readonly raised: number;
}

/**
 * The rate of alarms of each area, from the events of all partitions. Times are those of the log, so that they have one
 * clock.
 *
 * A process that starts to count writes the rates of all areas with alarms, and then that the others have none: see
 * `isComplete`. Afterwards an area is written when its rate changes, from 5 alarms on, which may be the end of a flood,
 * until it is at 0. So an area with few alarms has no records.
 *
 * A rate of another process, which may have lost partition 0 and not know it yet, is replaced.
 */
export class AreaRates {
  readonly #levels: number;
  readonly #counter: number;
  readonly #counts: { refused: number };
  readonly #orders = new Map<number, AlarmOrder>();
  /** Those that wait longest are the first. */
  readonly #areas = new Map<string, Area>();
  /** Whether the events have the rates of all areas. Set by the caller. */
  isComplete = false;

  /**
   * `levels`: segments of the path of an area, at most. `counter`: of this process, see `AlarmRate`. `counts`: of
   * alarms beyond the limit of areas.
   */
  constructor(levels: number, counter: number, counts: { refused: number }) {
    this.#levels = levels;
    this.#counter = counter;
    this.#counts = counts;
  }

  get size(): number {
    return this.#areas.size;
  }

  /** Areas with more than 10 alarms in 10 minutes. */
  get floods(): number {
    let floods = 0;
    for (const { rate } of this.#areas.values()) if (rate.count > floodLimits.startAbove) floods++;
    return floods;
  }

  /** Takes a record of the events, in the order of its partition. */
  take(partition: number, seq: number, value: Uint8Array, timeMs: number): void {
    const event = eventFrom(value);
    if (event === undefined) return;
    const order = this.#orders.get(partition) ?? new AlarmOrder(0, numbersMax);
    this.#orders.set(partition, order);
    if (event.alarmOwner) order.takenOver(seq);
    const { alarmTransition: transition, alarmRate } = event;
    if (alarmRate) this.#takeRate(alarmRate as tailrace.v1.AlarmRate);
    if (!transition || !order.accepts(transition)) return;
    const { cause, rule, device } = transition;
    // A flood does not count as an alarm of a flood.
    if (cause !== AlarmCause.ALARM_CAUSE_RAISED || rule === floodRuleId) return;
    const area = areaOf(device ?? '', this.#levels);
    if (area === undefined) return;
    const known = this.#add(area);
    if (known === undefined) this.#counts.refused++;
    else known.rate.raise(timeMs);
  }

  #takeRate({ device, counter }: tailrace.v1.AlarmRate): void {
    const area = areaOfFlood(device);
    if (area === undefined || counter === this.#counter) return;
    const known = this.#add(area);
    if (known !== undefined) known.written = 'other';
  }

  /** Returns an area; undefined if it is beyond the limit, or the device of its flood has too long a path. */
  #add(area: string): Area | undefined {
    const known = this.#areas.get(area);
    if (known !== undefined) return known;
    if (this.#areas.size >= areasMax || !isDevicePath(floodDeviceOf(area))) return undefined;
    const added: Area = { rate: new AlarmRate(), written: undefined };
    this.#areas.set(area, added);
    return added;
  }

  /** Returns the rates that are due, those that wait longest, and forgets areas without alarms. */
  due(nowMs: number, max: number): readonly DueRate[] {
    const due: DueRate[] = [];
    for (const [area, { rate, written }] of this.#areas) {
      rate.advance(nowMs);
      const { count } = rate;
      if (count === (written ?? 0)) {
        if (count === 0) this.#areas.delete(area);
        continue;
      }
      const isWorth = written !== undefined || !this.isComplete || count >= floodLimits.stopBelow;
      if (isWorth && due.length < max) due.push({ area, device: floodDeviceOf(area), raised: count });
    }
    return due;
  }

  /** The rates are in the events. */
  written(rates: readonly DueRate[]): void {
    for (const { area, raised } of rates) {
      const known = this.#areas.get(area)!;
      known.written = raised;
      this.#areas.delete(area);
      this.#areas.set(area, known);
    }
  }
}

/** First byte of an `Event` with `alarmTransition`, field 5. */
const transitionTag = (5 << 3) | 2;
/** First byte of one with `alarmOwner` or `alarmRate`, fields 20 and 21; the second one is 1. */
const ownerTag = ((20 << 3) & 0x7f) | 2 | 0x80;
const rateTag = ((21 << 3) & 0x7f) | 2 | 0x80;

/** Returns undefined for events that are none of alarms, as most, and for those that cannot be decoded. */
function eventFrom(value: Uint8Array): tailrace.v1.Event | undefined {
  const [first, second] = value;
  const isCounted = first === transitionTag || ((first === ownerTag || first === rateTag) && second === 1);
  if (!isCounted) return undefined;
  try {
    return Event.decode(value);
  } catch {
    return undefined;
  }
}
