import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Data, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { opcodes } from '@tailrace/testkit/ws-frames';
import { startNode, type TestNode } from './node.ts';
import { watch } from './watcher.ts';

failOnLeaks();

const devices = 20_000;
const socketHighWaterBytes = 262_144;
const pathOf = (i: number) => `fleet.line${i % 40}.machine${i}`;
/** Enough to exceed what the kernel buffers for a client that does not read. */
const padding = 'x'.repeat(900);

let node: TestNode;
before(async () => {
  node = await startNode({
    telemetryPartitions: 12,
    socketHighWaterBytes,
    messagesPerSecondMax: 1e6,
    heartbeatMs: 20_000,
  });
  for (let i = 0; i < devices; i += 1_000) await Promise.all(Array.from({ length: 1_000 }, (_, k) => report(i + k, 0)));
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_devices'), devices), {
    deadlineMs: 60_000,
  });
});
after(() => node.stop());

function report(i: number, value: number): Promise<void> {
  return node.append(pathOf(i), [
    { tag: 'n', value },
    { tag: 'text', value: padding },
  ]);
}

function dataIn(ws: RawWebSocket): Data[] {
  return ws.frames.flatMap(({ opcode, payload }) => {
    const message =
      opcode === opcodes.text
        ? serverMessageFromJson(payload.toString('utf8'))
        : opcode === opcodes.binary
          ? serverMessageFromBytes(payload)
          : undefined;
    return message !== undefined && 'data' in message ? [message.data] : [];
  });
}

/** Resolves when the latest value received of each of these devices is the given one. */
function untilReceived(ws: RawWebSocket, values: ReadonlyMap<string, number>): Promise<void> {
  return eventually(
    () => {
      const latest = new Map(
        dataIn(ws).flatMap(({ reports }) => reports.map((each) => [each.device, each.readings[0]!.value])),
      );
      for (const [device, value] of values) assert.equal(latest.get(device), value);
    },
    { deadlineMs: 30_000 },
  );
}

/** Asserts that a client received last values of all devices, then every report, once and in order. */
function assertComplete(data: readonly Data[], sent: ReadonlyMap<string, readonly number[]>): void {
  const received = new Map<string, { seq: number; values: number[]; snapshot: number }>();
  for (const { reports, snapshot, skipped } of data) {
    assert.equal(skipped, undefined);
    for (const { device, seq, readings } of reports) {
      const before = received.get(device) ?? { seq: -1, values: [], snapshot: 0 };
      assert.ok(seq > before.seq, `${device}: ${seq} after ${before.seq}`);
      before.values.push(Number(readings[0]!.value));
      received.set(device, { seq, values: before.values, snapshot: before.snapshot + (snapshot === true ? 1 : 0) });
    }
  }
  assert.equal(received.size, devices);
  for (const [device, { values, snapshot }] of received) {
    const all = sent.get(device) ?? [];
    // A last value that was replaced before its device was visited is not sent: the report that replaced it is.
    const expected = snapshot === 0 ? all.slice(-values.length) : [0, ...all].slice(-values.length);
    assert.deepEqual(values, expected, device);
    assert.ok(snapshot <= 1 && values.at(-1) === (all.at(-1) ?? 0), device);
  }
}

/** Sends reports of all devices in turn until `stop`. */
function reportInTurn(t: TestContext): {
  readonly count: number;
  stop(): Promise<ReadonlyMap<string, readonly number[]>>;
} {
  const sent = new Map<string, number[]>();
  let isOn = true;
  let count = 0;
  const run = async () => {
    for (let value = 1; isOn; value++) {
      const i = (value * 7_919) % devices;
      const values = sent.get(pathOf(i)) ?? [];
      sent.set(pathOf(i), values);
      values.push(value);
      await report(i, value);
      count++;
      if (value % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const running = run();
  t.after(() => {
    isOn = false;
    return running;
  });
  return {
    get count() {
      return count;
    },
    async stop() {
      isOn = false;
      await running;
      return sent;
    },
  };
}

for (const protocol of ['tailrace.v1.json', 'tailrace.v1.proto']) {
  test(`the last values of 20,000 devices come on one socket while they go on reporting: complete, once, in order (${protocol})`, async (t) => {
    const other = await watch({ port: node.port, token: node.token, channels: [pathOf(1)] });
    await other.next('subscribed');
    const load = reportInTurn(t);
    const ws = await node.connect({ path: `/v1/stream?token=${node.token}&channel=fleet.>`, protocols: [protocol] });
    await eventually(() => dataIn(ws).some(({ snapshotComplete }) => snapshotComplete === true), {
      deadlineMs: 30_000,
    });
    const sent = await load.stop();
    const total = [...sent.values()].reduce((sum, values) => sum + values.length, 0);
    assert.ok(total > 20, `${total} reports: the test proves little`);
    await untilReceived(ws, new Map(Array.from(sent, ([device, values]) => [device, values.at(-1)!])));
    const data = dataIn(ws);
    assert.equal(data.filter(({ snapshotComplete }) => snapshotComplete === true).length, 1);
    assert.ok(Math.max(...ws.frames.map(({ payload }) => payload.length)) <= 70_000);
    assertComplete(data, sent);
    // The next test starts with the value 0 of every device, and no report on its way.
    for (const i of Array.from({ length: devices }, (_, k) => k)) if (sent.has(pathOf(i))) await report(i, 0);
    await untilReceived(ws, new Map(Array.from(sent.keys(), (device) => [device, 0])));
    ws.close();
    await ws.closed;
    await other.end();
  });
}

test('a client that stops reading in the middle of its snapshot costs the node the bytes in its socket, and gets the rest when it reads', async (t) => {
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}&channel=fleet.>` });
  await eventually(() => dataIn(ws).length > 0, { describe: 'it has started' });
  ws.socket.stopReading();
  const load = reportInTurn(t);
  await eventually(async () => assert.ok((await node.metric('tailrace_fanout_socket_bytes')) > 0));
  const rssMb = () => process.memoryUsage().rss / 1e6;
  const before = rssMb();
  const enough = load.count + 2_000;
  let most = 0;
  while (load.count < enough) {
    await turn();
    most = Math.max(most, await node.metric('tailrace_fanout_socket_bytes'));
    assert.equal(await node.metric('tailrace_fanout_catch_up_bytes'), 0);
  }
  assert.ok(most <= socketHighWaterBytes, `${most} bytes wait in its socket`);
  assert.ok(rssMb() - before < 200, `${rssMb() - before} MB more`);
  ws.socket.startReading();
  await eventually(() => dataIn(ws).some(({ snapshotComplete }) => snapshotComplete === true), { deadlineMs: 30_000 });
  const sent = await load.stop();
  await untilReceived(ws, new Map(Array.from(sent, ([device, values]) => [device, values.at(-1)!])));
  assertComplete(dataIn(ws), sent);
  ws.close();
  await ws.closed;
});

test('a thousand subscriptions of one channel on one socket take linear time', async () => {
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}` });
  await ws.nextJson();
  let [seen, answered] = [0, 0];
  /** CPU of client and server together, ms. */
  const subscribe = async (from: number, to: number) => {
    const cpu = process.cpuUsage();
    for (let i = from; i < to; i++) {
      ws.sendText(JSON.stringify({ subscribe: { id: `${i}`, channel: 'fleet.line1.>', snapshot: false } }));
    }
    while (answered < to) {
      await turn();
      for (; seen < ws.frames.length; seen++) if (ws.frames[seen]!.payload.includes('"subscribed"')) answered++;
    }
    const { user, system } = process.cpuUsage(cpu);
    return (user + system) / 1_000;
  };
  const first = await subscribe(0, 250);
  await subscribe(250, 750);
  const last = await subscribe(750, 1_000);
  // If each scanned those before it, the last ones would take up to seven times as much as the first.
  assert.ok(last < 4 * first, `the last 250 take ${last} ms of CPU, the first ${first} ms`);
  ws.close();
  await ws.closed;
});
