import { createPositions, type Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Delivery } from '@tailrace/protocol/report';
import type { Skipped } from '@tailrace/protocol/skipped';

/** Where a subscription starts. */
export interface Start {
  readonly after?: string;
  readonly from?: number;
  readonly speed?: number;
}

/**
 * The position of a subscription over all its connections. It may be too low, never too high: then reports come again,
 * and are dropped as duplicates.
 */
export class Progress {
  readonly #requested: string | undefined;
  /** Positions of received reports. Undefined before the first reply. */
  #positions: Positions | undefined;
  /** Where to start, until the first reply. */
  #after: string | undefined;
  /**
   * Last values that are still to come, and where a reconnect starts before they have: a resume from the server's
   * position has no snapshot, so that devices without new reports would be missing.
   */
  #awaited: { readonly after: string | undefined; readonly devices: Set<string>; readonly count: number } | undefined;
  /** Whether received reports are a requested replay. */
  #isReplaying: boolean;
  /** Progress of the replay, epoch ms by ingest's clock. */
  #from: number | undefined;
  #speed: number | undefined;
  /**
   * Positions of reports that a loop has consumed, which are behind those received. `awaited`: it has not consumed all
   * last values of a reply, and a resume after `before` would not deliver the rest.
   */
  #loop: { positions: Positions | undefined; awaited: { readonly before: string | undefined } | undefined } | undefined;

  constructor({ after, from, speed }: { [K in keyof Start]: Start[K] | undefined }) {
    this.#requested = after;
    this.#after = after;
    this.#isReplaying = from !== undefined;
    this.#from = from;
    this.#speed = speed;
  }

  /** The position token to resume from; undefined before the first reply, unless one was requested. */
  get after(): string | undefined {
    if (this.#awaited !== undefined) return this.#awaited.after;
    return this.#positions === undefined ? this.#after : tokenFromPositions(this.#positions);
  }

  /** The position token of what the program has processed. */
  get position(): string | undefined {
    if (this.#loop === undefined) return this.after ?? this.#requested;
    const { positions, awaited } = this.#loop;
    if (awaited !== undefined) return awaited.before;
    return positions === undefined ? this.#requested : tokenFromPositions(positions);
  }

  get isReplaying(): boolean {
    return this.#isReplaying;
  }

  /** Whether a server has sent a position. */
  get isKnown(): boolean {
    return this.#positions !== undefined;
  }

  /** Where the next subscribe request starts. */
  get start(): Start {
    const { after } = this;
    // A paced replay is ordered by time: it resumes from the time of the last report, at the same speed.
    const isPaced = this.#isReplaying && this.#speed !== undefined && this.#from !== undefined;
    if (after !== undefined && !isPaced) return { after };
    if (this.#from === undefined) return {};
    return { from: this.#from, ...(this.#speed === undefined ? {} : { speed: this.#speed }) };
  }

  /** Handles a server's reply: its position, and the number of devices in the snapshot. */
  subscribed(token: string, devices = 0): void {
    const { after, start } = this;
    // A server sends no `live` after a resume by position.
    if (start.from === undefined) this.live();
    this.#awaited = devices === 0 ? undefined : { after, devices: new Set(), count: devices };
    this.#positions = positionsOf(token);
    this.#after = undefined;
  }

  /** Resets the position: the next request starts with last values. */
  forget(): void {
    this.#awaited = undefined;
    this.#positions = undefined;
    this.#after = undefined;
  }

  /** Handles a server's position: everything up to it has been sent. */
  reached(token: string): void {
    if (this.#positions !== undefined) advanceTo(this.#positions, token);
  }

  /** Starts a replay at this speed. */
  replay(speed: number): void {
    this.#isReplaying = true;
    this.#speed = speed;
    this.#from = undefined;
  }

  /** Leaves the replay: reports are live. */
  live(): void {
    this.#isReplaying = false;
    this.#from = undefined;
  }

  /**
   * Handles a frame of last values. `isComplete`: the server flagged it as the last one. Servers of older versions do
   * not: there it is the last one when all devices have come. Returns whether it was the last one.
   */
  receivedSnapshot(reports: readonly Delivery[], isComplete: boolean): boolean {
    if (this.#awaited === undefined) return false;
    for (const { device } of reports) this.#awaited.devices.add(device);
    if (isComplete || this.#awaited.devices.size >= this.#awaited.count) this.#awaited = undefined;
    return this.#awaited === undefined;
  }

  /**
   * Whether a reconnect starts with last values again, because the snapshot is incomplete and no position precedes it.
   */
  get restartsWithSnapshot(): boolean {
    return this.#awaited !== undefined && this.#awaited.after === undefined;
  }

  /** Handles a frame. `skipped`: reports that the server left out; `unreadable`: those that this client left out. */
  received(reports: readonly Delivery[], skipped: readonly Skipped[], unreadable: readonly Skipped[]): void {
    if (this.#positions !== undefined) advance(this.#positions, reports, skipped, unreadable);
    if (!this.#isReplaying || reports.length === 0) return;
    const last = reports[reports.length - 1]!;
    this.#from = last.received ?? last.time;
  }

  /** Handles events of alarms, commands or leases. */
  receivedEvents(events: readonly { readonly partition: number; readonly seq?: number }[]): void {
    for (const { partition, seq } of events) if (seq !== undefined) this.#positions?.advance(partition, seq);
  }

  /** Starts a loop: from now on `position` is that of consumed reports. */
  loop(): void {
    const awaited = this.#awaited && { before: this.#awaited.after ?? this.#requested };
    this.#loop = { positions: copyOf(this.#positions), awaited };
  }

  /** Returns a function to be called when the loop has consumed everything before a server's reply. */
  loopReachesReply(): () => void {
    const positions = copyOf(this.#positions);
    const hasLastValues = this.#awaited !== undefined;
    return () => {
      if (this.#loop === undefined) return;
      this.#loop.awaited = hasLastValues ? { before: this.position } : undefined;
      this.#loop.positions = positions;
    };
  }

  /** Handles a server's position: the loop has consumed everything up to it. */
  loopReached(token: string): void {
    if (this.#loop?.positions !== undefined) advanceTo(this.#loop.positions, token);
  }

  /** Handles a frame that the loop has consumed. `isLast`: it has completed the snapshot. */
  loopConsumed(
    reports: readonly Delivery[],
    skipped: readonly Skipped[],
    unreadable: readonly Skipped[],
    isLast: boolean,
  ): void {
    if (this.#loop === undefined) return;
    if (isLast) this.#loop.awaited = undefined;
    if (this.#loop.positions !== undefined) advance(this.#loop.positions, reports, skipped, unreadable);
  }
}

function advance(
  positions: Positions,
  reports: readonly Delivery[],
  skipped: readonly Skipped[],
  unreadable: readonly Skipped[],
): void {
  // A range of all devices of the channel in the partition: nothing up to its end can still come.
  for (const { device, partition, to } of skipped) if (device === '') positions.advance(partition, to);
  // A slow client catches up device by device, each with its latest report. Until that is complete, the position of one
  // device does not cover the others of its partition.
  if (skipped.some(({ device, reason }) => device !== '' && reason === 'slow')) return;
  // An unreadable delivery counts as received: otherwise it would come again.
  for (const { partition, to } of unreadable) positions.advance(partition, to);
  for (const { partition, seq } of reports) positions.advance(partition, seq);
}

/** Does nothing for a token of another epoch, or of a later server. */
function advanceTo(positions: Positions, token: string): void {
  const reached = positionsOf(token);
  if (reached === undefined || reached.epoch !== positions.epoch) return;
  for (const [partition, last] of reached.entries()) positions.advance(partition, last);
}

function copyOf(positions: Positions | undefined): Positions | undefined {
  return positions && createPositions(positions.epoch, positions.entries());
}

/** Decodes a token. Undefined for the format of a later server: then a reconnect starts with last values. */
export function positionsOf(token: string): Positions | undefined {
  try {
    return positionsFromToken(token);
  } catch {
    return undefined;
  }
}
