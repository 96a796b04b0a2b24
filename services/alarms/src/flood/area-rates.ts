import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { tailrace } from '@tailrace/protocol/generated';
import { AlarmRate, floodLimits } from './alarm-rate.ts';
import { areaOf, floodRuleId, rateDeviceOf } from './area.ts';

const { Event, AlarmCause } = tailrace.v1;

/** Areas whose rate is known; alarms of further ones are not counted. */
export const areasMax = 10_000;
/** Numbers of alarms of a partition that are known, so that a transition that was written twice counts once. */
const numbersMax = 10_000;

interface Area {
  readonly rate: AlarmRate;
  /** The last reading; undefined: another process may have written one that is not known. */
  reported: number | undefined;
  /** Whether its rate has been worth a reading. */
  hasReported: boolean;
}

/** A reading that is due. */
export interface RateReading {
  readonly device: string;
  readonly raised: number;
}

/**
 * The rate of alarms of each area, from the events of all partitions. Times are those of the log, so that they have one
 * clock.
 *
 * An area reports from 5 alarms on, which may be the end of a flood, until it is at 0. So an area with few alarms has
 * no readings. A process that continues reads the events of a day: an area that has reported meanwhile reports again.
 */
export class AreaRates {
  readonly #levels: number;
  readonly #counts: { refused: number };
  readonly #orders = new Map<number, AlarmOrder>();
  readonly #areas = new Map<string, Area>();

  /** `levels`: segments of the path of an area, at most. `counts`: of alarms beyond the limit of areas. */
  constructor(levels: number, counts: { refused: number }) {
    this.#levels = levels;
    this.#counts = counts;
  }

  get size(): number {
    return this.#areas.size;
  }

  /** Areas with a flood. */
  get floods(): number {
    return [...this.#areas.values()].filter(({ rate }) => rate.isFlood).length;
  }

  /** Takes a record of the events, in the order of its partition. */
  take(partition: number, seq: number, value: Uint8Array, timeMs: number): void {
    const event = eventFrom(value);
    if (event === undefined) return;
    const order = this.#orders.get(partition) ?? new AlarmOrder(0, numbersMax);
    this.#orders.set(partition, order);
    if (event.alarmOwner) order.takenOver(seq);
    const { alarmTransition: transition } = event;
    if (!transition || !order.accepts(transition)) return;
    const { cause, rule, device } = transition;
    // A flood does not count as an alarm of a flood.
    if (cause !== AlarmCause.ALARM_CAUSE_RAISED || rule === floodRuleId) return;
    const area = areaOf(device ?? '', this.#levels);
    if (area !== undefined) this.#raise(area, timeMs);
  }

  #raise(area: string, timeMs: number): void {
    let known = this.#areas.get(area);
    if (known === undefined) {
      if (this.#areas.size >= areasMax) {
        this.#counts.refused++;
        return;
      }
      known = { rate: new AlarmRate(), reported: undefined, hasReported: false };
      this.#areas.set(area, known);
    }
    known.rate.raise(timeMs);
    known.hasReported ||= known.rate.count >= floodLimits.stopBelow;
  }

  /** Returns the readings that are due, and forgets areas without alarms. */
  due(nowMs: number): readonly RateReading[] {
    const readings: RateReading[] = [];
    for (const [area, known] of this.#areas) {
      known.rate.advance(nowMs);
      const { count } = known.rate;
      const isDue = known.hasReported && known.reported !== count;
      if (isDue) readings.push({ device: rateDeviceOf(area), raised: count });
      else if (count === 0) this.#areas.delete(area);
    }
    return readings;
  }

  /** The readings are in the log. */
  reported(readings: readonly RateReading[]): void {
    const byDevice = new Map(readings.map(({ device, raised }) => [device, raised]));
    for (const [area, known] of this.#areas) {
      const raised = byDevice.get(rateDeviceOf(area));
      if (raised !== undefined) known.reported = raised;
    }
  }
}

/** First byte of an `Event` with `alarmTransition`, field 5, and first bytes of one with `alarmOwner`, field 20. */
const transitionTag = (5 << 3) | 2;
const ownerTags = [((20 << 3) & 0x7f) | 2 | 0x80, (20 << 3) >>> 7] as const;

/** Returns undefined for events that are none of alarms, as most, and for those that cannot be decoded. */
function eventFrom(value: Uint8Array): tailrace.v1.Event | undefined {
  const isOwner = value[0] === ownerTags[0] && value[1] === ownerTags[1];
  if (!isOwner && value[0] !== transitionTag) return undefined;
  try {
    return Event.decode(value);
  } catch {
    return undefined;
  }
}
