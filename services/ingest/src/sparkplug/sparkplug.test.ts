import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { rebirthName } from '@tailrace/sparkplug/metric-table';
import { encodePayload } from '@tailrace/sparkplug/payload';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { noMessageTracing } from '../../test/no-message-tracing.ts';
import { ScriptedBroker } from '../../test/scripted-broker.ts';
import { bdSeqOf, metricOf, startMs, TestIntake } from '../../test/sparkplug-fixture.ts';
import { sparkplugSchema } from '../bridge/sparkplug-settings.ts';
import { createSparkplug, type Sparkplug } from './sparkplug.ts';

type Role = 'passive' | 'active' | 'primary';

interface Options {
  readonly role?: Role;
  readonly brokers?: readonly ScriptedBroker[];
  readonly nodes?: readonly string[];
  readonly groups?: readonly string[];
}

/** Nodes of ingest whose hosts are connected to the brokers, and share a bus if there are several. */
async function createNodes({
  role = 'primary',
  brokers = [new ScriptedBroker()],
  nodes = ['a'],
  groups,
}: Options = {}) {
  const clock = createFakeClock({ nowMs: startMs });
  const network = createMemoryNetwork({ clock });
  const eventLog = createMemoryLog({ clock }).connect();
  await eventLog.start();
  const created: { readonly node: string; readonly intake: TestIntake; readonly sparkplug: Sparkplug }[] = [];
  for (const node of nodes) {
    const bus = nodes.length > 1 ? network.createBus({ node, logger: silentLogger }) : undefined;
    await bus?.start();
    const intake = new TestIntake();
    const sparkplug = createSparkplug({
      bridges: brokers.map((broker, index) => ({
        name: `b${index}`,
        clientId: `tailrace-b${index}-${node}-sparkplug`,
        publish: ['plant.>'],
        sparkplug: sparkplugSchema.parse({
          role,
          prefix: 'plant',
          hostId: 'h1',
          ...(groups === undefined ? {} : { groups }),
        }),
        createClient: ({ sessionExpiryMs, ...options }, handlers) =>
          new ClientConnection(
            {
              ...options,
              ...{ clock, random: () => 0.5, dial: broker.dial, credentials: () => ({}), version: 5 },
              sessionExpirySeconds: sessionExpiryMs,
              ...{ keepAliveSeconds: 60, receiveMaximum: 64, packetBytesMax: 262_144, topicAliasMaximum: 0 },
              ...{ unackedMax: 100, newExchangeId: () => 'x', backoff: { baseMs: 100, capMs: 1_000 } },
            },
            handlers,
          ),
      })),
      ...{ eventLog, topicPrefix: 't', bus, node, intake, clock, logger: silentLogger },
      letters: { write: (_letter, done) => void setImmediate(done, undefined) },
      tracing: noMessageTracing,
      presence: { started() {}, closed() {} },
      devices: { admit() {} },
      clockAheadMs: 60_000,
      onAccepted() {},
      metrics: createMetrics({ service: 'ingest', node: 'test', processMetrics: false }),
    });
    created.push({ node, intake, sparkplug });
  }
  const start = async () => {
    const started = Promise.all(
      created.map(async ({ sparkplug }) => {
        await sparkplug.subscribe();
        await sparkplug.start();
      }),
    );
    await clock.advance(10);
    await started;
    await clock.advance(nodes.length > 1 ? 5_000 : 10);
  };
  /** Stops all nodes. */
  const stop = async () => {
    const stopped = Promise.all(created.map(({ sparkplug }) => sparkplug.stop()));
    await clock.advance(2_000);
    await stopped;
    for (const { intake } of created) intake.settle();
  };
  return { clock, network, nodes: created, broker: brokers[0]!, start, stop };
}

const stateTopic = 'spBv1.0/STATE/h1';
const stateText = (online: boolean, timestamp: number) => JSON.stringify({ online, timestamp });
const statesIn = ({ received }: ScriptedBroker) => received.filter((each) => each.startsWith(`publish ${stateTopic}`));

const primaryIds = [
  ...['components-ph-state', 'intro-sparkplug-host-state', 'host-topic-phid-birth-message', 'payloads-state-birth'],
  ...['host-topic-phid-birth-required', 'host-topic-phid-birth-sub-required', 'payloads-state-subscribe'],
  ...['message-flow-phid-sparkplug-subscription', 'message-flow-phid-sparkplug-state-publish'],
  ...['operational-behavior-host-application-connect-birth', 'principles-birth-certificates-order'],
]
  .map((id) => `[tck-id-${id}]`)
  .join(' ');

test(`${primaryIds} a primary host subscribes to its own STATE and the namespace, and its first message is the birth, after SUBACK`, async () => {
  const { broker, start, stop, clock } = await createNodes();
  broker.grants = false;
  await start();
  assert.deepEqual(broker.received, ['connect', `subscribe ${stateTopic} spBv1.0/+/#`]);
  broker.publish('spBv1.0/g/NDATA/n', encodePayload({ timestamp: startMs, seq: 1, metrics: [metricOf('t', 1)] }));
  await clock.advance(3_000);
  assert.deepEqual(statesIn(broker), [], 'not before SUBACK');
  broker.grants = true;
  broker.received.length = 0;
  broker.lose();
  await clock.advance(1_000);
  const { timestamp } = JSON.parse(String(broker.connects.at(-1)!.will!.payload)) as { timestamp: number };
  const [, , third, fourth] = broker.received.filter((each) => each !== 'closed');
  assert.equal(third, `publish ${stateTopic} 1 retained ${stateText(true, timestamp)}`);
  await clock.advance(1_000);
  assert.match(broker.received.at(-1)!, /^publish spBv1\.0\/g\/NCMD\/n 0 /);
  assert.notEqual(fourth, third);
  await stop();
});

const willIds = [
  ...['host-topic-phid-death-required', 'payloads-state-will-message'],
  'operational-behavior-host-application-connect-will',
]
  .map((id) => `[tck-id-${id}]`)
  .join(' ');

test(`${willIds} each CONNECT has the death of the host as its will, with its own time`, async () => {
  const { broker, start, stop, clock } = await createNodes();
  await start();
  broker.lose();
  await clock.advance(1_000);
  const wills = broker.connects.map(({ will }) => will!);
  assert.equal(wills.length, 2);
  for (const { topic, qos, retain } of wills) assert.deepEqual([topic, qos, retain], [stateTopic, 1, true]);
  const times = wills.map(({ payload }) => JSON.parse(String(payload)) as { online: boolean; timestamp: number });
  assert.deepEqual(
    times.map(({ online }) => online),
    [false, false],
  );
  assert.ok(times[0]!.timestamp < times[1]!.timestamp);
  assert.deepEqual(
    statesIn(broker).map((each) => each.split(' ').at(-1)),
    times.map(({ timestamp }) => stateText(true, timestamp)),
  );
  await stop();
});

const sessionIds = ['message-flow-phid-sparkplug-clean-session-311', 'message-flow-phid-sparkplug-clean-session-50'];
test(`${sessionIds.map((id) => `[tck-id-${id}]`).join(' ')} the session of a host is clean, and expires with its connection`, async () => {
  for (const role of ['passive', 'active', 'primary'] as const) {
    const { broker, start, stop } = await createNodes({ role });
    await start();
    const [{ clean, properties, clientId }] = broker.connects as [ScriptedBroker['connects'][number]];
    assert.deepEqual([clean, properties?.sessionExpiryInterval ?? 0], [true, 0]);
    assert.equal(clientId, 'tailrace-b0-a-sparkplug');
    await stop();
  }
});

const stopIds = [
  ...[
    'operational-behavior-host-application-termination',
    'operational-behavior-host-application-disconnect-intentional',
  ],
  'host-topic-phid-death-payload-timestamp-disconnect-with-no-disconnect-packet',
]
  .map((id) => `[tck-id-${id}]`)
  .join(' ');

test(`${stopIds} at a stop the death is published and acknowledged before DISCONNECT`, async () => {
  const { broker, start, stop, clock } = await createNodes();
  await start();
  const nowMs = clock.now();
  await stop();
  const last = broker.received.filter((each) => each !== 'closed').slice(-2);
  assert.deepEqual(last, [`publish ${stateTopic} 1 retained ${stateText(false, nowMs)}`, 'disconnect']);
});

test('[tck-id-operational-behavior-host-application-host-id] the role primary needs a host ID, and groups replace the wildcard', () => {
  const parse = (settings: object) => sparkplugSchema.safeParse({ prefix: 'plant', ...settings });
  assert.match(parse({ role: 'primary' }).error!.issues[0]!.message, /^expected one with the role primary/);
  assert.equal(parse({}).data!.role, 'passive');
  assert.equal(parse({ role: 'primary', hostId: 'a/b' }).success, false);
  assert.equal(parse({ groups: ['+', 'g'] }).success, false);
});

const serversIds = [
  'operational-behavior-primary-application-state-with-multiple-servers-state',
  'operational-behavior-primary-application-state-with-multiple-servers-state-subs',
]
  .map((id) => `[tck-id-${id}]`)
  .join(' ');

test(`${serversIds} the birth is published on every broker, at each connection`, async () => {
  const brokers = [new ScriptedBroker(), new ScriptedBroker()];
  const { start, stop, clock } = await createNodes({ brokers });
  await start();
  assert.deepEqual(
    brokers.map((broker) => statesIn(broker).length),
    [1, 1],
  );
  brokers[1]!.lose();
  await clock.advance(1_000);
  assert.deepEqual(
    brokers.map((broker) => statesIn(broker).length),
    [1, 2],
  );
  await stop();
});

test('hosts that are passive and active have no will, and publish no STATE', async () => {
  for (const role of ['passive', 'active'] as const) {
    const { broker, start, stop } = await createNodes({ role, groups: ['g1', 'g2'] });
    await start();
    assert.equal(broker.connects[0]!.will, undefined);
    await stop();
    assert.deepEqual(
      broker.received.filter((each) => each !== 'closed'),
      ['connect', 'subscribe spBv1.0/g1/# spBv1.0/g2/#', 'disconnect'],
    );
  }
});

const qosIds = ['payloads-nbirth-qos', 'payloads-dbirth-qos', 'payloads-ndata-qos', 'payloads-ddata-qos']
  .concat(['topics-nbirth-mqtt', 'topics-dbirth-mqtt', 'topics-ndata-mqtt', 'topics-ddata-mqtt', 'topics-ddeath-mqtt'])
  .concat(['payloads-ndeath-will-message-qos'])
  .map((id) => `[tck-id-${id}]`)
  .join(' ');

test(`${qosIds} messages of any QoS are accepted, and those above 0 acknowledged after the log, in their order`, async () => {
  const { broker, start, stop, nodes } = await createNodes({ role: 'passive' });
  await start();
  const { intake } = nodes[0]!;
  broker.received.length = 0;
  const payload = (seq: number, ...metrics: object[]) => encodePayload({ timestamp: startMs + seq, seq, metrics });
  const sent: readonly (readonly [string, Uint8Array])[] = [
    ['spBv1.0/g/NBIRTH/n', payload(0, bdSeqOf(1), metricOf(rebirthName, false), metricOf('t', 1))],
    ['spBv1.0/g/DBIRTH/n/d', payload(1, metricOf('t', 2))],
    ['spBv1.0/g/NDATA/n', payload(2, metricOf('t', 3))],
    ['spBv1.0/g/DDATA/n/d', payload(3, metricOf('t', 4))],
    ['spBv1.0/g/DDEATH/n/d', payload(4)],
    ['spBv1.0/g/NDEATH/n', payload(0, bdSeqOf(1))],
  ];
  intake.isHeld = true;
  for (const [index, [topic, bytes]] of sent.entries()) broker.publish(topic, bytes, { qos: 1, messageId: index + 1 });
  assert.deepEqual(broker.received, []);
  intake.settle();
  assert.deepEqual(
    broker.received,
    [1, 2, 3, 4, 5, 6].map((id) => `puback ${id}`),
  );
  assert.deepEqual(intake.texts, ['plant.g.n/t=1', 'plant.g.n.d/t=2', 'plant.g.n/t=3', 'plant.g.n.d/t=4']);
  intake.isHeld = false;
  const again = encodePayload({ timestamp: startMs + 99, seq: 1, metrics: [metricOf('t', 5)] });
  broker.publish('spBv1.0/g/NDATA/n', again);
  assert.equal(intake.texts.at(-1), 'plant.g.n/t=5');
  await stop();
});

// Several nodes of ingest

test('two nodes of ingest append each edge node once, and after one is gone the other appends all, those of its last seconds again with their IDs', async () => {
  const broker = new ScriptedBroker();
  const options = { role: 'active', brokers: [broker], nodes: ['a', 'b'] } as const;
  const { start, stop, clock, nodes, network } = await createNodes(options);
  await start();
  const edgeNodes = Array.from({ length: 20 }, (_, index) => `n${index}`);
  const publish = (seq: number) => {
    for (const node of edgeNodes) {
      const metrics = seq === 0 ? [bdSeqOf(1), metricOf(rebirthName, false), metricOf('t', 0)] : [metricOf('t', seq)];
      broker.publish(
        `spBv1.0/g/${seq === 0 ? 'NBIRTH' : 'NDATA'}/${node}`,
        encodePayload({ timestamp: clock.now(), seq, metrics }),
      );
    }
  };
  publish(0);
  publish(1);
  const [a, b] = nodes.map(({ intake }) => intake.reports.length);
  assert.equal(a! + b!, 40);
  assert.ok(a! > 0 && b! > 0);
  network.partition('b');
  broker.lose('tailrace-b0-b-sparkplug');
  broker.refused.add('tailrace-b0-b-sparkplug');
  publish(2);
  await clock.advance(5_000);
  publish(3);
  const idsOf = ({ intake }: (typeof nodes)[number]) => intake.reports.map(({ device, id }) => `${device} ${id}`);
  const all = new Set(nodes.flatMap(idsOf));
  assert.equal(all.size, 80, 'each message of each edge node');
  assert.equal(new Set(idsOf(nodes[0]!)).size, 80);
  assert.equal(idsOf(nodes[0]!).length, 80);
  assert.ok(
    broker.received.every((each) => !each.includes('NCMD')),
    'no birth was requested',
  );
  await stop();
});

test('one of several nodes of ingest publishes the STATE, and another one after it has stopped', async () => {
  const broker = new ScriptedBroker();
  const { start, stop, clock, nodes } = await createNodes({ brokers: [broker], nodes: ['a', 'b'] });
  await start();
  const withWill = () => broker.connects.filter(({ will }) => will !== undefined).map(({ clientId }) => clientId);
  assert.equal(withWill().length, 1);
  assert.equal(statesIn(broker).length, 1);
  const holder = withWill()[0]!.includes('-a-') ? 0 : 1;
  const stopped = nodes[holder]!.sparkplug.stop();
  await clock.advance(8_000);
  await stopped;
  assert.equal(new Set(withWill()).size, 2);
  const last = statesIn(broker).map((each) => each.includes('"online":true'));
  assert.deepEqual(last, [true, false, true]);
  await stop();
});

test('a node of ingest that cannot connect leaves the STATE to one that is connected', async () => {
  const broker = new ScriptedBroker();
  const { start, stop, clock } = await createNodes({ brokers: [broker], nodes: ['a', 'b'] });
  await start();
  const [holder] = broker.connects.filter(({ will }) => will !== undefined).map(({ clientId }) => clientId);
  broker.refused.add(holder!);
  broker.lose(holder!);
  await clock.advance(60_000);
  const wills = broker.connects.filter(({ will }) => will !== undefined).map(({ clientId }) => clientId);
  assert.notEqual(wills.at(-1), holder);
  assert.match(statesIn(broker).at(-1)!, /"online":true/);
  await stop();
});
