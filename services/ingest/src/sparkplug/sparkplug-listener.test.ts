import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { silentLogger } from '@tailrace/platform/logger';
import type { CommandOutcome } from '@tailrace/protocol/device-command';
import { decodePayload, encodePayload, type Metric } from '@tailrace/sparkplug/payload';
import { type MessageType, topicOf } from '@tailrace/sparkplug/topic';
import { CommandClient } from '@tailrace/testkit/command-client';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { nextTurn } from '../../test/device-fixture.ts';
import { type ConnectOptions, type MqttDevice, startMqtt } from '../../test/mqtt-fixture.ts';
import { bdSeqOf, metricOf } from '../../test/sparkplug-fixture.ts';
import { configSchema, type IngestSettings } from '../config.ts';

const node = 'plant1.cell1';
const startMs = 1_764_446_400_000;

/** Ingest to which the edge node `cell1` of the group `plant1` connects by MQTT in memory, and a sender of commands. */
async function start(t: TestContext, sparkplug: Partial<IngestSettings> = { mqttSparkplug: 'active' }) {
  const clock = createFakeClock({ nowMs: startMs });
  const network = createMemoryNetwork({ clock, random: () => 0.5 });
  const fixture = await startMqtt(t, {
    clock,
    bus: network.createBus({ node: 'ingest-0', logger: silentLogger }),
    settings: sparkplug,
  });
  const bus = network.createBus({ node: 'control', logger: silentLogger });
  await bus.start();
  const client = new CommandClient(bus, clock);
  await client.start();
  const token = Buffer.from(await fixture.tokenFor([`${node}.>`, node], { receiveCommands: [`${node}.>`, node] }));
  const settle = async () => {
    for (let turn = 0; turn < 5; turn++) {
      await clock.advance(1);
      await nextTurn();
    }
  };
  const death = {
    topic: topicOf({ type: 'NDEATH', group: 'plant1', node: 'cell1' }),
    payload: Buffer.from(encodePayload({ timestamp: startMs, metrics: [bdSeqOf(1)] })),
    qos: 1 as const,
    retain: false,
  };
  const loginOptions = { username: node, password: token } satisfies ConnectOptions;
  return {
    ...fixture,
    clock,
    settle,
    loginOptions,
    death,
    /** Resolves with the client of the edge node, which has published the births of itself and of `drive1`. */
    async born(): Promise<MqttDevice> {
      const device = await fixture.login({ ...loginOptions, will: death });
      device.subscribe('spBv1.0/plant1/DCMD/cell1/#');
      assert.deepEqual(await device.next(), ['suback 0x01']);
      publish(device, 'NBIRTH', { seq: 0, metrics: [bdSeqOf(1)] });
      const metrics = [metricOf('open', false, { alias: 7 }), metricOf('speed', 1, { alias: 8 })];
      publish(device, 'DBIRTH', { seq: 1, device: 'drive1', metrics });
      await settle();
      return device;
    },
    async send(device: string, name: string, params: Record<string, number | boolean>): Promise<CommandOutcome[]> {
      const outcomes: CommandOutcome[] = [];
      const issued = clock.now();
      const command = {
        ...{ id: `c${Math.random()}`, device, via: node, name, params, qos: 1 as const, issued },
        ...{ deadline: issued + 10_000, fence: 0, session: 0, subject: 'test', traceparent: '' },
      };
      void (async () => {
        for await (const outcome of client.send(command)) outcomes.push(outcome);
      })();
      await settle();
      return outcomes;
    },
  };
}

interface Published {
  readonly seq: number;
  readonly device?: string;
  readonly metrics?: Metric[];
}

/** Two messages of one time and number would be one that came twice. */
let messages = 0;

function publish(client: MqttDevice, type: MessageType, { device, ...payload }: Published): void {
  const topic = topicOf({ type, group: 'plant1', node: 'cell1', ...(device === undefined ? {} : { device }) });
  client.publish(topic, encodePayload({ timestamp: startMs + ++messages, ...payload }), { qos: 0 });
}

const texts = (reports: readonly { device: string; readings: readonly { tag: string; value: unknown }[] }[]) =>
  reports.map(({ device, readings }) => `${device} ${readings.map(({ tag, value }) => `${tag}=${value}`).join(' ')}`);

test('an edge node connects to ingest itself: its births and data are reports of its devices', async (t) => {
  const { born, settle, reports } = await start(t);
  const client = await born();
  publish(client, 'DDATA', { seq: 2, device: 'drive1', metrics: [{ alias: 7, booleanValue: true }] });
  await settle();
  const found = texts(await reports());
  assert.ok(found.includes('plant1.cell1.drive1 open=false speed=1'), found.join('\n'));
  assert.ok(found.includes('plant1.cell1.drive1 open=true'), found.join('\n'));
});

test('a command writes a metric by DCMD, and is done when the data of the device show the value', async (t) => {
  const { born, settle, send } = await start(t);
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
  const { born, clock, settle, send } = await start(t);
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
  const { login, connect, settle, loginOptions, death, born } = await start(t);
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
  const { born, settle, events, confirmAll } = await start(t);
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
  const { born, settle, events, confirmAll } = await start(t);
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
  const { login, loginOptions, clock, settle } = await start(t, {
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

test('the STATE of a primary host is offline while the log takes nothing, so that edge nodes store their data', async (t) => {
  const { login, loginOptions, settle, confirmAll } = await start(t, {
    ...{ mqttSparkplug: 'primary', mqttSparkplugHostId: 'h1', deviceMessageBytesMax: 1_048_576 },
  });
  const client = await login(loginOptions);
  client.subscribe('spBv1.0/STATE/h1');
  await settle();
  publish(client, 'NBIRTH', { seq: 0, metrics: [bdSeqOf(1), metricOf('text', '')] });
  const text = 'x'.repeat(4_000);
  const states = () =>
    client.messages
      .filter(({ topic }) => topic.includes('STATE'))
      .map(({ payload }) => /true|false/.exec(String(payload))![0]);
  let seq = 0;
  for (let sent = 0; sent < 200 && states().length < 2; sent++) {
    const metrics = Array.from({ length: 40 }, (_, index) => metricOf(`text${index}`, text));
    publish(client, 'NDATA', { seq: ++seq % 256, metrics });
    await settle();
  }
  assert.deepEqual(states(), ['true', 'false']);
  await confirmAll();
  await settle();
  assert.deepEqual(states(), ['true', 'false', 'true']);
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
  const { login, loginOptions } = await start(t);
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
  const { born, settle, events, confirmAll, ingest, clock } = await start(t);
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
  const { connect, loginOptions, death, ingest, clock } = await start(t);
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

test('a client publishes for 100 edge nodes at most, and its messages count against the rates of their devices', async (t) => {
  const { login, clock, reports, held, tokenFor, settle } = await start(t);
  const password = Buffer.from(await tokenFor(['plant1.>']));
  const client = await login({ clientId: 'many', username: 'plant1.many', password });
  const publishAs = (id: string, seq: number, metrics: Metric[]) =>
    client.publish(
      topicOf({ type: seq === 0 ? 'NBIRTH' : 'NDATA', group: 'plant1', node: id }),
      encodePayload({ timestamp: startMs + ++messages, seq, metrics }),
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
  publishAs('n100', 0, [bdSeqOf(1)]);
  await settle();
  assert.deepEqual(client.take(), ['disconnect 0x97']);
});
