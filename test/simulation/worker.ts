import { parentPort } from 'node:worker_threads';
import { find } from './mutation-run.ts';
import type { Job, Outcome } from './pool.ts';
import { simulate } from './run.ts';

/** A thread of `runJobs`: one job after the other. */
parentPort?.on('message', (job: Job) => {
  const outcome: Promise<Outcome> = 'seed' in job ? simulate({ seed: job.seed }) : find(job.mutation, job.seedsMax);
  void outcome.then((done) => parentPort?.postMessage(done));
});
