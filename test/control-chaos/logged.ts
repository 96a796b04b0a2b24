import { type EventLog, type LogRecord, recordEnd } from '@tailrace/eventlog/event-log';
import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import {
  alarmTransitionFromProto,
  commandTransitionFromProto,
  leaseTransitionFromProto,
} from '@tailrace/protocol/control-event';
import type { AlarmTransition, CommandTransition, LeaseTransition } from '@tailrace/protocol/control-event-json';
import { tailrace } from '@tailrace/protocol/generated';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { decodePointState } from '@tailrace/rules/evaluation/point-state';
import type { AlarmAction } from '@tailrace/rules/lifecycle/alarm-transition';
import { actionFrom } from '../../services/alarms/src/alarm-messages.ts';
import type { AlarmAnswer, LoggedReport } from './alarm-replay.ts';

const { Event } = tailrace.v1;

/** A transition of a command in the log. It may be there twice. */
export interface LoggedCommand {
  readonly transition: CommandTransition;
  readonly isFinal: boolean;
}

/** What the topics have, in the order of their partitions. Transitions of alarms as readers count them. */
export interface LoggedEvents {
  /** By device. */
  readonly answers: Map<string, AlarmAnswer[]>;
  /** By partition. */
  readonly transitions: AlarmTransition[][];
  readonly actions: Map<string, AlarmAction>;
  /** By command. */
  readonly commands: Map<string, LoggedCommand[]>;
  readonly leases: LeaseTransition[];
  /** Transitions that readers drop: of former owners, and written twice. */
  dropped: number;
  /** How often a process of alarms has taken over a partition. */
  takeovers: number;
}

/** Reads all records of a topic, in the order of the log. `take` gets each with its partition. */
export async function readTopic(
  eventLog: Pick<EventLog, 'bounds' | 'read'>,
  topic: string,
  take: (record: LogRecord, partition: number) => void,
): Promise<void> {
  for (const [partition, { first, next }] of (await eventLog.bounds(topic)).entries()) {
    let end = first;
    for await (const records of eventLog.read(topic, partition, { from: first, until: next })) {
      for (const record of records) {
        end = recordEnd(record);
        if (record.unreadable === undefined && record.emptyUntil === undefined) take(record, partition);
      }
    }
    if (end < next) throw new Error(`${topic}, partition ${partition}: expected records up to ${next}, got ${end}`);
  }
}

/** Reads the reports of all devices, by device. */
export async function readReports(
  eventLog: Pick<EventLog, 'bounds' | 'read'>,
  topic: string,
): Promise<Map<string, LoggedReport[]>> {
  const found = new Map<string, LoggedReport[]>();
  const newest: number[] = [];
  await readTopic(eventLog, topic, ({ seq, value }, partition) => {
    const report = decodeReport(value);
    const receivedBefore = newest[partition] ?? 0;
    listIn(found, report.device).push({ seq, report, receivedBefore });
    newest[partition] = Math.max(receivedBefore, report.received ?? 0);
  });
  return found;
}

export async function readEvents(eventLog: Pick<EventLog, 'bounds' | 'read'>, topic: string): Promise<LoggedEvents> {
  const collected = new EventCollection();
  await readTopic(eventLog, topic, ({ seq, value }, partition) => collected.add(partition, seq, value));
  return collected.events;
}

/** Takes events in the order of each partition, and keeps those that count. */
export class EventCollection {
  readonly events: LoggedEvents = {
    ...{ answers: new Map(), transitions: [], actions: new Map(), commands: new Map(), leases: [] },
    ...{ dropped: 0, takeovers: 0 },
  };
  readonly #orders: AlarmOrder[] = [];
  readonly #refused = new Set<string>();

  add(partition: number, seq: number, value: Uint8Array): void {
    this.#orders[partition] ??= new AlarmOrder();
    this.events.transitions[partition] ??= [];
    const order = this.#orders[partition]!;
    const { alarmOwner, alarmTransition, alarmAction, alarmActionRefused, commandTransition, leaseTransition } =
      Event.decode(value);
    const { actions, commands, leases } = this.events;
    if (alarmOwner) {
      order.takenOver(seq);
      this.events.takeovers++;
    } else if (alarmTransition) this.#takeTransition(order, partition, alarmTransition);
    else if (alarmAction) {
      const action = actionFrom(alarmAction);
      // The outbox may append it again.
      if (action !== undefined && !actions.has(action.id)) actions.set(action.id, action);
    } else if (alarmActionRefused) this.#takeRefused(order, alarmActionRefused);
    else if (commandTransition) {
      const transition = commandTransitionFromProto(commandTransition);
      listIn(commands, transition.id).push({ transition, isFinal: commandTransition.final ?? false });
    } else if (leaseTransition) leases.push(leaseTransitionFromProto(leaseTransition));
  }

  #takeTransition(order: AlarmOrder, partition: number, message: tailrace.v1.IAlarmTransition): void {
    if (!order.accepts(message)) {
      this.events.dropped++;
      return;
    }
    const transition = alarmTransitionFromProto(message);
    const place = decodePointState(message.point ?? new Uint8Array(0)).state.evaluatedTo ?? { seq: -1 };
    this.events.transitions[partition]!.push(transition);
    listIn(this.events.answers, transition.device).push({ transition, place });
  }

  #takeRefused(order: AlarmOrder, message: tailrace.v1.IAlarmActionRefused): void {
    const { action = '', device = '', rule = '', code = '', owner } = message as tailrace.v1.AlarmActionRefused;
    // A writer without an answer writes it again.
    if (!order.isOfOwner(owner) || this.#refused.has(action)) {
      this.events.dropped++;
      return;
    }
    this.#refused.add(action);
    listIn(this.events.answers, device).push({ refused: { action, rule, code } });
  }
}

/** Returns the list of a key, which is added if it is missing. */
export function listIn<T>(lists: Map<string, T[]>, key: string): T[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}
