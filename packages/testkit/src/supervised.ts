import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { TailraceError } from '@tailrace/protocol/error';

/*
 * A child that cannot outlive us, even if we are killed with SIGKILL.
 *
 * We start a shell as the leader of a new process group, holding the writing end of a pipe to its descriptor 3. The
 * shell starts a watchdog subshell that reads the pipe, then replaces itself (exec) with the command: the command's pid
 * is the one we know, and its exit status comes to us unchanged. When our process ends, however it ends, the kernel
 * closes the pipe, the watchdog's `read` fails, and it kills the command, removes the folder it was told to, and kills
 * the whole group (itself included). When the command ends first, we write the word `ended`, and the watchdog only
 * kills what is left of the group.
 *
 * The watchdog is a member of the group, so that the group's number cannot be given to another process while it is
 * there (POSIX fork(2)).
 */
const watchdogScript = `
( if read -r word <&3; then :; else kill -KILL "$$"; [ -z "$0" ] || rm -rf -- "$0"; fi; kill -KILL "-$$" ) </dev/null >/dev/null 2>&1 &
exec "$@" 3<&-
`;

export interface SupervisedOptions {
  command: string;
  args: readonly string[];
  /** Environment of the child, whole. Default: ours. */
  env?: NodeJS.ProcessEnv | undefined;
  cwd?: string | undefined;
  /** A file that gets what the child writes to stdout and stderr, or pipes for the caller to read. */
  output: { file: string } | 'pipes';
  /** Removed by the watchdog if our process dies before the child. */
  removeIfOrphaned?: string | undefined;
}

export interface Supervised {
  readonly pid: number;
  /** Only with `output: 'pipes'` are stdout and stderr there. */
  readonly child: ChildProcess;
  /** Resolves when the process is gone. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Undefined while the process runs. */
  exit(): Exit | undefined;
  /** To the process, not to its children. Does nothing when it is gone. */
  signal(signal: NodeJS.Signals): void;
  /**
   * Sends the signal, waits for the end, and after `deadlineMs` kills the group. Resolves when it is gone. Idempotent.
   */
  stop(options?: { signal?: NodeJS.Signals; deadlineMs?: number }): Promise<Exit>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Starts a process in its own group that dies with ours. `not_found` where the command does not exist. */
export async function startSupervised(options: SupervisedOptions): Promise<Supervised> {
  const file = options.output === 'pipes' ? undefined : openSync(options.output.file, 'a');
  const outlet = file ?? 'pipe';
  const child = spawn(
    '/bin/sh',
    ['-c', watchdogScript, options.removeIfOrphaned ?? '', options.command, ...options.args],
    {
      detached: true,
      stdio: ['ignore', outlet, outlet, 'pipe'],
      env: options.env,
      cwd: options.cwd,
    },
  );
  if (file !== undefined) closeSync(file);
  // Not stdin: Node destroys that when the process exits, before anything could be written to it.
  const watchdog = child.stdio[3] as Writable;
  // Writing to a watchdog that is gone already is no news.
  watchdog.on('error', () => {});
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      exit = { code, signal };
      watchdog.end('ended\n');
      resolve(exit);
    });
  });
  if (child.pid === undefined) {
    const [error] = await once(child, 'error');
    throw new TailraceError('unavailable', `cannot start ${options.command}: ${error.message}`, { cause: error });
  }
  const pid = child.pid;
  const signal = (name: NodeJS.Signals) => {
    if (exit === undefined) child.kill(name);
  };
  return {
    pid,
    child,
    exited,
    exit: () => exit,
    signal,
    async stop({ signal: first = 'SIGTERM', deadlineMs = 10_000 } = {}) {
      if (exit !== undefined) return exit;
      // A stopped process (SIGSTOP) takes no signal but SIGKILL until it is continued.
      if (first !== 'SIGKILL') signal('SIGCONT');
      signal(first);
      const timer = setTimeout(() => killGroup(pid), deadlineMs);
      try {
        return await exited;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Gone meanwhile.
  }
}

/**
 * What stands in a log file after byte `start`, at most the last 3,000 bytes of it, for an error message. Nothing where
 * there is no file.
 */
export async function textOf(file: string, start = 0): Promise<string> {
  try {
    const text = (await readFile(file)).subarray(start);
    return text.subarray(-3000).toString('utf8').trim();
  } catch {
    return '';
  }
}
