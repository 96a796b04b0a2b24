import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createControl } from '@tailrace/client/control';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { isTailraceError } from '@tailrace/protocol/error';
import { eventually } from '@tailrace/testkit/eventually';
import type { ActLedger, Attempt } from './act-ledger.ts';
import { type Automation, notifiedPriority } from './automation.ts';
import { notificationViolations } from './automation-checker.ts';
import type { ControlApi } from './control-api.ts';
import { readEvents } from './logged.ts';
import type { Plant } from './plant.ts';
import type { EventWatcher, ReportWatcher } from './watchers.ts';

export interface OutageOptions {
  readonly plant: Plant;
  readonly outageMs: number;
  readonly ledger: ActLedger;
  readonly watchers: readonly EventWatcher[];
  readonly screens: readonly ReportWatcher[];
  readonly automation: Pick<Automation, 'notified'>;
  readonly api: ControlApi;
  /** Of a person who sees all devices. */
  readonly token: string;
  readonly eventLog: Pick<EventLog, 'bounds' | 'read'>;
  readonly printStep: (step: string) => void;
}

/** How long before the outage is compared with it, ms. */
const baselineMs = 10_000;
/** A request is refused within this time, ms: control waits 5 s for a connection. */
const refusedMsMax = 6_000;
/** Requests that are in progress at the start of the outage, ms. */
const startMs = 1_000;
const probeMs = 5_000;
const catchUpMs = 600_000;

/** Stops PostgreSQL for some time. Resolves with a sentence for each promise that was broken. */
export async function postgresOutage(options: OutageOptions): Promise<string[]> {
  const { plant, outageMs, printStep } = options;
  await sleep(baselineMs);
  const fromMs = Date.now();
  await plant.cluster.postgres.kill('SIGINT');
  printStep(`PostgreSQL is away for ${outageMs / 1000} s`);
  const probes = await probed(options, fromMs + outageMs);
  const toMs = Date.now();
  await plant.cluster.postgres.restart();
  printStep('PostgreSQL is back');
  const violations = [
    ...refusalViolations(options.ledger.attempts, { fromMs: fromMs + startMs, toMs }, printStep),
    ...probes,
    ...delayViolations(options, fromMs, toMs),
  ];
  await untilCaughtUp(options);
  return violations;
}

/** Requests something over the stream from time to time, which must be refused. */
async function probed({ watchers, printStep }: OutageOptions, untilMs: number): Promise<string[]> {
  const violations: string[] = [];
  const control = createControl(watchers[1]!.stream);
  const tookMs: number[] = [];
  try {
    await sleep(startMs);
    while (Date.now() < untilMs) {
      const fromMs = performance.now();
      let code = 'none';
      try {
        await control.lease({ scope: 'plant1.probe', action: 'acquire', forMs: 1_000 });
      } catch (error) {
        code = isTailraceError(error) ? error.code : String(error);
      }
      tookMs.push(performance.now() - fromMs);
      if (code !== 'unavailable') violations.push(`lease by the stream: expected unavailable, got ${code}`);
      await sleep(Math.max(0, Math.min(probeMs, untilMs - Date.now())));
    }
  } finally {
    control.close();
  }
  const mostMs = Math.max(...tookMs);
  printStep(`${tookMs.length} requests by the stream were refused, within ${Math.round(mostMs)} ms`);
  if (mostMs > refusedMsMax)
    violations.push(`lease by the stream: expected an error within ${refusedMsMax} ms, got ${mostMs}`);
  return violations;
}

/** Each request of the outage was refused clearly, and soon. */
function refusalViolations(
  attempts: readonly Attempt[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  printStep: (step: string) => void,
): string[] {
  const during = attempts.filter(({ atMs, tookMs }) => atMs >= fromMs && atMs + tookMs <= toMs);
  // A command whose deadline has passed meanwhile is refused without PostgreSQL.
  const refused = during.filter(({ code }) => code !== 'invalid_message');
  const others = refused.filter(
    ({ status, code, isRetryable }) => status !== 503 || !['unavailable', 'timeout'].includes(code) || !isRetryable,
  );
  const mostMs = Math.max(0, ...refused.map(({ tookMs }) => tookMs));
  printStep(`${refused.length} requests by HTTP were refused with 503, within ${Math.round(mostMs)} ms`);
  const violations: string[] = [];
  if (refused.length === 0) violations.push('requests by HTTP: expected some in the outage, got none');
  if (others.length > 0)
    violations.push(`requests by HTTP: expected 503 and unavailable, got ${JSON.stringify(others.slice(0, 3))}`);
  if (mostMs > refusedMsMax)
    violations.push(`requests by HTTP: expected an error within ${refusedMsMax} ms, got ${mostMs}`);
  return violations;
}

/** Reports and alarms reached the screens as before. */
function delayViolations({ watchers, screens, printStep }: OutageOptions, fromMs: number, toMs: number): string[] {
  const violations: string[] = [];
  const compare = (what: string, delays: readonly { readonly atMs: number; readonly ms: number }[]) => {
    const before = delays.filter(({ atMs }) => atMs >= fromMs - baselineMs && atMs < fromMs).map(({ ms }) => ms);
    const during = delays.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).map(({ ms }) => ms);
    printStep(`${what}: before ${quantilesOf(before)}; during the outage ${quantilesOf(during)}`);
    const limitMs = 3 * quantile(before, 0.5) + 50;
    if (during.length === 0) violations.push(`${what}: expected some in the outage, got none`);
    else if (quantile(during, 0.5) > limitMs)
      violations.push(`${what}: expected a median of at most ${limitMs} ms, got ${quantile(during, 0.5)}`);
  };
  for (const { name, delays } of screens) compare(`reports at ${name}`, delays);
  for (const { name, delays } of watchers) compare(`alarms at ${name}`, delays);
  return violations;
}

/** Resolves when control has stored and notified what alarms has raised in the outage. */
async function untilCaughtUp({ api, token, eventLog, automation, printStep }: OutageOptions): Promise<void> {
  const { transitions } = await readEvents(eventLog, 'tailrace.events');
  const last = transitions.flatMap((each) => each.slice(-1));
  const options = { deadlineMs: catchUpMs, pollMs: 200 };
  await eventually(
    async () => {
      for (const { device, rule, number } of last) {
        const query = `pattern=${device}&rule=${rule}&limit=1`;
        const { transitions: newest } = await api.ok(token, 'GET', `/v1/alarms/history?${query}`);
        assert.ok((newest[0]?.number ?? 0) >= number, `${device} ${rule}: ${newest[0]?.number} of ${number}`);
      }
    },
    { ...options, describe: 'the history has the transitions of the outage' },
  );
  printStep('the history has all transitions of the outage');
  await eventually(
    () => {
      const [missing] = notificationViolations(transitions.flat(), automation.notified, notifiedPriority);
      assert.ok(missing === undefined || !missing.includes('all but'), missing);
    },
    { ...options, describe: 'the webhook was notified of the alarms of the outage' },
  );
  printStep('the webhook was notified of all alarms of the outage');
}

function quantilesOf(values: readonly number[]): string {
  const [half, most] = [quantile(values, 0.5), quantile(values, 0.99)].map(Math.round);
  return `${values.length} with p50 ${half} ms, p99 ${most} ms`;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
