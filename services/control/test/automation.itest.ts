import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import type { ControlContext } from '../src/control-context.ts';
import { Registry } from '../src/registry/registry.ts';
import {
  type ControlFixture,
  createControlFixture,
  ok,
  type RunningControl,
  refused,
  tokenOf,
} from './control-fixture.ts';
import { FanoutNode } from './fanout-node.ts';
import { IngestNode } from './ingest-node.ts';

let fixture: ControlFixture;
let control: RunningControl;
let other: RunningControl;
let ingest: IngestNode;
let fanout: FanoutNode;
let engineer: string;
let context: ControlContext;
let anna: string;
let bob: string;

const partitions = 3;

before(async () => {
  fixture = await createControlFixture();
  ingest = new IngestNode('ingest-0', await fixture.bus('ingest-0'));
  await ingest.start();
  fanout = new FanoutNode('fanout-0', await fixture.bus('fanout-0'), partitions);
  await fanout.start();
  fanout.set('plant1.reported.one', { speed: 1 }, { receivedMs: 1_000 });
  const markedCommands = JSON.stringify([{ pattern: 'plant1.line9.>', names: ['stop'] }]);
  const settings = { markedCommands, telemetryPartitions: partitions };
  control = await fixture.start('c1', { settings, routes: [(_api, started) => (context = started)] });
  other = await fixture.start('c2', { settings });
  fanout.announce();
  engineer = await tokenOf('erik', { roles: ['engineer'] });
  anna = await tokenOf('anna');
  bob = await tokenOf('bob', { roles: ['supervisor'] });
});

after(async () => {
  fanout?.stop();
  await fixture?.stop();
});

const send = (method: string, path: string, body?: unknown, token = engineer) =>
  control.request(token, method, path, body);

const set = (device: string, params: object, more: object = {}) => ({
  do: 'command',
  device,
  command: 'set',
  params,
  ...more,
});

async function finished(run: { id: string }, at = control) {
  return await eventually(
    async () => {
      const { body } = await at.request(anna, 'GET', `/v1/scene-runs/${run.id}`);
      assert.ok(body.final, JSON.stringify(body));
      return body;
    },
    { describe: `the run ${run.id} has finished` },
  );
}

const startRun = (scene: string, body: object = {}, token = anna) =>
  ok(send('POST', `/v1/scenes/${scene}/run`, body, token));

const sentTo = (prefix: string) => ingest.sent.filter(({ device }) => device.startsWith(prefix));

async function auditOf(target: string): Promise<readonly string[]> {
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const body = await ok(send('GET', `/v1/audit?target=${encodeURIComponent(target)}`, undefined, auditor));
  return body.entries.map(({ action, subject }: { action: string; subject: string }) => `${action} ${subject}`);
}

test('a device is created, changed, found, renamed with its history, and decommissioned', async () => {
  const path = '/v1/registry/devices';
  const fields = {
    name: 'Press 7',
    kind: 'press',
    place: 'Hall B',
    labels: { line: '3', old: 'x' },
    tags: { t: { unit: 'Cel' } },
  };
  const created = await ok(send('POST', path, { device: 'plant1.line3.press7', ...fields }));
  assert.deepEqual([created.version, created.source, created.state], [1, 'api', 'active']);
  await refused(send('POST', path, { device: 'plant1.line3.press7' }), 409, /a path that no device has/);
  const patch = { labels: { old: null, shift: 'a' }, tags: { u: { type: 'number', min: 1, max: 2 } }, version: 1 };
  const changed = await ok(send('PATCH', `${path}/plant1.line3.press7`, patch));
  assert.deepEqual(
    [changed.labels, Object.keys(changed.tags), changed.version],
    [{ line: '3', shift: 'a' }, ['t', 'u'], 2],
  );
  await refused(send('PATCH', `${path}/plant1.line3.press7`, patch), 409, /expected the version 1/);
  await refused(
    send('PATCH', `${path}/plant1.line3.press7`, { tags: { u: { min: 3, max: 2 } } }),
    400,
    /tags\.u\.min: expected at most 2 \(max\), got 3/,
  );
  for (const query of [
    'q=PRESS%20hall',
    'label=shift=a',
    'label=line',
    'kind=press',
    'channel=plant1.line3.%3E',
    'q=shift=a',
  ]) {
    const found = await ok(send('GET', `${path}?${query}`));
    assert.deepEqual(
      found.devices.map(({ device }: { device: string }) => device),
      ['plant1.line3.press7'],
      query,
    );
  }
  assert.deepEqual((await ok(send('GET', `${path}?q=hall%20nowhere`))).devices, []);
  await ok(send('POST', path, { device: 'plant1.line3.sensor', gateway: 'plant1.line3.press7' }));
  const renamed = await ok(send('POST', `${path}/plant1.line3.press7/rename`, { to: 'plant1.line4.press7' }));
  assert.deepEqual([renamed.id, renamed.device], [created.id, 'plant1.line4.press7']);
  const former = await ok(send('GET', `${path}/plant1.line3.press7`));
  assert.deepEqual([former.device, former.formerPaths[0].device], ['plant1.line4.press7', 'plant1.line3.press7']);
  assert.equal((await ok(send('GET', `${path}/plant1.line3.sensor`))).gateway, 'plant1.line4.press7');
  await ok(send('POST', `${path}/plant1.line4.press7/decommission`));
  assert.deepEqual((await ok(send('GET', `${path}?kind=press`))).devices, []);
  assert.deepEqual(await auditOf('plant1.line4.press7'), ['device.decommissioned erik', 'device.renamed erik']);
});

test('a person without the role, and a device that they may not see, are refused', async () => {
  await refused(send('POST', '/v1/registry/devices', { device: 'plant1.x' }, anna), 403, /role "engineer"/);
  await refused(send('POST', '/v1/registry/devices', { device: 'plant2.x' }), 403, /may see plant2.x/);
  await refused(send('GET', '/v1/registry/devices/plant2.x'), 403, /may see plant2.x/);
  await refused(send('GET', '/v1/registry/devices/plant1.unknown'), 404, /one of the registry/);
  await refused(
    send('PUT', '/v1/scenes/mine', { name: 'x', steps: [set('plant1.a', {})] }, anna),
    403,
    /role "engineer"/,
  );
});

test('pages of a search continue after a path', async () => {
  for (let n = 0; n < 5; n++) await ok(send('POST', '/v1/registry/devices', { device: `plant1.page.m${n}` }));
  const seen: string[] = [];
  for (let after = ''; ; ) {
    const page = await ok(send('GET', `/v1/registry/devices?channel=plant1.page.%3E&limit=2&after=${after}`));
    seen.push(...page.devices.map(({ device }: { device: string }) => device));
    if (page.next === undefined) break;
    after = page.next;
  }
  assert.deepEqual(seen, ['plant1.page.m0', 'plant1.page.m1', 'plant1.page.m2', 'plant1.page.m3', 'plant1.page.m4']);
});

async function importCsv(text: string, query = '') {
  const answer = await fetch(`${control.url}/v1/registry/import${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${engineer}`, 'content-type': 'text/csv' },
    body: text,
  });
  // biome-ignore lint/suspicious/noExplicitAny: the assertions name the fields
  return { status: answer.status, body: (await answer.json()) as any };
}

test('the embedded store takes 10,000 devices of one file: all other requests wait for them', async (t) => {
  const lines = (count: number) => Array.from({ length: count }, (_, n) => `plant1.bulk.m${n},M`).join('\n');
  const refused = await importCsv(`path,name\n${lines(10_001)}\n`);
  assert.deepEqual([refused.status, refused.body.error.code], [413, 'too_large'], JSON.stringify(refused.body));
  const startMs = performance.now();
  const { status, body } = await importCsv(`path,name\n${lines(10_000)}\n`, '?dryRun=true');
  assert.deepEqual([status, body.changes.create], [200, 10_000]);
  t.diagnostic(`a dry run of 10,000 devices took ${Math.round(performance.now() - startMs)} ms`);
});

test('an import names each invalid line and changes nothing, its dry run neither, and then it is whole', async () => {
  const header = 'path,name,label.area,tag,unit,min,max\n';
  const valid = 'plant1.csv.a,A,north,t,Cel,0,10\nplant1.csv.a,,,u,bar,,\nplant1.csv.b,B,south,,,,\n';
  const wrong = await importCsv(`${header}${valid}plant1..c,,,,,,\nplant2.d,,,,,,\nplant1.csv.e,,,t,,9,1\n`);
  assert.equal(wrong.status, 422);
  assert.deepEqual(
    wrong.body.errors.map(({ line, column }: { line: number; column: string }) => [line, column]),
    [
      [5, 'path'],
      [6, 'path'],
      [7, 'min'],
    ],
  );
  const dry = await importCsv(header + valid, '?dryRun=true');
  assert.deepEqual([dry.status, dry.body.changes], [200, { create: 2, update: 0, unchanged: 0 }]);
  assert.deepEqual((await ok(send('GET', '/v1/registry/devices?channel=plant1.csv.%3E'))).devices, []);
  assert.deepEqual((await importCsv(header + valid)).body.changes, { create: 2, update: 0, unchanged: 0 });
  const again = await importCsv(header + valid.replace('B,south', 'B2,south'));
  assert.deepEqual(again.body.changes, { create: 0, update: 1, unchanged: 1 });
  const { devices } = await ok(send('GET', '/v1/registry/devices?channel=plant1.csv.%3E'));
  assert.deepEqual(
    devices.map(({ name, source, version }: { name: string; source: string; version: number }) => [
      name,
      source,
      version,
    ]),
    [
      ['A', 'import', 1],
      ['B2', 'import', 2],
    ],
  );
  assert.deepEqual(devices[0].tags, { t: { unit: 'Cel', min: 0, max: 10 }, u: { unit: 'bar' } });
});

test('a device that has reported is in the registry, and its reports under a former path count for it', async () => {
  const path = '/v1/registry/devices/plant1.reported.one';
  const first = await eventually(() => ok(send('GET', path)), { describe: 'the device of the report is known' });
  assert.deepEqual([first.source, first.firstReport, first.lastReport], ['report', 1_000, 1_000]);
  await ok(send('POST', `${path}/rename`, { to: 'plant1.reported.two' }));
  const registry = new Registry(context);
  const later = [
    { path: 'plant1.reported.one', receivedMs: 2_000_000 },
    { path: 'plant1.reported.three', receivedMs: 3_000_000 },
  ];
  assert.deepEqual([await registry.takeReports(later), await registry.takeReports(later)], [1, 0]);
  const renamed = await ok(send('GET', path));
  assert.deepEqual(
    [renamed.device, renamed.firstReport, renamed.lastReport, renamed.formerPaths.length],
    ['plant1.reported.two', 1_000, 2_000_000, 1],
  );
  // A device that its reports alone have created under the new path is the same device.
  const merged = await ok(
    send('POST', '/v1/registry/devices/plant1.reported.two/rename', { to: 'plant1.reported.three' }),
  );
  assert.deepEqual([merged.id, merged.lastReport, merged.formerPaths.length], [first.id, 3_000_000, 2]);
});

test('a report at an unknown time is noted when its time is known', async () => {
  const path = 'plant1.undated.one';
  await ok(send('POST', '/v1/registry/devices', { device: path }));
  const registry = new Registry(context);
  const reports = async (receivedMs: number) => {
    await registry.takeReports([{ path, receivedMs }]);
    const { firstReport, lastReport } = await ok(send('GET', `/v1/registry/devices/${path}`));
    return [firstReport, lastReport];
  };
  assert.deepEqual(
    [await reports(0), await reports(2_000_000)],
    [
      [undefined, undefined],
      [2_000_000, 2_000_000],
    ],
  );
});

test('a circle of scenes is refused with the way, and a scene that another one runs stays', async () => {
  const call = (scene: string) => ({ name: scene, steps: [{ do: 'scene', scene }, set('plant1.a', {})] });
  await ok(send('PUT', '/v1/scenes/c', { name: 'C', steps: [set('plant1.a', {})] }));
  await ok(send('PUT', '/v1/scenes/b', call('c')));
  await ok(send('PUT', '/v1/scenes/a', call('b')));
  await refused(send('PUT', '/v1/scenes/c', call('a')), 400, /c → a → b → c/);
  await refused(send('PUT', '/v1/scenes/d', call('gone')), 404, /"gone" does not exist/);
  await refused(send('DELETE', '/v1/scenes/c'), 409, /runs in b/);
  await refused(send('PUT', '/v1/scenes/a', { ...call('b'), version: 3 }), 409, /expected the version 3, got 1/);
  await refused(send('PUT', '/v1/scenes/a', { name: 'x', steps: [{ do: 'fly' }] }), 400, /steps/);
});

test('a scene over several devices is done for those that are there, names the others, and can be undone', async () => {
  for (const n of [1, 2, 3, 4]) await ok(send('POST', '/v1/registry/devices', { device: `plant1.lamps.l${n}` }));
  // The third lamp has no session; the fourth one was offline before the run, and has a session now.
  for (const n of [1, 2, 4]) ingest.connect(`plant1.lamps.l${n}`);
  fanout.set('plant1.lamps.l1', { on: true, level: 80 });
  fanout.set('plant1.lamps.l2', { on: false, level: 10 });
  fanout.set('plant1.lamps.l4', { on: true, level: 50 }, { isOnline: false });
  const scene = {
    name: 'Away',
    parameters: { level: { type: 'number', min: 0, max: 100, default: 0 } },
    steps: [set('plant1.lamps.>', { on: false, level: { parameter: 'level' } })],
  };
  await ok(send('PUT', '/v1/scenes/away', scene));
  const plan = await ok(send('POST', '/v1/scenes/away/plan', { params: { level: 5 } }, anna));
  assert.equal(plan.steps.length, 4);
  assert.deepEqual(sentTo('plant1.lamps'), []);
  await refused(send('POST', '/v1/scenes/away/run', { params: { level: 101 } }, anna), 400, /at most 100/);
  const narrow = await tokenOf('nina', { command: ['plant1.lamps.l1'] });
  await refused(send('POST', '/v1/scenes/away/run', {}, narrow), 403, /lacks 3 of them/);
  const run = await finished(await startRun('away', { params: { level: 5 } }));
  assert.equal(run.state, 'partial');
  assert.deepEqual(run.notDone, [{ step: '1 plant1.lamps.l3', device: 'plant1.lamps.l3', state: 'unavailable' }]);
  assert.deepEqual(
    sentTo('plant1.lamps')
      .map(({ device, params }) => [device, params])
      .sort(),
    [
      ['plant1.lamps.l1', { on: false, level: 5 }],
      ['plant1.lamps.l2', { on: false, level: 5 }],
      ['plant1.lamps.l4', { on: false, level: 5 }],
    ],
  );
  // Its command does not wait for the device.
  ingest.connect('plant1.lamps.l3');
  ingest.sent.length = 0;
  const undo = await ok(send('POST', `/v1/scene-runs/${run.id}/undo`, {}, anna));
  assert.deepEqual(
    undo.notReversed.map(({ device, reason }: { device: string; reason: string }) => [device, reason]),
    [['plant1.lamps.l4', 'the device was unavailable before the run']],
  );
  assert.equal((await finished(undo.run)).state, 'done');
  assert.deepEqual(
    sentTo('plant1.lamps').map(({ device, params }) => [device, params]),
    [
      ['plant1.lamps.l2', { on: false, level: 10 }],
      ['plant1.lamps.l1', { on: true, level: 80 }],
    ],
  );
  await refused(send('POST', `/v1/scene-runs/${run.id}/undo`, {}, anna), 409, /was not undone/);
  assert.deepEqual((await auditOf('scene/away')).slice(0, 3), [
    'scene.refused anna',
    'scene.run_finished control',
    'scene.run_started anna',
  ]);
});

test('a step that fails compensates what was done', async () => {
  for (const device of ['plant1.comp.a', 'plant1.comp.b']) ingest.connect(device);
  const { onCommand } = ingest;
  ingest.onCommand = (command) =>
    command.device === 'plant1.comp.b'
      ? [{ state: 'failed', code: 'conflict', message: 'the guard is open' }]
      : onCommand(command);
  await ok(
    send('PUT', '/v1/scenes/stop-line', {
      name: 'Stop the line',
      steps: [
        {
          do: 'command',
          device: 'plant1.comp.a',
          command: 'stop',
          compensation: { command: 'start', params: { speed: 3 } },
        },
        { do: 'command', device: 'plant1.comp.b', command: 'stop', onFailure: 'compensate' },
        { do: 'command', device: 'plant1.comp.a', command: 'lock' },
      ],
    }),
  );
  const run = await finished(await startRun('stop-line'));
  ingest.onCommand = onCommand;
  assert.deepEqual([run.state, run.steps[1].message], ['compensated', 'the guard is open']);
  assert.deepEqual(
    sentTo('plant1.comp').map(({ device, name }) => `${device} ${name}`),
    ['plant1.comp.a stop', 'plant1.comp.b stop', 'plant1.comp.a start'],
  );
});

test('a run with a marked command waits for a second person, and its commands for no other', async () => {
  ingest.connect('plant1.line9.m1');
  await ok(
    send('PUT', '/v1/scenes/line9', {
      name: 'Line stop',
      steps: [{ do: 'command', device: 'plant1.line9.m1', command: 'stop' }],
    }),
  );
  const run = await startRun('line9');
  await eventually(async () => assert.equal((await ok(send('GET', `/v1/scene-runs/${run.id}`))).state, 'confirming'));
  await refused(send('POST', `/v1/scene-runs/${run.id}/confirm`, undefined, anna), 403, /supervisor/);
  await ok(send('POST', `/v1/scene-runs/${run.id}/confirm`, undefined, bob));
  const done = await finished(run);
  assert.deepEqual([done.state, done.by, done.approver], ['done', 'anna', 'bob'], JSON.stringify(done.steps));
  await refused(send('POST', `/v1/scene-runs/${run.id}/cancel`, undefined, anna), 409, /an active one/);
  assert.deepEqual((await auditOf('plant1.line9.m1')).slice(-2), ['command.queued bob', 'command.accepted anna']);
  assert.ok(!(await auditOf('plant1.line9.m1')).some((each) => each.startsWith('command.refused')));
});

test('if a process stops within a run, another one goes on, and no command is executed twice', async () => {
  const third = await fixture.start('c3', { settings: { telemetryPartitions: partitions } });
  const steps = Array.from({ length: 8 }, (_, n) => set(`plant1.crash.m${n}`, { on: true }));
  for (const { device } of steps) ingest.connect(device);
  await ok(send('PUT', '/v1/scenes/crash', { name: 'Crash', steps }));
  const runs = await Promise.all(
    [control, other, third].map((each) => ok(each.request(anna, 'POST', '/v1/scenes/crash/run', {}))),
  );
  await eventually(() => assert.ok(sentTo('plant1.crash').length > 4));
  await third.stop();
  for (const run of runs) assert.equal((await finished(run)).state, 'done');
  const sent = sentTo('plant1.crash');
  assert.equal(new Set(sent.map(({ id }) => id)).size, sent.length, 'each command was sent once');
  assert.equal(sent.length, 3 * steps.length);
  const same = await Promise.all(
    [control, other, other].map((each) => ok(each.request(anna, 'POST', '/v1/scenes/crash/run', { id: 'k1' }))),
  );
  assert.equal(new Set(same.map(({ id }) => id)).size, 1, 'a repeated request is the same run');
  await finished(same[0]);
  assert.equal(sentTo('plant1.crash').length, 4 * steps.length);
  await refused(send('POST', '/v1/scenes/night/run', { id: 'k1' }, anna), 409, /which another run has/);
});

test('scheduled runs start in time, each once with several processes, and not while paused', async () => {
  ingest.connect('plant1.night.lamp');
  await ok(
    send('PUT', '/v1/scenes/night', {
      name: 'Night',
      steps: [set('plant1.night.lamp', { on: false }, { compensation: { command: 'on' } })],
    }),
  );
  const schedule = {
    name: 'Night',
    scene: 'night',
    cron: '* * * * * *',
    timeZone: 'Europe/Berlin',
    overlap: 'parallel',
  };
  await refused(
    send('PUT', '/v1/schedules/night', { ...schedule, cron: '61 * * * *' }),
    400,
    /cron: expected a minute from 0 to 59, got 61/,
  );
  await refused(send('PUT', '/v1/schedules/night', { ...schedule, timeZone: 'Mars' }), 400, /timeZone: expected/);
  await refused(send('PUT', '/v1/schedules/night', { ...schedule, scene: 'gone' }), 404, /scene/);
  const stored = await ok(send('PUT', '/v1/schedules/night', schedule));
  assert.equal(stored.next.length, 5);
  const runs = await eventually(async () => {
    const { body } = await control.request(anna, 'GET', '/v1/scene-runs?schedule=night&active=false');
    assert.ok(body.runs.length >= 3);
    return body.runs;
  });
  await ok(send('POST', '/v1/schedules/night/pause'));
  const { rows } = await fixture.database.query<{ schedule_time_ms: number; created_ms: number }>(
    "SELECT schedule_time_ms, created_ms FROM scene_runs WHERE schedule = 'night' ORDER BY position",
  );
  const times = rows.map((row) => row.schedule_time_ms);
  assert.equal(new Set(times).size, times.length, 'no time has two runs');
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.ok(times.every((timeMs) => timeMs % 1_000 === 0));
  assert.ok(runs.every(({ state, by }: { state: string; by: string }) => state === 'done' && by === 'erik'));
  assert.equal(sentTo('plant1.night').length, new Set(sentTo('plant1.night').map(({ id }) => id)).size);
  const paused = await ok(send('GET', '/v1/schedules/night'));
  assert.deepEqual([paused.paused, paused.next], [true, []]);
  assert.deepEqual((await auditOf('schedule/night')).slice(-1), ['schedule.created erik']);
});

test('the document of the API has all of these routes', async () => {
  const { body } = await control.request('', 'GET', '/v1/openapi.json');
  for (const path of [
    '/v1/registry/devices/{device}/rename',
    '/v1/registry/import',
    '/v1/scenes/{id}/run',
    '/v1/scene-runs/{id}/undo',
    '/v1/schedules/{id}',
  ])
    assert.ok(path in body.paths, path);
});
