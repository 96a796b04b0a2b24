import type { Delivery } from '@tailrace/client/report';
import type { SubscriptionState } from '@tailrace/client/state';
import { createStream, type Stream } from '@tailrace/client/stream';
import type { AlarmEvent, AlarmTransition, CommandEvent } from '@tailrace/protocol/control-event-json';
import { screenTimes } from '../chaos/client.ts';
import { listIn } from './logged.ts';

export interface WatcherPlace {
  readonly name: string;
  readonly url: readonly string[];
  readonly token: string;
}

const channel = 'plant1.>';

/** A screen that receives the transitions of alarms and of commands, in the order of their delivery. */
export class EventWatcher {
  readonly name: string;
  /** By partition: the IDs of transitions of alarms. */
  readonly alarms: string[][] = [];
  /** By command: the numbers of its transitions. */
  readonly commands = new Map<string, number[]>();
  /** The last transition of each alarm, by device and rule. */
  readonly standing = new Map<string, AlarmTransition>();
  /** How long after its time each transition of a rule without a delay was received, ms. */
  readonly delays: { readonly atMs: number; readonly ms: number }[] = [];
  /** How often a snapshot came in the place of transitions. */
  replaced = 0;
  /** Latest time of the received transitions, epoch ms. */
  lastTimeMs = 0;
  readonly stream: Stream;

  constructor({ name, ...place }: WatcherPlace) {
    this.name = name;
    this.stream = createStream({ ...place, ...screenTimes });
    const onState = (state: SubscriptionState) => {
      if (state.name === 'live' && state.recovered === false) this.replaced++;
    };
    const onAlarms = (events: readonly AlarmEvent[], isSnapshot: boolean) => {
      if (!isSnapshot) for (const event of events) this.#takeAlarm(event);
    };
    const onCommands = (events: readonly CommandEvent[], isSnapshot: boolean) => {
      if (!isSnapshot) for (const event of events) this.#takeCommand(event);
    };
    this.stream.subscribe(channel, { alarms: true, onAlarms, onState });
    this.stream.subscribe(channel, { commands: true, onCommands, onState });
  }

  close(): void {
    this.stream.close();
  }

  #takeAlarm({ partition, transition }: AlarmEvent): void {
    if (transition === undefined) return;
    const { id, device, rule, time, cause } = transition;
    this.alarms[partition] ??= [];
    this.alarms[partition]!.push(id);
    this.standing.set(`${device} ${rule}`, transition);
    const nowMs = Date.now();
    this.lastTimeMs = Math.max(this.lastTimeMs, time);
    if (rule === 'hot' && cause === 'raised') this.delays.push({ atMs: nowMs, ms: nowMs - time });
  }

  #takeCommand({ transition: { id, number } }: CommandEvent): void {
    const numbers = this.commands.get(id);
    if (numbers === undefined) this.commands.set(id, [number]);
    else numbers.push(number);
  }
}

/** A screen that receives the reports of all devices, and how long they take. */
export class ReportWatcher {
  readonly name: string;
  /** By device: the positions of its reports, in the order of their delivery. */
  readonly reports = new Map<string, number[]>();
  readonly delays: { readonly atMs: number; readonly ms: number }[] = [];
  /** Ranges of positions that the server has named as missing. */
  missing = 0;
  readonly #stream: Stream;

  constructor({ name, ...place }: WatcherPlace) {
    this.name = name;
    this.#stream = createStream({ ...place, ...screenTimes });
    const take = (reports: readonly Delivery[]) => {
      const nowMs = Date.now();
      for (const { device, seq, time } of reports) {
        listIn(this.reports, device).push(seq);
        this.delays.push({ atMs: nowMs, ms: nowMs - time });
      }
    };
    this.#stream.subscribe(channel, {
      onSnapshot: take,
      onReports: take,
      onState: (state) => {
        if (state.name === 'live') this.missing += state.missing?.length ?? 0;
      },
    });
  }

  close(): void {
    this.#stream.close();
  }
}
