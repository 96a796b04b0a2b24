import type { Subscribe } from '@tailrace/protocol/client-message-json';
import type { EventPosition } from '@tailrace/protocol/control-event-json';
import type { Cut } from '@tailrace/protocol/cut-json';
import type { Data } from '@tailrace/protocol/data-frame-json';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';
import { patternMatches } from '@tailrace/protocol/pattern';
import type { Subscribed } from '@tailrace/protocol/server-message-json';
import type { Skipped } from '@tailrace/protocol/skipped';
import { Delivered } from './delivered.ts';
import { DevicePresence } from './device-presence.ts';
import { notify } from './notify.ts';
import { Progress, positionsOf } from './progress.ts';
import type { ReportBuffer } from './report-buffer.ts';
import type { Answered, SubscriptionState } from './state.ts';
import { type Presence, type SubscribeOptions, viewFields } from './subscription.ts';
import { WholeReports } from './whole-reports.ts';

interface EventFrame<T> {
  readonly events: readonly T[];
  readonly snapshot?: boolean;
  readonly snapshotComplete?: boolean;
}

/** The state of a subscription that outlives connections: its progress, and its listeners. */
export class SubscriptionRecord {
  readonly id: string;
  readonly channel: string;
  readonly options: SubscribeOptions;
  readonly delivered = new Delivered();
  readonly progress: Progress;
  state: SubscriptionState = { name: 'waiting' };
  /** Whether it was refused with an error that is not retryable. */
  isRefusedForGood = false;
  /** Number of consecutive refusals. */
  refusals = 0;
  /** Requests it again after a refusal. */
  retry: { cancel(): void } | undefined;
  /** The URL of the node that owns its channel, from `moved` on this connection. */
  home: string | undefined;
  /** Paused by the program. */
  isPaused = false;
  /** Paused because the buffer of its loop is full. */
  isHeld = false;
  /** Called once, after the last state. */
  onClosed: (() => void) | undefined;
  #buffer: ReportBuffer | undefined;
  readonly #presence = new DevicePresence();
  readonly #wholeReports: WholeReports | undefined;
  /** Why the position is lost: the server refused it, or there is none. Reported with the next reply. */
  #lostPosition: TailraceError | undefined;
  #answered: Answered = { devices: 0 };
  #interruption: { readonly since: number; readonly partitions: readonly number[] } | undefined;
  /** The last event of each partition. */
  readonly #eventSeqs = new Map<number, number>();
  /** 0: none yet. */
  #lastCutAt = 0;
  /** The received frames of a cut of several frames, and the next index. */
  #pages: { readonly cut: Cut; readonly unreadable: readonly Skipped[]; readonly next: number } | undefined;

  constructor(id: string, channel: string, options: SubscribeOptions) {
    this.id = id;
    this.channel = channel;
    this.options = options;
    this.progress = new Progress({ after: options.after, from: options.from, speed: options.speed });
    if (options.delta) this.#wholeReports = new WholeReports();
  }

  change(state: SubscriptionState): void {
    if (this.state.name === 'ended' || (state.name === this.state.name && notRepeated.has(state.name))) return;
    this.state = state;
    notify(() => this.options.onState?.(state));
    if (state.name === 'ended') {
      this.onClosed?.();
      this.#buffer?.close();
    } else if (state.name === 'failed' && !state.error.retryable) this.#buffer?.close(state.error);
  }

  /** Reports the state of a subscription that a server serves. */
  reportState(): void {
    if (this.isPaused) this.change({ name: 'paused' });
    else if (this.#interruption !== undefined) this.change({ name: 'interrupted', ...this.#interruption });
    else {
      const answered = this.#answered;
      this.#answered = { devices: answered.devices };
      this.change({ name: this.progress.isReplaying ? 'replaying' : 'live', ...answered });
    }
  }

  /** Whether the server must send nothing. */
  get isStopped(): boolean {
    return this.isPaused || this.isHeld;
  }

  /** Whether it can change connections without a gap: it is live, or paused at a known position. */
  get isSettled(): boolean {
    const { name } = this.state;
    if (name !== 'live' && name !== 'interrupted' && name !== 'paused') return false;
    return !this.progress.isReplaying && (this.options.align !== undefined || this.progress.isKnown);
  }

  /** Whether it may be requested: it is not closed, refused or stopped. */
  get isWanted(): boolean {
    return !this.isRefusedForGood && !this.isStopped && this.state.name !== 'ended';
  }

  subscribeRequest(): Subscribe {
    // With `align` each cut is complete: no position is needed.
    const start = this.options.align === undefined ? this.progress.start : {};
    return { id: this.id, channel: this.channel, ...viewFields(this.options), ...start };
  }

  subscribed({ epoch, position, snapshot: devices, recovered, missing }: Subscribed): void {
    this.refusals = 0;
    // It was the previous server's. This one sends its own.
    this.#interruption = undefined;
    if (this.delivered.enter(epoch)) {
      this.#wholeReports?.clear();
      this.#eventSeqs.clear();
    }
    this.progress.subscribed(position, devices);
    if (recovered !== true) this.#restartEvents(position);
    this.#buffer?.push([], this.progress.loopReachesReply());
    this.#answered = withUnreported(this.#answered, {
      devices,
      ...(this.#lostPosition
        ? { recovered: false, error: this.#lostPosition }
        : recovered === undefined
          ? {}
          : { recovered }),
      ...(missing === undefined ? {} : { missing }),
    });
    this.#lostPosition = undefined;
    this.reportState();
    if (devices === 0) this.#snapshotComplete();
  }

  /** The state as of this position follows, and then the events after it: also those that have come before. */
  #restartEvents(token: string): void {
    this.#eventSeqs.clear();
    for (const [partition, last] of positionsOf(token)?.entries() ?? []) this.#eventSeqs.set(partition, last);
  }

  #snapshotComplete(): void {
    // With `align` each cut is complete.
    if (this.options.align === undefined) notify(() => this.options.onSnapshotComplete?.());
  }

  /** Handles a refused position: the next request starts with last values. */
  forgetPosition(error: TailraceError): void {
    this.progress.forget();
    this.#lostPosition = error;
  }

  /** Handles the loss of the connection. `error`: the stream is closed until the program reconnects it. */
  lost(error?: TailraceError): void {
    this.retry?.cancel();
    this.home = undefined;
    this.#interruption = undefined;
    // A new connection starts with the first frame of a cut.
    this.#pages = undefined;
    this.#noteLostSnapshot('closed', 'the connection was lost');
    if (this.isRefusedForGood) return;
    this.change(error === undefined ? { name: this.isPaused ? 'paused' : 'waiting' } : { name: 'failed', error });
  }

  /** Drops reports in flight, which the buffer of the loop cannot hold. They are requested again later. */
  shed(): void {
    this.#noteLostSnapshot('limit_reached', 'the buffer of the loop overflowed');
  }

  #noteLostSnapshot(code: ErrorCode, reason: string): void {
    if (this.progress.restartsWithSnapshot)
      this.#lostPosition ??= new TailraceError(code, `${reason} before all last values had come`);
  }

  /** Handles `live`: the replay or backlog is complete. */
  live(position: string): void {
    this.progress.reached(position);
    this.progress.live();
    if (this.state.name === 'replaying') this.reportState();
  }

  /** Handles a position of the server: everything up to it was sent. */
  reached(token: string): void {
    const { progress } = this;
    progress.reached(token);
    this.#buffer?.push(none, () => progress.loopReached(token));
  }

  interrupted(since: number, partitions: readonly number[]): void {
    this.#interruption = { since, partitions };
    this.reportState();
  }

  restored(): void {
    if (this.#interruption === undefined) return;
    this.#interruption = undefined;
    this.reportState();
  }

  /** Handles a frame of alarms, commands or leases. `deliver` calls the listener. */
  events<T extends EventPosition>(
    { events, snapshot = false, snapshotComplete = false }: EventFrame<T>,
    deliver: (events: readonly T[], isSnapshot: boolean) => void,
  ): void {
    // On two connections at once, and after a resume, an event may come twice.
    const newer = snapshot
      ? events
      : events.filter(({ partition, seq = -1 }) => {
          if (seq <= (this.#eventSeqs.get(partition) ?? -1)) return false;
          this.#eventSeqs.set(partition, seq);
          return true;
        });
    if (!snapshot) this.progress.receivedEvents(newer);
    const isLast = snapshot && this.progress.receivedSnapshot([], snapshotComplete);
    if (newer.length > 0) notify(() => deliver(newer, snapshot));
    if (isLast) this.#snapshotComplete();
  }

  /** Handles a frame. `unreadable`: deliveries that this client left out of it. */
  data({ reports, snapshot, snapshotComplete = false, skipped = none }: Data, unreadable: readonly Skipped[]): void {
    const { options, progress } = this;
    // Last values are before the position of the reply.
    const live = snapshot === true ? none : reports;
    progress.received(live, skipped, unreadable);
    const isLast = snapshot === true && progress.receivedSnapshot(reports, snapshotComplete);
    for (const { device } of unreadable) this.#wholeReports?.forget(device);
    this.#skipped(skipped.concat(unreadable));
    let newer = this.delivered.newer(reports);
    const wholeReports = this.#wholeReports;
    if (wholeReports !== undefined && snapshot === true) for (const report of newer) wholeReports.remember(report);
    else if (wholeReports !== undefined) newer = newer.map((report) => wholeReports.whole(report));
    if (newer.length > 0) {
      notify(() => {
        if (snapshot === true) options.onSnapshot?.(newer);
        else options.onReports?.(newer);
      });
    }
    if (isLast) this.#snapshotComplete();
    this.#buffer?.push(newer, () => progress.loopConsumed(live, skipped, unreadable, isLast));
    for (const presence of this.#presence.backOnline(live)) notify(() => options.onPresence?.(presence));
  }

  /**
   * Handles a frame of a cut. A cut of several frames is delivered when it is complete. It is discarded without its
   * first frame, with more than `cutPagesMax`, or where two connections send it. A cut up to 10 s before the last one
   * is from a slower node and is dropped; an earlier one is from a server whose clock was set back.
   */
  cut({ page = 0, more = false, ...frame }: Cut, inFrame: readonly Skipped[]): void {
    const behindMs = this.#lastCutAt - frame.at;
    if (behindMs >= 0 && behindMs <= 10_000) return;
    const before = this.#pages;
    this.#pages = undefined;
    if (page > 0 && (before?.cut.at !== frame.at || before.next !== page || page >= cutPagesMax)) return;
    const cut = page === 0 ? frame : { ...before!.cut, reports: before!.cut.reports.concat(frame.reports) };
    const unreadable = page === 0 ? inFrame : before!.unreadable.concat(inFrame);
    if (more) {
      this.#pages = { cut, unreadable, next: page + 1 };
      return;
    }
    this.#lastCutAt = cut.at;
    this.#skipped(unreadable);
    notify(() => this.options.onCut?.(cut));
  }

  #skipped(skipped: readonly Skipped[]): void {
    if (skipped.length > 0) notify(() => this.options.onSkipped?.(skipped));
  }

  presence(presence: Presence): void {
    if (this.options.onPresence === undefined || !patternMatches(this.channel, presence.device)) return;
    if (this.#presence.isChange(presence)) notify(() => this.options.onPresence?.(presence));
  }

  startLoop(buffer: ReportBuffer): void {
    this.#buffer = buffer;
    this.progress.loop();
    if (this.state.name === 'ended') buffer.close();
    else if (this.state.name === 'failed' && !this.state.error.retryable) buffer.close(this.state.error);
  }

  get hasLoop(): boolean {
    return this.#buffer !== undefined;
  }
}

/**
 * Returns a reply together with the unreported part of the previous one, when the subscription was paused or
 * interrupted.
 */
function withUnreported(before: Answered, answer: Answered): Answered {
  if (before.recovered !== false) return answer;
  const missing = [...(before.missing ?? []), ...(answer.missing ?? [])];
  const error = answer.error ?? before.error;
  return {
    devices: answer.devices,
    recovered: false,
    ...(missing.length === 0 ? {} : { missing }),
    ...(error === undefined ? {} : { error }),
  };
}

const none: readonly never[] = [];

/** Most frames of a cut; a cut with more is discarded. At 2 MiB each, they exceed the memory of a browser page. */
const cutPagesMax = 500;

/** States that are not reported twice in a row. */
const notRepeated: ReadonlySet<SubscriptionState['name']> = new Set(['waiting', 'paused', 'ended']);
