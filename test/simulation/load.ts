import type { LocalEventLog } from '@tailrace/eventlog/local/local';
import { encodeReport } from '@tailrace/protocol/reportproto';
import { topic } from '../../services/fanout/test/assembly.ts';
import type { Chance } from './chance.ts';
import type { Checker } from './checker.ts';
import type { Scheduler } from './scheduler.ts';

/** Answers that are lost, of all. */
const answerLoss = 0.05;
const retryMs = { min: 20, max: 400 };

/** Devices that report, and their way into the log: who gets no answer sends again, under the same ID. */
export class Load {
  readonly devices: readonly string[];
  /** Times as many reports as usual. */
  surge = 1;
  readonly #everyMs: number;
  /** Reports that were tried to be written. */
  sent = 0;
  readonly #log: LocalEventLog;
  readonly #scheduler: Scheduler;
  readonly #chance: Chance;
  readonly #checker: Checker;
  readonly #lasts = new Map<string, number>();
  /** Some devices report often, most now and then. */
  readonly #weights: readonly string[];
  /** Makes reports large. */
  readonly #padding: readonly { readonly tag: string; readonly value: string }[];
  #running = false;

  constructor(parts: {
    devices: readonly string[];
    /** Between two reports of all devices together, ms on average. */
    everyMs: number;
    log: LocalEventLog;
    scheduler: Scheduler;
    chance: Chance;
    checker: Checker;
  }) {
    this.devices = parts.devices;
    this.#everyMs = parts.everyMs;
    this.#log = parts.log;
    this.#scheduler = parts.scheduler;
    this.#chance = parts.chance;
    this.#checker = parts.checker;
    const large = this.#chance.happens(0.3) ? this.#chance.whole(200, 1_500) : 0;
    this.#padding = large === 0 ? [] : [{ tag: 'text', value: 'x'.repeat(large) }];
    this.#weights = parts.devices.flatMap((device, i) => new Array<string>(i % 4 === 0 ? 6 : 1).fill(device));
  }

  start(): void {
    this.#running = true;
    this.#next();
  }

  stop(): void {
    this.#running = false;
  }

  /** One report of each device. */
  all(): void {
    for (const device of this.devices) this.#report(device);
  }

  #next(): void {
    if (!this.#running) return;
    // Now and then many at once.
    const burst = this.#chance.happens(0.02) ? this.#chance.whole(5, 30) : 1;
    for (let i = 0; i < burst; i++) this.#report(this.#chance.pick(this.#weights));
    this.#scheduler.at(this.#chance.between(0, (2 * this.#everyMs) / this.surge), () => this.#next());
  }

  #report(device: string): void {
    const value = (this.#lasts.get(device) ?? 0) + 1;
    this.#lasts.set(device, value);
    const readings = [{ tag: 'n', value }, ...this.#padding];
    const report = { device, id: `${value}`, time: this.#scheduler.clock.now(), readings };
    this.sent++;
    void this.#append(device, value, encodeReport(report, this.#scheduler.clock.now()));
  }

  async #append(device: string, value: number, bytes: Uint8Array): Promise<void> {
    try {
      const [position] = await this.#log.append(topic, [{ key: device, value: bytes }]);
      this.#checker.appended({ device, value, ...position! });
      if (!this.#chance.happens(answerLoss)) return;
    } catch {
      // Not written: the log is not there at present.
    }
    this.#scheduler.at(this.#chance.between(retryMs.min, retryMs.max), () => void this.#append(device, value, bytes));
  }
}
