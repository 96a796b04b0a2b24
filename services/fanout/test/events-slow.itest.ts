import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { positionsFromToken } from '@tailrace/protocol/position';
import { type ServerMessage, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import { opcodes } from '@tailrace/testkit/ws-frames';
import { alarmEvent, alarmOf } from './alarm-events.ts';
import { startNode, type TestNode } from './node.ts';
import { watch } from './watcher.ts';

failOnLeaks();

const repliesBytesMax = 65_536;
let node: TestNode;
before(async () => {
  node = await startNode({
    ...{ heartbeatMs: 20_000, pongDeadlineMs: 15_000, messagesPerSecondMax: 1e6, lagMsMax: 10_000 },
    ...{ socketHighWaterBytes: 65_536, socketBytesMax: 1_048_576, repliesBytesMax },
  });
});
after(() => node.stop());

const device = 'plant.press';
const padding = 'x'.repeat(4_000);
let reports = 0;

async function report(): Promise<void> {
  const tags = ['a', 'b', 'c', 'd'].map((tag) => ({ tag, value: padding }));
  await node.append(device, [{ tag: 'n', value: ++reports }, ...tags]);
  await turn();
}

async function connect(...subscriptions: object[]): Promise<RawWebSocket> {
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}` });
  await ws.nextJson();
  for (const [i, subscription] of subscriptions.entries()) {
    ws.sendText(JSON.stringify({ subscribe: { id: `s${i}`, channel: '>', ...subscription } }));
    await ws.nextJson();
  }
  return ws;
}

function messagesOf(ws: RawWebSocket): ServerMessage[] {
  return ws.frames
    .filter(({ opcode }) => opcode === opcodes.text)
    .flatMap(({ payload }) => serverMessageFromJson(payload.toString('utf8')) ?? []);
}

function numbersIn(messages: readonly ServerMessage[]): number[] {
  return messages.flatMap((message) =>
    'alarm' in message ? message.alarm.events.map(({ transition }) => transition?.number ?? 0) : [],
  );
}

test('alarms of a client that reads too slowly precede its backlog of readings, and none is left out', async () => {
  const ws = await connect({ alarms: true }, {});
  const lagging = () => node.metric('tailrace_fanout_lagging_connections');
  ws.socket.stopReading();
  for (let i = 0; (await lagging()) === 0; i++) {
    assert.ok(i < 20_000, 'no client lags');
    await report();
  }
  for (let i = 0; i < 20; i++) await report();
  const delivered = () => node.metric('tailrace_fanout_event_deliveries_total');
  const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
  for (const number of numbers) await node.appendEvent(device, alarmEvent(alarmOf(device, number)));
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_accepted_events_total'), 20));
  assert.equal(await delivered(), 0, 'they are sent to this client alone');
  ws.socket.startReading();
  await eventually(async () => assert.equal(await lagging(), 0));
  await eventually(() => assert.deepEqual(numbersIn(messagesOf(ws)), numbers));
  const isBacklog = (message: ServerMessage) => 'data' in message && message.data.skipped !== undefined;
  await eventually(() => assert.ok(messagesOf(ws).some(isBacklog)));
  const messages = messagesOf(ws);
  const backlog = messages.findIndex(isBacklog);
  const lastAlarm = messages.findLastIndex((message) => 'alarm' in message);
  assert.ok(backlog > lastAlarm, `the backlog is message ${backlog}, the last alarm ${lastAlarm}`);
  await node.appendEvent(device, alarmEvent(alarmOf(device, 21)));
  await eventually(() => assert.equal(numbersIn(messagesOf(ws)).at(-1), 21));
  ws.close();
  await ws.closed;
});

test('a client that does not read its alarms is disconnected with 4002 and its position, and misses none', async () => {
  const other = 'plant.saw';
  const ws = await connect({ channel: other, alarms: true });
  const slow = () => node.metric('tailrace_fanout_slow_connections_total');
  const before = await slow();
  ws.socket.stopReading();
  let number = 0;
  while ((await slow()) === before) {
    assert.ok(number < 100_000, 'the client is not disconnected');
    for (let i = 0; i < 50; i++)
      await node.appendEvent(other, alarmEvent(alarmOf(other, ++number, { note: 'x'.repeat(900) })));
    await turn();
  }
  ws.socket.startReading();
  const { code, reason } = await ws.closed;
  assert.equal(code, 4002);
  const after = /^too slow; after=(.+)$/.exec(reason)?.[1];
  assert.ok(after !== undefined && positionsFromToken(after).size > 0, reason);
  const seen = new Set(numbersIn(messagesOf(ws)));
  const watcher = await watch({ port: node.port, token: node.token });
  watcher.send({ subscribe: { id: 'a', channel: other, alarms: true, after } });
  const { subscribed } = await watcher.next('subscribed');
  assert.equal(subscribed.recovered, true);
  await eventually(() => {
    for (const each of numbersIn(watcher.messages.all)) seen.add(each);
    assert.equal(seen.size, number);
  });
  await watcher.end();
});
