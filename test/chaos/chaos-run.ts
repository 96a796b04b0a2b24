import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import { noFaults, type Verdict } from './checker.ts';
import { screenTimes } from './client.ts';
import { Crowd, type Reached } from './crowd.ts';
import type { Fault } from './faults.ts';
import { difference, type Figures, figuresFrom, isFaulty, judgement, tableOf } from './figures.ts';
import { Fleet } from './fleet.ts';
import { planOf } from './plan.ts';

export interface ChaosSettings {
  readonly nodes: number;
  readonly clients: number;
  readonly devices: number;
  readonly faults: readonly Fault[];
  /** Between two faults. */
  readonly calmMs: number;
  /** Each device reports this often. */
  readonly intervalMs: number;
  /** Over which a node that ends lets its clients go. */
  readonly drainMs: number;
  /** For logs. */
  readonly data: string;
  readonly portBase: number;
}

const convergeDeadlineMs = 60_000;

/** One run: a cluster, a fleet of devices, a crowd of clients, and faults. */
export class ChaosRun {
  readonly #settings: ChaosSettings;
  readonly #say: (text: string) => void;
  readonly #cluster: StackCluster;
  readonly #crowd: Crowd;
  readonly #rows: Figures[] = [];
  #fleet: Fleet | undefined;
  #before: Verdict = noFaults();
  #failures: string[] = [];

  constructor(settings: ChaosSettings, say: (text: string) => void) {
    this.#settings = settings;
    this.#say = say;
    const { nodes, data, portBase, drainMs } = settings;
    this.#cluster = new StackCluster({ nodes, data, portBase, drainMs, keepsData: false, say });
    this.#crowd = new Crowd(settings.clients);
  }

  /** Answers whether all was as promised. */
  async run(): Promise<boolean> {
    const { clients, devices, intervalMs, faults, calmMs, drainMs, data, nodes } = this.#settings;
    await this.#cluster.start();
    const fleet = await this.#load();
    this.#say(
      `${clients} clients on ${devices} devices, each reporting every ${intervalMs} ms, ${nodes} nodes. ` +
        `Clients ping every ${screenTimes.pingMs} ms and give up a silent server after ${screenTimes.deadlineMs} ms; ` +
        `nodes let them go over ${drainMs} ms. Logs in ${data}.`,
    );
    for (const fault of faults) {
      await sleep(calmMs);
      await this.#under(fault, fleet);
    }
    await this.#end(fleet);
    this.#say(`\n${tableOf(this.#rows)}\n`);
    for (const failure of this.#failures) this.#say(failure);
    if (this.#failures.length === 0) this.#say('No loss, no repeat, no disorder.');
    return this.#failures.length === 0;
  }

  /** Ends everything that the run has started. Idempotent. */
  async stop(): Promise<void> {
    this.#crowd.close();
    await this.#cluster.stop();
  }

  /** Devices report, and clients watch: resolves when each has been shown something. */
  async #load(): Promise<Fleet> {
    const { ingest, token, fanout } = this.#cluster;
    const { devices, intervalMs, clients } = this.#settings;
    // Each client knows every node, as behind a headless service. A balancer in user space would be what is measured.
    const urls = fanout.map(({ url }) => url.replace('http:', 'ws:'));
    const fleet = new Fleet({ devices, intervalMs, ingestUrl: ingest.url, token });
    this.#fleet = fleet;
    fleet.start();
    this.#say('Connecting the clients …');
    await this.#crowd.open(
      Array.from({ length: clients }, (_, i) => planOf(i, devices)),
      { urls, token },
    );
    const reached = await this.#crowd.reach({ targets: fleet.next(), deadlineMs: convergeDeadlineMs });
    if (reached.unreachedCount > 0) throw new Error(`the clients do not come up: ${wordsOf(reached)}`);
    return fleet;
  }

  async #under(fault: Fault, fleet: Fleet): Promise<void> {
    const atMs = Date.now();
    const say = (step: string) => this.#say(`  ${((Date.now() - atMs) / 1000).toFixed(2)} s: ${step}`);
    // Pauses are the machine's as well: who reads the table should know what else it had to do.
    const load = `load ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} cores`;
    this.#say(`\n${fault.name}: ${fault.words} (${new Date(atMs).toISOString()}, ${load})`);
    await this.#crowd.begin({ atMs, acknowledged: fleet.acknowledged });
    await fault.run(this.#cluster, say);
    say('done; waiting until every client has what comes now');
    const reached = await this.#crowd.reach({ targets: fleet.next(), deadlineMs: convergeDeadlineMs });
    say(reached.unreachedCount === 0 ? 'all clients have it' : 'NOT ALL CLIENTS HAVE IT');
    const verdict = difference(reached.verdict, this.#before);
    this.#before = reached.verdict;
    const row = figuresFrom(fault, reached.seen, this.#settings.intervalMs, verdict);
    this.#rows.push(row);
    this.#tell(row, reached);
    if (reached.unreachedCount > 0) this.#failures.push(`FAILED: after ${fault.name} ${wordsOf(reached)}`);
    if (isFaulty(verdict)) this.#failures.push(`FAILED: ${fault.name}: ${JSON.stringify(verdict)}`);
    const { words, fails } = judgement(row);
    if (fails) this.#failures.push(`FAILED: ${fault.name}: ${words}`);
  }

  /** The last word: once nothing is sent any more, everybody must have everything. */
  async #end(fleet: Fleet): Promise<void> {
    await fleet.stop();
    const reached = await this.#crowd.reach({ targets: fleet.acknowledged, deadlineMs: convergeDeadlineMs });
    const { verdict, findings } = await this.#crowd.end({ acknowledged: fleet.acknowledged, sent: fleet.sent });
    const rest = difference(verdict, this.#before);
    if (reached.unreachedCount > 0) this.#failures.push(`FAILED: at the end ${wordsOf(reached)}`);
    if (isFaulty(rest)) this.#failures.push(`FAILED: after the last fault: ${JSON.stringify(rest)}`);
    this.#failures.push(...findings.map((finding) => `  ${finding}`));
  }

  #tell({ liveAgain, pause }: Figures, { losses, dropped }: Reached): void {
    this.#say(`  longest pause p50 / p95 / p99 / max: ${pause.p50} / ${pause.p95} / ${pause.p99} / ${pause.max} ms`);
    if (liveAgain !== undefined) {
      this.#say(`  live again p50 / p95 / max: ${liveAgain.p50} / ${liveAgain.p95} / ${liveAgain.max} ms`);
    }
    for (const [why, count] of losses) this.#say(`  ${count} × ${why}`);
    this.#say(`  repeats kept back by the SDK so far: ${dropped}; requests sent again: ${this.#fleet?.retries ?? 0}`);
  }
}

function wordsOf({ unreachedCount, unreached }: Reached): string {
  return `${unreachedCount} clients are behind:\n  ${unreached.join('\n  ')}`;
}
