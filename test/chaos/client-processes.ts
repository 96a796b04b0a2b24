import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Verdict } from './checker.ts';
import type { ClientPlan, Seen } from './client.ts';

/** What the processes of a crowd can be asked. */
export interface Asks {
  open: { readonly plans: readonly ClientPlan[]; readonly urls: readonly string[]; readonly token: string };
  /** A fault begins now. */
  begin: { readonly atMs: number; readonly acknowledged: ReadonlyMap<string, number> };
  /** Answered when every client is live and was shown these values, or at the deadline. */
  reach: { readonly targets: ReadonlyMap<string, number>; readonly deadlineMs: number };
  /** Closes all clients and judges the whole run. */
  end: { readonly acknowledged: ReadonlyMap<string, number>; readonly sent: ReadonlyMap<string, number> };
}

export interface Reached {
  readonly unreachedCount: number;
  /** Some of those that did not come that far, in words. */
  readonly unreached: readonly string[];
  readonly seen: readonly Seen[];
  readonly losses: ReadonlyMap<string, number>;
  /** Left out by the SDK as not newer, since the start of the run. */
  readonly dropped: number;
  /** Since the start of the run. */
  readonly verdict: Verdict;
  readonly findings: readonly string[];
}

export interface Answers {
  open: undefined;
  begin: undefined;
  reach: Reached;
  end: { readonly verdict: Verdict; readonly findings: readonly string[] };
}

export interface Question<K extends keyof Asks> {
  readonly id: number;
  readonly kind: K;
  readonly ask: Asks[K];
}

/** Files that a process may have open are bounded, and so are the turns of one event loop. */
export const clientsPerProcessMax = 1_500;

/** All clients of a run, over several processes that end with this one. */
export class Crowd {
  readonly #members: readonly Member[];

  constructor(clients: number) {
    // Two at least, so that what one process does not see of another is part of every run.
    const count = Math.max(2, Math.ceil(clients / clientsPerProcessMax));
    this.#members = Array.from({ length: count }, () => new Member());
  }

  async open(plans: readonly ClientPlan[], place: { urls: readonly string[]; token: string }): Promise<void> {
    const share = Math.ceil(plans.length / this.#members.length);
    await this.#all('open', (i) => ({ plans: plans.slice(i * share, (i + 1) * share), ...place }));
  }

  async begin(ask: Asks['begin']): Promise<void> {
    await this.#all('begin', () => ask);
  }

  async reach(ask: Asks['reach']): Promise<Reached> {
    const answers = await this.#all('reach', () => ask);
    const losses = new Map<string, number>();
    for (const answer of answers) {
      for (const [why, count] of answer.losses) losses.set(why, (losses.get(why) ?? 0) + count);
    }
    return {
      unreachedCount: answers.reduce((sum, { unreachedCount }) => sum + unreachedCount, 0),
      unreached: answers.flatMap(({ unreached }) => unreached),
      seen: answers.flatMap(({ seen }) => seen),
      losses,
      dropped: answers.reduce((sum, { dropped }) => sum + dropped, 0),
      ...judged(answers),
    };
  }

  async end(ask: Asks['end']): Promise<Answers['end']> {
    return judged(await this.#all('end', () => ask));
  }

  /** Ends the processes. Idempotent. */
  close(): void {
    for (const member of this.#members) member.close();
  }

  #all<K extends keyof Asks>(kind: K, askOf: (member: number) => Asks[K]): Promise<Answers[K][]> {
    return Promise.all(this.#members.map((member, i) => member.ask(kind, askOf(i))));
  }
}

class Member {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  #ids = 0;

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'crowd-process.ts'), { serialization: 'advanced' });
    this.#child.on('message', (message) => {
      const { id, answer } = message as { id: number; answer: unknown };
      this.#waiting.get(id)?.resolve(answer);
      this.#waiting.delete(id);
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`a process of clients ended: ${code ?? signal}`));
      this.#waiting.clear();
    });
  }

  ask<K extends keyof Asks>(kind: K, ask: Asks[K]): Promise<Answers[K]> {
    const id = ++this.#ids;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#child.send({ id, kind, ask } satisfies Question<K>);
    return promise as Promise<Answers[K]>;
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

function judged(
  answers: readonly { readonly verdict: Verdict; readonly findings: readonly string[] }[],
): Answers['end'] {
  const verdict = { lost: 0, named: 0, doubled: 0, disordered: 0, foreign: 0 };
  for (const answer of answers) {
    for (const kind of Object.keys(verdict) as (keyof Verdict)[]) verdict[kind] += answer.verdict[kind];
  }
  return { verdict, findings: answers.flatMap(({ findings }) => findings) };
}
