import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { createMetrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/reading';
import { encodeReport } from '@tailrace/protocol/report-proto';
import type { ControlContext } from '../src/control-context.ts';
import { type DryRunInput, DryRunService } from '../src/dry-run/dry-run-service.ts';
import type { ReportHistory } from '../src/dry-run/report-history.ts';
import type { Requester } from '../src/requester.ts';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';

let fixture: ControlFixture;
let control: RunningControl;
let context: ControlContext;
let engineer: string;
/** Before the first report. */
const startedMs = systemClock.now();

const topic = 'tailrace.telemetry';
const rule = {
  devices: ['plant1.line2.>'],
  condition: { kind: 'limits', tag: 'temp', limits: { H: { value: 80 } } },
};

before(async () => {
  fixture = await createControlFixture();
  control = await fixture.start('c1', {
    routes: [
      (_, given) => {
        context = given;
      },
    ],
  });
  engineer = await tokenOf('erik', { roles: ['engineer'] });
});

after(() => fixture.stop());

async function report(device: string, values: Readonly<Record<string, Reading['value']>>): Promise<void> {
  const time = systemClock.now();
  const readings = Object.entries(values).map(([tag, value]) => ({ tag, value }));
  await fixture.eventLog.append(topic, [{ key: device, value: encodeReport({ device, time, readings }, time) }]);
}

async function alarm(device: string): Promise<void> {
  await report(device, { temp: 90 });
  await report(device, { temp: 70 });
}

/** Over all reports so far. */
async function dryRun(body: object = {}, token = engineer) {
  // The end of the span is exclusive, and no later than now.
  const lastMs = systemClock.now();
  while (systemClock.now() <= lastMs) await systemClock.sleep(1);
  return await control.request(token, 'POST', '/v1/rules/dry-run', { rule, from: startedMs, warmUpMs: 0, ...body });
}

test('without any report it is unavailable, and then it counts what the rule would have raised', async () => {
  const none = await dryRun();
  assert.deepEqual([none.status, none.body.error.code], [503, 'unavailable']);
  await fixture.eventLog.ensureTopic({ name: topic, partitions: 3, retentionMs: 1e12, retentionBytes: 1e12 });
  for (const device of ['plant1.line2.press1', 'plant1.line2.press2', 'plant1.line2.press2', 'plant1.line3.press3'])
    await alarm(device);
  const { status, body } = await dryRun();
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(
    [body.raised, body.visible, body.devicesRaised, body.devices[0].device],
    [3, 3, 2, 'plant1.line2.press2'],
  );
  assert.deepEqual([body.evaluated.devices, body.evaluated.reports, body.leftOut], [2, 6, []]);
  const one = await dryRun({ pattern: 'plant1.line2.press1' });
  assert.deepEqual([one.body.raised, one.body.evaluated.devices], [1, 1]);
});

test('alarms of a rule that are shelved or out of service now are counted as hidden', async () => {
  const insert = (device: string, state: string) =>
    fixture.database.query(
      `INSERT INTO alarms (device, rule, partition, epoch, number, state, priority, changed_ms, activated_ms, stored_ms,
         transition) VALUES ($1, 'hot', 0, 'e', 1, $2, 3, 0, 0, 0, '{}')`,
      [device, state],
    );
  await insert('plant1.line2.press1', 'out_of_service');
  await insert('plant1.line2.press2', 'shelved');
  const { body } = await dryRun({ rule: { ...rule, id: 'hot', enabled: false } });
  assert.deepEqual(body.hidden, { shelved: 2, suppressed: 0, outOfService: 1 });
  assert.deepEqual([body.raised, body.visible, body.flood.peak], [3, 0, 0]);
  assert.equal((await dryRun({ rule: { ...rule, id: 'other' } })).body.visible, 3);
});

test('it has labels of the registry, and the inhibiting rules of the store', async () => {
  for (const [device, line] of [
    ['plant1.line4.press1', '4'],
    ['plant1.line4.press2', '5'],
  ]) {
    const created = await control.request(engineer, 'POST', '/v1/registry/devices', { device, labels: { line } });
    assert.equal(created.status, 201, JSON.stringify(created.body));
    await alarm(device!);
    await report(device!, { power: false });
    await alarm(device!);
  }
  const labeled = { ...rule, devices: ['plant1.line4.>'], where: { labels: { line: '4' } } };
  const dead = { devices: ['plant1.line4.>'], condition: { kind: 'state', tag: 'power', in: [false] } };
  assert.equal((await control.request(engineer, 'PUT', '/v1/rules/dead', dead)).status, 200);
  const { body } = await dryRun({ rule: { ...labeled, inhibition: { alarms: ['dead'] } } });
  assert.deepEqual([body.raised, body.visible, body.hidden.suppressed], [2, 1, 1]);
  assert.deepEqual(
    body.devices.map(({ device }: { device: string }) => device),
    ['plant1.line4.press1'],
  );
});

test('it is refused without the role, the right to see the devices, a valid rule or a span', async () => {
  assert.equal((await dryRun({}, await tokenOf('anna'))).status, 403);
  const foreign = await dryRun({ rule: { ...rule, devices: ['>'] } });
  assert.deepEqual([foreign.status, foreign.body.error.code], [403, 'forbidden']);
  // With a pattern, only its devices have to be visible.
  assert.equal((await dryRun({ rule: { ...rule, devices: ['>'] }, pattern: 'plant1.>' })).status, 200);
  const invalid = await dryRun({ rule: { ...rule, devices: [] } });
  assert.deepEqual([invalid.status, invalid.body.error.code], [400, 'invalid_rule']);
  const later = await dryRun({ from: systemClock.now() + 60_000 });
  assert.match(later.body.error.message, /from: expected a time before/);
  const long = await dryRun({ from: 0 });
  assert.match(long.body.error.message, /to: expected at most 2678400000 ms after from/);
});

test('a process has one at a time, the others get 429, and one whose requester leaves is canceled', async () => {
  const metrics = createMetrics({ service: 'control', node: 'gated', processMetrics: false });
  const opened = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const history: ReportHistory = {
    async open({ fromMs }) {
      opened.resolve();
      await released.promise;
      return { epoch: 'e', completeFromMs: fromMs, async *read() {} };
    },
  };
  const service = new DryRunService({ context: { ...context, metrics }, history });
  const requester: Requester = {
    ...{ subject: 'erik', tokenId: '', address: '', tenant: '', roles: ['engineer'], traceparent: '' },
    ...{ command: [], subscribe: ['plant1.>'] },
  };
  const input: DryRunInput = { rule, from: startedMs, warmUpMs: 0 };
  const never = new AbortController().signal;
  const first = service.run(requester, input, never);
  await opened.promise;
  await assert.rejects(service.run(requester, input, never), { code: 'rate_limited', retryable: true });
  assert.match(await metrics.text(), /tailrace_control_active_dry_runs\{.*\} 1/);
  released.resolve();
  assert.equal((await first).raised, 0);
  const left = new AbortController();
  left.abort(new TailraceError('canceled', 'left'));
  await assert.rejects(service.run(requester, input, left.signal), { code: 'canceled' });
  service.stop();
  await assert.rejects(service.run(requester, input, never), { code: 'closed' });
  const text = await metrics.text();
  for (const line of [
    /tailrace_control_active_dry_runs\{.*\} 0/,
    /tailrace_control_limit_active_dry_runs\{.*\} 1/,
    /tailrace_control_dry_runs_total\{.*result="complete".*\} 1/,
    /tailrace_control_dry_runs_total\{.*result="refused".*\} 1/,
    /tailrace_control_dry_runs_total\{.*result="failed".*\} 2/,
    /tailrace_control_dry_run_seconds_count\{.*\} 3/,
  ])
    assert.match(text, line);
});
