import { type Signal, signal } from '@preact/signals';
import { type Delivery, effectiveTime, type Quality, type Reading } from '@tailrace/client/report';
import { decimalsOf } from './format.ts';
import type { PresenceState } from './presence.ts';

/** The last value of a tag. */
export interface TagValue {
  readonly value: Reading['value'];
  readonly unit: string;
  readonly quality: Quality;
  /** The most decimals that it had so far: the resolution of its source. */
  readonly decimals: number;
  /** The device's clock, epoch ms; ingest's where that cannot be trusted. */
  readonly timeMs: number;
}

const tagsMax = 1000;
/** A skew below this is not shown: transport takes time, too. */
export const skewToleranceMs = 5000;
/**
 * A report whose clock is this far from that of the reports before is late, or wrong, until others agree with it.
 */
const jumpMs = 30_000;
const jumpReports = 3;

/** What is known of a device now. */
export class Device {
  readonly path: string;
  /** In the order in which they came first. */
  readonly tags = new Map<string, TagValue>();
  /** Grows with what is shown of it, a few times a second at most. */
  readonly revision: Signal<number> = signal(0);
  lastSeq = -1;
  /** When ingest received its last report, epoch ms of the servers' clocks. */
  receivedMs = 0;
  /** As the server reported it last; a device that reports is online. */
  presence: PresenceState = 'online';
  /** The clock of its last report, as ingest set it; undefined: the device's own. */
  clock: Delivery['clock'];
  /** How far the time of its last report was ahead of ingest, ms; 0 unless ingest found it ahead. */
  aheadMs = 0;
  #lagMs: number | undefined;
  #jumps = 0;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * How far its clock is behind the servers', ms; negative: ahead. 0 where the difference may be that of transport.
   */
  get skewMs(): number {
    return this.#lagMs !== undefined && Math.abs(this.#lagMs) > skewToleranceMs ? this.#lagMs : 0;
  }

  /** The worst quality of its last values. */
  get quality(): Quality {
    let worst: Quality = 'good';
    for (const { quality } of this.tags.values()) {
      if (quality === 'bad') return 'bad';
      if (quality === 'uncertain') worst = 'uncertain';
    }
    return worst;
  }

  take(report: Delivery, receivedMs: number): void {
    this.lastSeq = report.seq;
    this.receivedMs = receivedMs;
    this.clock = report.clock;
    this.aheadMs = report.clock === 'ahead' ? Math.max(0, report.time - receivedMs) : 0;
    if (report.historical === true) return;
    this.#learnLag(receivedMs - effectiveTime(report, undefined));
    for (const { tag, value, unit = '', quality = 'good', time } of report.readings) {
      const before = this.tags.get(tag);
      if (before === undefined && this.tags.size === tagsMax) continue;
      const timeMs = effectiveTime(report, time);
      // A late report is history: the newer value stays.
      if (before !== undefined && timeMs < before.timeMs) continue;
      const decimals = Math.max(before?.decimals ?? 0, typeof value === 'number' ? decimalsOf(value) : 0);
      this.tags.set(tag, { value, unit, quality, decimals, timeMs });
    }
  }

  /**
   * The fastest report shows the clock best. A slow increase follows a clock that drifts, and a few reports in a row
   * follow one that was set.
   */
  #learnLag(lagMs: number): void {
    const before = this.#lagMs;
    const isJump = before !== undefined && Math.abs(lagMs - before) > jumpMs;
    this.#jumps = isJump ? this.#jumps + 1 : 0;
    if (isJump && this.#jumps < jumpReports) return;
    this.#jumps = 0;
    this.#lagMs = before === undefined || isJump || lagMs < before ? lagMs : before + 0.05 * (lagMs - before);
  }
}

/** The devices that the page is subscribed to. */
export class Fleet {
  readonly devices = new Map<string, Device>();
  /** Grows when a device joins or leaves. */
  readonly structure: Signal<number> = signal(0);

  /** Adds a report. Returns its device if the report is newer than those before. */
  take(report: Delivery, nowMs: number): Device | undefined {
    let device = this.devices.get(report.device);
    if (device === undefined) {
      device = new Device(report.device);
      this.devices.set(report.device, device);
      this.structure.value++;
    } else if (report.seq <= device.lastSeq) return undefined;
    const receivedMs = report.received ?? nowMs;
    device.take(report, receivedMs);
    return device;
  }

  /** Removes a device that is no longer subscribed to: its values would be out of date. */
  drop(path: string): void {
    if (this.devices.delete(path)) this.structure.value++;
  }

  /** Sets a device's presence, as the server reported it. Returns the device if that changed it. */
  setPresence(path: string, state: PresenceState): Device | undefined {
    const device = this.devices.get(path);
    if (device === undefined || device.presence === state) return undefined;
    device.presence = state;
    return device;
  }

  /** The newest `receivedMs` of all devices; undefined where there is none. */
  get newestMs(): number | undefined {
    let newestMs: number | undefined;
    for (const { receivedMs } of this.devices.values())
      if (newestMs === undefined || receivedMs > newestMs) newestMs = receivedMs;
    return newestMs;
  }

  /** The best presence of all devices; undefined where there is none. */
  get presence(): PresenceState | undefined {
    let best: PresenceState | undefined;
    for (const { presence } of this.devices.values()) {
      if (presence === 'online') return presence;
      if (best !== 'stale') best = presence;
    }
    return best;
  }
}
