import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { isFinal } from '@tailrace/protocol/control-event-json';
import type { tailrace } from '@tailrace/protocol/generated';
import { type ControlEvent, controlEventFrom } from './control-event.ts';

export interface EventBoardLimits {
  /** Memory for the newest events of the partition, for clients that resume, bytes. */
  readonly windowBytesMax: number;
  /** Alarms that are not normal, of the partition. Beyond it the one that changed longest ago is not in snapshots. */
  readonly alarmsMax: number;
}

/** Commands that are final, whose transitions are known for a sender whose reply was late. */
const finalCommandsMax = 1_000;
/** Scopes whose last lease is known, also of those that are free. */
const leasesMax = 10_000;
/** Refused actions that are known, so that one that is written twice is delivered once. */
const refusedMax = 1_000;

export interface EventBoardCounts {
  accepted: number;
  /** Events that were written twice, or by a process that has lost the partition. */
  repeated: number;
  invalid: number;
  /** Alarms that are not in snapshots, for lack of space. */
  dropped: number;
}

/**
 * The alarms, commands and leases of one partition as of a position in the topic of events, and the newest events.
 *
 * The owner of the partition fills it from the log; other nodes fill it from the frames of the owner (`EventReplica`).
 * Both accept the same events in the same order, so that a client may resume on either. An event is dropped if another
 * one has replaced it: one of an alarm by `AlarmOrder`, one of a command by its number, one of a lease by its token.
 */
export class EventBoard {
  readonly partition: number;
  readonly counts: EventBoardCounts;
  /** The position after the last event that was taken. */
  next = 0;
  /** Whether it is complete up to `next`. */
  isReady = false;
  /** The board has each accepted event from this position on. */
  windowFrom = 0;
  /** Called with the events that were accepted, in order, after each batch that has one. */
  onEvents: (events: readonly ControlEvent[]) => void = () => {};
  /** Called when the board becomes ready. What it has taken until then was not passed to `onEvents`. */
  onReady: () => void = () => {};
  /** Called when the board is ready, and after each batch from then on: `next` is higher. */
  onAdvance: () => void = () => {};
  /** Called when events before `next` were lost to those who follow the board: they start again. */
  onGap: () => void = () => {};
  readonly #limits: EventBoardLimits;
  #window: ControlEvent[] = [];
  #windowBytes = 0;
  #order = new AlarmOrder();
  /** Alarms that are not normal, by device and rule; the one that has changed last is the last. */
  #alarms = new Map<string, ControlEvent>();
  /** The transitions of each command, oldest first; final commands first. */
  #commands = new Map<string, ControlEvent[]>();
  #finalCommands: string[] = [];
  #leases = new Map<string, ControlEvent>();
  #refused = new Set<string>();

  constructor(partition: number, limits: EventBoardLimits, counts: EventBoardCounts) {
    this.partition = partition;
    this.#limits = limits;
    this.counts = counts;
  }

  get alarms(): number {
    return this.#alarms.size;
  }

  /** Rules at devices whose last number is known; see `AlarmOrder`. */
  get alarmNumbers(): number {
    return this.#order.size;
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** Position of the last `AlarmOwner` before `next`; 0: none is known. */
  get alarmOwner(): number {
    return this.#order.owner;
  }

  /** Another board has read the `AlarmOwner` at this position: what earlier owners write counts no more. */
  takenOver(seq: number): void {
    this.#order.takenOver(seq);
  }

  /** Empties the board, which is complete from `next` on once `ready` is called. */
  reset(next: number): void {
    this.isReady = false;
    this.next = next;
    this.windowFrom = next;
    this.#window = [];
    this.#windowBytes = 0;
    this.#order = new AlarmOrder();
    this.#alarms = new Map();
    this.#commands = new Map();
    this.#finalCommands = [];
    this.#leases = new Map();
    this.#refused = new Set();
  }

  /** Everything before `next` was taken. */
  ready(next: number): void {
    this.next = Math.max(this.next, next);
    const wasReady = this.isReady;
    this.isReady = true;
    if (!wasReady) this.onReady();
    this.onAdvance();
  }

  /** Takes the last transition of an alarm from a checkpoint: it may be older than what the topic has. */
  restore(transition: tailrace.v1.IAlarmTransition, bytes: Uint8Array): void {
    const { device, rule, number } = transition;
    if ((number ?? 0) <= this.#order.numberOf(device ?? '', rule ?? '')) return;
    const event = controlEventFrom(this.partition, undefined, bytes);
    if (typeof event !== 'object' || event.kind !== 'alarm') return;
    this.#order.restore(event.of, event.transition.rule, event.transition.number);
    this.#setAlarm(event);
  }

  /** Takes a part of the state of another board. */
  takeCurrent(seq: number | undefined, bytes: Uint8Array): void {
    const event = controlEventFrom(this.partition, seq, bytes);
    if (typeof event !== 'object' || event.kind === 'owner') return;
    if (event.kind !== 'alarm') this.#change(event);
    else {
      this.#order.restore(event.of, event.transition.rule, event.transition.number);
      this.#setAlarm(event);
    }
  }

  /** Takes records of the log, or events that another board has accepted, in order. Those before `next` are skipped. */
  take(records: readonly { readonly seq: number; readonly value: Uint8Array }[], until: number): void {
    const accepted: ControlEvent[] = [];
    for (const { seq, value } of records) {
      if (seq < this.next) continue;
      this.next = seq + 1;
      const event = controlEventFrom(this.partition, seq, value);
      if (event === 'invalid') this.counts.invalid++;
      if (typeof event !== 'object') continue;
      if (event.kind === 'owner') this.#order.takenOver(seq);
      else if (this.#change(event)) accepted.push(event);
      else this.counts.repeated++;
    }
    this.next = Math.max(this.next, until);
    for (const event of accepted) this.#keep(event);
    this.counts.accepted += accepted.length;
    if (!this.isReady) return;
    if (accepted.length > 0) this.onEvents(accepted);
    this.onAdvance();
  }

  /** Events before `until` cannot be had: those who follow the board start again. */
  skip(until: number): void {
    this.next = Math.max(this.next, until);
    this.windowFrom = Math.max(this.windowFrom, until);
    this.#window = this.#window.filter(({ seq }) => seq! >= until);
    this.#windowBytes = this.#window.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (this.isReady) this.onGap();
  }

  /** Returns the accepted events with `from <= seq < until`. Only for positions from `windowFrom` on. */
  events(from: number, until: number = Number.POSITIVE_INFINITY): readonly ControlEvent[] {
    return this.#window.filter(({ seq }) => seq! >= from && seq! < until);
  }

  /** Iterates over the last event of each alarm that is not normal, command in progress, and lease that is held. */
  *current(): Iterable<ControlEvent> {
    yield* this.#alarms.values();
    for (const transitions of this.#commands.values()) {
      const last = transitions.at(-1)!;
      if (last.kind === 'command' && !isFinal(last.transition)) yield last;
    }
    for (const lease of this.#leases.values())
      if (lease.kind === 'lease' && lease.transition.holder !== undefined) yield lease;
  }

  /** Returns what another board needs to continue: `current`, and the commands that were final lately. */
  state(): ControlEvent[] {
    const state: ControlEvent[] = [...this.#alarms.values(), ...this.#leases.values()];
    for (const transitions of this.#commands.values()) state.push(...transitions);
    return state;
  }

  /** Returns the known transitions of a command, by the ID that control has given it, oldest first. */
  commandEvents(id: string): readonly ControlEvent[] {
    return this.#commands.get(id) ?? [];
  }

  /** Applies an event. Returns whether it counts. */
  #change(event: ControlEvent): boolean {
    switch (event.kind) {
      case 'alarm': {
        const { device, rule, number } = event.transition;
        if (!this.#order.accepts({ device, rule, number, owner: event.owner })) return false;
        this.#setAlarm(event);
        return true;
      }
      case 'refused':
        return this.#order.isOfOwner(event.owner) && this.#isNewRefusal(event.refused.action);
      case 'command':
        return this.#changeCommand(event);
      default:
        return this.#changeLease(event);
    }
  }

  #setAlarm(event: ControlEvent & { readonly kind: 'alarm' }): void {
    const key = `${event.of} ${event.transition.rule}`;
    this.#alarms.delete(key);
    if (event.transition.state === 'normal') return;
    this.#alarms.set(key, event);
    if (this.#alarms.size <= this.#limits.alarmsMax) return;
    for (const oldest of this.#alarms.keys()) {
      this.#alarms.delete(oldest);
      this.counts.dropped++;
      return;
    }
  }

  #isNewRefusal(action: string): boolean {
    if (this.#refused.has(action)) return false;
    this.#refused.add(action);
    if (this.#refused.size > refusedMax) for (const oldest of this.#refused) return this.#refused.delete(oldest);
    return true;
  }

  #changeCommand(event: ControlEvent & { readonly kind: 'command' }): boolean {
    const { id, number } = event.transition;
    const known = this.#commands.get(id);
    const last = known?.at(-1);
    if (last?.kind === 'command' && number <= last.transition.number) return false;
    this.#commands.set(id, [...(known ?? []), event]);
    if (!isFinal(event.transition)) return true;
    this.#finalCommands.push(id);
    if (this.#finalCommands.length > finalCommandsMax) this.#commands.delete(this.#finalCommands.shift()!);
    return true;
  }

  #changeLease(event: ControlEvent & { readonly kind: 'lease' }): boolean {
    const { scope, token, time } = event.transition;
    const known = this.#leases.get(scope);
    if (known?.kind === 'lease') {
      const { token: before, time: beforeMs } = known.transition;
      // The same transition again, or one of an earlier holder.
      if (token < before || (token === before && time <= beforeMs)) return false;
    }
    this.#leases.delete(scope);
    this.#leases.set(scope, event);
    if (this.#leases.size > leasesMax) for (const oldest of this.#leases.keys()) return this.#leases.delete(oldest);
    return true;
  }

  #keep(event: ControlEvent): void {
    this.#window.push(event);
    this.#windowBytes += event.bytes.length;
    let removed = 0;
    while (this.#windowBytes > this.#limits.windowBytesMax && removed < this.#window.length) {
      const oldest = this.#window[removed++]!;
      this.#windowBytes -= oldest.bytes.length;
      this.windowFrom = oldest.seq! + 1;
    }
    if (removed > 0) this.#window.splice(0, removed);
  }
}
