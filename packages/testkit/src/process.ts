import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { TailraceError } from '@tailrace/protocol/error';
import { eventually, withDeadline } from './eventually.ts';
import type { Environment } from './ladder.ts';
import { type Exit, startSupervised } from './supervised.ts';

export interface ServiceOptions {
  /** Script, then its arguments; run by the Node that runs us. */
  args: readonly string[];
  /** Over the environment of this process; undefined takes a variable away. */
  env?: Environment;
  cwd?: string;
  /** When it counts as started. Default: at once. */
  ready?: { line: RegExp } | { url: string };
  /** Until it is ready. Default 20 s. */
  deadlineMs?: number;
}

/** A program of ours as a process of its own. Dies with this process, however that ends. */
export interface ServiceProcess {
  readonly pid: number;
  /** What it wrote to stdout and stderr, at most the last million characters. */
  output(): string;
  /** The first line so far or to come that matches, with the groups of the match. `timeout` and `internal` (the process ended) have the output in the message. */
  line(pattern: RegExp, options?: { deadlineMs?: number }): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  /** Sends SIGTERM, and after `deadlineMs` (default 10 s) SIGKILL. Resolves when it is gone. Idempotent. */
  stop(options?: { signal?: NodeJS.Signals; deadlineMs?: number }): Promise<Exit>;
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<Exit>;
  /** Never rejects. */
  readonly exited: Promise<Exit>;
}

const outputCharactersMax = 1_000_000;
const deadlineMsDefault = 20_000;
const outputGraceMs = 1000;

/** Starts a Node program and waits until it is ready. When it does not get there it is killed, and the error has the end of its output. */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  const { ready, deadlineMs = deadlineMsDefault } = options;
  const name = options.args[0] ?? '';
  const running = await startSupervised({
    command: process.execPath,
    args: options.args,
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
    output: 'pipes',
  });
  const output = createOutput([running.child.stdout!, running.child.stderr!]);
  let end: string | undefined;
  // The streams end after the process: with them its last words are known when its end is. A process that it left behind may hold them open.
  const exited = running.exited.then(async (exit) => {
    await withDeadline(
      output.ended,
      outputGraceMs,
      () => new TailraceError('timeout', 'its output does not end'),
    ).catch(() => {});
    end = `${name} ended (${exit.code ?? exit.signal})`;
    output.wake();
    return exit;
  });

  const service: ServiceProcess = {
    pid: running.pid,
    exited,
    output: () => output.lines.map((line) => `${line}\n`).join(''),
    signal: running.signal,
    async line(pattern, { deadlineMs = deadlineMsDefault } = {}) {
      const giveUpAt = performance.now() + deadlineMs;
      const late = () =>
        new TailraceError('timeout', `${name} did not write ${pattern} within ${deadlineMs} ms. ${output.tail()}`);
      for (;;) {
        for (const line of output.lines) {
          const found = pattern.exec(line);
          if (found) return found;
        }
        if (end) throw new TailraceError('internal', `${end} before it wrote ${pattern}. ${output.tail()}`);
        await withDeadline(output.change(), Math.max(giveUpAt - performance.now(), 0), late);
      }
    },
    async stop(how) {
      await running.stop(how);
      return await exited;
    },
    kill: () => service.stop({ signal: 'SIGKILL' }),
  };
  try {
    if (ready && 'line' in ready) await service.line(ready.line, { deadlineMs });
    if (ready && 'url' in ready) await answers(ready.url, deadlineMs, () => end, output.tail);
  } catch (error) {
    await service.kill();
    throw error;
  }
  return service;
}

/** The lines of both streams in the order in which they come, the oldest dropped beyond the bound. */
function createOutput(streams: readonly Readable[]) {
  const lines: string[] = [];
  let characters = 0;
  let waiting: Array<() => void> = [];
  const wake = () => {
    const woken = waiting;
    waiting = [];
    for (const go of woken) go();
  };
  const take = (line: string) => {
    lines.push(line);
    characters += line.length + 1;
    while (characters > outputCharactersMax) characters -= lines.shift()!.length + 1;
    wake();
  };
  const ends = streams.map((input) => {
    const reader = createInterface({ input });
    reader.on('line', take);
    return new Promise<void>((resolve) => reader.once('close', resolve));
  });
  return {
    lines,
    wake,
    /** Resolves with the next line, or the next `wake`. */
    change: () => new Promise<void>((resolve) => waiting.push(resolve)),
    ended: Promise.all(ends),
    tail: () => `Its output ends:\n${lines.join('\n').slice(-3000)}`,
  };
}

async function answers(
  url: string,
  deadlineMs: number,
  ended: () => string | undefined,
  said: () => string,
): Promise<void> {
  const check = async () => {
    // Resolving ends the waiting: the end of the process will not change any more.
    if (ended()) return;
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await answer.body?.cancel();
    if (!answer.ok) throw new TailraceError('unavailable', `status ${answer.status}`);
  };
  try {
    await eventually(check, { deadlineMs, pollMs: 20, describe: `${url} answers` });
  } catch (error) {
    throw new TailraceError('timeout', `${(error as Error).message}. ${said()}`, { cause: error });
  }
  const end = ended();
  if (end) throw new TailraceError('internal', `${end} before ${url} answered. ${said()}`);
}

/** Whether a process of that pid runs. One that has ended and was not collected by its parent yet (a zombie) does not. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    return stateIn(await readFile(`/proc/${pid}/stat`, 'latin1')) !== 'Z';
  } catch {
    // Gone meanwhile, or a system without /proc, where the signal has answered.
    return process.platform !== 'linux';
  }
}

const stillDeadlineMs = 10_000;
const stillPollMs = 1;

/**
 * Resolves when no thread of a process that got SIGSTOP runs any more, or when the process is gone. The signal only
 * marks the process: a thread that runs on another processor goes on until it next enters the kernel, and one of a
 * server's may answer a request meanwhile. `timeout` after 10 s. Without /proc it resolves at once.
 */
export async function untilStandsStill(pid: number): Promise<void> {
  const check = async () => {
    for (const state of await threadStates(pid)) {
      if (!'TtZX'.includes(state)) throw new TailraceError('unavailable', `a thread is in state ${state}, expected T`);
    }
  };
  await eventually(check, {
    deadlineMs: stillDeadlineMs,
    pollMs: stillPollMs,
    describe: `process ${pid} stands still`,
  });
}

/** The letter of each thread, as in proc(5). None when the process is gone. */
async function threadStates(pid: number): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const stats = await Promise.all(
    // A thread may end between the two calls.
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'latin1').catch(() => '')),
  );
  return stats.filter((stat) => stat !== '').map(stateIn);
}

/** From `pid (name) state …`; the name may hold any character. */
function stateIn(stat: string): string {
  return stat[stat.lastIndexOf(')') + 2]!;
}
