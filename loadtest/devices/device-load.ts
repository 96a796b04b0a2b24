import { setTimeout as sleep } from 'node:timers/promises';
import { DelayCounts, type DelayCountsJson } from './delay-counts.ts';
import type { LoadDevice, LoadDeviceHandlers, LoadDeviceOptions, LoadReport } from './load-device.ts';
import { createMqttDevice } from './mqtt-device.ts';
import { ReportLedger } from './report-ledger.ts';
import { createWebSocketDevice } from './websocket-device.ts';

export const protocols = ['mqtt', 'websocket'] as const;
export type Protocol = (typeof protocols)[number];

export interface DeviceLoadOptions extends Omit<LoadDeviceOptions, 'device'> {
  readonly protocol: Protocol;
  /** The devices are `<prefix>.d<first>` and so on. */
  readonly prefix: string;
  readonly first: number;
  readonly count: number;
  /** Devices that connect at once. Ingest allows 64 connections of one address without a verified device. */
  readonly connectingMax: number;
}

/** What a load has done so far. */
export interface LoadResult {
  readonly sent: number;
  readonly acknowledged: number;
  /** By code. A report that was refused is not sent again. */
  readonly refused: Readonly<Record<string, number>>;
  /** Sent again, because the connection was lost before the acknowledgment. WebSockets do not count it here. */
  readonly resent: number;
  readonly disconnects: number;
  /** From the time at which a report was due to its acknowledgment. */
  readonly ackDelays: DelayCountsJson;
  /** From the call that sends a report to its acknowledgment: without what the load itself was late. */
  readonly sentDelays: DelayCountsJson;
  /** How late the timer of the load was: beyond some ms the load itself is too slow. */
  readonly timerDelays: DelayCountsJson;
}

/** A report is sent up to this time and the delay of the timer after it is due. */
const tickMs = 1;
/** Reports of one device that wait for its window or its connection; beyond it none is made. */
const waitingMax = 1_000;

/** A device, and what waits for it. */
class Slot {
  readonly device: LoadDevice;
  readonly ledger = new ReportLedger();
  counter = 0;
  /** The oldest first. */
  waiting: LoadReport[] = [];
  unacknowledged = 0;

  constructor(createDevice: (slot: Slot) => LoadDevice) {
    this.device = createDevice(this);
  }
}

/** Simulated devices of one process. `run` sends at a rate, `flood` as fast as the server acknowledges. */
export class DeviceLoad {
  readonly #options: DeviceLoadOptions;
  readonly #slots: readonly Slot[];
  #ackDelays = new DelayCounts();
  #sentDelays = new DelayCounts();
  #timerDelays = new DelayCounts();
  #refused: Record<string, number> = {};
  #sent = 0;
  #resent = 0;
  #disconnects = 0;
  #unacknowledged = 0;
  /** Of `flood`: reports to make. */
  #left = 0;
  #settled: (() => void) | undefined;
  #isClosing = false;

  constructor(options: DeviceLoadOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.count }, (_, index) => {
      const device = `${options.prefix}.d${options.first + index}`;
      const create = options.protocol === 'mqtt' ? createMqttDevice : createWebSocketDevice;
      return new Slot((slot) => create({ ...options, device }, this.#handlersOf(slot)));
    });
  }

  /** Connects all devices. Rejects if the server refuses one. */
  async connect(): Promise<void> {
    const left = this.#slots.values();
    const worker = async () => {
      for (const { device } of left) await device.connect();
    };
    await Promise.all(Array.from({ length: this.#options.connectingMax }, worker));
  }

  /** Sends `perSecond` reports a second of all devices in turn, for `seconds`. Resolves when none is left to send. */
  async run(perSecond: number, seconds: number): Promise<void> {
    const total = Math.round(perSecond * seconds);
    const startMs = performance.now();
    for (let made = 0; made < total; ) {
      const beforeMs = performance.now();
      const due = Math.min(total, Math.floor(((beforeMs - startMs) / 1_000) * perSecond));
      for (; made < due; made++) {
        const slot = this.#slots[made % this.#slots.length]!;
        this.#make(slot, startMs + (made / perSecond) * 1_000);
        this.#fill(slot);
      }
      await sleep(tickMs);
      this.#timerDelays.add(performance.now() - beforeMs - tickMs);
    }
  }

  /** Sends `total` reports, as many at once as the windows of the devices allow. Resolves when all are acknowledged. */
  async flood(total: number): Promise<void> {
    this.#left = total;
    for (const slot of this.#slots) this.#fill(slot);
    await this.settled();
  }

  /** Resolves when every report is acknowledged or refused. */
  settled(): Promise<void> {
    if (this.#unacknowledged === 0 && this.#left === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#settled = resolve;
    });
  }

  /** Reports without an acknowledgment or a refusal. */
  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  /** Notes that a report was delivered to a subscriber. */
  delivered(device: string, counter: number): void {
    this.#slots[Number(device.slice(device.lastIndexOf('d') + 1)) - this.#options.first]?.ledger.addDelivered(counter);
  }

  /** Returns what was delivered, of what was acknowledged. */
  get deliveries(): { delivered: number; missing: number; doubled: number; disordered: number } {
    const sum = { delivered: 0, missing: 0, doubled: 0, disordered: 0 };
    for (const { ledger } of this.#slots) {
      sum.delivered += ledger.delivered;
      sum.missing += ledger.missing;
      sum.doubled += ledger.doubled;
      sum.disordered += ledger.disordered;
    }
    return sum;
  }

  get result(): LoadResult {
    return {
      sent: this.#sent,
      acknowledged: this.#slots.reduce((sum, { ledger }) => sum + ledger.acknowledged, 0),
      refused: { ...this.#refused },
      resent: this.#resent,
      disconnects: this.#disconnects,
      ackDelays: this.#ackDelays.toJson(),
      sentDelays: this.#sentDelays.toJson(),
      timerDelays: this.#timerDelays.toJson(),
    };
  }

  /** Forgets the delays so far: those of a warm-up. */
  resetDelays(): void {
    this.#ackDelays = new DelayCounts();
    this.#sentDelays = new DelayCounts();
    this.#timerDelays = new DelayCounts();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#slots.map(({ device }) => device.close()));
  }

  #handlersOf(slot: Slot): LoadDeviceHandlers {
    return {
      acknowledged: ({ counter, dueMs, sentMs }, code) => {
        slot.unacknowledged--;
        this.#unacknowledged--;
        if (code === undefined) {
          slot.ledger.addAcknowledged(counter);
          const nowMs = performance.now();
          this.#ackDelays.add(nowMs - dueMs);
          this.#sentDelays.add(nowMs - sentMs);
        } else this.#refused[code] = (this.#refused[code] ?? 0) + 1;
        this.#fill(slot);
        if (this.#unacknowledged === 0 && this.#left === 0) this.#settled?.();
      },
      writable: () => this.#fill(slot),
      lost: (reports) => {
        this.#resent += reports.length;
        slot.waiting.unshift(...reports);
      },
      disconnected: () => {
        if (!this.#isClosing) this.#disconnects++;
      },
    };
  }

  #make(slot: Slot, dueMs: number): void {
    if (slot.waiting.length >= waitingMax) {
      this.#refused['not_sent'] = (this.#refused['not_sent'] ?? 0) + 1;
      return;
    }
    slot.waiting.push({ counter: ++slot.counter, dueMs, sentMs: 0 });
    slot.unacknowledged++;
    this.#unacknowledged++;
    this.#sent++;
  }

  /** Sends what waits, and in a flood what there is room for. */
  #fill(slot: Slot): void {
    for (;;) {
      const [next] = slot.waiting;
      if (next === undefined) {
        if (this.#left === 0 || slot.unacknowledged >= this.#options.inFlightMax) return;
        this.#left--;
        this.#make(slot, performance.now());
        continue;
      }
      next.sentMs = performance.now();
      if (!slot.device.send(next)) return;
      slot.waiting.shift();
    }
  }
}
