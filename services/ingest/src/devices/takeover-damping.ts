/** A pause of this length without a takeover is the end of a fight. */
const windowMs = 60_000;
/** Takeovers within the window that are not delayed. */
const freeMax = 3;
const waitMsMin = 1_000;
const waitMsMax = 30_000;
/** A session that was received from within this time is at work, so that taking it over is a fight. */
export const activeMs = 10_000;
/** Devices with a recent takeover; beyond it the oldest is forgotten. */
const devicesMax = 10_000;

/** A session of a device, as far as it matters for a takeover. */
export interface Contender {
  /** Random for each boot of the device; '' for none. */
  readonly instance: string;
  /** Monotonic ms. */
  readonly lastReceivedMs: number;
}

interface Fight {
  count: number;
  lastMs: number;
  reportedMs: number;
}

export interface Takeover {
  /** Whether two senders use the identity of the device. */
  readonly isFight: boolean;
  /** How long the newcomer waits while the other session works on; 0: not at all. */
  readonly waitMs: number;
  /** Fights of the device within the window. */
  readonly count: number;
  /** Whether an operator should know: from the first delayed takeover on, once a minute for each device. */
  readonly isReported: boolean;
}

/**
 * Delays takeovers in quick succession: two senders with the identity of one device would replace each other without
 * end, and neither would send anything. The first three within a minute are at once, the following ones wait for 1, 2,
 * 4 … 30 s. Nothing is refused, and after a minute without a fight nothing is delayed.
 *
 * A newcomer with the same instance is the same device, and one that replaces an idle session is its reconnect: neither
 * is a fight.
 */
export class TakeoverDamping {
  /** The one with the oldest fight first. */
  readonly #fights = new Map<string, Fight>();

  /** Devices with a fight in the window, or since it was last counted. */
  get size(): number {
    return this.#fights.size;
  }

  /** Counts that a newcomer takes over the device of `incumbent`. `nowMs`: monotonic. */
  count(device: string, incumbent: Contender, newcomerInstance: string, nowMs: number): Takeover {
    const isSame = newcomerInstance !== '' && newcomerInstance === incumbent.instance;
    if (isSame || nowMs - incumbent.lastReceivedMs >= activeMs)
      return { isFight: false, waitMs: 0, count: 0, isReported: false };
    const known = this.#fights.get(device);
    const isRecent = known !== undefined && nowMs - known.lastMs < windowMs;
    const fight = isRecent ? known : { count: 0, lastMs: nowMs, reportedMs: Number.NEGATIVE_INFINITY };
    fight.count++;
    this.#remember(device, fight, nowMs);
    if (fight.count <= freeMax) return { isFight: true, waitMs: 0, count: fight.count, isReported: false };
    const isReported = nowMs - fight.reportedMs >= windowMs;
    if (isReported) fight.reportedMs = nowMs;
    // 2 ** 5 is above the maximum already.
    const doublings = Math.min(fight.count - freeMax - 1, 5);
    return { isFight: true, waitMs: Math.min(waitMsMin * 2 ** doublings, waitMsMax), count: fight.count, isReported };
  }

  /** Returns the fights of the device within the window, for the node that takes it over. */
  countOf(device: string, nowMs: number): number {
    const known = this.#fights.get(device);
    return known !== undefined && nowMs - known.lastMs < windowMs ? known.count : 0;
  }

  /** Continues the count of the node from which the device was taken over. */
  adopt(device: string, count: number, nowMs: number): void {
    if (count <= this.countOf(device, nowMs)) return;
    const reportedMs = this.#fights.get(device)?.reportedMs ?? Number.NEGATIVE_INFINITY;
    this.#remember(device, { count, lastMs: nowMs, reportedMs }, nowMs);
  }

  #remember(device: string, fight: Fight, nowMs: number): void {
    fight.lastMs = nowMs;
    this.#fights.delete(device);
    this.#fights.set(device, fight);
    this.#forgetOld(nowMs);
  }

  #forgetOld(nowMs: number): void {
    for (const [device, { lastMs }] of this.#fights) {
      if (this.#fights.size <= devicesMax && nowMs - lastMs < windowMs) return;
      this.#fights.delete(device);
    }
  }
}
