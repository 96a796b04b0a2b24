import { noFaults, type Verdict } from '../chaos/checker.ts';
import type { Disruption } from '../chaos/faults.ts';
import { difference, type Figures, figuresFrom, isFaulty, judgement, tableOf } from '../chaos/figures.ts';
import { type CrowdAnswers, type CrowdAsk, type CrowdAsks, type CrowdReached, crowdPort } from './crowd-asks.ts';
import type { Kubectl } from './kubectl.ts';

const convergeDeadlineMs = 60_000;
const askCode = `fetch('http://127.0.0.1:${crowdPort}/' + process.argv[1], { method: 'POST', body: process.argv[2] }).then(async (answer) => {
  const body = await answer.text();
  if (answer.ok) process.stdout.write(body);
  else { process.stderr.write(body); process.exitCode = 1; }
})`;

/** The devices and clients in their pod, and what they saw of each disruption. */
export class RemoteCrowd {
  readonly rows: Figures[] = [];
  readonly #kubectl: Kubectl;
  readonly #pod: string;
  readonly #say: (text: string) => void;
  #intervalMs = 0;
  #before: Verdict = noFaults();
  #retries = 0;

  constructor(kubectl: Kubectl, pod: string, say: (text: string) => void) {
    this.#kubectl = kubectl;
    this.#pod = pod;
    this.#say = say;
  }

  /** Resolves when every client has been shown something. */
  async open(ask: CrowdAsks['open']): Promise<CrowdReached> {
    this.#intervalMs = ask.intervalMs;
    await this.#ask('open', ask);
    return this.reach();
  }

  /** Resolves when every client is live and was shown what was sent from now on. Throws where one is not. */
  async reach(everything = false): Promise<CrowdReached> {
    const reached = await this.#ask('reach', { deadlineMs: convergeDeadlineMs, everything });
    if (reached.unreachedCount === 0) return reached;
    throw new Error(`${reached.unreachedCount} clients are behind:\n  ${reached.unreached.join('\n  ')}`);
  }

  /**
   * Does it while they watch. Throws where a client lost a report, was shown one twice or in disorder, or was without
   * for far too long.
   */
  async under(disruption: Disruption, act: (say: (step: string) => void) => Promise<void>): Promise<Figures> {
    const { load } = await this.#ask('begin', {});
    const began = performance.now();
    const say = (step: string) => this.#say(`${((performance.now() - began) / 1000).toFixed(2)} s: ${step}`);
    say(`${disruption.words} (${load})`);
    await act(say);
    const reached = await this.reach();
    say('every client has what comes now');
    const verdict = difference(reached.verdict, this.#before);
    this.#before = reached.verdict;
    const row = figuresFrom(disruption, reached.seen, this.#intervalMs, verdict);
    this.rows.push(row);
    const { p50, p95, p99, max } = row.pause;
    const { words, fails } = judgement(row);
    this.#say(
      `${row.clients} clients, ${row.hit} lost their connection, ${row.moves} moved; ${row.reports} reports; longest pause p50 / p95 / p99 / max ${p50} / ${p95} / ${p99} / ${max} ms; ${words}`,
    );
    for (const [why, count] of reached.losses) this.#say(`${count} × ${why}`);
    const retries = reached.retries - this.#retries;
    this.#retries = reached.retries;
    if (retries > 0) this.#say(`devices sent ${retries} requests again; the last one for ${reached.lastRefusal}`);
    if (isFaulty(verdict)) throw new Error(`${JSON.stringify(verdict)}\n  ${reached.findings.join('\n  ')}`);
    if (fails) throw new Error(words);
    return row;
  }

  /** The last word: once nothing is sent any more, everybody must have everything that was acknowledged. */
  async end(): Promise<Verdict> {
    await this.reach(true);
    const { verdict, findings } = await this.#ask('end', {});
    if (isFaulty(verdict)) throw new Error(`${JSON.stringify(verdict)}\n  ${findings.join('\n  ')}`);
    return verdict;
  }

  table(): string {
    return tableOf(this.rows);
  }

  async #ask<K extends CrowdAsk>(kind: K, ask: CrowdAsks[K]): Promise<CrowdAnswers[K]> {
    const args = [kind, JSON.stringify(ask)];
    return JSON.parse(
      await this.#kubectl.node(this.#pod, askCode, args, convergeDeadlineMs + 30_000),
    ) as CrowdAnswers[K];
  }
}
