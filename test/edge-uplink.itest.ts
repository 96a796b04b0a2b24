import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import type { CommandAnswer, DeviceAck, DeviceCommand } from '@tailrace/client/device';
import { Outbox } from '@tailrace/edge/store/outbox';
import { createIngestConnection, ingestProbe } from '@tailrace/edge/uplink/create-ingest-connection';
import type { IngestConnection, IngestState } from '@tailrace/edge/uplink/ingest-connection';
import { Uplink } from '@tailrace/edge/uplink/uplink';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { issueToken } from '@tailrace/platform/token';
import type { CommandOutcome } from '@tailrace/protocol/device-command';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { CommandClient } from '@tailrace/testkit/command-client';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { MemoryDisk } from '../services/edge/test/memory-disk.ts';
import { startIngest, tokenSecret } from '../services/ingest/test/ingest-fixture.ts';
import { type LinkProxy, startLinkProxy } from './link-proxy.ts';

/** What each connection of the gateway keeps, against ingest: one suite for all protocols. */
failOnLeaks();

const gateway = 'plant1.edge1';
const device = 'plant1.press1';

type Ingest = Awaited<ReturnType<typeof startIngest>>;

interface Protocol {
  readonly name: string;
  readonly portOf: (ingest: Ingest) => number;
  readonly urlOf: (port: number) => string;
}

const protocols: readonly Protocol[] = [
  { name: 'WebSocket', portOf: ({ port }) => port, urlOf: (port) => `http://127.0.0.1:${port}` },
  { name: 'MQTT', portOf: ({ mqttPort }) => mqttPort, urlOf: (port) => `mqtt://127.0.0.1:${port}` },
  { name: 'MQTT over WebSocket', portOf: ({ port }) => port, urlOf: (port) => `ws://127.0.0.1:${port}/v1/mqtt` },
];

async function start(t: TestContext, { portOf, urlOf }: Protocol, settings: { deviceMessageBytesMax?: number } = {}) {
  const network = createMemoryNetwork({ clock: systemClock });
  const [bus, control] = ['ingest', 'control'].map((node) => network.createBus({ node, logger: silentLogger }));
  const ingest = await startIngest(t, {
    bus: bus!,
    settings: { mqttEnabled: true, mqttPlain: true, mqttPort: 0, deviceMessagesPerSecond: 150, ...settings },
  });
  await control!.start();
  t.after(() => control!.close());
  const proxy: LinkProxy = await startLinkProxy(() => portOf(ingest));
  t.after(() => proxy.stop());
  const token = await issueToken({
    ...{ secret: tokenSecret, subject: 'edge1', publish: ['plant1.>'], subscribe: [], expiresInMs: 3_600_000 },
    receiveCommands: ['plant1.>'],
  });
  const connect = (options: { readonly token?: string; readonly onCommand?: Receive } = {}) => {
    const states: IngestState[] = [];
    const connection = createIngestConnection({
      ...{ url: urlOf(proxy.port), device: gateway, token: options.token ?? token },
      ...{ clock: systemClock, random: Math.random, onCommand: options.onCommand },
      onState: (state) => states.push(state),
      onError() {},
    });
    t.after(() => connection.close());
    connection.start();
    return { connection, states };
  };
  return { ingest, proxy, control: control!, token, connect, url: urlOf(proxy.port) };
}

type Receive = (command: DeviceCommand, answer: CommandAnswer) => void;

const stateIs = (connection: IngestConnection, name: IngestState['name']) =>
  eventually(() => assert.equal(connection.state.name, name), { deadlineMs: 10_000 });

const encoded = (n: number, of = device) =>
  encodeReport({ device: of, time: 1_764_446_400_000 + n, readings: [{ tag: 'n', value: n }], id: `r${n}` });

for (const protocol of protocols) {
  const { name } = protocol;

  test(`${name}: a batch is accepted when the log has it, and not before, and a repetition of it in a later session is in the log once`, async (t) => {
    const { ingest, connect } = await start(t, protocol);
    const { connection } = connect();
    await stateIs(connection, 'live');
    const { state } = connection;
    assert.ok(state.name === 'live' && state.node !== '' && state.messagesPerSecond === 150);
    const release = ingest.hold();
    let ack: DeviceAck | undefined;
    const first = connection.batch('b1', [encoded(1), encoded(2)]).then((answer) => {
      ack = answer;
    });
    await ingest.metricIs('tailrace_ingest_device_window_messages', 1);
    assert.equal(ack, undefined);
    assert.ok(connection.queuedBytes > 0);
    // Lost while the log has not answered: the repetition waits for the outcome of the first one.
    connection.reconnect({ force: true });
    await first;
    assert.equal(ack!.status, 'lost');
    assert.equal(connection.queuedBytes, 0);
    await stateIs(connection, 'live');
    const again = connection.batch('b1', [encoded(1), encoded(2)]);
    const next = connection.batch('b2', [encoded(3)]);
    release();
    assert.notEqual((await again).status, 'rejected');
    assert.equal((await next).status, 'accepted');
    // Again after the answer, as if that was lost.
    connection.reconnect({ force: true });
    await stateIs(connection, 'live');
    assert.notEqual((await connection.batch('b2', [encoded(3)])).status, 'rejected');
    const logged = await ingest.logged();
    assert.deepEqual(logged.map(({ id }) => id).toSorted(), ['r1', 'r2', 'r3']);
    assert.equal(logged.find(({ id }) => id === 'r2')!.time, 1_764_446_400_002);
  });

  test(`${name}: what ingest refuses of a batch is named, and a batch that is too large is rejected`, async (t) => {
    const { connect, ingest } = await start(t, protocol, { deviceMessageBytesMax: 20_000 });
    const { connection } = connect();
    await stateIs(connection, 'live');
    const foreign = (n: number) => encoded(n, 'plant2.press1');
    const ack = await connection.batch('b1', [encoded(0), foreign(1), encoded(2), foreign(3), foreign(4)]);
    assert.equal(ack.status, 'accepted');
    assert.deepEqual(
      ack.rejected!.map(({ index }) => index),
      [1, 3, 4],
    );
    assert.match(ack.rejected![0]!.message, /plant2\.press1/);
    const none = await connection.batch('b2', [foreign(5)]);
    assert.ok(none.status === 'rejected' || none.rejected!.length === 1);
    assert.notEqual(none.retryable, true);
    const large = Array.from({ length: 600 }, (_, n) => encoded(n + 100));
    await assert.rejects(connection.batch('b3', large), { code: 'too_large' });
    assert.equal((await connection.batch('b4', [encoded(9)])).status, 'accepted');
    // The list of every second one is longer than a Reason String.
    const mixed = Array.from({ length: 140 }, (_, n) => (n % 2 === 0 ? encoded(n + 1_000) : foreign(n + 1_000)));
    const every = (await connection.batch('b5', mixed)).rejected!.map(({ index }) => index);
    assert.deepEqual(
      every,
      Array.from({ length: 70 }, (_, n) => 2 * n + 1),
    );
    const ids = new Set((await ingest.logged()).map(({ id }) => id));
    assert.deepEqual([ids.size, ids.has('r0'), ids.has('r2'), ids.has('r9')], [73, true, true, true]);
    assert.ok(mixed.every((_, n) => ids.has(`r${n + 1_000}`) === (n % 2 === 0)));
  });

  test(`${name}: a token that is refused, and a newer session, stop the connection until it is to connect again`, async (t) => {
    const { connect, ingest } = await start(t, protocol);
    const refused = connect({ token: 'nonsense' });
    await stateIs(refused.connection, 'stopped');
    const { state } = refused.connection;
    assert.ok(state.name === 'stopped');
    assert.equal(state.loss.code, 4401);
    const older = connect();
    await stateIs(older.connection, 'live');
    const newer = connect();
    await stateIs(newer.connection, 'live');
    await stateIs(older.connection, 'stopped');
    const { state: replaced } = older.connection;
    assert.ok(replaced.name === 'stopped');
    assert.equal(replaced.loss.code, 4409);
    await newer.connection.close();
    assert.equal(newer.connection.state.name, 'closed');
    await assert.rejects(newer.connection.batch('b', [encoded(1)]), { code: 'closed' });
    older.connection.reconnect();
    await stateIs(older.connection, 'live');
    assert.equal((await older.connection.batch('b', [encoded(1)])).status, 'accepted');
    assert.equal((await ingest.logged()).length, 1);
  });

  test(`${name}: a command for a device behind the gateway is received and answered, also when its session was lost before the reply`, async (t) => {
    const { connect, control, proxy } = await start(t, protocol);
    const received: { readonly command: DeviceCommand; readonly answer: CommandAnswer }[] = [];
    const { connection } = connect({ onCommand: (command, answer) => received.push({ command, answer }) });
    await stateIs(connection, 'live');
    const client = new CommandClient(control, systemClock);
    await client.start();
    const outcomes: CommandOutcome[] = [];
    const issued = Date.now();
    const sent = (async () => {
      const facts = { deadline: issued + 30_000, session: 0, subject: 'test', traceparent: '', fence: 3 };
      const request = { id: 'c1', device, via: gateway, name: 'set', params: { speed: 7 }, qos: 1, issued } as const;
      for await (const outcome of client.send({ ...request, ...facts }, { correctionMs: 20_000 }))
        outcomes.push(outcome);
    })();
    await eventually(() => assert.equal(received.length, 1));
    const { command, answer } = received[0]!;
    assert.deepEqual([command.device, command.name, command.params, command.fence], [device, 'set', { speed: 7 }, 3]);
    const leftMs = command.expiresAtMs - systemClock.monotonic();
    assert.ok(leftMs > 20_000 && leftMs <= 30_000, `${leftMs} ms`);
    answer.delivered();
    await eventually(() =>
      assert.ok(
        outcomes.some(({ state }) => state === 'delivered'),
        JSON.stringify(outcomes),
      ),
    );
    // Without a session the reply waits; in the next one it corrects what ingest has assumed.
    await proxy.disconnect();
    await stateIs(connection, 'waiting');
    answer.reply({ state: 'done', before: 1, after: 7, confirmedBy: 'read_back' });
    await eventually(() => assert.equal(outcomes.at(-1)!.state, 'unconfirmed'));
    await proxy.restore();
    connection.reconnect();
    await sent;
    const { state, before, after, confirmedBy } = outcomes.at(-1)!;
    assert.deepEqual([state, before, after, confirmedBy], ['done', 1, 7, 'read_back']);
    assert.equal(received.length, 1);
  });

  test(`${name}: after a link that is lost, and one that is stalled, the log has each report once and in order, soon after the link is back`, async (t) => {
    const { ingest, proxy, token, url } = await start(t, protocol);
    const outbox = new Outbox({
      ...{ openDisk: async () => ({ disk: new MemoryDisk(), isReplaced: false }), device: gateway, drops: 'oldest' },
      ...{ memoryBytesMax: 10_000_000, storeBytesMax: 100_000_000, logger: silentLogger },
      ...{ clock: systemClock, random: Math.random },
    });
    await outbox.open();
    let failedProbes = 0;
    const isReachable = ingestProbe(url);
    const probe = async (limitMs: number) => {
      const isUp = await isReachable(limitMs);
      if (!isUp) failedProbes++;
      return isUp;
    };
    const uplink = new Uplink({
      ...{ url, device: gateway, token, outbox, catchUpReadingsPerSecondMax: 20_000, logger: silentLogger },
      ...{ probe, onState() {}, onCommand: undefined, clock: systemClock, random: () => 0.99 },
      // A link that is not lost answers the probe, however early that starts.
      suspectMs: 200,
    });
    t.after(async () => {
      await uplink.stop(0);
      await outbox.close();
    });
    uplink.start();
    await eventually(() => assert.equal(uplink.state, 'up'), { deadlineMs: 10_000 });
    let n = 0;
    const put = (count: number) => {
      for (const until = n + count; n < until; n++) {
        outbox.put({ device, time: systemClock.now(), readings: [{ tag: 'n', value: n }] });
        uplink.put(1);
      }
    };
    const allAcknowledged = () => eventually(() => assert.equal(outbox.reports, 0), { deadlineMs: 20_000 });
    for (const lose of [() => proxy.disconnect(), () => proxy.stall()]) {
      put(10);
      await lose();
      for (let step = 0; step < 5; step++) {
        put(5);
        // Another batch.
        await systemClock.sleep(0);
      }
      const before = failedProbes;
      await eventually(() => assert.ok(failedProbes > before), { deadlineMs: 10_000 });
      const backMs = systemClock.monotonic();
      await proxy.restore();
      await allAcknowledged();
      t.diagnostic(`all acknowledged ${Math.round(systemClock.monotonic() - backMs)} ms after the link was back`);
    }
    const logged = await ingest.logged();
    const values = logged.filter((report) => report.device === device).map(({ readings }) => readings[0]!.value);
    assert.deepEqual(
      values,
      Array.from({ length: n }, (_, index) => index),
    );
    assert.equal(new Set(logged.map(({ id }) => id)).size, logged.length);
  });

  test(`${name}: the devices behind a gateway are announced in each session, and are gone with it`, async (t) => {
    const { ingest, connect, proxy } = await start(t, protocol);
    const { connection } = connect();
    await stateIs(connection, 'live');
    const announced = (count: number) => ingest.metricIs('tailrace_ingest_announced_devices', count);
    for (let n = 0; n < 100; n++) connection.presence(`plant1.press${n}`, true);
    await announced(100);
    connection.presence('plant1.press7', false);
    await announced(99);
    await proxy.disconnect();
    await announced(0);
    await proxy.restore();
    connection.reconnect();
    await announced(99);
  });
}
