import type { Plan } from './plan.ts';

/** What is promised, as k6's thresholds. `abortOnFail` only where the end of the run is the result. */
export type Thresholds = Record<
  string,
  (string | { threshold: string; abortOnFail: boolean; delayAbortEval?: string })[]
>;

/** Part of what was to be delivered that has to be, in good time: the rest is the rounding of VUs that begin and end. */
const throughputMin = 0.95;

/** One list for all scenarios: what differs is the load, and the few limits that a scenario is about. */
export function thresholdsOf(plan: Plan): Thresholds {
  const {
    onlyIngest = false,
    isStorm = false,
    isRolling = false,
    hasSlowClients = false,
    isBreakpoint = false,
  } = plan.options;
  const { sloLatencyMs, sloPauseMs, sloIngestMs } = plan.settings;
  const thresholds: Thresholds = {
    'http_req_duration{name:ingest}': [`p(99)<${sloIngestMs}`],
  };
  if (!isRolling && !isBreakpoint) thresholds['tailrace_publish_failures'] = ['rate<0.001'];
  if (onlyIngest) {
    thresholds['tailrace_throughput'] = [`avg>=${throughputMin}`];
    return thresholds;
  }
  for (const kind of ['gaps', 'duplicates', 'foreign', 'undelivered', 'named'])
    thresholds[`tailrace_${kind}`] = ['count==0'];
  if (isBreakpoint) {
    const ending = (threshold: string) => [{ threshold, abortOnFail: true, delayAbortEval: '10s' }];
    return {
      tailrace_latency: ending(`p(99)<${sloLatencyMs}`),
      tailrace_publish_lag: ending('p(95)<900'),
      tailrace_gaps: ending('count==0'),
      tailrace_duplicates: ending('count==0'),
    };
  }
  thresholds['tailrace_throughput'] = [`avg>=${throughputMin}`];
  if (isStorm) thresholds['tailrace_reconnect'] = [`p(99)<${sloPauseMs}`];
  else if (isRolling) {
    thresholds['tailrace_pause'] = [`max<${sloPauseMs}`];
    // A node that stops and one that begins are paid for by some reports, once.
    delete thresholds['http_req_duration{name:ingest}'];
  } else {
    thresholds['tailrace_latency'] = [`p(99)<${sloLatencyMs}`];
    thresholds['tailrace_refusals'] = ['count==0'];
    if (!hasSlowClients) thresholds['tailrace_losses'] = ['count==0'];
  }
  if (hasSlowClients) thresholds['tailrace_slow_named'] = ['count>0'];
  return thresholds;
}
