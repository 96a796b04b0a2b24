import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { TailraceError } from '@tailrace/protocol/error';

/**
 * A process of the bench, with one request at a time. The measured process is not the one that loads it, so that its
 * CPU is its own.
 */
export interface Child {
  ask<T>(question: string, facts?: object): Promise<T>;
  /** SIGSTOP stops it while others work; SIGCONT continues it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  end(): Promise<void>;
}

export function startChild(script: string, args: readonly string[] = [], execArgv: readonly string[] = []): Child {
  const child: ChildProcess = fork(join(import.meta.dirname, script), [...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [...execArgv],
  });
  return {
    async ask(question, facts = {}) {
      const asked = new AbortController();
      const options = { signal: asked.signal };
      child.send({ question, ...facts });
      try {
        const answered = once(child, 'message', options);
        const exited = once(child, 'exit', options).then(([code]) => {
          throw new TailraceError('internal', `${script} exited with ${code} on ${question}`);
        });
        // The other one is aborted, and its rejection ignored.
        for (const either of [answered, exited]) either.catch(() => undefined);
        const [answer] = await Promise.race([answered, exited]);
        return answer;
      } finally {
        asked.abort();
      }
    },
    signal(signal) {
      child.kill(signal);
    },
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** The other side: answers requests by name, one at a time. */
export function answer(answers: Readonly<Record<string, (facts: never) => unknown>>): void {
  process.on('message', async (message: { question: string }) => {
    const made = await answers[message.question]?.(message as never);
    process.send?.(made ?? {});
  });
  // The parent has exited.
  process.on('disconnect', () => process.exit(0));
}

/** User and system time of this process so far, seconds. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
