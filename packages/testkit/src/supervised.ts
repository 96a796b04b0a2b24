import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { TailraceError } from '@tailrace/protocol/error';

/*
 * A child that cannot outlive this process, even if that is killed with SIGKILL.
 *
 * A shell is started as the leader of a new process group. This process holds the writing end of a pipe to its
 * descriptor
 * 3. The shell starts a watchdog subshell that reads the pipe, then replaces itself (exec) with the command. So the
 *    command has the pid and the exit status of the child. When this process exits in any way, the kernel closes the
 *    pipe, and the watchdog's `read` fails: it kills the command, removes the folder `removeIfOrphaned`, and kills the
 *    whole group, itself included. When the command exits first, this process writes the word `exited`, and the
 *    watchdog only kills what is left of the group.
 *
 * The watchdog is a member of the group, so that the group's number cannot be reused while it runs (POSIX fork(2)).
 */
const watchdogScript = `
( if read -r word <&3; then :; else kill -KILL "$$"; [ -z "$0" ] || rm -rf -- "$0"; fi; kill -KILL "-$$" ) </dev/null >/dev/null 2>&1 &
exec "$@" 3<&-
`;

export interface SupervisedOptions {
  command: string;
  args: readonly string[];
  /** The whole environment of the child. Default: that of this process. */
  env?: NodeJS.ProcessEnv | undefined;
  cwd?: string | undefined;
  /** A file for stdout and stderr of the child, or pipes for the caller to read. */
  output: { file: string } | 'pipes';
  /** A folder that the watchdog removes if this process exits before the child. */
  removeIfOrphaned?: string | undefined;
}

export interface Supervised {
  readonly pid: number;
  /** Has stdout and stderr only with `output: 'pipes'`. */
  readonly child: ChildProcess;
  /** Resolves when the process has exited. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Undefined while the process runs. */
  exit(): Exit | undefined;
  /** Signals the process, not its children. Does nothing when it has exited. */
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal, and after `deadlineMs` kills the group. Resolves when the process has exited. Idempotent. */
  stop(options?: { signal?: NodeJS.Signals; deadlineMs?: number }): Promise<Exit>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Starts a process in a group of its own that exits with this process. Rejects with `unavailable` if that fails. */
export async function startSupervised(options: SupervisedOptions): Promise<Supervised> {
  const file = options.output === 'pipes' ? undefined : openSync(options.output.file, 'a');
  const output = file ?? 'pipe';
  const child = spawn(
    '/bin/sh',
    ['-c', watchdogScript, options.removeIfOrphaned ?? '', options.command, ...options.args],
    {
      detached: true,
      stdio: ['ignore', output, output, 'pipe'],
      env: options.env,
      cwd: options.cwd,
    },
  );
  if (file !== undefined) closeSync(file);
  // Not stdin: Node destroys that when the process exits, before anything could be written to it.
  const watchdog = child.stdio[3] as Writable;
  // The watchdog may have exited before.
  watchdog.on('error', () => {});
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      exit = { code, signal };
      watchdog.end('exited\n');
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
      // A stopped process (SIGSTOP) handles no signal but SIGKILL until it is continued.
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
    // Exited meanwhile.
  }
}

/**
 * Returns the text of a log file from byte `start`, at most its last 3,000 bytes, for an error message. Empty without a
 * file.
 */
export async function textOf(file: string, start = 0): Promise<string> {
  try {
    const text = (await readFile(file)).subarray(start);
    return text.subarray(-3000).toString('utf8').trim();
  } catch {
    return '';
  }
}
