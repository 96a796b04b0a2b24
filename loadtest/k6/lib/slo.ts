import type { Plan } from './plan.ts';

/** The objectives as k6's thresholds. `abortOnFail` only where the time of the abort is the result. */
export type Thresholds = Record<
  string,
  (string | { threshold: string; abortOnFail: boolean; delayAbortEval?: string })[]
>;

/** The least part of the expected reports to deliver in time. The rest is for VUs that start late or stop early. */
const throughputMin = 0.95;

/** Returns the objectives of a scenario. Most are those of all scenarios. */
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
  for (const kind of ['gaps', 'duplicates', 'invalid', 'undelivered', 'named'])
    thresholds[`tailrace_${kind}`] = ['count==0'];
  if (isBreakpoint) {
    const aborting = (threshold: string) => [{ threshold, abortOnFail: true, delayAbortEval: '10s' }];
    return {
      tailrace_latency: aborting(`p(99)<${sloLatencyMs}`),
      tailrace_publish_lag: aborting('p(95)<900'),
      tailrace_gaps: aborting('count==0'),
      tailrace_duplicates: aborting('count==0'),
    };
  }
  thresholds['tailrace_throughput'] = [`avg>=${throughputMin}`];
  if (isStorm) thresholds['tailrace_reconnect'] = [`p(99)<${sloPauseMs}`];
  else if (isRolling) {
    thresholds['tailrace_pause'] = [`max<${sloPauseMs}`];
    // A node that stops or starts delays some reports once.
    delete thresholds['http_req_duration{name:ingest}'];
  } else {
    thresholds['tailrace_latency'] = [`p(99)<${sloLatencyMs}`];
    thresholds['tailrace_refusals'] = ['count==0'];
    if (!hasSlowClients) thresholds['tailrace_losses'] = ['count==0'];
  }
  if (hasSlowClients) thresholds['tailrace_slow_named'] = ['count>0'];
  return thresholds;
}
