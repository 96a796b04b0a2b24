import { execFile } from 'node:child_process';
import type { Environment } from './broker-source.ts';

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  env?: Environment | undefined;
  cwd?: string | undefined;
  /** Killed after this. */
  deadlineMs: number;
}

/**
 * Runs a command until it exits. Rejects with Node's own error, with `stdout` and `stderr` added, if it cannot start or
 * exits with another code than 0.
 */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: options.deadlineMs, killSignal: 'SIGKILL' as const, maxBuffer: 10_000_000 };
    execFile(command, args, { ...limits, env: options.env, cwd: options.cwd }, (error, stdout, stderr) => {
      if (error) reject(Object.assign(error, { stdout, stderr }));
      else resolve({ stdout, stderr });
    });
  });
}

/** Returns the reason of a failed `run` as a short text. */
export function whyItFailed(error: unknown): string {
  const { code, stderr, message } = error as { code?: unknown; stderr?: string; message?: string };
  if (code === 'ENOENT') return 'not found';
  // Without Java's stack, which would leave no space for the message.
  const text = (stderr ?? '').replace(/^\s+at .*\n?/gm, '').trim();
  return text === '' ? String(message) : text.slice(-600);
}
