import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { CommandOutcome } from '@tailrace/protocol/device-command';
import { eventually } from '@tailrace/testkit/eventually';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';
import { FanoutNode } from './fanout-node.ts';
import { IngestNode } from './ingest-node.ts';

let fixture: ControlFixture;
let control: RunningControl;
let ingest: IngestNode;
let erik: string;
let sonja: string;
/** Devices whose commands fail, and those that do not report. */
const failing = new Set<string>();
const idle = new Set<string>();

before(async () => {
  fixture = await createControlFixture();
  ingest = new IngestNode('ingest-0', await fixture.bus('ingest-0'));
  ingest.onCommand = ({ device }): readonly Partial<CommandOutcome>[] => {
    if (idle.has(device)) return [{ state: 'delivered' }];
    return failing.has(device) ? [{ state: 'failed', code: 'internal' }] : [{ state: 'delivered' }, { state: 'done' }];
  };
  await ingest.start();
  const markedCommands = JSON.stringify([{ pattern: 'plant1.>', names: ['reboot'] }]);
  control = await fixture.start('c1', { settings: { markedCommands, fleetDevicesMax: 50 } });
  erik = await tokenOf('erik', { roles: ['engineer'] });
  sonja = await tokenOf('sonja', { roles: ['supervisor'] });
});

after(() => fixture.stop());

const fast = { perMinute: 6_000 };

/** Creates devices of a line in the registry, with a session each. */
async function line(name: string, count: number): Promise<readonly string[]> {
  const devices = Array.from({ length: count }, (_, n) => `plant1.${name}.m${String(n).padStart(3, '0')}`);
  const csv = await fetch(`${control.url}/v1/registry/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${erik}`, 'content-type': 'text/csv' },
    body: `path\n${devices.join('\n')}\n`,
  });
  assert.equal(csv.status, 200, await csv.text());
  for (const device of devices) ingest.connect(device);
  return devices;
}

let keys = 0;
async function start(fields: Readonly<Record<string, unknown>>, token = erik, path = '') {
  const body = { id: `k${++keys}`, name: 'set', params: { speed: 1 }, rate: fast, ...fields };
  const answer = await control.request(token, 'POST', `/v1/fleet-commands${path}`, body);
  return { status: answer.status, body: answer.body };
}

async function read(id: string, path = '', token = erik) {
  const { status, body } = await control.request(token, 'GET', `/v1/fleet-commands/${id}${path}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

const decide = (id: string, decision: string, token = erik) =>
  control.request(token, 'POST', `/v1/fleet-commands/${id}/${decision}`);

const reaches = (id: string, state: string, isFinal = true) =>
  eventually(async () => {
    const body = await read(id);
    assert.deepEqual([body.state, body.final], [state, isFinal], JSON.stringify(body));
    return body;
  });

const sentTo = (name: string) =>
  ingest.sent.filter(({ device }) => device.startsWith(`plant1.${name}.`)).map(({ device }) => device);

async function actionsOf(id: string): Promise<readonly string[]> {
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const { body } = await control.request(auditor, 'GET', `/v1/audit?target=fleet/${id}`);
  return body.entries
    .map(({ action, subject }: { action: string; subject: string }) => `${action} ${subject}`)
    .reverse();
}

test('a fleet command reaches each device once, in their order, and is done', async () => {
  const devices = await line('a', 20);
  const { status, body } = await start({ pattern: 'plant1.a.>', order: 'path' });
  assert.deepEqual([status, body.state, body.devices, body.scope], [202, 'running', 20, 'plant1.a.>']);
  const done = await reaches(body.id, 'done');
  assert.deepEqual([done.counts, done.finished, done.failed], [{ done: 20 }, 20, 0]);
  assert.deepEqual(sentTo('a').toSorted(), devices);
  const first = await read(body.id, '/devices?limit=15');
  const rest = await read(body.id, `/devices?limit=15&state=done&after=${first.next}`);
  assert.deepEqual(
    [...first.devices, ...rest.devices].map(({ device }: { device: string }) => device),
    devices,
  );
  const { body: command } = await control.request(erik, 'GET', `/v1/commands/${rest.devices[0].command}`);
  assert.deepEqual([command.sender, command.state], ['erik', 'done']);
  assert.deepEqual(await actionsOf(body.id), ['fleet.started erik', 'fleet.finished control']);
});

test('the same ID is the same fleet command, and one with another content is refused', async () => {
  await line('b', 2);
  const { body } = await start({ id: 'same', pattern: 'plant1.b.>' });
  await reaches(body.id, 'done');
  const again = await start({ id: 'same', pattern: 'plant1.b.>' });
  assert.deepEqual([again.status, again.body.id, again.body.state], [202, body.id, 'done']);
  const other = await start({ id: 'same', pattern: 'plant1.b.>', params: { speed: 2 } });
  assert.deepEqual([other.status, other.body.error.code], [409, 'conflict']);
  assert.equal(sentTo('b').length, 2);
});

test('too many failures stop it: the devices that wait are skipped, and commands that were not sent are canceled', async () => {
  const devices = await line('c', 30);
  const away = devices[0]!;
  ingest.disconnect(away);
  // All others: on a slow machine, more than five get their commands before the first outcomes are counted.
  for (const device of devices.slice(1)) failing.add(device);
  const { body } = await start({
    ...{ pattern: 'plant1.c.>', rate: { perMinute: 600 }, stop: { failedShare: 0.5, devicesMin: 5 } },
  });
  const stopped = await reaches(body.id, 'stopped');
  assert.match(stopped.message, /^\d+ of \d+ devices have failed, expected less than the share 0.5$/);
  assert.equal(stopped.counts.canceled, 1);
  assert.ok(stopped.counts.skipped > 0, JSON.stringify(stopped.counts));
  const { devices: rows } = await read(body.id, '/devices?state=failed');
  assert.ok(rows.length >= 5, JSON.stringify(rows));
  assert.equal(rows[0].code, 'internal');
  const sent = sentTo('c').length;
  assert.equal(sent + 1 + stopped.counts.skipped, 30);
  ingest.connect(away);
  assert.deepEqual(await actionsOf(body.id), ['fleet.started erik', 'fleet.stopped control', 'fleet.finished control']);
  assert.equal((await decide(body.id, 'resume')).status, 409);
});

test('after the answer to a pause no further device gets its command, until it is resumed; a supervisor may cancel', async () => {
  await line('d', 30);
  const { body } = await start({ pattern: 'plant1.d.>', rate: { perMinute: 600 } });
  await eventually(() => assert.ok(sentTo('d').length >= 2));
  assert.equal((await decide(body.id, 'pause', sonja)).body.state, 'paused');
  // A command that was accepted before may be on its way.
  const { counts } = await read(body.id);
  const others = await start({ pattern: 'plant1.b.>' });
  await reaches(others.body.id, 'done');
  assert.equal((await read(body.id)).counts.pending, counts.pending);
  assert.equal((await decide(body.id, 'resume', sonja)).status, 403);
  assert.equal((await decide(body.id, 'resume')).body.state, 'running');
  await eventually(async () => assert.ok((await read(body.id)).counts.pending < counts.pending));
  assert.equal((await decide(body.id, 'cancel', sonja)).body.state, 'canceled');
  const sent = (await reaches(body.id, 'canceled')).counts;
  assert.ok(sent.skipped > 0);
  assert.deepEqual(await actionsOf(body.id), [
    ...['fleet.started erik', 'fleet.paused sonja', 'fleet.refused sonja', 'fleet.resumed erik'],
    ...['fleet.canceled sonja', 'fleet.finished control'],
  ]);
});

test('marked commands are confirmed once for all by a second person', async () => {
  await line('e', 6);
  const { body } = await start({ pattern: 'plant1.e.>', name: 'reboot', params: {} });
  assert.equal(body.state, 'confirming');
  assert.equal((await decide(body.id, 'confirm')).status, 403);
  const both = await tokenOf('erik', { roles: ['engineer', 'supervisor'] });
  assert.match((await decide(body.id, 'confirm', both)).body.error.message, /expected a second person, got the sender/);
  assert.equal(sentTo('e').length, 0);
  assert.equal((await decide(body.id, 'confirm', sonja)).body.state, 'running');
  assert.equal((await reaches(body.id, 'done')).approver, 'sonja');
  assert.equal(sentTo('e').length, 6);
});

test('a device that does not report in time counts as failed, and a lease of another person refuses its device', async () => {
  const devices = await line('f', 4);
  idle.add(devices[1]!);
  const body = { scope: devices[2]!, forMs: 60_000 };
  assert.equal((await control.request(sonja, 'POST', '/v1/leases', body)).status, 200);
  const { body: fleet } = await start({
    ...{ pattern: 'plant1.f.>', deviceTimeoutMs: 1_000, stop: { failedShare: 1 } },
  });
  await eventually(async () => assert.equal((await read(fleet.id)).counts.failed, 1));
  const { devices: rows } = await read(fleet.id, '/devices?state=failed');
  assert.deepEqual([rows[0].device, rows[0].code], [devices[2], 'conflict']);
  ingest.report(ingest.sent.find(({ device }) => device === devices[1])!, { state: 'expired', code: 'timeout' });
  const done = await reaches(fleet.id, 'done');
  assert.deepEqual([done.counts, done.failed], [{ done: 2, failed: 1, expired: 1 }, 2]);
});

test('a condition is checked at each device, and refuses those for which it does not hold', async (t) => {
  const fanout = new FanoutNode('fanout-0', await fixture.bus('fanout-0'), 3);
  t.after(() => fanout.stop());
  const devices = await line('n', 3);
  for (const [index, device] of devices.entries()) fanout.set(device, { version: index });
  await fanout.start();
  const fields = { pattern: 'plant1.n.>', stop: { failedShare: 1 }, onlyIf: 'version < 2' };
  const invalid = await start({ ...fields, onlyIf: 'version <' });
  assert.deepEqual([invalid.status, invalid.body.error.code], [400, 'invalid_message']);
  assert.match(invalid.body.error.message, /^onlyIf, line 1, column 10/);
  const { body } = await start(fields);
  const { counts } = await reaches(body.id, 'done');
  assert.deepEqual(counts, { done: 2, failed: 1 });
  const { devices: rows } = await read(body.id, '/devices?state=failed');
  assert.deepEqual([rows[0].device, rows[0].code], [devices[2], 'conflict']);
  assert.deepEqual(sentTo('n').sort(), devices.slice(0, 2));
});

test('a dry run names the devices, and starts nothing', async () => {
  const devices = await line('g', 3);
  const { status, body } = await start({ pattern: 'plant1.g.>', name: 'reboot', dryRun: true });
  assert.deepEqual(
    [status, body],
    [200, { dryRun: true, count: 3, devices, scope: 'plant1.g.>', needsConfirmation: true }],
  );
  assert.equal(sentTo('g').length, 0);
});

test('what is refused has a clear answer: too many devices, none, without right or role, and an unclear target', async () => {
  await line('h', 60);
  const refused = async (fields: object, status: number, message: RegExp, token = erik) => {
    const answer = await start({ pattern: 'plant1.h.>', ...fields }, token);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.match(answer.body.error.message, message);
  };
  await refused({}, 422, /expected at most 50 of one fleet command, got more/);
  await refused({ pattern: 'plant1.g.>', devicesMax: 2 }, 422, /at most 2 of one fleet command, got more/);
  await refused({ pattern: 'plant1.nothing.>' }, 400, /at least one active device, got none of plant1.nothing.>/);
  await refused({ pattern: 'plant2.>' }, 403, /may command plant2/);
  await refused({ pattern: undefined, devices: ['plant1.h.m001', 'plant2.x'] }, 403, /lacks 1 of them: plant2.x/);
  await refused({}, 403, /role "engineer"/, sonja);
  await refused({ group: 'g1' }, 400, /expected one of pattern, group and devices, got 2/);
  await refused({ pattern: undefined, group: 'unknown' }, 404, /group: expected an existing one/);
  await refused({ pattern: 'plant1.g.>', rate: { perMinute: 100, factor: 2, perMinuteMax: 50 } }, 400, /perMinuteMax/);
  const tooMany = Array.from({ length: 100_001 }, () => 'plant1.h.m001');
  assert.equal((await start({ pattern: undefined, devices: tooMany })).status, 413);
});

test('its progress is streamed, at most one event a second, until it is final', async () => {
  await line('i', 12);
  const { body } = await start({ pattern: 'plant1.i.>', rate: { perMinute: 300 } });
  const answer = await fetch(`${control.url}/v1/fleet-commands/${body.id}/progress`, {
    headers: { authorization: `Bearer ${erik}` },
  });
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/event-stream']);
  const times: number[] = [];
  let text = '';
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    times.push(performance.now());
    text += chunk;
  }
  const events = text.split('\n\n').filter((event) => event.startsWith('event: progress\n'));
  const last = JSON.parse(events.at(-1)!.split('\ndata: ')[1]!);
  assert.deepEqual([last.id, last.state, last.final, last.counts], [body.id, 'done', true, { done: 12 }]);
  assert.ok(events.length >= 3, `${events.length} events`);
  assert.ok(events.length <= (times.at(-1)! - times[0]!) / 1_000 + 2, `${events.length} events`);
  assert.equal((await fetch(`${control.url}/v1/fleet-commands/${body.id}/progress`)).status, 401);
});

test('another process goes on, and no device gets its command twice', async () => {
  await line('j', 20);
  const { body } = await start({ pattern: 'plant1.j.>', rate: { perMinute: 600 } });
  await eventually(() => assert.ok(sentTo('j').length >= 3));
  const second = await fixture.start('c2');
  await control.stop();
  control = second;
  const done = await reaches(body.id, 'done');
  assert.deepEqual(done.counts, { done: 20 });
  assert.deepEqual(sentTo('j').length, new Set(sentTo('j')).size);
});
