import type { Clock } from '@tailrace/platform/clock';
import { isDevicePath } from '@tailrace/protocol/path';
import { patternMatches } from '@tailrace/protocol/pattern';
import type { DeviceAttributes } from '@tailrace/rules/device-attributes';
import type { Rule } from '@tailrace/rules/rule';
import { type ActivationSummary, type InForce, summaryOf } from './activations.ts';
import type { HistoryPart, ReportHistory } from './report-history.ts';
import { RuleReplay } from './rule-replay.ts';

/** Bounds of one dry run. At one of them the answer has what is evaluated by then, and names the bound. */
export const dryRunLimits = {
  /** Reports of further devices are left out. */
  devicesMax: 5_000,
  /** Reports read from the log, those of other devices included. */
  reportsMax: 2_000_000,
  runMsMax: 20_000,
  /** A rule that would be raised as often is answered: it is of no use. */
  activationsMax: 100_000,
} as const;

export type DryRunLimits = { readonly [limit in keyof typeof dryRunLimits]: number };

/**
 * The log is read in steps of time, all partitions by turns, so that all devices are evaluated up to the same time. A
 * step is to be short for a bound, which drops what is raised in the last one, and long for the requests that it costs.
 */
const steps = { firstMs: 60_000, msMin: 1_000, msMax: 6 * 3_600_000, reportsMin: 10_000, reportsMax: 40_000 } as const;
/** As in alarms: a report may be received this long before the log has it. */
const slackMs = 500;
/** Other work of the process waits at most about this long. */
const sliceMs = 10;

export interface DryRunRequest {
  readonly rule: Rule;
  /** The rules whose alarms inhibit that of `rule`. */
  readonly inhibiting: readonly Rule[];
  /** Only devices that match one of these; the rule selects among them. */
  readonly patterns: readonly string[];
  /** Epoch ms, by the time at which the log has received a report. `to` is exclusive, and no later than now. */
  readonly from: number;
  readonly to: number;
  /** Evaluated before `from` without being counted. */
  readonly warmUpMs: number;
}

export interface DryRunPorts {
  readonly history: ReportHistory;
  readonly attributesOf: (devices: readonly string[]) => Promise<ReadonlyMap<string, DeviceAttributes>>;
  readonly inForceOf: (devices: readonly string[]) => Promise<ReadonlyMap<string, InForce>>;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Resolves when other work of the process was done. */
  readonly yield: () => Promise<void>;
}

/** What may leave something out. */
export const dryRunBounds = ['devices', 'reports', 'time', 'activations', 'retention'] as const;

export type Bound = (typeof dryRunBounds)[number];

/** What a bound has left out. */
export interface LeftOut {
  readonly bound: Bound;
  /** Of the bound: devices, reports, ms or activations. */
  readonly limit?: number;
  /** From here on nothing is evaluated; of `retention`: before it reports are missing. Epoch ms. */
  readonly time?: number;
  /** Reports of devices that were left out. */
  readonly reports?: number;
}

export interface DryRunResult extends ActivationSummary {
  readonly evaluated: {
    /** From here on no report was removed from the log, epoch ms. */
    readonly from: number;
    /** All devices are evaluated up to here. */
    readonly to: number;
    readonly devices: number;
    /** Of these devices, with the warm-up. */
    readonly reports: number;
    readonly lateReadings: number;
    readonly duplicateReports: number;
    /** Records that cannot be read, or have no report. */
    readonly rejected: number;
  };
  /** Empty: the answer is complete. */
  readonly leftOut: readonly LeftOut[];
}

/** Evaluates a rule over the reports of a span. Rejects with the reason of the signal, and as the ports do. */
export class DryRun {
  readonly #request: DryRunRequest;
  readonly #ports: DryRunPorts;
  readonly #limits: DryRunLimits;
  readonly #signal: AbortSignal;
  readonly #startedMs: number;
  #slicedMs: number;
  #records = 0;
  #rejected = 0;
  /** All devices are evaluated up to here. */
  #at: number;
  #bound: 'reports' | 'time' | 'activations' | undefined;

  constructor(request: DryRunRequest, ports: DryRunPorts, signal: AbortSignal, limits: DryRunLimits = dryRunLimits) {
    this.#request = request;
    this.#ports = ports;
    this.#signal = signal;
    this.#limits = limits;
    this.#startedMs = ports.clock.monotonic();
    this.#slicedMs = this.#startedMs;
    this.#at = request.from - request.warmUpMs;
  }

  async run(): Promise<DryRunResult> {
    const { rule, inhibiting, patterns, from, to } = this.#request;
    const { devicesMax, activationsMax } = this.#limits;
    const fromMs = this.#at;
    // Of single devices, only their partitions are read.
    const scope = patterns.every(isDevicePath) ? patterns : rule.devices;
    const pass = await this.#ports.history.open({ patterns: scope, fromMs });
    const { epoch } = pass;
    const replay = new RuleReplay({ rule, inhibiting, epoch, fromMs, devicesMax, activationsMax });
    const isWanted = (device: string) =>
      patterns.some((pattern) => patternMatches(pattern, device)) &&
      rule.devices.some((pattern) => patternMatches(pattern, device));
    let stepMs: number = steps.firstMs;
    while (this.#at < to) {
      if (this.#at === from) replay.startCounting();
      const untilMs = Math.min(this.#at + stepMs, this.#at < from ? from : to);
      const recordsBefore = this.#records;
      for await (const part of pass.read(untilMs, isWanted)) {
        await this.#take(replay, part);
        if (this.#bound !== undefined) break;
      }
      this.#check(replay);
      if (this.#bound !== undefined) break;
      replay.advance(untilMs - slackMs);
      replay.commit();
      this.#at = untilMs;
      stepMs = nextStepMs(stepMs, this.#records - recordsBefore);
    }
    return await this.#result(replay, Math.min(Math.max(from, pass.completeFromMs), to));
  }

  async #take(replay: RuleReplay, { records, rejected, reports }: HistoryPart): Promise<void> {
    this.#records += records;
    this.#rejected += rejected;
    const devices = replay.withoutAttributes(reports.map(({ report }) => report.device));
    if (devices.length > 0) replay.addDevices(devices, await this.#ports.attributesOf(devices));
    for (const { report, seq } of reports) replay.report(report, seq);
    this.#check(replay);
    const { clock } = this.#ports;
    if (clock.monotonic() - this.#slicedMs < sliceMs) return;
    await this.#ports.yield();
    this.#slicedMs = clock.monotonic();
  }

  #check(replay: RuleReplay): void {
    this.#signal.throwIfAborted();
    const { reportsMax, runMsMax } = this.#limits;
    if (replay.isFull) this.#bound = 'activations';
    else if (this.#records > reportsMax) this.#bound = 'reports';
    else if (this.#ports.clock.monotonic() - this.#startedMs > runMsMax) this.#bound = 'time';
  }

  async #result(replay: RuleReplay, completeFromMs: number): Promise<DryRunResult> {
    const { from } = this.#request;
    const activations = replay.activations();
    const devices = [...new Set(activations.map(({ device }) => device))];
    const inForce = devices.length === 0 ? new Map<string, InForce>() : await this.#ports.inForceOf(devices);
    const to = Math.max(from, this.#at);
    const { lateReadings, duplicateReports } = replay.counts;
    return {
      ...summaryOf(activations, inForce, to),
      evaluated: {
        ...{ from: Math.min(completeFromMs, to), to, devices: replay.size, reports: replay.reports },
        ...{ lateReadings, duplicateReports, rejected: this.#rejected },
      },
      leftOut: this.#leftOut(replay, completeFromMs, to),
    };
  }

  #leftOut({ leftOutReports }: RuleReplay, completeFromMs: number, to: number): readonly LeftOut[] {
    const { devicesMax, reportsMax, runMsMax, activationsMax } = this.#limits;
    const leftOut: LeftOut[] = [];
    if (completeFromMs > this.#request.from) leftOut.push({ bound: 'retention', time: completeFromMs });
    if (leftOutReports > 0) leftOut.push({ bound: 'devices', limit: devicesMax, reports: leftOutReports });
    const bound = this.#bound;
    if (bound !== undefined) {
      const limit = { reports: reportsMax, time: runMsMax, activations: activationsMax }[bound];
      leftOut.push({ bound, limit, time: to });
    }
    return leftOut;
  }
}

function nextStepMs(stepMs: number, records: number): number {
  if (records < steps.reportsMin) return Math.min(stepMs * 2, steps.msMax);
  return records > steps.reportsMax ? Math.max(stepMs / 2, steps.msMin) : stepMs;
}
