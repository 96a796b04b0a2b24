import type { Deadband, Subscribe } from '@tailrace/protocol/client-message-json';
import type { AlarmEvent, CommandEvent, LeaseEvent } from '@tailrace/protocol/control-event-json';
import type { Cut } from '@tailrace/protocol/cut-json';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Delivery } from '@tailrace/protocol/report';
import type { Skipped } from '@tailrace/protocol/skipped';
import type { SubscriptionState } from './state.ts';

/** The presence of a device, as determined by the server. */
export interface Presence {
  readonly device: string;
  /** `stale`: no report for longer than its report interval allows. `offline`: no report is expected any more. */
  readonly state: 'online' | 'stale' | 'offline';
  /** Unless it is online: its last report, epoch ms by ingest's clock. */
  readonly since?: number;
}

/** Listeners of a subscription. An exception in one is rethrown in a microtask and does not affect the others. */
export interface SubscriptionListener {
  /**
   * Receives last values before live reports, in one or more calls: whole reports, per device the oldest first, without
   * those already delivered. After a reconnect it is called only where the backlog is incomplete, which the state
   * `live` reports.
   */
  onSnapshot?(reports: readonly Delivery[]): void;
  /**
   * Called when all last values have been delivered, also where there are none: the program has received every device
   * of the channel. Called again after each reconnect. Not called with `align`.
   */
  onSnapshotComplete?(): void;
  /** Receives live reports, each once and in order per device; after a reconnect, the backlog first. */
  onReports?(reports: readonly Delivery[]): void;
  /**
   * Receives a summary of reports that were left out: the client is too slow, requested fewer, or cannot read them; or
   * the log has deleted them.
   */
  onSkipped?(skipped: readonly Skipped[]): void;
  /**
   * With `align`: receives consistent cuts of the channel, in ascending order of time. A cut of more than 500 frames
   * (1 GiB) is discarded.
   */
  onCut?(cut: Cut): void;
  /** Receives changes of devices' presence. Every device starts as `online`. */
  onPresence?(presence: Presence): void;
  /**
   * With `alarms`: receives the last transitions of the alarms that are not normal (`isSnapshot`), then each
   * transition, once and in order. A snapshot in the middle replaces what is known: the state `live` has
   * `recovered: false`.
   */
  onAlarms?(events: readonly AlarmEvent[], isSnapshot: boolean): void;
  /** With `commands`: receives the commands in progress (`isSnapshot`), then each transition of one, once. */
  onCommands?(events: readonly CommandEvent[], isSnapshot: boolean): void;
  /** With `commands`: receives the leases that are held (`isSnapshot`), then each change. */
  onLeases?(events: readonly LeaseEvent[], isSnapshot: boolean): void;
  /** Receives every change of the state, without the initial `waiting`. */
  onState?(state: SubscriptionState): void;
}

/** Options of the view of a channel. Subscriptions with equal options share one encoding on the server. */
export interface ViewOptions {
  /** Whether last values come first. Default true. */
  readonly snapshot?: boolean | undefined;
  /**
   * The `position` of an earlier subscription to the channel: reports since then come first, instead of last values.
   */
  readonly after?: string | undefined;
  /** Epoch ms by ingest's clock: reports since then are replayed before live ones. Not with `after`. */
  readonly from?: number | undefined;
  /** With `from`: 1 replays in real time, 60 an hour in a minute. Absent: as fast as the client reads. */
  readonly speed?: number | undefined;
  /** Data frames per second, at most; `onSkipped` receives a summary of what is left out. */
  readonly maxRate?: number | undefined;
  /** Sends a number only when it differs from the last one sent by more than this. */
  readonly deadband?: Deadband | undefined;
  /** Selects readings with these tags. */
  readonly tags?: readonly string[] | undefined;
  /**
   * Sends only changed readings over the wire. Listeners receive whole reports, with the last value of every tag of the
   * device.
   */
  readonly delta?: boolean | undefined;
  /** Sends consistent cuts to `onCut` instead of reports, at this interval, ms. */
  readonly align?: number | undefined;
  /** Sends alarms to `onAlarms` instead of reports. Not with the options of data. */
  readonly alarms?: boolean | undefined;
  /** Sends commands and leases to `onCommands` and `onLeases` instead of reports. Not with the options of data. */
  readonly commands?: boolean | undefined;
}

export interface SubscribeOptions extends SubscriptionListener, ViewOptions {
  /** Unsubscribes when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Buffered reports of a `for await` loop at which the server pauses. Default 1,000. */
  readonly bufferReportsMax?: number | undefined;
}

/** A subscription to a channel, which outlives connections. */
export interface Subscription extends AsyncIterable<Delivery> {
  readonly channel: string;
  readonly state: SubscriptionState;
  /** Number of reports dropped as duplicates, because they were not newer than those delivered. */
  readonly dropped: number;
  /**
   * The position of the program as a token, to be stored and used as `after` of a later subscription to the channel.
   * Undefined before the first reply. In a listener it includes the reports of the call. In a loop it includes reports
   * up to the current one or a little less, never more: a report that comes twice has the same `seq`.
   */
  readonly position: string | undefined;
  /** Pauses delivery until `resume`, also over reconnects. Reports in flight still come. Idempotent. */
  pause(): void;
  /** Resumes delivery with the backlog. `speed` as in the options. Idempotent. */
  resume(options?: { readonly speed?: number }): void;
  /** Closes the subscription: no listener is called after its last state. Idempotent. */
  unsubscribe(): void;
  /**
   * Iterates over reports, last values first. When `bufferReportsMax` reports are buffered, the server pauses until
   * half of them are consumed, so none is lost. When four times as many come before the snapshot is complete, it starts
   * again with last values, and the next state has `recovered: false`. Leaving the loop unsubscribes. `unsubscribe`,
   * `signal` and `close` end the loop; a refusal that is not retryable is thrown. Throws `conflict` for a second
   * concurrent loop.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery, undefined, undefined>;
}

/** Throws `invalid_config` for invalid options. The server validates its own limits. */
export function assertViewOptions(options: ViewOptions): void {
  for (const key of ['from', 'speed', 'maxRate', 'align'] as const) {
    const value: unknown = options[key];
    if (value === undefined || (typeof value === 'number' && value >= 0 && Number.isFinite(value))) continue;
    throw invalidOption(`${key}: expected a number of 0 or more, got ${shown(value)}`);
  }
  if (options.from !== undefined && options.after !== undefined)
    throw invalidOption('options: expected `from` or `after`, got both');
  if (options.speed !== undefined && options.from === undefined)
    throw invalidOption(`speed: expected \`from\` with it, got ${options.speed} alone`);
}

function invalidOption(message: string): TailraceError {
  return new TailraceError('invalid_config', message);
}

/** Returns the options that are part of every subscribe request. */
export function viewFields(options: ViewOptions): Omit<Subscribe, 'id' | 'channel' | 'after' | 'from' | 'speed'> {
  const { snapshot, maxRate, deadband, tags, delta, align, alarms, commands } = options;
  return {
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(maxRate === undefined ? {} : { maxRate }),
    ...(deadband === undefined ? {} : { deadband }),
    ...(tags === undefined ? {} : { tags }),
    ...(delta === undefined ? {} : { delta }),
    ...(align === undefined ? {} : { align }),
    ...(alarms === undefined ? {} : { alarms }),
    ...(commands === undefined ? {} : { commands }),
  };
}
