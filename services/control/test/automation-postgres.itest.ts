import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createPgDatabase } from '@tailrace/database/pg';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { type PostgresServer, startPostgres } from '@tailrace/testkit/postgres';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';
import { IngestNode } from './ingest-node.ts';

/* What a store with one connection cannot show: several processes of control that work on the same rows at once. */

let server: PostgresServer;
let fixture: ControlFixture;
let ingest: IngestNode;
const controls: RunningControl[] = [];
let engineer: string;

before(async () => {
  server = await startPostgres();
  const url = await server.createDatabase();
  fixture = await createControlFixture(async () => createPgDatabase({ url, logger: silentLogger, connectionsMax: 20 }));
  ingest = new IngestNode('ingest-0', await fixture.bus('ingest-0'));
  await ingest.start();
  engineer = await tokenOf('erik', { roles: ['engineer'] });
  for (const node of ['c1', 'c2', 'c3']) controls.push(await fixture.start(node));
});

after(async () => {
  await fixture?.stop();
  await server?.stop();
});

async function ok(method: string, path: string, body?: unknown, from = 0) {
  const answer = await controls[from]!.request(engineer, method, path, body);
  assert.ok(answer.status < 300, `${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

test('three processes start each scheduled time once, and execute each command once', async (t) => {
  const schedules = Array.from({ length: 10 }, (_, n) => `s${n}`);
  const step = (device: string) => ({ do: 'command', device, command: 'tick', timeoutMs: 60_000 });
  for (const id of schedules) {
    ingest.connect(`plant1.clock.${id}`);
    await ok('PUT', `/v1/scenes/${id}`, { name: id, steps: [step(`plant1.clock.${id}`)] });
  }
  const schedule = { cron: '* * * * * *', timeZone: 'UTC', overlap: 'parallel' };
  await Promise.all(
    schedules.map((id, n) => ok('PUT', `/v1/schedules/${id}`, { ...schedule, name: id, scene: id }, n % 3)),
  );
  const finished = async () => {
    const sql = "SELECT count(*) AS count FROM scene_runs WHERE schedule IS NOT NULL AND state = 'done'";
    return (await fixture.database.query<{ count: number }>(sql)).rows[0]!.count;
  };
  await eventually(async () => assert.ok((await finished()) >= 2 * schedules.length), { deadlineMs: 30_000 });
  await Promise.all(schedules.map((id, n) => ok('POST', `/v1/schedules/${id}/pause`, undefined, (n + 1) % 3)));
  await eventually(async () => {
    const { rowCount } = await fixture.database.query('SELECT 1 FROM scene_runs WHERE NOT is_final');
    assert.equal(rowCount, 0);
  });
  const { rows } = await fixture.database.query<{ schedule: string; timeMs: number; createdMs: number; state: string }>(
    'SELECT schedule, schedule_time_ms AS "timeMs", created_ms AS "createdMs", state FROM scene_runs ORDER BY position',
  );
  for (const id of schedules) {
    const times = rows.filter((row) => row.schedule === id).map(({ timeMs }) => timeMs);
    assert.deepEqual(
      times,
      [...new Set(times)].sort((a, b) => a - b),
      'each time once, in order',
    );
  }
  assert.ok(rows.every(({ state }) => state === 'done'));
  assert.equal(ingest.sent.length, rows.length);
  assert.equal(new Set(ingest.sent.map(({ id }) => id)).size, rows.length);
  const late = rows.map(({ timeMs, createdMs }) => createdMs - timeMs).sort((a, b) => a - b);
  t.diagnostic(
    `${rows.length} runs start late by p50 ${late[late.length >> 1]} ms, p99 ${late[Math.floor(late.length * 0.99)]} ms`,
  );
});

test('processes that change the same scene at once do not make a circle', async () => {
  const call = (scene: string) => ({ name: 'x', steps: [{ do: 'scene', scene }] });
  const wait = { name: 'x', steps: [{ do: 'wait', ms: 1 }] };
  for (const id of ['left', 'right']) await ok('PUT', `/v1/scenes/${id}`, wait);
  for (let n = 0; n < 2; n++) {
    const answers = await Promise.all([
      controls[0]!.request(engineer, 'PUT', '/v1/scenes/left', call('right')),
      controls[1]!.request(engineer, 'PUT', '/v1/scenes/right', call('left')),
    ]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400]);
    for (const id of ['left', 'right']) await ok('PUT', `/v1/scenes/${id}`, wait);
  }
});

test('of people who create the same at once, one does, and the others are refused', async () => {
  await ok('PUT', '/v1/scenes/wait', { name: 'x', steps: [{ do: 'wait', ms: 1 }] });
  const schedule = { name: 'x', scene: 'wait', cron: '0 0 1 1 *', timeZone: 'UTC', version: 0 };
  const bodies = {
    'schedules/same': schedule,
    'triggers/same': { name: 'x', scene: 'wait', devices: ['plant1.>'], version: 0 },
    'notification-targets/same': { target: { kind: 'email', to: ['a@plant.example'] }, version: 0 },
  };
  for (const [path, body] of Object.entries(bodies)) {
    const all = [...controls, ...controls].map((each) => each.request(engineer, 'PUT', `/v1/${path}`, body));
    const answers = await Promise.all(all);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409, 409, 409], path);
  }
  // A group has no version in its request: each change is one of its own.
  const group = { name: 'x', patterns: ['plant1.>'] };
  const all = [...controls, ...controls].map((each) =>
    each.request(engineer, 'PUT', '/v1/registry/groups/same', group),
  );
  const versions = (await Promise.all(all)).map(({ body }) => body.version);
  assert.deepEqual(versions.sort(), [1, 2, 3, 4, 5, 6]);
});

test('of two persons that undo a run at once, one does', async () => {
  ingest.connect('plant1.undo.lamp');
  await ok('PUT', '/v1/scenes/on', {
    name: 'On',
    steps: [{ do: 'command', device: 'plant1.undo.lamp', command: 'on', compensation: { command: 'off' } }],
  });
  const run = await ok('POST', '/v1/scenes/on/run', {});
  await eventually(async () => assert.equal((await ok('GET', `/v1/scene-runs/${run.id}`)).state, 'done'));
  const answers = await Promise.all(
    controls.map((control) => control.request(engineer, 'POST', `/v1/scene-runs/${run.id}/undo`, {})),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 409, 409]);
});

test('ten thousand devices are imported at once, and found', async (t) => {
  const lines = Array.from(
    { length: 10_000 },
    (_, n) => `plant1.many.m${n},Machine ${n},press,Hall ${n % 7},${n % 50}`,
  );
  const startMs = performance.now();
  const answer = await fetch(`${controls[0]!.url}/v1/registry/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${engineer}`, 'content-type': 'text/csv' },
    body: `path,name,kind,place,label.line\n${lines.join('\n')}\n`,
  });
  assert.equal(answer.status, 200);
  const importMs = performance.now() - startMs;
  const searchMs = performance.now();
  const { devices } = await ok('GET', '/v1/registry/devices?q=machine%209999%20hall&label=line=49');
  assert.deepEqual(
    devices.map(({ device }: { device: string }) => device),
    ['plant1.many.m9999'],
  );
  t.diagnostic(`import ${Math.round(importMs)} ms, search ${Math.round(performance.now() - searchMs)} ms`);
});
