import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodePayload, encodePayload, type Metric } from '@tailrace/sparkplug/payload';
import { topicOf } from '@tailrace/sparkplug/topic';
import { nextTurn } from '../../test/device-fixture.ts';
import { nextTime, node, publish, startListener, startMs } from '../../test/listener-fixture.ts';
import type { MqttDevice } from '../../test/mqtt-fixture.ts';
import { bdSeqOf, metricOf } from '../../test/sparkplug-fixture.ts';
import { configSchema } from '../config.ts';

const texts = (reports: readonly { device: string; readings: readonly { tag: string; value: unknown }[] }[]) =>
  reports.map(({ device, readings }) => `${device} ${readings.map(({ tag, value }) => `${tag}=${value}`).join(' ')}`);

test('an edge node connects to ingest itself: its births and data are reports of its devices', async (t) => {
  const { born, settle, reports } = await startListener(t);
  const client = await born();
  publish(client, 'DDATA', { seq: 2, device: 'drive1', metrics: [{ alias: 7, booleanValue: true }] });
  await settle();
  const found = texts(await reports());
  assert.ok(found.includes('plant1.cell1.drive1 open=false speed=1'), found.join('\n'));
  assert.ok(found.includes('plant1.cell1.drive1 open=true'), found.join('\n'));
});

test('[tck-id-message-flow-device-dcmd-subscribe] a command writes a metric by DCMD, and is done when the data of the device show the value', async (t) => {
  const { born, settle, send } = await startListener(t);
  const client = await born();
  const outcomes = await send(`${node}.drive1`, 'set', { open: true });
  const [message] = client.messages;
  assert.deepEqual([message?.topic, message?.qos, message?.retain], ['spBv1.0/plant1/DCMD/cell1/drive1', 0, false]);
  const { metrics } = decodePayload(message!.payload);
  assert.deepEqual(
    metrics.map(({ alias, booleanValue }) => [alias, booleanValue]),
    [[7, true]],
  );
  assert.deepEqual(outcomes.map(({ state }) => state).at(-1), 'delivered');
  publish(client, 'DDATA', { seq: 2, device: 'drive1', metrics: [{ alias: 8, doubleValue: 2 }] });
  await settle();
  assert.deepEqual(outcomes.at(-1)?.state, 'delivered', 'another metric shows nothing');
  publish(client, 'DDATA', { seq: 3, device: 'drive1', metrics: [{ alias: 7, booleanValue: true }] });
  await settle();
  const { state, confirmedBy, after } = outcomes.at(-1)!;
  assert.deepEqual([state, confirmedBy, after], ['done', 'read_back', true]);
});

test('a command that no data confirm is unconfirmed, and one that Sparkplug cannot express fails', async (t) => {
  const { born, clock, settle, send } = await startListener(t);
  const client = await born();
  const open = await send(`${node}.drive1`, 'set', { open: true });
  await clock.advance(20_000);
  await settle();
  assert.equal(open.at(-1)?.state, 'unconfirmed');
  const sent = client.messages.length;
  for (const [device, name, params, code] of [
    ['drive1', 'open', {}, 'not_found'],
    ['drive1', 'set', { color: 3 }, 'not_found'],
    ['drive1', 'set', { open: 3 }, 'invalid_message'],
    ['drive2', 'set', { open: true }, 'not_found'],
  ] as const) {
    const outcomes = await send(`${node}.${device}`, name, params);
    assert.deepEqual([outcomes.at(-1)?.state, outcomes.at(-1)?.code], ['failed', code], name);
  }
  assert.equal(client.messages.length, sent);
});

test('a client publishes for its own edge node alone, and receives no data', async (t) => {
  const { login, connect, settle, loginOptions, death, born } = await startListener(t);
  await born();
  const other = await login({ ...loginOptions, clientId: 'c2', username: `${node}.x` });
  for (const filter of ['spBv1.0/#', 'spBv1.0/plant1/DDATA/cell1/#', 'spBv1.0/+/NCMD/cell1']) {
    other.subscribe(filter);
    assert.deepEqual(await other.next(), ['suback 0x8f'], filter);
  }
  other.subscribe('spBv1.0/plant2/NCMD/cell9');
  assert.deepEqual(await other.next(), ['suback 0x87']);
  other.publish('spBv1.0/plant2/NBIRTH/cell9', encodePayload({ timestamp: startMs, seq: 0 }), { qos: 0 });
  await settle();
  assert.deepEqual(other.take(), ['disconnect 0x87']);
  const commanding = await login({ ...loginOptions, clientId: 'c3', username: `${node}.y` });
  commanding.publish('spBv1.0/plant1/DCMD/cell1/drive1', encodePayload({ timestamp: startMs }), { qos: 0 });
  await settle();
  assert.deepEqual(commanding.take(), ['disconnect 0x87']);
  const will = { ...death, topic: 'spBv1.0/plant2/NDEATH/cell9' };
  const [, answer] = await connect({ ...loginOptions, clientId: 'c4', username: `${node}.z`, will });
  assert.equal(answer, 'connack 0x87');
});

test('a lost connection, and a DISCONNECT without an NDEATH, make the devices of the edge node offline', async (t) => {
  const { born, settle, events, confirmAll } = await startListener(t);
  for (const end of ['lost', 'disconnected'] as const) {
    const client = await born();
    await confirmAll();
    events();
    if (end === 'lost') client.wire.close();
    else client.disconnect();
    await settle();
    const closed = events().filter((event) => event.startsWith('closed'));
    assert.ok(
      closed.some((event) => event.includes(`${node}.drive1`)),
      `${end}: ${closed.join('\n')}`,
    );
  }
});

test('[tck-id-payloads-nbirth-bdseq-repeat] a lost connection is the death of the node, also if its birth has another bdSeq than its will', async (t) => {
  const { born, settle, events, confirmAll } = await startListener(t);
  const client = await born();
  publish(client, 'NBIRTH', { seq: 0, metrics: [bdSeqOf(2)] });
  publish(client, 'DBIRTH', { seq: 1, device: 'drive1', metrics: [metricOf('open', false)] });
  await settle();
  await confirmAll();
  events();
  client.wire.close();
  await settle();
  const closed = events().filter((event) => event.startsWith('closed') && event.includes('drive1'));
  assert.equal(closed.length, 1, closed.join());
});

const stateIds = [
  ...['operational-behavior-host-application-connect-birth-retained', 'host-topic-phid-birth-payload'],
  ...['operational-behavior-host-application-multi-server-timestamp', 'host-topic-phid-birth-topic'],
]
  .map((id) => `[tck-id-${id}]`)
  .join(' ');

test(`${stateIds} each edge node that subscribes receives the STATE of a primary host, retained and with the time of now`, async (t) => {
  const { login, loginOptions, clock, settle } = await startListener(t, {
    mqttSparkplug: 'primary',
    mqttSparkplugHostId: 'h1',
  });
  const stateOf = async (clientId: string, username: string, filter: string) => {
    const client = await login({ ...loginOptions, clientId, username });
    client.subscribe(filter);
    await settle();
    const [message, ...more] = client.messages;
    assert.equal(more.length, 0);
    return message && [message.topic, message.qos, message.retain, JSON.parse(String(message.payload)) as object];
  };
  const timestamp = clock.now();
  const first = await stateOf('c1', node, 'spBv1.0/STATE/h1');
  const { timestamp: got } = first![3] as { timestamp: number };
  assert.ok(got >= timestamp && got <= clock.now());
  assert.deepEqual(first, ['spBv1.0/STATE/h1', 1, true, { online: true, timestamp: got }]);
  await clock.advance(1_000);
  const second = await stateOf('c2', `${node}.b`, 'spBv1.0/STATE/+');
  assert.ok((second![3] as { timestamp: number }).timestamp > got, 'an edge node ignores an older one');
  assert.equal(await stateOf('c3', `${node}.c`, 'spBv1.0/STATE/h2'), undefined);
});

/** Settings with which messages of 160 KB are accepted, by a primary host. */
const large = { mqttSparkplug: 'primary', mqttSparkplugHostId: 'h1', deviceMessageBytesMax: 1_048_576 } as const;

/** Publishes messages of 160 KB until the client is not read. Resolves with the next sequence number. */
async function flood(client: MqttDevice, pausedClients: () => Promise<number>, settle: () => Promise<void>) {
  const text = 'x'.repeat(4_000);
  const metrics = Array.from({ length: 40 }, (_, index) => metricOf(`text${index}`, text));
  let seq = 1;
  for (; seq < 100 && (await pausedClients()) === 0; seq++) {
    publish(client, 'NDATA', { seq, metrics });
    await settle();
  }
  assert.equal(await pausedClients(), 1);
  return seq;
}

const statesOf = (client: MqttDevice) =>
  client.messages
    .filter(({ topic }) => topic.includes('STATE'))
    .map(({ payload }) => /true|false/.exec(String(payload))![0]);

test('the STATE of a primary host is offline while the log takes nothing, so that edge nodes store their data', async (t) => {
  const { login, loginOptions, clock, settle, confirmAll, metric } = await startListener(t, large);
  const client = await login(loginOptions);
  client.subscribe('spBv1.0/STATE/h1');
  await settle();
  publish(client, 'NBIRTH', { seq: 0, metrics: [bdSeqOf(1), metricOf('text', '')] });
  await flood(client, () => metric('tailrace_ingest_sparkplug_paused_clients'), settle);
  assert.deepEqual(statesOf(client), ['true'], 'the log may be slow');
  await clock.advance(2_100);
  assert.deepEqual(statesOf(client), ['true', 'false']);
  await confirmAll();
  await clock.advance(200);
  assert.deepEqual(statesOf(client), ['true', 'false', 'true']);
});

test('a client that sends more than the log takes is not read, and another one is: the host stays online to both', async (t) => {
  const { login, loginOptions, clock, settle, held, metric, tokenFor } = await startListener(t, large);
  const paused = () => metric('tailrace_ingest_sparkplug_paused_clients');
  const noisy = await login(loginOptions);
  const password = Buffer.from(await tokenFor(['plant1.>']));
  const quiet = await login({ clientId: 'quiet', username: 'plant1.quiet', password });
  for (const client of [noisy, quiet]) client.subscribe('spBv1.0/STATE/h1');
  publish(noisy, 'NBIRTH', { seq: 0, metrics: [bdSeqOf(1), metricOf('text', '')] });
  const seq = await flood(noisy, paused, settle);
  const bytes = await metric('tailrace_ingest_sparkplug_client_bytes');
  assert.ok(bytes > 8 * 1_048_576 && bytes < 8.5 * 1_048_576, `half of 16 MiB: ${bytes}`);
  const before = held.length;
  publish(noisy, 'NDATA', { seq, metrics: [metricOf('text', 'unread')] });
  const topic = topicOf({ type: 'NBIRTH', group: 'plant1', node: 'quiet' });
  const birth = { timestamp: nextTime(), seq: 0, metrics: [bdSeqOf(1), metricOf('open', false)] };
  quiet.publish(topic, encodePayload(birth), { qos: 0 });
  await settle();
  assert.equal(held.length, before + 1, 'that of the quiet client');
  assert.match(held.at(-1)!.key, /quiet$/);
  // A slow log: one report a second.
  for (let second = 0; second < 5; second++) {
    held.shift()!.confirm();
    await clock.advance(1_000);
    await settle();
  }
  assert.equal(await paused(), 1);
  assert.deepEqual([statesOf(noisy), statesOf(quiet)], [['true'], ['true']]);
  for (const record of held.splice(0, held.length - 1)) record.confirm();
  await settle();
  assert.equal(await paused(), 0);
  assert.match(held.map(({ value }) => Buffer.from(value).toString()).join(), /unread/);
});

test('the pause of a noisy client is not undone by the end of a pause of its session', async (t) => {
  const { login, loginOptions, clock, settle, held, metric } = await startListener(t, large);
  const client = await login(loginOptions);
  publish(client, 'NBIRTH', { seq: 0, metrics: [bdSeqOf(1), metricOf('text', '')] });
  // Beyond its rate, so that its session pauses, too.
  for (let n = 0; n < 600; n++) publish(client, 'NDATA', { seq: (n % 255) + 1, metrics: [metricOf('text', 'x')] });
  await settle();
  await flood(
    client,
    () => metric('tailrace_ingest_sparkplug_paused_clients'),
    () => clock.advance(100),
  );
  const before = held.length;
  publish(client, 'NDATA', { seq: 1, metrics: [metricOf('text', 'unread')] });
  for (let step = 0; step < 50; step++) await clock.advance(100);
  await settle();
  assert.equal(held.length, before);
});

test('a primary host needs an ID', () => {
  const parse = (settings: object) => configSchema.safeParse({ tokenSecret: 's'.repeat(32), ...settings });
  const refused = parse({ mqttSparkplug: 'primary' });
  assert.deepEqual(
    refused.error?.issues.map(({ path }) => path.join('.')),
    ['mqttSparkplugHostId'],
  );
  assert.equal(parse({ mqttSparkplug: 'primary', mqttSparkplugHostId: 'h1' }).success, true);
  assert.equal(parse({ mqttSparkplugHostId: 'a/b' }).success, false);
});

test('an edge node may subscribe to what Eclipse Tahu subscribes to: its own death, and the host ID without STATE', async (t) => {
  const { login, loginOptions } = await startListener(t);
  const client = await login(loginOptions);
  for (const [filter, answer] of [
    ['spBv1.0/plant1/NDEATH/cell1', '0x01'],
    ['spBv1.0/h1', '0x01'],
    ['spBv1.0/plant2/NDEATH/cell9', '0x87'],
    ['spBv1.0/plant1/NDEATH/+', '0x8f'],
    ['spBv1.0/+', '0x8f'],
  ] as const) {
    client.subscribe(filter);
    assert.deepEqual(await client.next(), [`suback ${answer}`], filter);
  }
});

test('a stop of ingest is no death: the devices are not offline while their edge node connects elsewhere', async (t) => {
  const { born, settle, events, confirmAll, ingest, clock } = await startListener(t);
  await born();
  await confirmAll();
  events();
  const drained = ingest.drain();
  for (let n = 0; n < 100; n++) await clock.advance(100);
  await drained;
  await settle();
  const closed = events().filter((event) => event.includes(`${node}.drive1`));
  assert.deepEqual(
    closed.map((event) => /drain|death/.exec(event)?.[0]),
    ['drain'],
    closed.join('\n'),
  );
});

test('a client whose will or connection is refused is not kept: the listener is drained without it', async (t) => {
  const { connect, loginOptions, death, ingest, clock } = await startListener(t);
  const birth = { ...death, topic: topicOf({ type: 'NBIRTH', group: 'plant1', node: 'cell1' }) };
  const [, refused] = await connect({ ...loginOptions, will: birth });
  assert.match(refused, /^connack 0x8/);
  // Less than CONNACK has: it is refused after its will was accepted.
  const [, small] = await connect({ ...loginOptions, will: death, properties: { maximumPacketSize: 3 } });
  assert.match(small, /^(connack 0x95|closed)$/);
  let isDrained = false;
  void ingest.drain().then(() => {
    isDrained = true;
  });
  for (let second = 0; second < 10 && !isDrained; second++) {
    await clock.advance(1_000);
    await nextTurn();
  }
  assert.ok(isDrained);
});

test('a command for a device beyond the first 10,000 of a client fails with a clear code, and a metric shows how near that is', async (t) => {
  const { born, confirmAll, send, metric } = await startListener(t);
  const client = await born();
  // The node itself and drive1 are two of them.
  for (let n = 0; n < 9_999; n++) publish(client, 'DDATA', { seq: (n + 2) % 256, device: `d${n}`, metrics: [] });
  const used = () => metric('tailrace_ingest_sparkplug_client_devices');
  for (let turn = 0; turn < 500 && (await used()) < 10_000; turn++) await confirmAll();
  assert.equal(await used(), 10_000);
  await confirmAll();
  const stateOf = async (device: string) => (await send(`${node}.${device}`, 'set', { open: true })).at(-1);
  assert.equal((await stateOf('drive1'))?.state, 'delivered');
  const beyond = await stateOf('d9998');
  assert.deepEqual([beyond?.state, beyond?.code], ['failed', 'limit_reached']);
});

test('a client publishes for 100 edge nodes at most, and its messages count against the rates of their devices', async (t) => {
  const { login, clock, reports, held, tokenFor, settle, metric } = await startListener(t);
  const password = Buffer.from(await tokenFor(['plant1.>']));
  const client = await login({ clientId: 'many', username: 'plant1.many', password });
  const publishAs = (id: string, seq: number, metrics: Metric[]) =>
    client.publish(
      topicOf({ type: seq === 0 ? 'NBIRTH' : 'NDATA', group: 'plant1', node: id }),
      encodePayload({ timestamp: nextTime(), seq, metrics }),
      { qos: 0 },
    );
  publishAs('n0', 0, [bdSeqOf(1), metricOf('t', 0)]);
  // The burst of a device is 500 messages, its rate 100 a second.
  for (let n = 1; n <= 700; n++) publishAs('n0', n % 256 || 1, [metricOf('t', n)]);
  await nextTurn();
  assert.ok(held.length < 200, 'other clients have their turn');
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  assert.ok(held.length >= 499 && held.length <= 502, `${held.length} reports at once`);
  for (let step = 0; step < 10; step++) {
    await clock.advance(100);
    await nextTurn();
  }
  assert.ok(held.length >= 595 && held.length <= 605, `${held.length} reports after a second`);
  for (let step = 0; step < 15; step++) {
    await clock.advance(100);
    await nextTurn();
  }
  await reports();
  for (let n = 1; n < 100; n++) publishAs(`n${n}`, 0, [bdSeqOf(1)]);
  await settle();
  assert.equal(client.isClosed, false);
  assert.equal(await metric('tailrace_ingest_sparkplug_client_nodes'), 100);
  publishAs('n100', 0, [bdSeqOf(1)]);
  await settle();
  assert.deepEqual(client.take(), ['disconnect 0x97']);
});
