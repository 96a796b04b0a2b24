import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { TailraceError } from '@tailrace/protocol/error';
import type { Environment } from './broker-source.ts';
import { eventually, withDeadline } from './eventually.ts';
import { type Exit, startSupervised } from './supervised.ts';

export interface ServiceOptions {
  /** Script, then its arguments; run by the Node of this process. */
  args: readonly string[];
  /** Over the environment of this process; undefined removes a variable. */
  env?: Environment;
  cwd?: string;
  /** When it counts as started. Default: at once. */
  ready?: { line: RegExp } | { url: string };
  /** Until it is ready. Default 60 s. */
  deadlineMs?: number;
}

/** A program of the project as a process of its own. Exits with this process in any case. */
export interface ServiceProcess {
  readonly pid: number;
  /** What it wrote to stdout and stderr, at most the last million characters. */
  output(): string;
  /**
   * Resolves with the match of the first line, written before or later, that matches. Rejects with `timeout`, or with
   * `internal` if the process exits; the message has the output.
   */
  line(pattern: RegExp, options?: { deadlineMs?: number }): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  /** Sends SIGTERM, and after `deadlineMs` (default 10 s) SIGKILL. Resolves when it has exited. Idempotent. */
  stop(options?: { signal?: NodeJS.Signals; deadlineMs?: number }): Promise<Exit>;
  /** SIGKILL. Resolves when it has exited. */
  kill(): Promise<Exit>;
  /** Never rejects. */
  readonly exited: Promise<Exit>;
}

const outputCharactersMax = 1_000_000;
const deadlineMsDefault = 60_000;
const outputGraceMs = 1000;

/**
 * Starts a Node program and waits until it is ready. If it does not become ready it is killed, and the error has the
 * last part of its output.
 */
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
  let exitText: string | undefined;
  // The streams close after the exit of the process: `exited` waits for them, so that all output is known then. A child
  // of the process may hold them open.
  const exited = running.exited.then(async (exit) => {
    await withDeadline(
      output.closed,
      outputGraceMs,
      () => new TailraceError('timeout', 'its output is not closed'),
    ).catch(() => {});
    exitText = `${name} exited (${exit.code ?? exit.signal})`;
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
        if (exitText) throw new TailraceError('internal', `${exitText} before it wrote ${pattern}. ${output.tail()}`);
        await withDeadline(output.change(), Math.max(giveUpAt - performance.now(), 0), late);
      }
    },
    async stop(options) {
      await running.stop(options);
      return await exited;
    },
    kill: () => service.stop({ signal: 'SIGKILL' }),
  };
  try {
    if (ready && 'line' in ready) await service.line(ready.line, { deadlineMs });
    if (ready && 'url' in ready) await untilResponds(ready.url, deadlineMs, () => exitText, output.tail);
  } catch (error) {
    await service.kill();
    throw error;
  }
  return service;
}

/** The lines of both streams in the order in which they are read; beyond the limit the oldest are dropped. */
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
  const closed = streams.map((input) => {
    const reader = createInterface({ input });
    reader.on('line', take);
    return new Promise<void>((resolve) => reader.once('close', resolve));
  });
  return {
    lines,
    wake,
    /** Resolves with the next line, or the next `wake`. */
    change: () => new Promise<void>((resolve) => waiting.push(resolve)),
    closed: Promise.all(closed),
    tail: () => `The last part of its output:\n${lines.join('\n').slice(-3000)}`,
  };
}

async function untilResponds(
  url: string,
  deadlineMs: number,
  exitText: () => string | undefined,
  outputText: () => string,
): Promise<void> {
  const check = async () => {
    // Resolving stops the polling: the process has exited and cannot respond.
    if (exitText()) return;
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await answer.body?.cancel();
    if (!answer.ok) throw new TailraceError('unavailable', `status ${answer.status}`);
  };
  try {
    await eventually(check, { deadlineMs, pollMs: 20, describe: `${url} responds` });
  } catch (error) {
    throw new TailraceError('timeout', `${(error as Error).message}. ${outputText()}`, { cause: error });
  }
  const exit = exitText();
  if (exit) throw new TailraceError('internal', `${exit} before ${url} responded. ${outputText()}`);
}

/**
 * Returns whether a process of that pid runs. One that has exited and whose parent has not waited for it (a zombie)
 * does not.
 */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    return stateIn(await readFile(`/proc/${pid}/stat`, 'latin1')) !== 'Z';
  } catch {
    // Exited meanwhile, or a system without /proc, where the signal has succeeded.
    return process.platform !== 'linux';
  }
}

const stopDeadlineMs = 10_000;
const stopPollMs = 1;

/**
 * Resolves when no thread of a process that was sent SIGSTOP runs, or when the process has exited. The signal only sets
 * a flag: a thread on another processor continues until it next enters the kernel, and a thread of a server may answer
 * a request meanwhile. Rejects with `timeout` after 10 s. Without /proc it resolves at once.
 */
export async function untilStopped(pid: number): Promise<void> {
  const check = async () => {
    for (const state of await threadStates(pid)) {
      if (!'TtZX'.includes(state)) throw new TailraceError('unavailable', `a thread is in state ${state}, expected T`);
    }
  };
  await eventually(check, {
    deadlineMs: stopDeadlineMs,
    pollMs: stopPollMs,
    describe: `process ${pid} is stopped`,
  });
}

/** Returns the state of each thread, as in proc(5); none for a process that has exited. */
async function threadStates(pid: number): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const stats = await Promise.all(
    // A thread may exit between the two calls.
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'latin1').catch(() => '')),
  );
  return stats.filter((stat) => stat !== '').map(stateIn);
}

/** Returns the state in `pid (name) state …`; the name may have any character. */
function stateIn(stat: string): string {
  return stat[stat.lastIndexOf(')') + 2]!;
}
