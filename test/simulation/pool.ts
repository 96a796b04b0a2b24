import { Worker } from 'node:worker_threads';
import type { Found } from './mutation-run.ts';
import type { RunResult } from './run.ts';

/** A seed to run, or a mutation to find. */
export type Job = { readonly seed: number } | { readonly mutation: string; readonly seedsMax: number };
export type Outcome = RunResult | Found;

/** Runs jobs on threads, one per thread at a time. Resolves when all are done. `onError` gets uncaught errors. */
export async function runJobs<J extends Job, O extends Outcome>(
  jobs: readonly J[],
  threads: number,
  onDone: (job: J, outcome: O) => void,
  onError: (job: J, error: Error) => void,
): Promise<void> {
  const waiting = [...jobs];
  const runThread = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; ) {
      const worker = new Worker(new URL('./worker.ts', import.meta.url));
      // A thread with an error is replaced.
      while (job !== undefined && (await runOne(worker, job, onDone, onError))) job = waiting.shift();
      if (job !== undefined) job = waiting.shift();
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: threads }, runThread));
}

/** Returns whether the thread can continue. */
function runOne<J extends Job, O extends Outcome>(
  worker: Worker,
  job: J,
  onDone: (job: J, outcome: O) => void,
  onError: (job: J, error: Error) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const onMessage = (outcome: O) => {
      worker.off('error', onThrown);
      onDone(job, outcome);
      resolve(true);
    };
    const onThrown = (error: Error) => {
      worker.off('message', onMessage);
      onError(job, error);
      resolve(false);
    };
    worker.once('message', onMessage);
    worker.once('error', onThrown);
    worker.postMessage(job);
  });
}
