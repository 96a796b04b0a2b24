import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Verdict } from './checker.ts';
import type { ClientPlan, Seen } from './client.ts';

/** Requests to the processes, by kind. */
export interface Requests {
  open: { readonly plans: readonly ClientPlan[]; readonly urls: readonly string[]; readonly token: string };
  /** A fault starts now. */
  startFault: { readonly atMs: number; readonly acknowledged: ReadonlyMap<string, number> };
  /** Answered when every client is live and has received these counters, or at the deadline. */
  reach: { readonly targets: ReadonlyMap<string, number>; readonly deadlineMs: number };
  /** Closes all clients and checks the whole run. */
  end: { readonly acknowledged: ReadonlyMap<string, number>; readonly sent: ReadonlyMap<string, number> };
}

export interface Reached {
  readonly unreachedCount: number;
  /** Descriptions of some clients that did not reach the targets. */
  readonly unreached: readonly string[];
  readonly seen: readonly Seen[];
  readonly losses: ReadonlyMap<string, number>;
  /** Reports that the SDK dropped as not newer, since the start of the run. */
  readonly dropped: number;
  /** Since the start of the run. */
  readonly verdict: Verdict;
  readonly findings: readonly string[];
}

export interface Answers {
  open: undefined;
  startFault: undefined;
  reach: Reached;
  end: { readonly verdict: Verdict; readonly findings: readonly string[] };
}

export interface Request<K extends keyof Requests> {
  readonly id: number;
  readonly kind: K;
  readonly body: Requests[K];
}

/** Bounded by the open files of a process and by its one event loop. */
export const clientsPerProcessMax = 1_500;

/** All clients of a run, in several child processes. */
export class ClientProcesses {
  readonly #processes: readonly ClientProcess[];

  constructor(clients: number) {
    // At least two, so that every run has several.
    const count = Math.max(2, Math.ceil(clients / clientsPerProcessMax));
    this.#processes = Array.from({ length: count }, () => new ClientProcess());
  }

  async open(plans: readonly ClientPlan[], place: { urls: readonly string[]; token: string }): Promise<void> {
    const share = Math.ceil(plans.length / this.#processes.length);
    await this.#all('open', (i) => ({ plans: plans.slice(i * share, (i + 1) * share), ...place }));
  }

  async startFault(body: Requests['startFault']): Promise<void> {
    await this.#all('startFault', () => body);
  }

  async reach(body: Requests['reach']): Promise<Reached> {
    const answers = await this.#all('reach', () => body);
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
      ...sumOf(answers),
    };
  }

  async end(body: Requests['end']): Promise<Answers['end']> {
    return sumOf(await this.#all('end', () => body));
  }

  /** Stops the processes. Idempotent. */
  close(): void {
    for (const each of this.#processes) each.close();
  }

  #all<K extends keyof Requests>(kind: K, bodyOf: (process: number) => Requests[K]): Promise<Answers[K][]> {
    return Promise.all(this.#processes.map((each, i) => each.request(kind, bodyOf(i))));
  }
}

class ClientProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  #ids = 0;

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'client-process.ts'), { serialization: 'advanced' });
    this.#child.on('message', (message) => {
      const { id, answer } = message as { id: number; answer: unknown };
      this.#waiting.get(id)?.resolve(answer);
      this.#waiting.delete(id);
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`client process: expected an answer, got exit ${code ?? signal}`));
      this.#waiting.clear();
    });
  }

  request<K extends keyof Requests>(kind: K, body: Requests[K]): Promise<Answers[K]> {
    const id = ++this.#ids;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#child.send({ id, kind, body } satisfies Request<K>);
    return promise as Promise<Answers[K]>;
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

function sumOf(
  answers: readonly { readonly verdict: Verdict; readonly findings: readonly string[] }[],
): Answers['end'] {
  const verdict = { lost: 0, named: 0, doubled: 0, disordered: 0, invalid: 0 };
  for (const answer of answers) {
    for (const kind of Object.keys(verdict) as (keyof Verdict)[]) verdict[kind] += answer.verdict[kind];
  }
  return { verdict, findings: answers.flatMap(({ findings }) => findings) };
}
