import { execFile } from 'node:child_process';
import type { Environment } from './ladder.ts';

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
 * Runs a command to its end. Rejects with Node's own error (which gets `stdout` and `stderr`) when it cannot start or
 * does not end with 0.
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

/** What a failed `run` has to say, in one short piece of text. */
export function whyItFailed(error: unknown): string {
  const { code, stderr, message } = error as { code?: unknown; stderr?: string; message?: string };
  if (code === 'ENOENT') return 'not found';
  // Without Java's stack, which would push out what it is about.
  const said = (stderr ?? '').replace(/^\s+at .*\n?/gm, '').trim();
  return said === '' ? String(message) : said.slice(-600);
}
