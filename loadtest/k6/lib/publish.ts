import { sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { backoffMs } from '../generated/protocol.js';
import { measures } from './measures.ts';
import type { Plan } from './plan.ts';
import { Plant } from './plant.ts';
import type { Run } from './watch.ts';

/** A gateway that is further behind skips the rest: after an outage it does not send its whole backlog at once. */
const behindMsMax = 1000;
const requestTimeout = '15s';
/** The least number of requests over which devices are spread within their interval. */
const requestsMin = 8;
/** Readings beside the counter, for reports of a usual size. */
const otherReadings =
  '{"tag":"temperature","value":42.5,"unit":"Cel"},{"tag":"pressure","value":101.3,"unit":"bar"},{"tag":"running","value":true}';

/**
 * One VU that is the gateway of every `publishers`th line: its devices count 1, 2, 3 …, and send their last number
 * negative. Reports that ingest does not accept are sent again with the same message IDs, before newer ones. Blocks
 * until the end of the run.
 */
export function publish(plan: Plan, run: Run, vu: number): void {
  const gateway = new Gateway(plan, run, vu);
  if (gateway.isIdle) return;
  sleepUntil(run.startMs);
  // k6-run.ts waits for this text.
  if (vu === 0) console.log('devices start to report');
  gateway.run();
}

class Gateway {
  readonly #plan: Plan;
  readonly #run: Run;
  /** Paths by request: devices that are sent together. */
  readonly #batches: readonly (readonly string[])[];
  readonly #counts: number[];
  #failures = 0;
  #published = 0;

  constructor(plan: Plan, run: Run, vu: number) {
    this.#plan = plan;
    this.#run = run;
    const { devices, line, batch } = plan.settings;
    const plant = new Plant(run.root, devices, line);
    const mine = Array.from({ length: plant.lines }, (_, number) => number).filter(
      (number) => number % plan.publishers === vu,
    );
    const linesPerBatch = Math.max(1, Math.min(Math.floor(batch / line), Math.ceil(mine.length / requestsMin)));
    const batches: string[][] = [];
    for (let at = 0; at < mine.length; at += linesPerBatch) {
      const paths: string[] = [];
      for (const number of mine.slice(at, at + linesPerBatch)) {
        const first = number * line;
        for (let device = first; device < Math.min(devices, first + line); device++) paths.push(plant.device(device));
      }
      batches.push(paths);
    }
    this.#batches = batches;
    this.#counts = batches.map(() => 0);
  }

  get isIdle(): boolean {
    return this.#batches.length === 0;
  }

  run(): void {
    const { settings, intervalMs, options } = this.#plan;
    const { startMs } = this.#run;
    const count = this.#batches.length;
    let dueMs = startMs;
    for (let batch = 0; ; batch++) {
      const elapsedMs = dueMs - startMs;
      if (elapsedMs >= settings.durationMs) break;
      this.#send(batch % count, false);
      measures.level.add(settings.rate * this.#plan.partAt(elapsedMs));
      dueMs = startMs + this.#plan.dueAfter(elapsedMs, intervalMs / count);
      const nowMs = Date.now();
      measures.publishLag.add(Math.max(0, nowMs - dueMs));
      dueMs = Math.max(dueMs, nowMs - behindMsMax);
      sleepUntil(dueMs);
    }
    if (options.onlyIngest === true) {
      const devices = this.#batches.reduce((sum, { length }) => sum + length, 0);
      measures.throughput.add(this.#published / this.#plan.expectedOf(0, undefined, devices));
    } else for (let index = 0; index < count; index++) this.#send(index, true);
  }

  #send(index: number, isLast: boolean): void {
    const n = this.#counts[index]! + 1;
    this.#counts[index] = n;
    const paths = this.#batches[index]!;
    // The servers' clock: the reader may be a process on another machine.
    const time = Date.now() + this.#run.offsetMs;
    const rest = `","time":${time},"id":"${n}","readings":[{"tag":"n","value":${isLast ? -n : n}},${otherReadings}]}`;
    let body = '';
    for (const path of paths) body += `${body === '' ? '[' : ','}{"device":"${path}${rest}`;
    this.#post(`${body}]`, paths.length);
  }

  /** Sends until ingest has accepted all reports. */
  #post(body: string, reports: number): void {
    for (let attempt = 0; ; attempt++) {
      const answer = http.post(`${this.#plan.settings.ingest}/v1/ingest`, body, {
        headers: { 'content-type': 'application/json', authorization: `Bearer ${this.#run.token}` },
        tags: { name: 'ingest' },
        timeout: requestTimeout,
      });
      const accepted = answer.status === 202 ? Number(answer.json('accepted')) : 0;
      const isAccepted = accepted === reports;
      measures.publishFailures.add(!isAccepted);
      if (isAccepted) {
        measures.published.add(reports);
        this.#published += reports;
        return;
      }
      if (this.#failures++ === 0)
        console.warn(`ingest answered ${answer.status}: ${answer.error || String(answer.body).slice(0, 300)}`);
      // A rejected request is not sent again.
      if (answer.status >= 400 && answer.status < 500 && answer.status !== 429)
        exec.test.abort(
          `${this.#plan.settings.ingest} rejects reports with ${answer.status}: ${String(answer.body).slice(0, 300)}`,
        );
      if (Date.now() - this.#run.startMs > this.#plan.lastsMs) return;
      const retryAfterMs = Number(answer.headers['Retry-After'] ?? 0) * 1000;
      sleep(Math.max(retryAfterMs, backoffMs(attempt, Math.random)) / 1000);
    }
  }
}

function sleepUntil(atMs: number): void {
  const waitMs = atMs - Date.now();
  if (waitMs > 0) sleep(waitMs / 1000);
}
