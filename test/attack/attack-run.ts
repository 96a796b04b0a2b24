import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Attack, type AttackSize, attackMsDefault, type ProbedPage } from './attack-definition.ts';
import type { AttackerHandlers, AttackOutcome, AttackRequest } from './attacker.ts';
import { DiskSync } from './disk-sync.ts';
import type { HonestHandlers } from './honest.ts';
import type { HonestPlan, Measurement } from './honest-clients.ts';
import { type AttackFigures, type RestartFigures, verdictBetween } from './judgement.ts';
import { fetchMetrics } from './metrics-page.ts';
import { ProcessMemory } from './process-memory.ts';
import { type Placement, placeSessions } from './process-placement.ts';
import { RequestProcess } from './process-requests.ts';
import { ProcessorWait } from './processor-wait.ts';
import { bytesOf, connectionsOf } from './sent-traffic.ts';
import type { Target } from './target.ts';
import type { SinkHandlers } from './traffic-sink.ts';
import type { VisitPlan } from './visit.ts';

interface PhaseTimes {
  readonly quietMs: number;
  readonly closingMs: number;
  readonly afterMs: number;
  readonly restartedMs: number;
  readonly settleDeadlineMs: number;
  readonly visitIntervalMs: number;
  readonly intervalMs: number;
  /** In full the `timeoutSeconds` of a kubelet; in small other tests run at the same time. */
  readonly probeDeadlineMs: number;
}

const times: Readonly<Record<AttackSize, PhaseTimes>> = {
  full: {
    ...{ quietMs: 4_000, closingMs: 500, afterMs: 2_000, restartedMs: 1_500 },
    ...{ settleDeadlineMs: 30_000, visitIntervalMs: 500, intervalMs: 200, probeDeadlineMs: 1_000 },
  },
  small: {
    ...{ quietMs: 300, closingMs: 0, afterMs: 100, restartedMs: 300 },
    ...{ settleDeadlineMs: 10_000, visitIntervalMs: 100, intervalMs: 200, probeDeadlineMs: 5_000 },
  },
};

const devices = 20;
/** The control repeats at most this much of an attack. */
const controlMsMax = 5_000;
/** Time after its duration until an attack counts as stuck. */
const attackGraceMs = 30_000;
/** Before it, percentiles are those of code that is not compiled yet. */
const warmUpMs: Readonly<Record<AttackSize, number>> = { full: 2_000, small: 300 };

/** The processes of clients: an attacker, honest clients, and a sink. Several attacks share them. */
export class ClientProcesses {
  readonly placement: Placement;
  readonly honest: RequestProcess<HonestHandlers>;
  readonly attacker: RequestProcess<AttackerHandlers>;
  readonly sink: RequestProcess<SinkHandlers>;

  constructor(chosen: Placement) {
    this.placement = chosen;
    const script = (name: string) => join(import.meta.dirname, name);
    const { honest, attacker } = this.placement;
    this.honest = new RequestProcess({ script: script('honest.ts'), prefix: honest });
    this.attacker = new RequestProcess({ script: script('attacker.ts'), prefix: attacker });
    this.sink = new RequestProcess({ script: script('traffic-sink.ts') });
  }

  /** Raises the priority of the target and honest clients, and sets the lowest for the attacker. */
  prefer(): void {
    placeSessions([this.attacker.pid]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.honest, this.attacker, this.sink].map((each) => each.stop()));
  }
}

/**
 * One target with honest clients on it, and attacks, one after the other. Each attack: honest clients are measured
 * while nothing else happens, under the attack, and after it.
 */
export class AttackRun {
  readonly #target: Target;
  readonly #firstStartMs: number;
  readonly #size: AttackSize;
  readonly #clients: ClientProcesses;
  readonly #memory: ProcessMemory;
  readonly #wait: ProcessorWait;
  readonly #disk: DiskSync;

  /** `folder` must be on the disk of the target's data. */
  constructor(parts: {
    target: Target;
    firstStartMs: number;
    size: AttackSize;
    clients: ClientProcesses;
    folder: string;
  }) {
    this.#target = parts.target;
    this.#firstStartMs = parts.firstStartMs;
    this.#size = parts.size;
    this.#clients = parts.clients;
    this.#memory = new ProcessMemory(() => this.#target.pids);
    this.#disk = new DiskSync(parts.folder, () => this.#target.pids);
    this.#wait = new ProcessorWait(() => [...this.#target.pids, this.#clients.honest.pid]);
  }

  /** Resolves when honest clients are live. */
  async start(attacks: readonly Attack[]): Promise<void> {
    if (this.#size === 'full') this.#clients.prefer();
    this.#memory.start();
    this.#disk.start();
    await this.#clients.honest.request('start', await this.#plan(attacks));
    await sleep(warmUpMs[this.#size]);
    await this.#measure();
  }

  /** Measures one attack. `withRestart`: the honest clients stop after it. */
  async run(attack: Attack, withRestart: boolean): Promise<AttackFigures> {
    const { attacker } = this.#clients;
    const request = await this.#request(attack);
    await attacker.request('prepare', request);
    const before = await this.#quiet();
    const rssQuietMb = await this.#memory.reset();
    await this.#lagMs();
    await this.#wait.share();
    await this.#disk.take();
    const grownBefore = await this.#metrics(attack.grown ?? []);
    const outcome: AttackOutcome = await attacker.request('attack', request, request.attackMs + attackGraceMs);
    // The close of thousands of connections at once is part of the attack.
    await sleep(times[this.#size].closingMs);
    const under = await this.#measure();
    const lagMs = await this.#lagMs();
    await sleep(times[this.#size].afterMs);
    const after = await this.#measure();
    const waitShare = await this.#wait.share();
    const disk = await this.#disk.take();
    const grown = await this.#metrics(attack.grown ?? []);
    const notGrown = (attack.grown ?? []).filter((name) => !(grown.get(name)! > grownBefore.get(name)!));
    const rssPeakMb = this.#memory.peakMb;
    const control = this.#size === 'full' ? await this.#control(outcome) : undefined;
    const restart = withRestart ? await this.restart(attack.stopSignal ?? 'SIGTERM') : undefined;
    const last = restart?.after ?? after;
    return {
      ...{
        attack,
        target: this.#target.kind,
        quiet: before,
        under,
        after,
        control,
        lagMs,
        waitShare,
        disk,
        notGrown,
        restart,
      },
      ...{ rssQuietMb, rssPeakMb, counts: outcome.counts, error: outcome.error },
      ...{ bytes: bytesOf(outcome.traffic), connections: connectionsOf(outcome.traffic) },
      ...{ verdict: verdictBetween(before, last), findings: last.findings },
    };
  }

  /** Restarts the target: it must have all last values, and the client that stays must get its whole backlog. */
  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<RestartFigures> {
    const { honest } = this.#clients;
    const deadlineMs = times[this.#size].settleDeadlineMs;
    await honest.request('settle', { deadlineMs, isLast: false });
    const startMs = await this.#target.restart(signal);
    if (this.#size === 'full') this.#clients.prefer();
    const withoutLastValues = await honest.request('withoutLastValues', undefined);
    await this.#measure();
    await honest.request('resume', undefined);
    await sleep(times[this.#size].restartedMs);
    const after = await this.#measure();
    await honest.request('settle', { deadlineMs, isLast: true });
    const { verdict, findings } = await this.#measure();
    return { startMs, firstStartMs: this.#firstStartMs, withoutLastValues, after: { ...after, verdict, findings } };
  }

  async stop(): Promise<void> {
    this.#memory.stop();
    await this.#disk.stop();
    await this.#clients.honest.request('close', undefined);
  }

  async #quiet(): Promise<Measurement> {
    await this.#measure();
    await sleep(times[this.#size].quietMs);
    return await this.#measure();
  }

  #measure(): Promise<Measurement> {
    return this.#clients.honest.request('measure', undefined);
  }

  /** Sends the same bytes at the same times to a server that ignores them, on the core of the target. */
  async #control({ traffic }: AttackOutcome): Promise<Measurement> {
    const { sink, attacker } = this.#clients;
    const port = await sink.request('listen', undefined);
    const steps = traffic.filter(({ atMs }) => atMs <= controlMsMax);
    await this.#measure();
    await attacker.request('replay', { steps, port });
    return await this.#measure();
  }

  /** Reads the lag, which resets it. */
  async #lagMs(): Promise<number> {
    const pages = await Promise.all(this.#target.internalPorts.map(fetchMetrics));
    return Math.max(...pages.map((page) => page.sum('nodejs_eventloop_lag_p99_seconds') * 1_000));
  }

  async #metrics(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (names.length === 0) return new Map();
    const pages = await Promise.all(this.#target.internalPorts.map(fetchMetrics));
    return new Map(names.map((name) => [name, pages.reduce((sum, page) => sum + page.sum(name), 0)]));
  }

  async #request(attack: Attack): Promise<AttackRequest> {
    const { publish, subscribe } = attack.rights ?? { publish: ['a.>'], subscribe: ['a.>'] };
    const claims = { subject: 'attacker', tenant: 'a', publish, subscribe };
    const tokens = Array.from({ length: attack.tokens ?? 0 }, (_, i) =>
      this.#target.issueToken({ ...claims, tokenId: `t${i}` }),
    );
    return {
      name: attack.name,
      addresses: this.#target.addresses,
      size: this.#size,
      token: await this.#target.issueToken(claims),
      tokens: await Promise.all(tokens),
      attackMs: (attack.attackMs ?? attackMsDefault)[this.#size],
    };
  }

  async #plan(attacks: readonly Attack[]): Promise<HonestPlan> {
    const { ingestPort, streamPort, mqttPort } = this.#target.addresses;
    const tokenOf = (subject: string, publish: string[], subscribe: readonly string[]) =>
      this.#target.issueToken({ subject, publish, subscribe });
    const requested = [{ channel: 'b.>' }, ...attacks.flatMap(({ visits = [] }) => visits)];
    const distinct = new Map(requested.map((each) => [JSON.stringify(each), each]));
    const visits = Array.from(distinct.values(), async (requested): Promise<VisitPlan> => {
      const { channel, subscribe = [channel], options = {} } = { options: {}, subscribe: undefined, ...requested };
      return { streamPort, channel, options, token: await tokenOf('visitor', [], subscribe) };
    });
    const { intervalMs, visitIntervalMs, probeDeadlineMs } = times[this.#size];
    return {
      ...{ ingestPort, streamPort, mqttPort, devices, intervalMs, visitIntervalMs, probeDeadlineMs },
      deviceToken: await tokenOf('device', ['b.>'], []),
      subscriberToken: await tokenOf('subscriber', [], ['b.>']),
      visits: await Promise.all(visits),
      probes: [...new Set(attacks.flatMap(({ probes = [] }) => probes))].flatMap((page) => this.#urls(page)),
    };
  }

  #urls(page: ProbedPage): string[] {
    const { dashboardPort } = this.#target.addresses;
    if (page === 'dashboard') return dashboardPort === undefined ? [] : [`http://127.0.0.1:${dashboardPort}/`];
    return this.#target.internalPorts.map((port) => `http://127.0.0.1:${port}/${page}`);
  }
}
