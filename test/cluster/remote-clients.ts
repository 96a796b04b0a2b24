import { noViolations, type Verdict } from '../chaos/checker.ts';
import type { Disruption } from '../chaos/faults.ts';
import { difference, type Figures, figuresFrom, isFaulty, judgement, tableOf } from '../chaos/figures.ts';
import {
  type ClientReplies,
  type ClientRequestKind,
  type ClientRequests,
  type ClientsReached,
  clientsPort,
} from './client-requests.ts';
import type { Kubectl } from './kubectl.ts';

const convergeDeadlineMs = 60_000;
const requestCode = `fetch('http://127.0.0.1:${clientsPort}/' + process.argv[1], { method: 'POST', body: process.argv[2] }).then(async (answer) => {
  const body = await answer.text();
  if (answer.ok) process.stdout.write(body);
  else { process.stderr.write(body); process.exitCode = 1; }
})`;

/** The devices and clients in their pod, and their results for each disruption. */
export class RemoteClients {
  readonly rows: Figures[] = [];
  readonly #kubectl: Kubectl;
  readonly #pod: string;
  readonly #print: (text: string) => void;
  #intervalMs = 0;
  #before: Verdict = noViolations();
  #retries = 0;

  constructor(kubectl: Kubectl, pod: string, print: (text: string) => void) {
    this.#kubectl = kubectl;
    this.#pod = pod;
    this.#print = print;
  }

  /** Resolves when every client has received a report. */
  async open(request: ClientRequests['open']): Promise<ClientsReached> {
    this.#intervalMs = request.intervalMs;
    await this.#request('open', request);
    return this.reach();
  }

  /** Resolves when every client is live and has received reports sent after the call. Throws where one has not. */
  async reach(everything = false): Promise<ClientsReached> {
    const reached = await this.#request('reach', { deadlineMs: convergeDeadlineMs, everything });
    if (reached.unreachedCount === 0) return reached;
    throw new Error(`${reached.unreachedCount} clients are behind:\n  ${reached.unreached.join('\n  ')}`);
  }

  /**
   * Runs a disruption. Throws where a client lost a report, received one twice or out of order, or had too long a
   * pause.
   */
  async under(disruption: Disruption, act: (print: (step: string) => void) => Promise<void>): Promise<Figures> {
    const { load } = await this.#request('startDisruption', {});
    const startedAtMs = performance.now();
    const print = (step: string) => this.#print(`${((performance.now() - startedAtMs) / 1000).toFixed(2)} s: ${step}`);
    print(`${disruption.words} (${load})`);
    await act(print);
    const reached = await this.reach();
    print('every client receives new reports');
    const verdict = difference(reached.verdict, this.#before);
    this.#before = reached.verdict;
    const row = figuresFrom(disruption, reached.seen, this.#intervalMs, verdict);
    this.rows.push(row);
    const { p50, p95, p99, max } = row.pause;
    const { words, fails } = judgement(row);
    this.#print(
      `${row.clients} clients, ${row.hit} lost their connection, ${row.moves} moved; ${row.reports} reports; longest pause p50 / p95 / p99 / max ${p50} / ${p95} / ${p99} / ${max} ms; ${words}`,
    );
    for (const [why, count] of reached.losses) this.#print(`${count} × ${why}`);
    const retries = reached.retries - this.#retries;
    this.#retries = reached.retries;
    if (retries > 0) this.#print(`devices retried ${retries} requests; the last one because of ${reached.lastRefusal}`);
    if (isFaulty(verdict)) throw new Error(`${JSON.stringify(verdict)}\n  ${reached.findings.join('\n  ')}`);
    if (fails) throw new Error(words);
    return row;
  }

  /** Stops devices and checks that every client has all acknowledged reports. */
  async end(): Promise<Verdict> {
    await this.reach(true);
    const { verdict, findings } = await this.#request('end', {});
    if (isFaulty(verdict)) throw new Error(`${JSON.stringify(verdict)}\n  ${findings.join('\n  ')}`);
    return verdict;
  }

  table(): string {
    return tableOf(this.rows);
  }

  async #request<K extends ClientRequestKind>(kind: K, request: ClientRequests[K]): Promise<ClientReplies[K]> {
    const args = [kind, JSON.stringify(request)];
    return JSON.parse(
      await this.#kubectl.node(this.#pod, requestCode, args, convergeDeadlineMs + 30_000),
    ) as ClientReplies[K];
  }
}
