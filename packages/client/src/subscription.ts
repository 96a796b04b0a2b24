import type { Deadband, Subscribe } from '@tailrace/protocol/client-message-json';
import type { Cut } from '@tailrace/protocol/cutjson';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Delivery } from '@tailrace/protocol/report';
import type { Skipped } from '@tailrace/protocol/skipped';
import type { SubscriptionState } from './state.ts';

/** Whether a device speaks, as the server sees it. */
export interface Presence {
  readonly device: string;
  /** `stale`: silent for longer than its own rhythm allows. `offline`: gone, or silent for so long that nothing is expected. */
  readonly state: 'online' | 'stale' | 'offline';
  /** Where it is not online: its last report, epoch ms by ingest's clock. */
  readonly since?: number;
}

/** What a subscriber is told. One that throws hinders nobody: the error is thrown again where nothing waits for it. */
export interface SubscriptionListener {
  /**
   * Last values, before anything live: whole reports, oldest first by device; those already given are left out. In several calls where there are
   * many. Again after a reconnect only where not all that was missed could be had: the state `live` says so, and what.
   */
  onSnapshot?(reports: readonly Delivery[]): void;
  /**
   * Called when all last values of a server's answer have been handed over, also where there are none: from here on
   * the program has seen every device that the channel had. Again after each reconnect. Not with `align`.
   */
  onSnapshotComplete?(): void;
  /** News, in order by device, each once; after a reconnect, first what was missed. */
  onReports?(reports: readonly Delivery[]): void;
  /**
   * What is not among the reports that follow: this client is too slow, asked for less, or cannot read it; or the log
   * does not have it.
   */
  onSkipped?(skipped: readonly Skipped[]): void;
  /**
   * With `align`: everything of the channel as of one moment. Moments only grow. A cut of more than 500 frames
   * (1 GiB) is discarded.
   */
  onCut?(cut: Cut): void;
  /** Every change of a device from and to `online`, which is what they all are at first. */
  onPresence?(presence: Presence): void;
  /** Every change, the first one (`waiting`) excepted. */
  onState?(state: SubscriptionState): void;
}

/** How the channel is to be seen. Subscriptions that want the same cost the server one encoding. */
export interface ViewOptions {
  /** Last values first. Default true. */
  readonly snapshot?: boolean | undefined;
  /** Begin where an earlier subscription to the channel ended: its `position`. What came since comes first, instead of last values. */
  readonly after?: string | undefined;
  /** Epoch ms: what came from then on is replayed first, then joined to what comes now. Not with `after`. */
  readonly from?: number | undefined;
  /** With `from`: 1 as fast as it happened, 60 an hour in a minute. Left out: as fast as this client reads. */
  readonly speed?: number | undefined;
  /** Frames a second at most; what is left out is told to `onSkipped`. */
  readonly maxRate?: number | undefined;
  /** Numbers only when they differ from the last one told by more than this. */
  readonly deadband?: Deadband | undefined;
  /** Only these readings. */
  readonly tags?: readonly string[] | undefined;
  /**
   * Only what has changed goes over the wire. Reports are handed over whole all the same: each with the last value of every tag of its device, so
   * that nothing else in the program changes.
   */
  readonly delta?: boolean | undefined;
  /** Ms: instead of reports, `onCut` gets everything of the channel as of one moment, this often. */
  readonly align?: number | undefined;
}

export interface SubscribeOptions extends SubscriptionListener, ViewOptions {
  /** When it aborts, the subscription ends. */
  readonly signal?: AbortSignal | undefined;
  /** Reports that may wait for a `for await` loop before the server is asked to pause. Default 1,000. */
  readonly bufferReportsMax?: number | undefined;
}

/** A wish for a channel that outlives connections. */
export interface Subscription extends AsyncIterable<Delivery> {
  readonly channel: string;
  readonly state: SubscriptionState;
  /** Reports left out because they were not newer than what was given. */
  readonly dropped: number;
  /**
   * How far the program has come, as a token that may be kept and given as `after` to a later subscription to the channel. Undefined before the
   * first answer. In a callback it includes what that callback was given; in a loop everything up to and with the report in hand, or a little
   * less, never more: what comes twice has the same `seq`.
   */
  readonly position: string | undefined;
  /** Nothing more until `resume`, over reconnects, too. What is on its way still comes. Idempotent. */
  pause(): void;
  /** Brings what came meanwhile, then what comes now. `speed` as in the options. Idempotent. */
  resume(options?: { readonly speed?: number }): void;
  /** Nothing more is told after this. Idempotent. */
  unsubscribe(): void;
  /**
   * Reports from now on, last values first where there are any. Where the loop is slower than they come and `bufferReportsMax` wait, the server
   * pauses until half are gone: nothing is lost. Where four times as many come before all last values have, it starts
   * again with last values, and the next state has `recovered: false`. Leaving the loop unsubscribes; `unsubscribe`,
   * `signal` and `close` end it; a refusal for good is thrown.
   * Throws `conflict` for a second loop at a time.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery, undefined, undefined>;
}

/** Throws `invalid_config` for what cannot be meant. Whether the server will do it is the server's to say. */
export function assertViewOptions(options: ViewOptions): void {
  for (const key of ['from', 'speed', 'maxRate', 'align'] as const) {
    const value: unknown = options[key];
    if (value === undefined || (typeof value === 'number' && value >= 0 && Number.isFinite(value))) continue;
    throw invalidOption(`${key} is ${shown(value)}; right is a positive number`);
  }
  if (options.from !== undefined && options.after !== undefined)
    throw invalidOption('both `from` and `after` are given; right is one of them');
  if (options.speed !== undefined && options.from === undefined)
    throw invalidOption(`speed is ${options.speed} without \`from\`; right is to say from when`);
}

function invalidOption(message: string): TailraceError {
  return new TailraceError('invalid_config', message);
}

/** What of the options goes over the wire every time. */
export function viewFields(options: ViewOptions): Omit<Subscribe, 'id' | 'channel' | 'after' | 'from' | 'speed'> {
  const { snapshot, maxRate, deadband, tags, delta, align } = options;
  return {
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(maxRate === undefined ? {} : { maxRate }),
    ...(deadband === undefined ? {} : { deadband }),
    ...(tags === undefined ? {} : { tags }),
    ...(delta === undefined ? {} : { delta }),
    ...(align === undefined ? {} : { align }),
  };
}
