import type { Subscribe } from '@tailrace/protocol/client-message-json';
import type { Cut } from '@tailrace/protocol/cutjson';
import type { Data } from '@tailrace/protocol/data-frame-json';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';
import { patternMatches } from '@tailrace/protocol/pattern';
import type { Subscribed } from '@tailrace/protocol/server-message-json';
import type { Skipped } from '@tailrace/protocol/skipped';
import { Delivered } from './delivered.ts';
import { DevicePresence } from './device-presence.ts';
import { notify } from './notify.ts';
import { Progress } from './progress.ts';
import type { ReportBuffer } from './report-buffer.ts';
import type { Answered, SubscriptionState } from './state.ts';
import { type Presence, type SubscribeOptions, viewFields } from './subscription.ts';
import { WholeReports } from './whole-reports.ts';

/** What the stream keeps of a subscription, whichever connection serves it: how far it has come, and what it is to be told. */
export class SubscriptionRecord {
  readonly id: string;
  readonly channel: string;
  readonly options: SubscribeOptions;
  readonly delivered = new Delivered();
  readonly progress: Progress;
  state: SubscriptionState = { name: 'waiting' };
  /** Asking again on another connection would be of no use. */
  refusedForGood = false;
  /** Times in a row it was refused. */
  refusals = 0;
  /** Asks again after a refusal. */
  retry: { cancel(): void } | undefined;
  /** Where its channel lives, if the server of this connection said so. */
  home: string | undefined;
  /** By the program. */
  paused = false;
  /** By the buffer of its loop, which is full. */
  held = false;
  /** Called once it has ended, whatever ended it. */
  onEnded: (() => void) | undefined;
  #buffer: ReportBuffer | undefined;
  readonly #presence = new DevicePresence();
  readonly #whole: WholeReports | undefined;
  /**
   * Why what lies between is lost: the server refused the position, or there is none. Reported with the next answer.
   */
  #lostPlace: TailraceError | undefined;
  #answered: Answered = { devices: 0 };
  #interruption: { readonly since: number; readonly partitions: readonly number[] } | undefined;
  /** 0: none yet. */
  #lastCutAt = 0;
  /** Of a cut that comes in several frames: what has come, and which frame is next. */
  #pages: { readonly cut: Cut; readonly unreadable: readonly Skipped[]; readonly next: number } | undefined;

  constructor(id: string, channel: string, options: SubscribeOptions) {
    this.id = id;
    this.channel = channel;
    this.options = options;
    this.progress = new Progress({ after: options.after, from: options.from, speed: options.speed });
    if (options.delta) this.#whole = new WholeReports();
  }

  change(state: SubscriptionState): void {
    if (this.state.name === 'ended' || (state.name === this.state.name && toldOnce.has(state.name))) return;
    this.state = state;
    notify(() => this.options.onState?.(state));
    if (state.name === 'ended') {
      this.onEnded?.();
      this.#buffer?.end();
    } else if (state.name === 'failed' && !state.error.retryable) this.#buffer?.end(state.error);
  }

  /** Says how it is, now that a server serves it. */
  show(): void {
    if (this.paused) this.change({ name: 'paused' });
    else if (this.#interruption !== undefined) this.change({ name: 'interrupted', ...this.#interruption });
    else {
      const answered = this.#answered;
      this.#answered = { devices: answered.devices };
      this.change({ name: this.progress.isReplaying ? 'replaying' : 'live', ...answered });
    }
  }

  /** Whether the server is to send nothing now. */
  get stopped(): boolean {
    return this.paused || this.held;
  }

  /** Whether it can change connections without a gap: it is live, or waits at a known place. */
  get isSettled(): boolean {
    const { name } = this.state;
    if (name !== 'live' && name !== 'interrupted' && name !== 'paused') return false;
    return !this.progress.isReplaying && (this.options.align !== undefined || this.progress.isKnown);
  }

  /** Whether a server may be asked for it: it has not ended, nor been refused for good, and is not to stand still. */
  get isWanted(): boolean {
    return !this.refusedForGood && !this.stopped && this.state.name !== 'ended';
  }

  /** What to ask of a server now. */
  wish(): Subscribe {
    // With `align` each cut is whole: nothing is missed.
    const start = this.options.align === undefined ? this.progress.start : {};
    return { id: this.id, channel: this.channel, ...viewFields(this.options), ...start };
  }

  subscribed({ epoch, position, snapshot: devices, recovered, missing }: Subscribed): void {
    this.refusals = 0;
    // The server of before said so. One that cannot hear either says it next.
    this.#interruption = undefined;
    if (this.delivered.enter(epoch)) this.#whole?.clear();
    this.progress.begin(position, devices);
    this.#buffer?.push([], this.progress.loopBegins());
    this.#answered = withUntold(this.#answered, {
      devices,
      ...(this.#lostPlace
        ? { recovered: false, error: this.#lostPlace }
        : recovered === undefined
          ? {}
          : { recovered }),
      ...(missing === undefined ? {} : { missing }),
    });
    this.#lostPlace = undefined;
    this.show();
    if (devices === 0) this.#snapshotComplete();
  }

  #snapshotComplete(): void {
    // With `align` each cut is whole.
    if (this.options.align === undefined) notify(() => this.options.onSnapshotComplete?.());
  }

  /** The server refused the position with this error: starts with last values again. */
  forgetPosition(error: TailraceError): void {
    this.progress.forget();
    this.#lostPlace = error;
  }

  /** The connection is gone. `error`: so is the stream, until the program reconnects it. */
  lost(error?: TailraceError): void {
    this.retry?.cancel();
    this.home = undefined;
    this.#interruption = undefined;
    // Another connection starts with the first frame of a cut.
    this.#pages = undefined;
    this.#startsAgain('closed', 'the connection was lost');
    if (this.refusedForGood) return;
    this.change(error === undefined ? { name: this.paused ? 'paused' : 'waiting' } : { name: 'failed', error });
  }

  /** The buffer of its loop has no room for what is on its way: that is given up, and asked for again later. */
  shed(): void {
    this.#startsAgain('limit_reached', 'more reports came than the buffer of the loop may hold');
  }

  #startsAgain(code: ErrorCode, why: string): void {
    if (this.progress.beginsAgain)
      this.#lostPlace ??= new TailraceError(code, `${why} before all last values had come`);
  }

  /** From here on everything is of now. */
  live(position: string): void {
    this.progress.reached(position);
    this.progress.live();
    if (this.state.name === 'replaying') this.show();
  }

  interrupted(since: number, partitions: readonly number[]): void {
    this.#interruption = { since, partitions };
    this.show();
  }

  restored(): void {
    if (this.#interruption === undefined) return;
    this.#interruption = undefined;
    this.show();
  }

  /** `unreadable`: what this client left out of the frame. */
  take({ reports, snapshot, snapshotComplete = false, skipped = none }: Data, unreadable: readonly Skipped[]): void {
    const { options, progress } = this;
    // Last values lie before the position that the server named.
    const news = snapshot === true ? none : reports;
    progress.took(news, skipped, unreadable);
    const isLast = snapshot === true && progress.tookLastValues(reports, snapshotComplete);
    for (const { device } of unreadable) this.#whole?.forget(device);
    this.#skipped(skipped.concat(unreadable));
    let newer = this.delivered.newer(reports);
    const whole = this.#whole;
    if (whole !== undefined && snapshot === true) for (const report of newer) whole.remember(report);
    else if (whole !== undefined) newer = newer.map((report) => whole.whole(report));
    if (newer.length > 0) {
      notify(() => {
        if (snapshot === true) options.onSnapshot?.(newer);
        else options.onReports?.(newer);
      });
    }
    if (isLast) this.#snapshotComplete();
    this.#buffer?.push(newer, () => progress.loopTook(news, skipped, unreadable, isLast));
    for (const presence of this.#presence.back(news)) notify(() => options.onPresence?.(presence));
  }

  /**
   * One that comes in several frames is handed over when it is whole; without its first frame, with more than
   * `cutPagesMax`, or where two connections send it, not at all: the next one is. A cut at most 10 s before the last
   * one comes from a slower node, an earlier one from a server whose clock was set back.
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
    if (this.#presence.isNews(presence)) notify(() => this.options.onPresence?.(presence));
  }

  /** A loop begins. */
  feed(buffer: ReportBuffer): void {
    this.#buffer = buffer;
    this.progress.loop();
    if (this.state.name === 'ended') buffer.end();
    else if (this.state.name === 'failed' && !this.state.error.retryable) buffer.end(this.state.error);
  }

  get hasLoop(): boolean {
    return this.#buffer !== undefined;
  }
}

/**
 * An answer together with what was not reported to the program of the one before, because it was paused or interrupted.
 */
function withUntold(before: Answered, answer: Answered): Answered {
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

/** Frames of one cut; one of more is discarded. At 2 MiB a frame, more than a page has memory for. */
const cutPagesMax = 500;

/** However often they are come to in a row. */
const toldOnce: ReadonlySet<SubscriptionState['name']> = new Set(['waiting', 'paused', 'ended']);
