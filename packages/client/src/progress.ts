import { createPositions, type Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Delivery } from '@tailrace/protocol/report';
import type { Skipped } from '@tailrace/protocol/skipped';

/** Where a subscription is to begin. */
export interface Start {
  readonly after?: string;
  readonly from?: number;
  readonly speed?: number;
}

/** How far a subscription has come, over all its connections. A position is only ever too low: then a bit comes again, and is left out. */
export class Progress {
  readonly #given: string | undefined;
  /** Of what came. Undefined before the first answer. */
  #positions: Positions | undefined;
  /** Where to begin, until the first answer. */
  #after: string | undefined;
  /**
   * Last values that are still to come, and where to begin without them: who comes back by the server's position is given none, so that a device that is silent
   * would not be seen.
   */
  #awaited: { readonly after: string | undefined; readonly devices: Set<string>; readonly count: number } | undefined;
  /** Whether what comes is of the past, as it was asked for. */
  #replaying: boolean;
  /** Of the replay, epoch ms by ingest's clock: where it is. */
  #from: number | undefined;
  #speed: number | undefined;
  /**
   * Of what a loop has taken, which is less than what came. `awaited`: it has not taken all last values of an answer,
   * and would not be given the others by a position behind `before`.
   */
  #loop: { positions: Positions | undefined; awaited: { readonly before: string | undefined } | undefined } | undefined;

  constructor({ after, from, speed }: { [K in keyof Start]: Start[K] | undefined }) {
    this.#given = after;
    this.#after = after;
    this.#replaying = from !== undefined;
    this.#from = from;
    this.#speed = speed;
  }

  /** As a token; undefined before the first answer, unless it was given one. */
  get after(): string | undefined {
    if (this.#awaited !== undefined) return this.#awaited.after;
    return this.#positions === undefined ? this.#after : tokenFromPositions(this.#positions);
  }

  /** What the program has been through, as a token. */
  get position(): string | undefined {
    if (this.#loop === undefined) return this.after ?? this.#given;
    const { positions, awaited } = this.#loop;
    if (awaited !== undefined) return awaited.before;
    return positions === undefined ? this.#given : tokenFromPositions(positions);
  }

  get isReplaying(): boolean {
    return this.#replaying;
  }

  /** Whether there is a position of a server to go on from. */
  get isKnown(): boolean {
    return this.#positions !== undefined;
  }

  /** What to ask of a server now. */
  get start(): Start {
    const { after } = this;
    // At a speed the reports come in the order of their times: the last one says where the replay is, and it goes on at that speed.
    const isPaced = this.#replaying && this.#speed !== undefined && this.#from !== undefined;
    if (after !== undefined && !isPaced) return { after };
    if (this.#from === undefined) return {};
    return { from: this.#from, ...(this.#speed === undefined ? {} : { speed: this.#speed }) };
  }

  /** A server says from where on it serves, and of how many devices last values come first. */
  begin(token: string, devices = 0): void {
    const { after, start } = this;
    // Asked for by position, the past comes without a word of where it ends.
    if (start.from === undefined) this.live();
    this.#awaited = devices === 0 ? undefined : { after, devices: new Set(), count: devices };
    this.#positions = readable(token);
    this.#after = undefined;
  }

  /** Begin with last values. */
  forget(): void {
    this.#awaited = undefined;
    this.#positions = undefined;
    this.#after = undefined;
  }

  /** A server says that everything up to the token has been sent. */
  reached(token: string): void {
    const reached = readable(token);
    if (reached === undefined || reached.epoch !== this.#positions?.epoch) return;
    for (const [partition, last] of reached.entries()) this.#positions.advance(partition, last);
  }

  /** What comes now is of the past, at this speed. */
  replay(speed: number): void {
    this.#replaying = true;
    this.#speed = speed;
    this.#from = undefined;
  }

  live(): void {
    this.#replaying = false;
    this.#from = undefined;
  }

  /**
   * A frame of last values came. `isComplete`: the last one, as the server says. One of an older version does not:
   * there it is the last when each device has come. Returns whether it was the last one.
   */
  tookLastValues(reports: readonly Delivery[], isComplete: boolean): boolean {
    if (this.#awaited === undefined) return false;
    for (const { device } of reports) this.#awaited.devices.add(device);
    if (isComplete || this.#awaited.devices.size >= this.#awaited.count) this.#awaited = undefined;
    return this.#awaited === undefined;
  }

  /** Whether nothing of what has come so far is of use to come back by: it begins with last values again. */
  get beginsAgain(): boolean {
    return this.#awaited !== undefined && this.#awaited.after === undefined;
  }

  /** A frame came. `skipped`: what the server left out; `unreadable`: what this client left out of it. */
  took(reports: readonly Delivery[], skipped: readonly Skipped[], unreadable: readonly Skipped[]): void {
    if (this.#positions !== undefined) advance(this.#positions, reports, skipped, unreadable);
    if (!this.#replaying || reports.length === 0) return;
    const last = reports[reports.length - 1]!;
    this.#from = last.received ?? last.time;
  }

  /** A loop begins: from now on what counts for `position` is what it takes. */
  loop(): void {
    const awaited = this.#awaited && { before: this.#awaited.after ?? this.#given };
    this.#loop = { positions: copyOf(this.#positions), awaited };
  }

  /** To be called when the loop gets to where a server's answer is now. */
  loopBegins(): () => void {
    const positions = copyOf(this.#positions);
    const hasLastValues = this.#awaited !== undefined;
    return () => {
      if (this.#loop === undefined) return;
      this.#loop.awaited = hasLastValues ? { before: this.position } : undefined;
      this.#loop.positions = positions;
    };
  }

  /** The loop has taken a whole frame. `isLast`: with it all last values. */
  loopTook(
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
  // A range of all devices of the channel in the partition: nothing before its end can still come.
  for (const { device, partition, to } of skipped) if (device === '') positions.advance(partition, to);
  // A slow reader is brought up to date device by device, each with its latest report: until that is done, the position
  // of one says nothing of the others in its partition.
  if (skipped.some(({ device, reason }) => device !== '' && reason === 'slow')) return;
  // What this client cannot read stands in the place of a report: until the position is past it, it comes again.
  for (const { partition, to } of unreadable) positions.advance(partition, to);
  for (const { partition, seq } of reports) positions.advance(partition, seq);
}

function copyOf(positions: Positions | undefined): Positions | undefined {
  return positions && createPositions(positions.epoch, positions.entries());
}

/** A token that a later server writes in another way is of no use here: then a reconnect begins with last values. */
function readable(token: string): Positions | undefined {
  try {
    return positionsFromToken(token);
  } catch {
    return undefined;
  }
}
