import assert from 'node:assert/strict';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { systemClock } from '@tailrace/platform/clock';
import type { Report } from '@tailrace/protocol/report';
import { createAuthority } from '@tailrace/testkit/certificates';
import { eventually } from '@tailrace/testkit/eventually';
import { startFaultyProxy } from '@tailrace/testkit/faulty-proxy';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type Mosquitto, startMosquitto } from '@tailrace/testkit/mosquitto';
import { startTcpProxy } from '@tailrace/testkit/tcp-proxy';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { bridgesFrom } from '../src/bridge/bridges-file.ts';
import { listDeadLetters } from '../src/dead-letters/dead-letter-listing.ts';
import { startIngest } from './ingest-fixture.ts';
import { Publisher } from './mqtt-publisher.ts';

failOnLeaks();

let mosquitto: Mosquitto;
before(async () => {
  // A limit of messages in flight, as by default: MQTT 5 has that of the client in its place.
  mosquitto = await startMosquitto({ settings: () => ['max_queued_messages 100000', 'max_inflight_messages 20'] });
});
after(() => mosquitto.stop());

interface BridgeOptions {
  readonly node?: string;
  readonly name: string;
  readonly receiveMaximum?: number;
  readonly version?: 4 | 5;
  readonly retained?: 'once';
}

/** The bridge of a test: topics `<name>/<device>/<tag>`, so that tests share a broker. */
function bridgeOf({ name, retained, ...rest }: BridgeOptions, url = `mqtt://${mosquitto.host}:${mosquitto.port}`) {
  const json = { payload: 'json', device: 'plant1.{3}', id: '/id', time: '/time' };
  const subscriptions = [
    { filter: `${name}/json/+`, map: json, ...(retained === undefined ? {} : { retained }) },
    { filter: `${name}/number/+/+`, map: { payload: 'number', device: 'plant1.{3}', tag: '{4}' } },
  ];
  return bridgesFrom(JSON.stringify({ bridges: [{ name, url, publish: ['plant1.>'], ...rest, subscriptions }] }));
}

const publisher = () => new Publisher({ host: mosquitto.host, port: mosquitto.port });
const idsOf = (reports: readonly Report[]) => reports.map(({ id }) => id!);
const jsonOf = (id: string) => JSON.stringify({ id, temperature: 21.5 });
const connected = (name: string) => `tailrace_ingest_bridge_connections{bridge="${name}"`;

test('messages of a broker are in the log, and what is none is a dead letter', async (t) => {
  const { logged, metricIs, eventLog, ingest } = await startIngest(t, { bridges: bridgeOf({ name: 'plain' }) });
  await metricIs(connected('plain'), 1);
  const sender = publisher();
  sender.publish('plain/json/press7', '{"id":"i1","time":1700000000000,"motor":{"rpm":1480}}');
  sender.publish('plain/number/press7/temperature', '21.5');
  sender.publish('plain/number/press7/temperature', '21,5');
  await sender.done();
  await metricIs('tailrace_ingest_bridge_messages_total{bridge="plain",outcome="accepted"', 2);
  await metricIs('tailrace_ingest_bridge_messages_total{bridge="plain",outcome="dead_letter"', 1);
  const reports = await logged();
  assert.deepEqual(reports.map(({ device, readings }) => [device, readings[0]!.tag, readings[0]!.value]).sort(), [
    ['plant1.press7', 'motor.rpm', 1480],
    ['plant1.press7', 'temperature', 21.5],
  ]);
  const [letter] = await listDeadLetters(eventLog, {
    ...{ topic: 'tailrace.dead-letter', sinceMs: undefined, source: 'plain', reason: undefined, last: 10 },
  });
  assert.deepEqual(
    [letter!.reason, letter!.topic, Buffer.from(letter!.payload).toString()],
    ['malformed_number', 'plain/number/press7/temperature', '21,5'],
  );
  await sender.stop();
  await ingest.drain();
});

test('queued and retained messages come once, over reconnects and restarts of ingest', async (t) => {
  const memory = createMemoryLog({ clock: systemClock });
  const eventLog = memory.connect();
  await eventLog.start();
  const sender = publisher();
  sender.publish('again/json/old', '{"id":"old","time":1700000000000,"t":1}', { retain: true });
  await sender.done();
  const start = () => startIngest(t, { bridges: bridgeOf({ name: 'again' }), eventLog });
  let run = await start();
  await run.metricIs(connected('again'), 1);
  const expected: string[] = [];
  for (let pass = 0; pass < 4; pass++) {
    await run.ingest.drain();
    await run.ingest.stop();
    for (let index = 0; index < 50; index++) {
      const id = `r${pass}-${index}`;
      expected.push(id);
      sender.publish('again/json/press7', jsonOf(id));
    }
    await sender.done();
    run = await start();
    await run.metricIs('tailrace_ingest_bridge_messages_total{bridge="again",outcome="accepted"', 50);
  }
  assert.deepEqual(idsOf(await run.logged()).sort(), expected.sort());
  await sender.stop();
  await run.ingest.drain();
});

test('what a killed process had in the log and not acknowledged is sent again, and is in the log once', async (t) => {
  const eventLog = createMemoryLog({ clock: systemClock }).connect();
  await eventLog.start();
  let isDetached = false;
  const proxy = await startTcpProxy({
    target: () => mosquitto,
    pass(client, server) {
      client.on('data', (bytes) => isDetached || server.write(bytes));
      server.pipe(client);
    },
  });
  t.after(() => proxy.close());
  const first = await startIngest(t, {
    bridges: bridgeOf({ name: 'killed' }, `mqtt://127.0.0.1:${proxy.port}`),
    eventLog,
  });
  await first.metricIs(connected('killed'), 1);
  isDetached = true;
  const sender = publisher();
  const expected = Array.from({ length: 20 }, (_, index) => `k${index}`);
  for (const id of expected) sender.publish('killed/json/press7', jsonOf(id));
  await sender.done();
  await first.metricIs('tailrace_ingest_bridge_messages_total{bridge="killed",outcome="accepted"', 20);
  await first.ingest.stop();
  const second = await startIngest(t, { bridges: bridgeOf({ name: 'killed' }), eventLog });
  await second.metricIs(connected('killed'), 1);
  sender.publish('killed/json/press7', jsonOf('new'));
  await second.metricIs('tailrace_ingest_bridge_messages_total{bridge="killed",outcome="accepted"', 1);
  await second.metricIs('tailrace_ingest_bridge_messages_total{bridge="killed",outcome="duplicate"', 20);
  assert.deepEqual(idsOf(await second.logged()), [...expected, 'new']);
  await sender.stop();
  await second.ingest.drain();
});

test('retained messages are taken once, if the file has it so and they have a time', async (t) => {
  const memory = createMemoryLog({ clock: systemClock });
  const eventLog = memory.connect();
  await eventLog.start();
  const sender = publisher();
  sender.publish('first/json/a', '{"id":"timed","time":1700000000000,"t":1}', { retain: true });
  sender.publish('first/json/b', '{"id":"ageless","t":1}', { retain: true });
  await sender.done();
  const bridges = bridgeOf({ name: 'first', retained: 'once' });
  const first = await startIngest(t, { bridges, eventLog });
  await first.metricIs('tailrace_ingest_bridge_messages_total{bridge="first",outcome="accepted"', 1);
  await first.metricIs('tailrace_ingest_bridge_messages_total{bridge="first",outcome="retained"', 1);
  const notes = async () => {
    const keys: string[] = [];
    for await (const records of eventLog.read('tailrace.bridges', 0, { from: 0 }))
      keys.push(...records.map(({ key }) => key));
    return keys;
  };
  await eventually(async () => assert.ok((await notes()).includes('first/retained/first/json/+')), {
    deadlineMs: 20_000,
  });
  await first.ingest.drain();
  const second = await startIngest(t, { bridges, eventLog });
  await second.metricIs(connected('first'), 1);
  sender.publish('first/json/a', jsonOf('new'));
  await second.metricIs('tailrace_ingest_bridge_messages_total{bridge="first",outcome="accepted"', 1);
  assert.deepEqual(idsOf(await second.logged()).sort(), ['new', 'timed']);
  await sender.stop();
  await second.ingest.drain();
});

test('while the log is slow the window closes, the broker keeps the rest, and all of it comes once', async (t) => {
  const { logged, metric, metricIs, hold, ingest } = await startIngest(t, {
    bridges: bridgeOf({ name: 'slow', receiveMaximum: 30 }),
  });
  await metricIs(connected('slow'), 1);
  const release = hold();
  const sender = publisher();
  const expected = Array.from({ length: 500 }, (_, index) => `s${index}`);
  for (const id of expected) sender.publish('slow/json/press7', jsonOf(id));
  await sender.done();
  await metricIs('tailrace_ingest_bridge_window_messages{bridge="slow"', 30);
  assert.equal(await metric(connected('slow')), 1);
  release();
  await metricIs('tailrace_ingest_bridge_messages_total{bridge="slow",outcome="accepted"', 500);
  assert.deepEqual(idsOf(await logged()), expected);
  assert.equal(await metric('tailrace_ingest_bridge_disconnects_total{bridge="slow"'), 0);
  await sender.stop();
  await ingest.drain();
});

test('two nodes share the messages, and those for a node that restarts wait for it', async (t) => {
  const memory = createMemoryLog({ clock: systemClock });
  const bridges = bridgeOf({ name: 'shared' });
  const start = async (node: string) => {
    const eventLog = memory.connect();
    await eventLog.start();
    const run = await startIngest(t, { bridges, eventLog, node });
    await run.metricIs(connected('shared'), 1);
    return run;
  };
  const [a, b] = [await start('ingest-0'), await start('ingest-1')];
  const sender = publisher();
  const expected = Array.from({ length: 200 }, (_, index) => `n${index}`);
  for (const id of expected.slice(0, 100)) sender.publish('shared/json/press7', jsonOf(id));
  await sender.done();
  await b.ingest.drain();
  for (const id of expected.slice(100)) sender.publish('shared/json/press7', jsonOf(id));
  await sender.done();
  const again = await start('ingest-1');
  await eventually(async () => assert.deepEqual(idsOf(await a.logged()).sort(), expected.toSorted()));
  for (const run of [a, again]) {
    assert.ok((await run.metric('tailrace_ingest_bridge_messages_total{bridge="shared",outcome="accepted"')) > 0);
  }
  await sender.stop();
  await Promise.all([a.ingest.drain(), again.ingest.drain()]);
});

test('a shared subscription goes on after a reconnect of the session, also with Mosquitto 2.0.11, which forgets it', async (t) => {
  const proxy = await startFaultyProxy(mosquitto.port, []);
  t.after(() => proxy.close());
  const bridges = bridgeOf({ name: 'lost' }, `mqtt://127.0.0.1:${proxy.port}`);
  const { logged, metricIs, ingest } = await startIngest(t, { bridges });
  await metricIs(connected('lost'), 1);
  const sender = publisher();
  for (let pass = 0; pass < 3; pass++) {
    proxy.reset();
    await metricIs('tailrace_ingest_bridge_disconnects_total{bridge="lost"', pass + 1);
    await metricIs(connected('lost'), 1);
    sender.publish('lost/json/press7', jsonOf(`c${pass}`));
    await eventually(async () => assert.ok(idsOf(await logged()).includes(`c${pass}`)));
  }
  // A message whose acknowledgment was lost comes again, with its ID.
  assert.deepEqual(idsOf(await logged()), ['c0', 'c1', 'c2']);
  await sender.stop();
  await ingest.drain();
});

test('MQTT 3.1.1: the bridge takes messages, and leaves out those that come with its subscription', async (t) => {
  const sender = publisher();
  sender.publish('old/json/a', jsonOf('retained'), { retain: true });
  await sender.done();
  const { logged, metricIs, ingest } = await startIngest(t, {
    bridges: bridgeOf({ name: 'old', version: 4, node: 'ingest' }),
  });
  await metricIs('tailrace_ingest_bridge_messages_total{bridge="old",outcome="retained"', 1);
  for (let index = 0; index < 100; index++) sender.publish('old/json/a', jsonOf(`o${index}`));
  await metricIs('tailrace_ingest_bridge_messages_total{bridge="old",outcome="accepted"', 100);
  assert.equal(new Set(idsOf(await logged())).size, 100);
  await sender.stop();
  await ingest.drain();
});

test('TLS and a password come from files, which are read at each connect', async (t) => {
  const dir = await createTempDir('bridge-tls');
  t.after(() => dir.remove());
  const authority = await createAuthority(dir.path);
  const identity = await authority.issue('server');
  const passwordFile = join(dir.path, 'password');
  await writeFile(passwordFile, 'wrong\n');
  const passwords = join(dir.path, 'passwords');
  await writeFile(passwords, `tailrace:${mosquittoPassword('secret')}\n`);
  const broker = await startMosquitto({
    settings: (secondPort) => [
      // Who has a name needs its password; the port of the test itself needs none.
      `password_file ${passwords}`,
      `listener ${secondPort} 127.0.0.1`,
      `certfile ${identity.certFile}`,
      `keyfile ${identity.keyFile}`,
    ],
  });
  t.after(() => broker.stop());
  const [settings] = bridgeOf({ name: 'tls' }, `mqtts://localhost:${broker.secondPort}`);
  const bridges = [{ ...settings!, username: 'tailrace', passwordFile, tls: { caFile: authority.caFile } }];
  const { ingest, metric } = await startIngest(t, { bridges });
  const failed = async () => (await metric('tailrace_ingest_bridge_disconnects_total{bridge="tls"')) >= 1;
  await eventually(failed, { describe: 'an attempt with the wrong password failed' });
  assert.equal(await metric(connected('tls')), 0);
  assert.equal(ingest.notReady(), undefined, 'readiness does not depend on a broker');
  await ingest.drain();
  await writeFile(passwordFile, 'secret\n');
  const again = await startIngest(t, { bridges });
  await again.metricIs(connected('tls'), 1);
  await again.ingest.drain();
});

/** As `mosquitto_passwd` writes it. */
function mosquittoPassword(password: string): string {
  const salt = randomBytes(12);
  const iterations = 101;
  const hash = pbkdf2Sync(password, salt, iterations, 64, 'sha512');
  return `$7$${iterations}$${salt.toString('base64')}$${hash.toString('base64')}`;
}
