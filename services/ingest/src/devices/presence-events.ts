import type { Counter } from '@tailrace/platform/measures';

/**
 * Why a session has closed. `bye`: the device requested it. `lost`: its connection. `timeout`: nothing was received.
 * `drain`: this node stops. `expired`: its token, also if it was revoked. `refused`: the device violated a limit or the
 * protocol. `death`: a Sparkplug edge node has published that it, or a device of it, is gone.
 */
export const closeReasons = ['bye', 'lost', 'timeout', 'drain', 'expired', 'refused', 'death'] as const;
export type CloseReason = (typeof closeReasons)[number];

/** A session of a device, for events. */
export interface SessionFacts {
  /** Device path. */
  readonly device: string;
  /** Number of the session, which orders the events of the device. */
  readonly number: number;
  /** Name of its protocol. */
  readonly protocol: string;
}

/**
 * The port for events of the presence of devices. A session that a newer one replaces has no `closed`: the higher
 * number of the newer one supersedes it.
 */
export interface PresenceEvents {
  started(session: SessionFacts): void;
  /**
   * Called when the session has closed and the log has settled its messages. `graceMs`: how long the device may take to
   * open another one before it counts as offline. `lastSeq`: position of its last report; -1 if unknown. Called again
   * if a report of its will follows, which is no sign of life.
   */
  closed(session: SessionFacts, reason: CloseReason, graceMs: number, lastSeq: number): void;
  /**
   * Two senders with the identity of one device replace each other. Of the older and the newer session. `count`:
   * takeovers within a minute.
   */
  conflict(device: string, addresses: readonly [string, string], nodes: readonly [string, string], count: number): void;
}

export interface PresenceCounts {
  readonly started: Counter;
  readonly conflicts: Counter;
  readonly closed: Readonly<Record<CloseReason, Counter>>;
  /** Events that the log has not taken in time. */
  readonly dropped: Counter;
}
