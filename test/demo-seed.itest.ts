import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { ruleFromBytes } from '@tailrace/rules/rule';
import { createHouse } from '@tailrace/simulator/house/house';
import { createPlant, simulatorDevice } from '@tailrace/simulator/plant/plant';
import { seedDemo } from '@tailrace/standalone/demo-seed';
import { eventually } from '@tailrace/testkit/eventually';
import {
  type ControlFixture,
  createControlFixture,
  type RunningControl,
  tokenSecret,
} from '../services/control/test/control-fixture.ts';

/** The seed of the demo, into real control. */

const timeZone = 'Europe/Berlin';
let fixture: ControlFixture;
let control: RunningControl;
let person: string;

const patterns = ['plant1.>', 'home.>'];
const tokenFor = (subject: string) =>
  issueToken({
    ...{ secret: tokenSecret, subject, roles: ['engineer', 'auditor'], publish: [], expiresInMs: 600_000 },
    ...{ subscribe: patterns, command: patterns },
  });

before(async () => {
  fixture = await createControlFixture();
  control = await fixture.start('c1');
  person = await tokenFor('anna');
});
after(() => fixture?.stop());

const seed = () => seedDemo({ url: control.url, secret: tokenSecret, timeZone });

async function ok(method: string, path: string, body?: unknown) {
  const answer = await control.request(person, method, path, body);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

const ids = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id).sort();

test('the seed does not touch a store in which people have created something', async () => {
  const rule = { devices: ['home.entrance'], condition: { kind: 'state', tag: 'open', in: [true] } };
  await ok('PUT', '/v1/rules/mine?version=0&force=true', rule);
  assert.equal(await seed(), false);
  assert.deepEqual(ids((await ok('GET', '/v1/rules')).rules), ['mine']);
  await ok('DELETE', '/v1/rules/mine?version=1');
});

test('the seed puts rules, scenes and schedules of existing devices into an empty store', async () => {
  assert.equal(await seed(), true);
  const { rules } = await ok('GET', '/v1/rules');
  assert.deepEqual(ids(rules), ['bearing-hot', 'device-stale', 'entrance-open', 'gate-open', 'press-hot']);
  const { scenes } = await ok('GET', '/v1/scenes');
  assert.deepEqual(ids(scenes), ['away', 'line-stop', 'night']);
  const { schedules } = await ok('GET', '/v1/schedules');
  assert.deepEqual(
    schedules.map((each: { id: string; paused: boolean; next: unknown[]; timeZone: string }) => [
      ...[each.id, each.paused, each.next.length, each.timeZone],
    ]),
    [
      ['away', true, 0, timeZone],
      ['night', false, 5, timeZone],
    ],
  );
  const known = new Set([...createPlant(1).devices, ...createHouse(1).devices]);
  for (const { devices } of rules)
    for (const device of devices) assert.ok(device.endsWith('.>') || known.has(device), device);
  for (const { id } of scenes) {
    const { steps, needsConfirmation } = await ok('POST', `/v1/scenes/${id}/plan`, {});
    for (const { device } of steps) assert.ok(known.has(device), `${id}: ${device}`);
    assert.equal(needsConfirmation, id === 'line-stop');
  }
  const records = await eventually(async () => {
    const found = await fixture.values('tailrace.rules');
    assert.ok(found.length >= 7, `${found.length} records`);
    return found;
  });
  assert.equal(ruleFromBytes(records.at(-1)!.value).author, 'seed');
});

test('the seed knows the kinds of all machines, and the lines', async () => {
  const found = async (query: string) => {
    const { devices } = await ok('GET', `/v1/registry/devices?limit=100&${query}`);
    return devices.map(({ device }: { device: string }) => device);
  };
  assert.deepEqual(await found('kind=press&label=line=2'), ['plant1.line2.press1', 'plant1.line2.press2']);
  const { devices } = await ok('GET', '/v1/registry/devices?limit=100');
  const kinds = new Map(devices.map(({ device, kind }: { device: string; kind: string }) => [device, kind]));
  const machines = [...createPlant(1).devices, ...createHouse(1).devices].filter((path) => path !== simulatorDevice);
  assert.deepEqual([...kinds.keys()].sort(), machines.sort());
  for (const path of createPlant(1).devices.filter((each) => each !== simulatorDevice))
    assert.equal(kinds.get(path), path.split('.').at(-1)!.replace(/\d+$/, ''), path);
});

test('the scene in CONTROL.md is the one of the seed', async () => {
  const page = await readFile(new URL('../docs/CONTROL.md', import.meta.url), 'utf8');
  const [, example = ''] = /^## Scenes$[\s\S]*?```json\n([\s\S]*?)```/m.exec(page) ?? [];
  const seeded = JSON.parse(await readFile(new URL('../services/standalone/seed/demo.json', import.meta.url), 'utf8'));
  assert.deepEqual(JSON.parse(example), seeded.scenes.away);
});

test('what people change or delete afterwards stays so', async () => {
  const scene = await ok('GET', '/v1/scenes/night');
  const { name, order, steps } = scene;
  await ok('PUT', '/v1/scenes/night', { name: 'My night', order, steps, version: 1 });
  await ok('DELETE', '/v1/rules/gate-open?version=1');
  await ok('POST', '/v1/schedules/night/pause');
  assert.equal(await seed(), false);
  assert.deepEqual([name, (await ok('GET', '/v1/scenes/night')).name], ['Night', 'My night']);
  assert.ok(!ids((await ok('GET', '/v1/rules')).rules).includes('gate-open'));
  assert.equal((await ok('GET', '/v1/schedules/night')).paused, true);
});

test('a seed that was interrupted is completed, and overwrites nothing', async () => {
  const other = await createControlFixture();
  try {
    const interrupted = await other.start('c1');
    const send = async (as: string, method: string, path: string, body: object) =>
      assert.ok((await interrupted.request(as, method, path, body)).status < 300, path);
    await send(await tokenFor('seed'), 'PUT', '/v1/rules/gate-open?version=0&force=true', {
      ...{ name: 'Gate', devices: ['home.entrance'], condition: { kind: 'state', tag: 'open', in: [true] } },
    });
    await send(person, 'POST', '/v1/registry/devices', { device: 'home.entrance', name: 'My entrance' });
    assert.equal(await seedDemo({ url: interrupted.url, secret: tokenSecret, timeZone }), true);
    const get = async (path: string) => (await interrupted.request(person, 'GET', path)).body;
    assert.equal((await get('/v1/rules')).rules.length, 5);
    assert.equal((await get('/v1/rules/gate-open')).name, 'Gate');
    assert.equal((await get('/v1/registry/devices/home.entrance')).name, 'My entrance');
    assert.equal((await get('/v1/schedules')).schedules.length, 2);
    assert.equal(await seedDemo({ url: interrupted.url, secret: tokenSecret, timeZone }), false);
  } finally {
    await other.stop();
  }
});
