import { setTimeout as sleep } from 'node:timers/promises';

/** Devices in one request, as behind a gateway. */
const devicesPerGateway = 40;
const cellSize = 5;
const retryMs = 100;
const postDeadlineMs = 15_000;

/** `chaos.line3.cell13.machine65`: ten lines, cells of five machines. */
export function deviceName(number: number): string {
  return `${cellName(number)}.machine${number}`;
}

export function cellName(number: number): string {
  const cell = Math.floor(number / cellSize);
  return `chaos.line${cell % 10}.cell${cell}`;
}

/** The devices of the cell in which this one stands. */
export function cellOf(number: number, devices: number): string[] {
  const first = Math.floor(number / cellSize) * cellSize;
  return Array.from({ length: Math.min(cellSize, devices - first) }, (_, i) => deviceName(first + i));
}

export interface FleetOptions {
  readonly devices: number;
  /** Each device reports this often. */
  readonly intervalMs: number;
  readonly ingestUrl: string;
  readonly token: string;
}

interface Pending {
  readonly device: string;
  readonly time: number;
  readonly id: string;
  readonly readings: readonly { readonly tag: 'n'; readonly value: number }[];
}

/**
 * Devices that report 1, 2, 3 … through gateways to ingest. A report that is not acknowledged is sent again with the
 * same message ID, before newer ones of that device.
 */
export class Fleet {
  /** Last values that ingest has acknowledged, by device. */
  readonly acknowledged = new Map<string, number>();
  /** Last values sent, acknowledged or not. */
  readonly sent = new Map<string, number>();
  retries = 0;
  /** The last answer of ingest that was an error. */
  lastRefusal = '';
  readonly #options: FleetOptions;
  #running = true;
  #gateways: Promise<void>[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  start(): void {
    const { devices, intervalMs } = this.#options;
    const all = Array.from({ length: devices }, (_, i) => deviceName(i));
    const count = Math.ceil(devices / devicesPerGateway);
    for (let gateway = 0; gateway < count; gateway++) {
      // Neighbors report at different moments.
      const mine = all.filter((_, i) => i % count === gateway);
      this.#gateways.push(this.#gateway(mine, (gateway * intervalMs) / count));
    }
  }

  /** Returns the next counter of each device. */
  next(): ReadonlyMap<string, number> {
    const all = Array.from({ length: this.#options.devices }, (_, i) => deviceName(i));
    return new Map(all.map((device) => [device, (this.sent.get(device) ?? 0) + 1]));
  }

  /** Resolves when all sent reports are acknowledged. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#gateways);
  }

  async #gateway(devices: readonly string[], phaseMs: number): Promise<void> {
    const { intervalMs } = this.#options;
    await sleep(phaseMs);
    let dueAt = performance.now();
    for (let value = 1; this.#running; value++) {
      const time = Date.now();
      for (const device of devices) this.sent.set(device, value);
      await this.#deliver(
        devices.map((device) => ({ device, time, id: `${device}-${value}`, readings: [{ tag: 'n', value }] })),
      );
      // After an outage it continues at its interval, without catching up.
      dueAt = Math.max(dueAt + intervalMs, performance.now());
      await sleep(dueAt - performance.now());
    }
  }

  async #deliver(reports: readonly Pending[]): Promise<void> {
    let pending = reports;
    for (;;) {
      const refused = await this.#post(pending);
      for (const report of pending) {
        if (!refused.includes(report)) this.acknowledged.set(report.device, report.readings[0]!.value);
      }
      if (refused.length === 0) return;
      this.retries++;
      pending = refused;
      await sleep(retryMs);
    }
  }

  /** Resolves with the reports that were not accepted. */
  async #post(reports: readonly Pending[]): Promise<readonly Pending[]> {
    const { ingestUrl, token } = this.#options;
    try {
      const answer = await fetch(`${ingestUrl}/v1/ingest`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(reports),
        signal: AbortSignal.timeout(postDeadlineMs),
      });
      const text = await answer.text();
      if (answer.status !== 202) {
        this.lastRefusal = `${answer.status} ${text.slice(0, 300)}`;
        return reports;
      }
      const { rejected } = JSON.parse(text) as { rejected?: readonly { readonly index: number }[] };
      if (rejected?.length) this.lastRefusal = text.slice(0, 300);
      return (rejected ?? []).map(({ index }) => reports[index]!);
    } catch (error) {
      // The reason of a failed fetch is its cause.
      this.lastRefusal = String((error as Error).cause ?? error);
      return reports;
    }
  }
}
