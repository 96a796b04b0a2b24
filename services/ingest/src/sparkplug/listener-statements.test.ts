import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rebirthName } from '@tailrace/sparkplug/metric-table';
import { decodePayload, encodePayload } from '@tailrace/sparkplug/payload';
import { topicOf } from '@tailrace/sparkplug/topic';
import { nextTime, node, publish, startListener, startMs } from '../../test/listener-fixture.ts';
import type { MqttDevice } from '../../test/mqtt-fixture.ts';
import { bdSeqOf, metricOf } from '../../test/sparkplug-fixture.ts';

/** Duties of edge nodes in the Sparkplug specification, as far as the listener sees whether they are kept. */

const nbirth = [bdSeqOf(1), metricOf(rebirthName, false)];
const rebirthsOf = (client: MqttDevice) =>
  client.messages
    .filter(({ topic }) => topic === 'spBv1.0/plant1/NCMD/cell1')
    .flatMap(({ payload }) => decodePayload(payload).metrics.map(({ name }) => name));
const closesOf = (events: readonly string[], device: string) =>
  events.filter((event) => event.startsWith(`closed ${node}.${device}:`));

test('[tck-id-intro-edge-node-id-uniqueness] of two clients with one edge node the one that published last has it: the end of the other is no death', async (t) => {
  const { born, login, loginOptions, settle, events, confirmAll } = await startListener(t);
  const first = await born();
  const second = await login({ ...loginOptions, clientId: 'c2', username: `${node}.b` });
  publish(second, 'NBIRTH', { seq: 0, metrics: [bdSeqOf(2)] });
  publish(second, 'DBIRTH', { seq: 1, device: 'drive1', metrics: [metricOf('open', false)] });
  await settle();
  await confirmAll();
  events();
  first.wire.close();
  await settle();
  assert.deepEqual(closesOf(events(), 'drive1'), []);
  second.wire.close();
  await settle();
  await confirmAll();
  assert.equal(closesOf(events(), 'drive1').length, 1);
});

test('[tck-id-message-flow-edge-node-birth-publish-will-message-topic] [tck-id-message-flow-edge-node-birth-publish-will-message-payload] a will is the NDEATH of the own edge node, with its bdSeq', async (t) => {
  const { connect, loginOptions, death } = await startListener(t);
  const topicWith = (type: 'NBIRTH' | 'NDATA' | 'NDEATH', id = 'cell1') => topicOf({ type, group: 'plant1', node: id });
  const withoutBdSeq = Buffer.from(encodePayload({ timestamp: startMs }));
  for (const will of [
    { ...death, topic: topicWith('NBIRTH') },
    { ...death, topic: topicWith('NDATA') },
    { ...death, topic: topicWith('NDEATH', 'cell9') },
    { ...death, topic: topicOf({ type: 'DDEATH', group: 'plant1', node: 'cell1', device: 'drive1' }) },
    { ...death, payload: withoutBdSeq },
    { ...death, payload: Buffer.from('no payload of Sparkplug') },
  ]) {
    const [, answer] = await connect({ ...loginOptions, will });
    assert.match(answer, /^connack 0x8/, `${will.topic} ${will.payload.length}`);
  }
  const [, answer] = await connect({ ...loginOptions, will: death });
  assert.equal(answer, 'connack 0x00');
});

test('[tck-id-message-flow-edge-node-ncmd-subscribe] an edge node receives requests for its birth if it subscribes to its NCMD, and none without', async (t) => {
  for (const subscribes of [true, false]) {
    const { login, loginOptions, clock, settle } = await startListener(t);
    const client = await login(loginOptions);
    if (subscribes) client.subscribe('spBv1.0/plant1/NCMD/cell1');
    publish(client, 'NDATA', { seq: 3, metrics: [metricOf('t', 1)] });
    for (let step = 0; step < 50; step++) await clock.advance(100);
    await settle();
    assert.deepEqual([...new Set(rebirthsOf(client))], subscribes ? [rebirthName] : []);
  }
});

test('[tck-id-message-flow-device-birth-publish-nbirth-wait] [tck-id-operational-behavior-data-commands-rebirth-action-2] a DBIRTH before the NBIRTH is answered with a request for the births, and with these no further one is', async (t) => {
  const { login, loginOptions, clock, settle, reports } = await startListener(t);
  const client = await login(loginOptions);
  client.subscribe('spBv1.0/plant1/NCMD/cell1');
  publish(client, 'DBIRTH', { seq: 1, device: 'drive1', metrics: [metricOf('open', false)] });
  await clock.advance(500);
  await settle();
  assert.deepEqual(rebirthsOf(client), [rebirthName]);
  publish(client, 'NBIRTH', { seq: 0, metrics: nbirth });
  publish(client, 'DBIRTH', { seq: 1, device: 'drive1', metrics: [metricOf('open', false)] });
  publish(client, 'DDATA', { seq: 2, device: 'drive1', metrics: [metricOf('open', true)] });
  for (let step = 0; step < 100; step++) await clock.advance(100);
  await settle();
  assert.equal(rebirthsOf(client).length, 1);
  const values = (await reports()).filter(({ device }) => device === `${node}.drive1`);
  assert.deepEqual(
    values.slice(-2).map(({ readings }) => readings.map(({ value }) => value)),
    [[false], [true]],
  );
});

for (const [version, id] of [
  [4, 'tck-id-payloads-ndeath-will-message-publisher-disconnect-mqtt311'],
  [5, 'tck-id-payloads-ndeath-will-message-publisher-disconnect-mqtt50'],
] as const) {
  test(`[${id}] [tck-id-operational-behavior-edge-node-intentional-disconnect-packet] an NDEATH and then DISCONNECT make the devices offline, once`, async (t) => {
    const { login, loginOptions, death, settle, events, confirmAll } = await startListener(t);
    const client = await login({ ...loginOptions, version, will: death });
    publish(client, 'NBIRTH', { seq: 0, metrics: nbirth });
    publish(client, 'DBIRTH', { seq: 1, device: 'drive1', metrics: [metricOf('open', false)] });
    await settle();
    await confirmAll();
    events();
    client.publish(death.topic, death.payload, { qos: 0 });
    client.disconnect();
    await settle();
    await confirmAll();
    const closes = closesOf(events(), 'drive1');
    assert.equal(closes.length, 1, closes.join());
    assert.match(closes[0]!, /death/);
  });
}

test('[tck-id-conformance-mqtt-qos0] [tck-id-conformance-mqtt-qos1] edge nodes publish and subscribe at QoS 0 and 1, and QoS 1 is acknowledged when the log has it', async (t) => {
  const { login, loginOptions, settle, confirmAll } = await startListener(t);
  const client = await login(loginOptions);
  for (const qos of [0, 1] as const) {
    client.subscribe('spBv1.0/plant1/NCMD/cell1', 9, qos);
    assert.deepEqual(await client.next(), [`suback 0x0${qos}`]);
  }
  publish(client, 'NBIRTH', { seq: 0, metrics: [...nbirth, metricOf('t', 0)] });
  const topic = topicOf({ type: 'NDATA', group: 'plant1', node: 'cell1' });
  const payload = encodePayload({ timestamp: nextTime(), seq: 1, metrics: [metricOf('t', 1)] });
  client.publish(topic, payload, { qos: 1, packetId: 7 });
  await settle();
  assert.deepEqual(client.take(), []);
  await confirmAll();
  assert.deepEqual(client.take(), ['puback 7']);
});
