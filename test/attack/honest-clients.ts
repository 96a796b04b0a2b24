import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { TailraceError } from '@tailrace/protocol/error';
import { Checker, type Verdict, type Watch } from '../chaos/checker.ts';
import { percentilesOf } from '../chaos/figures.ts';
import { HonestDevice } from './honest-device.ts';
import { type HonestSubscriber, subscribeRaw, subscribeSdk } from './honest-subscriber.ts';
import { probe, probePauseMs } from './probe.ts';
import { RepeatedMeasurement, type Samples } from './repeated-measurement.ts';
import { HttpTransport, MqttTransport, type ReportTransport } from './report-transport.ts';
import { type VisitPlan, visit } from './visit.ts';

export interface HonestPlan {
  readonly ingestPort: number;
  readonly streamPort: number;
  /** Default: no device uses MQTT. */
  readonly mqttPort?: number | undefined;
  /** Tokens of tenant `b`: one may publish, one may subscribe. */
  readonly deviceToken: string;
  readonly subscriberToken: string;
  readonly devices: number;
  readonly intervalMs: number;
  readonly visits: readonly VisitPlan[];
  readonly visitIntervalMs: number;
  readonly probes: readonly string[];
  /** Deadline of a probe's response. */
  readonly probeDeadlineMs: number;
}

/** Results of honest clients since the last measurement. */
export interface Measurement {
  /** From the time at which a report is due until a subscriber receives it, ms. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly samples: number;
  /** Responses of ingest that did not accept a report. */
  readonly refused: readonly string[];
  /** Lost connections and subscriptions. */
  readonly disconnects: readonly string[];
  readonly visits: { readonly count: number; readonly p99: number; readonly failures: readonly string[] };
  readonly probes: { readonly count: number; readonly p99: number; readonly failures: readonly string[] };
  /** Event loop lag of the honest process itself, p99, ms: its own share of the latencies. */
  readonly ownLagMs: number;
  /** Since the start of these clients. */
  readonly verdict: Verdict;
  readonly findings: readonly string[];
}

/** Devices that report once and never again: their last values must survive any restart. */
const quietDevices = Array.from({ length: 20 }, (_, i) => `b.quiet.d${i}`);
const lagResolutionMs = 5;

/** Correct devices, subscribers, visitors and probes of tenant `b`, and their results. */
export class HonestClients {
  readonly #plan: HonestPlan;
  readonly #checker = new Checker();
  readonly #devices: readonly HonestDevice[];
  readonly #byName: ReadonlyMap<string, HonestDevice>;
  readonly #visits: readonly RepeatedMeasurement[];
  readonly #probes: readonly RepeatedMeasurement[];
  /** Watches of the subscribers: the first is that of the SDK, which stays. */
  #watches: Watch[] = [];
  readonly #lag = monitorEventLoopDelay({ resolution: lagResolutionMs });
  #subscribers: HonestSubscriber[] = [];
  #sdk: HonestSubscriber | undefined;
  #latencies: number[] = [];
  #disconnects: string[] = [];

  constructor(plan: HonestPlan) {
    this.#plan = plan;
    const { devices, intervalMs } = plan;
    this.#devices = Array.from({ length: devices }, (_, i) => {
      const phaseMs = (i * intervalMs) / devices;
      const device = `b.line${i % 4}.d${i}`;
      return new HonestDevice({ device, transport: transportOf(plan, device, i), intervalMs, phaseMs });
    });
    this.#byName = new Map(this.#devices.map((device) => [device.device, device]));
    this.#visits = plan.visits.map((each) => new RepeatedMeasurement(() => visit(each), plan.visitIntervalMs));
    this.#probes = plan.probes.map(
      (url) => new RepeatedMeasurement(() => probe(url, plan.probeDeadlineMs), probePauseMs),
    );
  }

  /** Resolves when subscribers are live. */
  async start(): Promise<void> {
    await this.#reportQuietDevices();
    this.#sdk = this.#subscribe(subscribeSdk, 'b.>', 'SDK');
    await this.#sdk.live;
    this.#lag.enable();
    await this.resume();
  }

  /** Starts to report and to visit again, with new subscribers in addition to the one that stayed. */
  async resume(): Promise<void> {
    const first = this.#devices[0]!.device;
    this.#subscribers = ['b.>', first].map((channel) => this.#subscribe(subscribeRaw, channel, 'raw'));
    await Promise.all(this.#subscribers.map(({ live }) => live));
    for (const each of [...this.#devices, ...this.#visits, ...this.#probes]) each.start();
  }

  /** Returns the results since the last call. */
  measure(): Measurement {
    const { p50, p99, max } = percentilesOf(this.#latencies);
    const visits = this.#visits.map((each) => each.take());
    const probes = this.#probes.map((each) => each.take());
    const refused = this.#devices.flatMap((device) =>
      [...device.refusals].map(([why, count]) => `${device.device}: ${count} × ${why}`),
    );
    const measured = {
      ...{ p50, p99, max, samples: this.#latencies.length },
      refused,
      disconnects: this.#disconnects,
      visits: merged(visits),
      probes: merged(probes),
      ownLagMs: Math.round(this.#lag.percentile(99) / 1e6),
      verdict: { ...this.#checker.verdict },
      findings: [...this.#checker.findings],
    };
    for (const device of this.#devices) device.refusals.clear();
    this.#lag.reset();
    this.#latencies = [];
    this.#disconnects = [];
    return measured;
  }

  /**
   * Stops what `resume` has started, and waits until every subscriber has all accepted reports. The SDK's subscriber
   * stays until `isLast`.
   */
  async settle({ deadlineMs, isLast }: { deadlineMs: number; isLast: boolean }): Promise<void> {
    await Promise.all([...this.#devices, ...this.#visits, ...this.#probes].map((each) => each.stop()));
    const giveUpAtMs = performance.now() + deadlineMs;
    while (!this.#hasAll() && performance.now() < giveUpAtMs) await sleep(10);
    const acknowledged = this.#acknowledged();
    for (const watch of this.#watches.slice(isLast ? 0 : 1)) watch.end(acknowledged, acknowledged);
    for (const subscriber of this.#subscribers) subscriber.close();
    this.#subscribers = [];
    this.#watches = this.#watches.slice(0, 1);
  }

  /** Returns the devices whose last values a new client does not receive. */
  async withoutLastValues(): Promise<readonly string[]> {
    const { streamPort, subscriberToken: token } = this.#plan;
    const result = await visit({ streamPort, token, channel: 'b.>', options: {} });
    if ('failure' in result) return [result.failure];
    return [...quietDevices, ...this.#byName.keys()].filter((device) => !result.devices.has(device));
  }

  /** Stops all clients at once. */
  async close(): Promise<void> {
    this.#lag.disable();
    this.#sdk?.close();
    for (const subscriber of this.#subscribers) subscriber.close();
    for (const device of this.#devices) device.abandon();
    await Promise.all([...this.#devices, ...this.#visits, ...this.#probes].map((each) => each.stop()));
  }

  #subscribe(subscribe: typeof subscribeRaw, channel: string, name: string): HonestSubscriber {
    const devices = [...this.#byName.keys()].filter((device) => channel === 'b.>' || channel === device);
    const watch = this.#checker.watch(name, channel, devices);
    this.#watches.push(watch);
    const { streamPort, subscriberToken: token } = this.#plan;
    return subscribe({
      ...{ streamPort, token, channel, watch },
      onPublication: ({ device, value }, atMs) => {
        const latencyMs = atMs - (this.#byName.get(device)?.dueAtMs(value) ?? Number.NaN);
        if (!Number.isNaN(latencyMs)) this.#latencies.push(latencyMs);
      },
      onLost: (why) => void this.#disconnects.push(why),
    });
  }

  #hasAll(): boolean {
    return this.#watches.every((watch) =>
      watch.devices.every((device) => watch.last(device) >= (this.#byName.get(device)?.acknowledged ?? 0)),
    );
  }

  #acknowledged(): ReadonlyMap<string, number> {
    return new Map(this.#devices.map(({ device, acknowledged }) => [device, acknowledged]));
  }

  async #reportQuietDevices(): Promise<void> {
    const { ingestPort, deviceToken } = this.#plan;
    const time = Date.now();
    const body = quietDevices.map((device) => ({ device, time, readings: [{ tag: 'n', value: 1 }] }));
    const answer = await fetch(`http://127.0.0.1:${ingestPort}/v1/ingest`, {
      method: 'POST',
      headers: { authorization: `Bearer ${deviceToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (answer.status !== 202)
      throw new TailraceError('internal', `quiet devices: expected 202, got ${answer.status} ${await answer.text()}`);
  }
}

/** Every fourth device uses MQTT, and one of these connects again and again. */
function transportOf(
  { mqttPort, ingestPort, deviceToken: token }: HonestPlan,
  device: string,
  index: number,
): ReportTransport {
  if (mqttPort === undefined || index % 4 > 0) return new HttpTransport(ingestPort, token);
  const reportsPerConnection = index === 0 ? 3 : Number.POSITIVE_INFINITY;
  return new MqttTransport({ device, mqttPort, token, reportsPerConnection });
}

function merged(parts: readonly Samples[]) {
  const times = parts.flatMap((part) => part.times);
  return { count: times.length, p99: percentilesOf(times).p99, failures: parts.flatMap((part) => part.failures) };
}
