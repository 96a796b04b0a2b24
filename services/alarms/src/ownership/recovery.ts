import { boundsOf, type EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { tailrace } from '@tailrace/protocol/generated';
import type { DeviceAlarms } from '@tailrace/rules/device-alarms';
import type { Covered, RestoredPartition } from './alarm-checkpoints.ts';
import { interruptedMs, type LogAnswers } from './log-answers.ts';
import {
  PartitionAlarms,
  type PartitionContext,
  type PositionedAction,
  type PositionedRate,
} from './partition-alarms.ts';
import { Watermark, type WatermarkLimits } from './watermark.ts';

const { Event } = tailrace.v1;

/** Records taken in one turn of the event loop: about a millisecond. */
const recordsPerTurn = 250;

export interface AlarmTopics {
  readonly telemetry: string;
  readonly events: string;
}

export interface RecoveryOptions {
  readonly eventLog: Pick<EventLog, 'append' | 'read' | 'bounds' | 'positionsAt'>;
  readonly clock: Clock;
  readonly topics: AlarmTopics;
  /** By partition: the key of its own records, see `partitionKeys`. */
  readonly keys: readonly string[];
  readonly node: string;
  /** Random for each start of the process. */
  readonly process: string;
  readonly context: PartitionContext;
  readonly limits: WatermarkLimits & { readonly lookbackMs: number };
  readonly answers: LogAnswers;
  /** Calls once in a later turn of the event loop. */
  readonly defer: (call: () => void) => void;
}

/**
 * Takes over a partition.
 *
 * 1. It writes an `AlarmOwner`. From its position on, no transition of another process counts. So the events before it
 *    are all that the former owners have decided.
 * 2. It restores the devices of the checkpoints, and adopts the transitions and refusals of the events since then. Each
 *    transition has the state of its rule at the device (`point`), with the reports up to which it was evaluated.
 * 3. It applies the rules of now.
 * 4. The group delivers the reports since the checkpoint. What a transition has covered is not evaluated again.
 * 5. When the end that the telemetry has now is evaluated, and the delays have expired, the partition applies the
 *    actions of people that have no answer, in their order. Until then later actions wait behind them.
 *
 * A crash at any place loses what was not written, and only that: the next owner evaluates it again.
 */
export class Recovery {
  readonly counts = {
    /** Transitions and refusals adopted from the events. */
    adopted: 0,
    /** Positions that retention has removed before they were evaluated. */
    lost: 0,
  };
  readonly #options: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the partition, which follows the topics from its positions on; undefined if it was lost meanwhile.
   * Rejects if the log cannot be read or written.
   */
  async recover(number: number, generation: number, isLost: () => boolean): Promise<PartitionAlarms | undefined> {
    const { context, clock, limits } = this.#options;
    const owner = await this.#writeOwner(number, generation);
    const restored = await context.checkpoints.restore(number);
    if (isLost()) return undefined;
    const polledAt = { monotonicMs: clock.monotonic(), epochMs: clock.now() };
    const { at, end } = await this.#start(number, restored);
    const alarms = new PartitionAlarms({
      number,
      owner,
      at: { telemetry: at.telemetry, events: owner + 1 },
      watermark: new Watermark(limits, clock.monotonic(), this.#isInterrupted(number, restored)),
      context,
    });
    try {
      this.#restoreDevices(alarms, restored);
      const { actions, rates } = await this.#adoptEvents(alarms, { from: at.events, until: owner }, restored, isLost);
      if (isLost() || !(await this.#applyRules(alarms, isLost))) {
        alarms.close();
        return undefined;
      }
      // What the device has evaluated already is ignored.
      for (const rate of rates) alarms.takeRate(rate);
      for (const action of actions) alarms.takeAction(action);
      alarms.takeLogEnd(polledAt.monotonicMs, polledAt.epochMs, end);
    } catch (error) {
      alarms.close();
      throw error;
    }
    return alarms;
  }

  async #writeOwner(number: number, generation: number): Promise<number> {
    const { eventLog, topics, keys, node, process, context, clock } = this.#options;
    const alarmOwner = { node, process, generation, epoch: context.epoch, atMs: clock.now() };
    const record = { key: keys[number]!, value: Event.encode({ alarmOwner }).finish() };
    const [position] = await eventLog.append(topics.events, [record]);
    return position!.seq;
  }

  /**
   * Returns whether the log may have been interrupted since the last checkpoint: neither its owner nor this process has
   * had answers for some time. The devices then have a grace to report again. One that the former owner has given is in
   * the checkpoint, or this process does not know of these answers either.
   */
  #isInterrupted(number: number, { answeredMs }: RestoredPartition): boolean {
    const { clock, answers } = this.#options;
    const monotonicMs = clock.monotonic();
    // Its bounds were read just now.
    const sinceMs = clock.now() - (monotonicMs - answers.answered(number, monotonicMs));
    return answeredMs > 0 && sinceMs - answeredMs > interruptedMs;
  }

  /** Resolves with the positions from which the topics are read, and the end of the telemetry. */
  async #start(
    number: number,
    { covered }: RestoredPartition,
  ): Promise<{ readonly at: Covered; readonly end: number }> {
    const { eventLog, topics, clock, limits } = this.#options;
    const { first, next } = boundsOf(await eventLog.bounds(topics.telemetry, [number]), number);
    const fromMs = clock.now() - limits.lookbackMs;
    const wanted = covered?.telemetry ?? (await eventLog.positionsAt(topics.telemetry, fromMs, [number]))[number]!;
    if (covered !== undefined && wanted < first) this.counts.lost += first - wanted;
    const telemetry = Math.min(Math.max(first, wanted), next);
    return { at: { telemetry, events: covered?.events ?? 0 }, end: next };
  }

  #restoreDevices(alarms: PartitionAlarms, { devices }: RestoredPartition): void {
    const { context } = this.#options;
    for (const [path, { state, transitions }] of devices) {
      try {
        const device = alarms.add(path, state);
        for (const transition of transitions) device.keep(transition);
      } catch (error) {
        context.checkpoints.counts.unreadable++;
        context.onRejected(alarms.number, -1, path, error);
      }
    }
  }

  /** Resolves with the actions that have no answer, and the rates of areas, in their order. */
  async #adoptEvents(
    alarms: PartitionAlarms,
    range: { readonly from: number; readonly until: number },
    { owner, devices }: RestoredPartition,
    isLost: () => boolean,
  ): Promise<{ readonly actions: readonly PositionedAction[]; readonly rates: readonly PositionedRate[] }> {
    const { eventLog, topics, defer } = this.#options;
    const order = new AlarmOrder(owner);
    const actions = new Map<string, PositionedAction>();
    const rates: PositionedRate[] = [];
    for await (const batch of eventLog.read(topics.events, alarms.number, range)) {
      for (let from = 0; from < batch.length && !isLost(); from += recordsPerTurn) {
        for (const { seq, value, unreadable, emptyUntil } of batch.slice(from, from + recordsPerTurn)) {
          if (unreadable !== undefined || emptyUntil !== undefined) continue;
          const event = eventFrom(value);
          const { alarmOwner, alarmTransition: transition, alarmActionRefused: refused, alarmAction: action } = event;
          if (event.alarmRate) rates.push({ seq, rate: event.alarmRate });
          if (alarmOwner) order.takenOver(seq);
          else if (action) {
            const id = action.id ?? '';
            // The checkpoint of the device has it; or it is repeated.
            if (seq < (devices.get(action.device ?? '')?.events ?? 0) || actions.has(id)) continue;
            actions.set(id, { seq, action });
          } else if (refused && order.isOfOwner(refused.owner)) {
            actions.delete(refused.action ?? '');
            this.#adopt(alarms, refused.device ?? '', { refused: { action: refused.action ?? '' } });
          } else if (transition && order.accepts(transition)) {
            actions.delete(transition.action ?? '');
            this.#adoptTransition(alarms, transition);
          }
        }
        await new Promise<void>((resolve) => defer(resolve));
      }
    }
    return { actions: [...actions.values()], rates };
  }

  #adoptTransition(alarms: PartitionAlarms, transition: tailrace.v1.IAlarmTransition): void {
    const path = transition.device ?? '';
    const rule = transition.rule ?? '';
    const known = alarms.devices.get(path)?.last.get(rule)?.number ?? 0;
    // The checkpoint of the device has it.
    if ((transition.number ?? 0) <= known) return;
    const state = transition.point ?? new Uint8Array(0);
    this.#adopt(alarms, path, { transition: { rule, action: transition.action ?? '' }, state });
    alarms.devices.get(path)?.keep(transition);
  }

  #adopt(alarms: PartitionAlarms, path: string, output: Parameters<DeviceAlarms['adopt']>[0]): void {
    const { context } = this.#options;
    this.counts.adopted++;
    try {
      const device = alarms.devices.get(path) ?? alarms.add(path);
      device.alarms.adopt(output);
      device.isChanged = true;
    } catch (error) {
      context.onRejected(alarms.number, -1, path, error);
    }
  }

  /** Applies the present rules to all restored devices. Resolves with false if the partition was lost meanwhile. */
  async #applyRules(alarms: PartitionAlarms, isLost: () => boolean): Promise<boolean> {
    let visited = 0;
    for (const device of alarms.devices.values()) {
      alarms.updateRules(device);
      if (++visited % recordsPerTurn !== 0) continue;
      await new Promise<void>((resolve) => this.#options.defer(resolve));
      if (isLost()) return false;
    }
    return true;
  }
}

/** Returns an event without content for bytes that are none: the reader of live events has counted it. */
function eventFrom(value: Uint8Array): tailrace.v1.IEvent {
  try {
    return Event.decode(value);
  } catch {
    return {};
  }
}
