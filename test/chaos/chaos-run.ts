import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import { noViolations, type Verdict } from './checker.ts';
import { screenTimes } from './client.ts';
import { ClientProcesses, type Reached } from './client-processes.ts';
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
  /** Over which a node that stops closes its connections. */
  readonly drainMs: number;
  /** For logs. */
  readonly data: string;
  readonly portBase: number;
}

const convergeDeadlineMs = 60_000;

/** One run: a cluster, a fleet of devices, clients, and faults. */
export class ChaosRun {
  readonly #settings: ChaosSettings;
  readonly #print: (text: string) => void;
  readonly #cluster: StackCluster;
  readonly #clients: ClientProcesses;
  readonly #rows: Figures[] = [];
  #fleet: Fleet | undefined;
  #before: Verdict = noViolations();
  #failures: string[] = [];

  constructor(settings: ChaosSettings, print: (text: string) => void) {
    this.#settings = settings;
    this.#print = print;
    const { nodes, data, portBase, drainMs } = settings;
    this.#cluster = new StackCluster({ nodes, data, portBase, drainMs, keepsData: false, print: print });
    this.#clients = new ClientProcesses(settings.clients);
  }

  /** Resolves with whether the run met its targets without a loss, repeat or disorder. */
  async run(): Promise<boolean> {
    const { clients, devices, intervalMs, faults, calmMs, drainMs, data, nodes } = this.#settings;
    await this.#cluster.start();
    const fleet = await this.#load();
    this.#print(
      `${clients} clients on ${devices} devices, each reporting every ${intervalMs} ms, ${nodes} nodes. ` +
        `Clients ping every ${screenTimes.pingMs} ms and disconnect from an unresponsive server after ${screenTimes.deadlineMs} ms; ` +
        `nodes close connections over ${drainMs} ms. Logs in ${data}.`,
    );
    for (const fault of faults) {
      await sleep(calmMs);
      await this.#under(fault, fleet);
    }
    await this.#end(fleet);
    this.#print(`\n${tableOf(this.#rows)}\n`);
    for (const failure of this.#failures) this.#print(failure);
    if (this.#failures.length === 0) this.#print('No loss, no repeat, no disorder.');
    return this.#failures.length === 0;
  }

  /** Stops everything that the run has started. Idempotent. */
  async stop(): Promise<void> {
    this.#clients.close();
    await this.#cluster.stop();
  }

  /** Starts devices and clients. Resolves when each client has received reports. */
  async #load(): Promise<Fleet> {
    const { ingest, token, fanout } = this.#cluster;
    const { devices, intervalMs, clients } = this.#settings;
    // Each client has the URLs of all nodes, as with a headless service: a load balancer in user space would affect the
    // results.
    const urls = fanout.map(({ url }) => url.replace('http:', 'ws:'));
    const fleet = new Fleet({ devices, intervalMs, ingestUrl: ingest.url, token });
    this.#fleet = fleet;
    fleet.start();
    this.#print('Connecting the clients …');
    await this.#clients.open(
      Array.from({ length: clients }, (_, i) => planOf(i, devices)),
      { urls, token },
    );
    const reached = await this.#clients.reach({ targets: fleet.next(), deadlineMs: convergeDeadlineMs });
    if (reached.unreachedCount > 0) throw new Error(`clients: expected reports for all, got ${textOf(reached)}`);
    return fleet;
  }

  async #under(fault: Fault, fleet: Fleet): Promise<void> {
    const atMs = Date.now();
    const printStep = (step: string) => this.#print(`  ${((Date.now() - atMs) / 1000).toFixed(2)} s: ${step}`);
    // Pauses depend on the load of the machine, too.
    const load = `load ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} cores`;
    this.#print(`\n${fault.name}: ${fault.words} (${new Date(atMs).toISOString()}, ${load})`);
    await this.#clients.startFault({ atMs, acknowledged: fleet.acknowledged });
    await fault.run(this.#cluster, printStep);
    printStep('done; waiting until every client receives new reports');
    const reached = await this.#clients.reach({ targets: fleet.next(), deadlineMs: convergeDeadlineMs });
    printStep(reached.unreachedCount === 0 ? 'all clients received them' : 'NOT ALL CLIENTS RECEIVED THEM');
    const verdict = difference(reached.verdict, this.#before);
    this.#before = reached.verdict;
    const row = figuresFrom(fault, reached.seen, this.#settings.intervalMs, verdict);
    this.#rows.push(row);
    this.#printRow(row, reached);
    if (reached.unreachedCount > 0) this.#failures.push(`FAILED: after ${fault.name} ${textOf(reached)}`);
    if (isFaulty(verdict)) this.#failures.push(`FAILED: ${fault.name}: ${JSON.stringify(verdict)}`);
    const { words, fails } = judgement(row);
    if (fails) this.#failures.push(`FAILED: ${fault.name}: ${words}`);
  }

  /** After the last report, every client must have received all that its subscriptions cover. */
  async #end(fleet: Fleet): Promise<void> {
    await fleet.stop();
    const reached = await this.#clients.reach({ targets: fleet.acknowledged, deadlineMs: convergeDeadlineMs });
    const { verdict, findings } = await this.#clients.end({ acknowledged: fleet.acknowledged, sent: fleet.sent });
    const rest = difference(verdict, this.#before);
    if (reached.unreachedCount > 0) this.#failures.push(`FAILED: at the end ${textOf(reached)}`);
    if (isFaulty(rest)) this.#failures.push(`FAILED: after the last fault: ${JSON.stringify(rest)}`);
    this.#failures.push(...findings.map((finding) => `  ${finding}`));
  }

  #printRow({ liveAgain, pause }: Figures, { losses, dropped }: Reached): void {
    this.#print(`  longest pause p50 / p95 / p99 / max: ${pause.p50} / ${pause.p95} / ${pause.p99} / ${pause.max} ms`);
    if (liveAgain !== undefined) {
      this.#print(`  live again p50 / p95 / max: ${liveAgain.p50} / ${liveAgain.p95} / ${liveAgain.max} ms`);
    }
    for (const [why, count] of losses) this.#print(`  ${count} × ${why}`);
    this.#print(`  repeats dropped by the SDK so far: ${dropped}; requests sent again: ${this.#fleet?.retries ?? 0}`);
  }
}

function textOf({ unreachedCount, unreached }: Reached): string {
  return `${unreachedCount} clients are behind:\n  ${unreached.join('\n  ')}`;
}
