import assert from 'node:assert/strict';
import { DeviceConnection } from '@tailrace/client/device';
import type { Reading } from '@tailrace/protocol/reading';
import { eventually } from '@tailrace/testkit/eventually';
import { seededRandom } from '@tailrace/testkit/random';
import type { ExecutionLedger } from './execution-ledger.ts';

export interface MachinesOptions {
  readonly url: string;
  readonly tokenOf: (device: string) => Promise<string>;
  readonly executions: ExecutionLedger;
  readonly devices: readonly string[];
  /** Devices that disconnect from time to time. */
  readonly leaving: readonly string[];
}

const stepMs = 300;
const drainMs = 120_000;
/** How long an absent device is connected, and how long it is not. */
const presentMs = 3_000;
const absentMs = 2_500;

/** Devices with a session each: they send readings that cross limits, and execute commands. */
export class Machines {
  readonly #options: MachinesOptions;
  readonly #machines: Machine[] = [];
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(options: MachinesOptions) {
    this.#options = options;
  }

  /** Resolves when all devices are connected, and report. */
  async start(): Promise<void> {
    const { devices, leaving, url, tokenOf, executions } = this.#options;
    for (const [index, device] of devices.entries())
      this.#machines.push(new Machine({ url, token: await tokenOf(device), device, executions, index }));
    for (const machine of this.#machines) machine.start();
    await eventually(() => assert.ok(this.#machines.every(({ isLive }) => isLive)), {
      deadlineMs: 60_000,
      describe: 'all devices are connected',
    });
    for (const machine of this.#machines) {
      this.#timers.push(setInterval(() => machine.step(), stepMs));
      if (!leaving.includes(machine.device)) continue;
      const timer = setInterval(() => machine.leave(absentMs), presentMs + absentMs);
      this.#timers.push(timer);
    }
  }

  /** The reports of each device that were sent, and those that ingest has acknowledged: a count from 1. */
  get sent(): ReadonlyMap<string, number> {
    return new Map(this.#machines.map(({ device, sent }) => [device, sent]));
  }

  get acknowledged(): ReadonlyMap<string, number> {
    return new Map(this.#machines.map(({ device, acknowledged }) => [device, acknowledged]));
  }

  /** Sends no more reports. Resolves when all are acknowledged. Commands are executed until `close`. */
  async stopReports(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    for (const machine of this.#machines) machine.return();
    await eventually(
      () => {
        const left = this.#machines.filter(({ sent, acknowledged }) => acknowledged < sent);
        assert.deepEqual(
          left.map(({ device }) => device),
          [],
        );
      },
      { deadlineMs: drainMs, pollMs: 50, describe: 'all reports are acknowledged' },
    );
  }

  async close(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    await Promise.all(this.#machines.map((machine) => machine.close()));
  }
}

interface MachineOptions {
  readonly url: string;
  readonly token: string;
  readonly device: string;
  readonly executions: ExecutionLedger;
  readonly index: number;
}

const temperatures = [5, 30, 50, 72, 78, 78, 82, 82, 97];
const modes = ['auto', 'auto', 'manual', 'fault'];

class Machine {
  readonly device: string;
  sent = 0;
  acknowledged = 0;
  readonly #options: MachineOptions;
  readonly #random: () => number;
  #connection: DeviceConnection;
  #back: NodeJS.Timeout | undefined;
  #isAway = false;
  #temp = 50;
  #load = 20;
  #isOn = true;
  #mode = 'auto';
  /** Steps without reports, and without the tag load. */
  #idleSteps = 0;
  #loadIdleSteps = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.device = options.device;
    this.#random = seededRandom(options.index + 1);
    this.#connection = this.#connect();
  }

  get isLive(): boolean {
    return this.#connection.state.name === 'live';
  }

  start(): void {
    this.#connection.start();
  }

  /** Disconnects for some time. Commands wait for it meanwhile. */
  leave(forMs: number): void {
    if (this.#isAway || this.acknowledged < this.sent) return;
    this.#isAway = true;
    void this.#connection.close();
    this.#back = setTimeout(() => this.return(), forMs);
  }

  /** Connects again, if it is away. */
  return(): void {
    clearTimeout(this.#back);
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#connection = this.#connect();
    this.#connection.start();
  }

  async close(): Promise<void> {
    clearTimeout(this.#back);
    await this.#connection.close();
  }

  step(): void {
    if (this.#isAway || this.#idleSteps-- > 0) return;
    if (this.#chance(0.01)) this.#idleSteps = 12;
    if (this.#loadIdleSteps-- <= 0 && this.#chance(0.01)) this.#loadIdleSteps = 16;
    if (this.#chance(0.15)) this.#temp = this.#one(temperatures);
    if (this.#chance(0.1)) this.#load = Math.floor(this.#random() * 100);
    if (this.#chance(0.04)) this.#isOn = !this.#isOn;
    if (this.#chance(0.05)) this.#mode = this.#one(modes);
    this.#report();
  }

  #report(): void {
    const time = Date.now();
    const isBad = this.#chance(0.02);
    const readings: Reading[] = [
      { tag: 'n', value: this.sent + 1 },
      { tag: 'temp', value: this.#temp, ...(isBad ? { quality: 'bad' as const } : {}) },
      { tag: 'on', value: this.#isOn },
      { tag: 'mode', value: this.#mode },
    ];
    if (this.#loadIdleSteps <= 0) readings.push({ tag: 'load', value: this.#load });
    // A gateway collects readings of several times.
    if (this.#chance(0.1)) readings.push({ tag: 'temp', value: this.#one(temperatures), time: time - 100 });
    const number = ++this.sent;
    const options = { id: `${this.device}-${number}`, time };
    void this.#connection.status(readings, options).then(
      ({ status }) => {
        if (status === 'accepted' || status === 'duplicate') this.acknowledged = Math.max(this.acknowledged, number);
      },
      () => undefined,
    );
  }

  #connect(): DeviceConnection {
    const { url, token, executions, device } = this.#options;
    return new DeviceConnection({
      ...{ url, token, device, backoff: { baseMs: 50, capMs: 500 }, deadMs: 3_000, openMs: 3_000 },
      onCommand({ id, fence, name }, answer) {
        answer.delivered();
        executions.add({ id, device, fence, name, atMs: Date.now() });
        answer.reply({ state: 'done', confirmedBy: 'device' });
      },
    });
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #one<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!;
  }
}
