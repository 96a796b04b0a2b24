import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import { patternCovers, patternMatches } from '@tailrace/protocol/pattern';
import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import { Positions, tokenFromPositions } from '@tailrace/protocol/position';
import type { Missing } from '@tailrace/protocol/server-message';

import type { Encoding } from '../views/view-options.ts';
import { type ControlEvent, controlEventFrom } from './control-event.ts';
import type { EventBoard } from './event-board.ts';
import { eventFrames } from './event-frame.ts';
import {
  type EventKinds,
  type EventSubscribeRequest,
  type EventSubscriber,
  EventSubscription,
  type EventView,
} from './event-subscription.ts';

/** Events that wait for a client whose snapshot is being sent. Beyond it the client is too slow. */
const queuedMax = 10_000;

/** Where the hub gets the boards of partitions from. */
export interface EventSource {
  readonly boards: readonly EventBoard[];
  /** Keeps the board of a partition complete, until as many calls of `release`. */
  want(partition: number): void;
  release(partition: number): void;
  /** Returns events before `windowFrom` of a board from the owner; undefined: they cannot be had. Never rejects. */
  history(partition: number, from: number, until: number): Promise<readonly tailrace.v1.IRelayEvent[] | undefined>;
}

export interface EventHubOptions {
  readonly source: EventSource;
  readonly publish: (topic: string, frame: string | Uint8Array) => void;
  /** Returns the number of a new view, unlike that of any other view of the node. */
  readonly nextView: () => number;
  readonly clock: Pick<Clock, 'after'>;
  /** Calls once in a later turn of the event loop. */
  readonly defer: (call: () => void) => void;
  /** Of the topic of events. */
  readonly epoch: string;
  /** How long a subscription waits for the boards of its partitions, ms. */
  readonly joinDeadlineMs: number;
}

/** Receives each event of a command of a partition, and known ones again when its board was read back. */
export type CommandWatcher = (event: ControlEvent) => void;

/**
 * The subscriptions of a node to alarms, commands and leases.
 *
 * A subscription starts in one turn of the event loop, when the boards of all its partitions are ready and have reached
 * its position, which may be of a node that has read more: it gets what is current, or the events since its position,
 * and is in the set of its view from then on. So it misses nothing, and gets nothing twice. Events are never conflated.
 * They are published to the topic of the view, in the turn in which they were read; to a client whose socket is full
 * they are sent ahead of the data that waits.
 */
export class EventHub {
  readonly counts = { frames: 0, deliveries: 0, tooSlow: 0 };
  readonly #options: EventHubOptions;
  readonly #views = new Map<string, EventView>();
  readonly #trie = new PatternTrie<EventView>();
  readonly #waiting = new Set<EventSubscription>();
  readonly #commandWatchers: (Set<CommandWatcher> | undefined)[] = [];

  constructor(options: EventHubOptions) {
    this.#options = options;
    for (const board of options.source.boards) {
      board.onEvents = (events) => this.#onEvents(board.partition, events);
      board.onReady = () => this.#onReady(board);
      board.onAdvance = () => this.#onAdvance(board.partition);
      board.onGap = () => this.#onGap(board.partition);
    }
  }

  get views(): number {
    return this.#views.size;
  }

  get subscriptions(): number {
    let sum = 0;
    for (const { subscriptions } of this.#views.values()) sum += subscriptions.size;
    return sum;
  }

  /** Calls `onRefused` if the subscription cannot start or continue; it is closed then. */
  subscribe(
    subscriber: EventSubscriber,
    request: EventSubscribeRequest,
    onRefused: (error: TailraceError) => void,
  ): EventSubscription {
    const view = this.#enter(subscriber, request);
    const subscription = new EventSubscription(request, view, subscriber, onRefused);
    view.subscriptions.add(subscription);
    view.subscribers.add(subscriber);
    for (const partition of view.partitions) this.#options.source.want(partition);
    this.#waiting.add(subscription);
    const { clock, joinDeadlineMs } = this.#options;
    subscription.deadline = clock.after(joinDeadlineMs, () => this.#refuse(subscription, this.#notReady(subscription)));
    this.#tryStart(subscription);
    return subscription;
  }

  /** Closes a subscription. Idempotent. */
  unsubscribe(subscription: EventSubscription): void {
    const { state, view, subscriber } = subscription;
    if (state === 'closed') return;
    subscription.enter('closed');
    subscription.deadline?.cancel();
    subscription.queue = [];
    this.#waiting.delete(subscription);
    if (state === 'live') {
      view.joined--;
      subscriber.leave(view.topic);
    }
    view.subscriptions.delete(subscription);
    view.subscribers.delete(subscriber);
    for (const partition of view.partitions) this.#options.source.release(partition);
    if (view.subscriptions.size > 0) return;
    this.#views.delete(view.key);
    this.#trie.delete(view.pattern, view);
  }

  /** Takes a client with a full socket off the topic, until it has read what waits. */
  fallBehind(subscription: EventSubscription): void {
    if (subscription.state !== 'live') return;
    const { view, subscriber } = subscription;
    subscription.resumeFrom = this.#here(view.partitions);
    subscription.enter('direct');
    view.joined--;
    subscriber.leave(view.topic);
    void this.#rejoin(subscription);
  }

  /** Returns the position from which the client can resume without a gap; undefined before it has started. */
  position({ state, resumeFrom, view }: EventSubscription): Positions | undefined {
    return state === 'live' ? this.#here(view.partitions) : resumeFrom;
  }

  /** Calls `watcher` with the events of commands of the device's partition. Returns a function that stops it. */
  watchCommands(device: string, watcher: CommandWatcher): () => void {
    const { source } = this.#options;
    const partition = partitionOf(device, source.boards.length);
    const watchers = this.#commandWatchers[partition] ?? new Set();
    this.#commandWatchers[partition] = watchers;
    watchers.add(watcher);
    source.want(partition);
    return () => {
      if (watchers.delete(watcher)) source.release(partition);
    };
  }

  /** Returns the known events of a command of a device, oldest first. */
  commandEvents(device: string, id: string): readonly ControlEvent[] {
    const { boards } = this.#options.source;
    return boards[partitionOf(device, boards.length)]!.commandEvents(id);
  }

  #enter(subscriber: EventSubscriber, request: EventSubscribeRequest): EventView {
    const { channel: pattern, alarms, commands } = request;
    const { encoding } = subscriber;
    // A connection is on the topic of a view once: for the same request again it is on a copy of the view.
    for (let copy = 1; ; copy++) {
      const key = `${encoding} ${alarms ? 'alarms' : ''} ${commands ? 'commands' : ''} ${copy} ${pattern}`;
      const existing = this.#views.get(key);
      if (existing === undefined) return this.#create(key, encoding, request);
      if (!existing.subscribers.has(subscriber)) return existing;
    }
  }

  #create(key: string, encoding: Encoding, request: EventSubscribeRequest): EventView {
    const { channel: pattern, alarms, commands } = request;
    const { nextView, source } = this.#options;
    const number = nextView();
    const view: EventView = {
      ...{ number, pattern, encoding, alarms, commands, key },
      topic: `event-view-${number}`,
      partitions: partitionsOf(pattern, { alarms, commands }, source.boards.length),
      subscriptions: new Set(),
      subscribers: new Set(),
      joined: 0,
    };
    this.#views.set(key, view);
    this.#trie.add(pattern, view);
    return view;
  }

  /** A board that was read back, or taken from its owner, may have states that the senders of commands lack. */
  #onReady(board: EventBoard): void {
    const watchers = [...(this.#commandWatchers[board.partition] ?? [])];
    if (watchers.length === 0) return;
    for (const event of board.state()) if (event.kind === 'command') for (const watch of watchers) watch(event);
  }

  #onAdvance(partition: number): void {
    if (this.#waiting.size === 0) return;
    const awaiting = [...this.#waiting].filter(({ awaited }) => awaited === partition);
    for (const subscription of awaiting) this.#tryStart(subscription);
  }

  /** Returns a partition whose board cannot serve the subscription yet; undefined: all can. */
  #awaited({ request: { after }, view }: EventSubscription): number | undefined {
    const { epoch, source } = this.#options;
    return view.partitions.find((partition) => {
      const { isReady, next } = source.boards[partition]!;
      return !isReady || (after?.epoch === epoch && next <= (after.last(partition) ?? -1));
    });
  }

  /** Clients start again at their position, and are notified of what is missing. */
  #onGap(partition: number): void {
    const reason = `partition ${partition}: expected the events without a gap, got one; subscribe again`;
    for (const view of [...this.#views.values()]) {
      if (!view.partitions.includes(partition)) continue;
      for (const subscription of [...view.subscriptions])
        if (subscription.state !== 'waiting') this.#refuse(subscription, new TailraceError('unavailable', reason));
    }
  }

  #tryStart(subscription: EventSubscription): void {
    if (subscription.state !== 'waiting') return;
    subscription.awaited = this.#awaited(subscription);
    if (subscription.awaited !== undefined) return;
    this.#waiting.delete(subscription);
    const older = this.#older(subscription);
    if (older.length === 0) {
      this.#start(subscription, new Map());
      return;
    }
    this.#withHistory(subscription, older).catch((thrown: unknown) =>
      this.#refuse(subscription, tailraceErrorFrom(thrown)),
    );
  }

  /** Returns the ranges between the position of the client and the windows of the boards. */
  #older({ request, view }: EventSubscription): readonly { partition: number; from: number; until: number }[] {
    const { epoch, source } = this.#options;
    const { after } = request;
    if (after?.epoch !== epoch) return [];
    return view.partitions.flatMap((partition) => {
      const last = after.last(partition);
      const { windowFrom } = source.boards[partition]!;
      return last === undefined || last + 1 >= windowFrom ? [] : [{ partition, from: last + 1, until: windowFrom }];
    });
  }

  async #withHistory(
    subscription: EventSubscription,
    older: readonly { partition: number; from: number; until: number }[],
  ): Promise<void> {
    const histories = new Map<number, { readonly until: number; readonly events: readonly ControlEvent[] }>();
    await Promise.all(
      older.map(async ({ partition, from, until }) => {
        const events = await this.#options.source.history(partition, from, until);
        if (events !== undefined) histories.set(partition, { until, events: controlEventsOf(partition, events) });
      }),
    );
    // It was closed, or a board has lost its state meanwhile.
    if (subscription.state !== 'waiting') return;
    subscription.awaited = this.#awaited(subscription);
    if (subscription.awaited === undefined) this.#start(subscription, histories);
    else this.#waiting.add(subscription);
  }

  #start(
    subscription: EventSubscription,
    histories: ReadonlyMap<number, { readonly until: number; readonly events: readonly ControlEvent[] }>,
  ): void {
    const { request, view, subscriber } = subscription;
    const { epoch } = this.#options;
    const { after } = request;
    subscription.deadline?.cancel();
    const missing = after === undefined ? [] : this.#missing(after, view, histories);
    const isWhole = after !== undefined && missing.length === 0;
    const current = isWhole || !request.snapshot ? [] : this.#current(view);
    const backlog = isWhole ? this.#backlog(after, view, histories) : [];
    // Everything later than this follows: the backlog, too.
    const position = isWhole ? after : this.#here(view.partitions);
    subscription.enter('starting');
    subscription.resumeFrom = after ?? position;
    subscriber.sendHead(subscription, {
      view: view.number,
      epoch,
      position: tokenFromPositions(position),
      snapshot: current.length,
      ...(after === undefined ? {} : { recovered: isWhole }),
      ...(missing.length === 0 ? {} : { missing }),
    });
    this.#pump(subscription, current, backlog).catch((thrown: unknown) =>
      this.#refuse(subscription, tailraceErrorFrom(thrown)),
    );
  }

  #missing(after: Positions, view: EventView, histories: ReadonlyMap<number, { readonly until: number }>): Missing[] {
    const { epoch, source } = this.#options;
    const missing: Missing[] = [];
    for (const partition of view.partitions) {
      const { windowFrom, next } = source.boards[partition]!;
      const add = (from: number, until: number, reason: string) => {
        if (until > from) missing.push({ partition, from, to: until - 1, reason });
      };
      const last = after.epoch === epoch ? after.last(partition) : undefined;
      if (after.epoch !== epoch) missing.push({ partition, from: 0, to: Math.max(0, next - 1), reason: 'epoch' });
      else if (last === undefined) add(0, next, 'unknown');
      else if (last + 1 < windowFrom && (histories.get(partition)?.until ?? 0) < windowFrom)
        add(last + 1, windowFrom, 'too_far');
    }
    return missing;
  }

  #backlog(
    after: Positions,
    view: EventView,
    histories: ReadonlyMap<number, { readonly until: number; readonly events: readonly ControlEvent[] }>,
  ): ControlEvent[] {
    const { boards } = this.#options.source;
    return view.partitions.flatMap((partition) => {
      const history = histories.get(partition);
      const from = history?.until ?? after.last(partition)! + 1;
      const events = [...(history?.events ?? []), ...boards[partition]!.events(from)];
      return events.filter((event) => isSelected(view, event));
    });
  }

  #current(view: EventView): ControlEvent[] {
    const current: ControlEvent[] = [];
    for (const partition of view.partitions)
      for (const event of this.#options.source.boards[partition]!.current())
        if (isSelected(view, event)) current.push(event);
    return current;
  }

  /** Sends the snapshot, the backlog, and what has arrived meanwhile, as the client reads; then joins the topic. */
  async #pump(
    subscription: EventSubscription,
    current: readonly ControlEvent[],
    backlog: readonly ControlEvent[],
  ): Promise<void> {
    const { view, subscriber } = subscription;
    const { number, encoding } = view;
    const send = async (events: readonly ControlEvent[], isSnapshot: boolean): Promise<boolean> => {
      for (const frame of eventFrames(encoding, events, { view: number, isSnapshot })) {
        for (let wait = subscriber.whenWritable(); wait !== undefined; wait = subscriber.whenWritable()) await wait;
        if (subscription.state !== 'starting') return false;
        subscriber.sendData(frame);
        this.#count(1, 1);
      }
      return true;
    };
    if (!(current.length === 0 || (await send(current, true)))) return;
    if (!(backlog.length === 0 || (await send(backlog, false)))) return;
    while (subscription.queue.length > 0) if (!(await send(subscription.queue.splice(0), false))) return;
    if (subscription.state === 'starting') this.#join(subscription);
  }

  #join(subscription: EventSubscription): void {
    const { view, subscriber } = subscription;
    subscription.enter('live');
    subscription.resumeFrom = undefined;
    view.joined++;
    subscriber.join(view.topic);
  }

  async #rejoin(subscription: EventSubscription): Promise<void> {
    const { subscriber } = subscription;
    for (let wait = subscriber.whenWritable(); wait !== undefined; wait = subscriber.whenWritable()) {
      await wait;
      if (subscription.state !== 'direct') return;
    }
    // Not in the turn in which the socket was full: the transport may still publish to the topic.
    await new Promise<void>((resolve) => this.#options.defer(resolve));
    if (subscription.state !== 'direct') return;
    if (subscriber.whenWritable() === undefined) this.#join(subscription);
    else void this.#rejoin(subscription);
  }

  #onEvents(partition: number, events: readonly ControlEvent[]): void {
    const selected = new Map<EventView, ControlEvent[]>();
    const add = (view: EventView, event: ControlEvent) => {
      if (!isSelected(view, event)) return;
      const own = selected.get(view);
      if (own === undefined) selected.set(view, [event]);
      else own.push(event);
    };
    for (const event of events) {
      // Of a lease the scope counts, which may be above the channel or below it.
      if (event.kind === 'lease') for (const view of this.#views.values()) add(view, event);
      else this.#trie.match(event.of, (view) => add(view, event));
      if (event.kind === 'command') for (const watch of [...(this.#commandWatchers[partition] ?? [])]) watch(event);
    }
    for (const [view, own] of selected) this.#publish(view, own);
  }

  #publish(view: EventView, events: readonly ControlEvent[]): void {
    const { number, encoding, topic } = view;
    const apart = [...view.subscriptions].filter(({ state }) => state === 'direct' || state === 'starting');
    const isNeeded = view.joined > 0 || apart.some(({ state }) => state === 'direct');
    const frames = isNeeded ? [...eventFrames(encoding, events, { view: number })] : [];
    if (view.joined > 0) {
      for (const frame of frames) this.#options.publish(topic, frame);
      this.#count(frames.length, events.length * view.joined);
    }
    for (const subscription of apart) {
      if (subscription.state === 'direct') {
        for (const frame of frames) if (subscription.state === 'direct') subscription.subscriber.send(frame);
        continue;
      }
      subscription.queue.push(...events);
      if (subscription.queue.length <= queuedMax) continue;
      this.counts.tooSlow++;
      subscription.subscriber.endAsTooSlow();
    }
  }

  #count(frames: number, deliveries: number): void {
    this.counts.frames += frames;
    this.counts.deliveries += deliveries;
  }

  /** Returns the positions up to which the boards are complete. */
  #here(partitions: readonly number[]): Positions {
    const positions = new Positions(this.#options.epoch);
    for (const partition of partitions) positions.advance(partition, this.#options.source.boards[partition]!.next - 1);
    return positions;
  }

  #refuse(subscription: EventSubscription, error: TailraceError): void {
    if (subscription.state === 'closed') return;
    this.unsubscribe(subscription);
    subscription.onRefused(error);
  }

  #notReady({ view, awaited }: EventSubscription): TailraceError {
    return new TailraceError(
      'unavailable',
      `${shown(view.pattern)}: expected the events of partition ${awaited} up to the position of the client within ${this.#options.joinDeadlineMs} ms, got fewer; try again`,
    );
  }
}

/** Returns whether an event is of the kinds and the channel. A lease is of all channels that its scope touches. */
export function isSelected(view: EventKinds & { readonly pattern: string }, event: ControlEvent): boolean {
  if (event.kind === 'alarm' || event.kind === 'refused') return view.alarms && patternMatches(view.pattern, event.of);
  if (!view.commands) return false;
  if (event.kind === 'command') return patternMatches(view.pattern, event.of);
  return patternCovers(view.pattern, event.of) || patternCovers(event.of, view.pattern);
}

/**
 * Returns the partitions with events of a channel: all for a subtree. For a device its own, and with commands those of
 * the paths above it, whose leases may cover it.
 */
export function partitionsOf(pattern: string, { commands }: EventKinds, partitions: number): readonly number[] {
  if (pattern.endsWith('>')) return Array.from({ length: partitions }, (_, partition) => partition);
  const own = new Set([partitionOf(pattern, partitions)]);
  const segments = pattern.split('.');
  if (commands)
    for (let length = 1; length < segments.length; length++)
      own.add(partitionOf(segments.slice(0, length).join('.'), partitions));
  return [...own].sort((a, b) => a - b);
}

function controlEventsOf(partition: number, events: readonly tailrace.v1.IRelayEvent[]): ControlEvent[] {
  return events.flatMap(({ seq, event }) => {
    const decoded = controlEventFrom(partition, seq ?? undefined, event ?? new Uint8Array(0));
    return typeof decoded === 'object' && decoded.kind !== 'owner' ? [decoded] : [];
  });
}
