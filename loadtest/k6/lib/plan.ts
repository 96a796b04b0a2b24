import { type Curve, flat, meanPart, partAt, stayOf } from './curve.ts';
import { type Defaults, type Environment, type Settings, settingsFrom } from './settings.ts';

/** One VU per so many sockets: k6 spreads VUs over processors, and each takes some megabytes. */
const clientsPerVu = 50;
const reportsPerPublisher = 4000;
/** Between the last socket that opens and the first report. */
const settleMs = 1000;
const samplesPerSecond = 400;

/** A scenario, before settings of the environment. */
export interface ScenarioOptions {
  readonly name: string;
  readonly what: string;
  readonly defaults: Defaults;
  /** Part of RATE over the time. Default: all of it. */
  readonly load?: Curve;
  /** Part of CLIENTS over the time. Default: all of them. */
  readonly clients?: Curve;
  /** Only devices, no clients. */
  readonly onlyIngest?: boolean;
  /** All clients are disconnected several times. */
  readonly isStorm?: boolean;
  readonly hasSlowClients?: boolean;
  /** The run stops at the first objective that is not met. */
  readonly isBreakpoint?: boolean;
  readonly isRolling?: boolean;
}

/** A run, from scenario and environment. Times are ms from its start, when devices start to report. */
export class Plan {
  readonly name: string;
  readonly what: string;
  readonly settings: Settings;
  readonly options: ScenarioOptions;
  readonly load: Curve;
  readonly clients: Curve;
  readonly vus: number;
  readonly publishers: number;
  /** Sockets are opened over this time before anything is sent. */
  readonly connectMs: number;
  /** Each device reports this often at full load, ms. */
  readonly intervalMs: number;
  /** One frame in so many is timed. */
  readonly latencySample: number;

  constructor(options: ScenarioOptions, env: Environment) {
    const settings = settingsFrom(env, options.defaults);
    const { clients, devices, line, rate, connectRate } = settings;
    this.name = options.name;
    this.what = options.what;
    this.options = options;
    this.settings = settings;
    this.load = options.load ?? flat;
    this.clients = options.clients ?? flat;
    this.vus = settings.vus || Math.max(1, Math.ceil(clients / clientsPerVu));
    const first = Math.ceil(clients * partAt(this.clients, 0));
    this.connectMs = options.onlyIngest === true ? 0 : Math.max(500, Math.ceil((first / connectRate) * 1000));
    this.intervalMs = options.onlyIngest === true ? (devices / rate) * 1000 : ((clients * line) / rate) * 1000;
    this.publishers =
      settings.publishers ||
      Math.max(options.onlyIngest === true ? 8 : 1, Math.ceil(this.published / reportsPerPublisher));
    this.latencySample = settings.latencySample || Math.max(1, Math.ceil(rate / line / samplesPerSecond));
  }

  /** Reports sent a second at full load. */
  get published(): number {
    return (this.settings.devices / this.intervalMs) * 1000;
  }

  /** From the start of the run until clients no longer wait for reports. */
  get lastsMs(): number {
    return this.settings.durationMs + this.settings.graceMs;
  }

  partAt(elapsedMs: number): number {
    return partAt(this.load, Math.min(1, Math.max(0, elapsedMs / this.settings.durationMs)));
  }

  /** Returns when as much is due as after `fullLoadMs` at full load. In small steps: the load may jump meanwhile. */
  dueAfter(elapsedMs: number, fullLoadMs: number): number {
    const stepMs = fullLoadMs / 8;
    let atMs = elapsedMs;
    for (let leftMs = fullLoadMs; leftMs > 0 && atMs < this.settings.durationMs; atMs += stepMs) {
      const doneMs = stepMs * this.partAt(atMs);
      if (doneMs >= leftMs) return atMs + (stepMs * leftMs) / doneMs;
      leftMs -= doneMs;
    }
    return atMs;
  }

  /**
   * Returns when the client connects and when it disconnects for good; `toMs` undefined: after the run. Undefined: it
   * never connects.
   */
  stayOf(client: number): { readonly fromMs: number; readonly toMs: number | undefined } | undefined {
    const { clients, durationMs } = this.settings;
    const stay = stayOf(this.clients, client, clients);
    if (stay === undefined) return undefined;
    const first = Math.max(1, Math.ceil(clients * partAt(this.clients, 0)));
    const fromMs = stay.from === 0 ? -settleMs - this.connectMs * (1 - client / first) : stay.from * durationMs;
    return { fromMs, toMs: stay.to === 1 ? undefined : stay.to * durationMs };
  }

  /** Returns the number of reports that a client has to receive that connects and disconnects at these times. */
  expectedOf(fromMs: number, toMs: number | undefined, devices: number): number {
    const { durationMs } = this.settings;
    const from = Math.max(0, fromMs / durationMs);
    const to = (toMs ?? durationMs) / durationMs;
    const reports = (meanPart(this.load, from, to) * (to - from) * durationMs * devices) / this.intervalMs;
    // And the last report of each device.
    return toMs === undefined && this.options.onlyIngest !== true ? reports + devices : reports;
  }
}
