import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import type { ServerMessage } from '@tailrace/protocol/server-message';
import { alarmEvent, alarmOf, bytesOf, commandEvent, leaseEvent } from '../../test/alarm-events.ts';
import { createLocalNode, type LocalNode } from '../../test/local-node.ts';
import { openedSession } from '../../test/session-client.ts';

const devices = ['plant.line1.press', 'plant.line1.saw', 'plant.line2.press'];

/** A node with two partitions whose boards are ready. */
function createNode() {
  const node = createLocalNode({ partitions: 2 });
  for (const board of node.boards) board.ready(0);
  return node;
}

function append(node: LocalNode, key: string, event: Parameters<typeof bytesOf>[0]): void {
  const board = node.boards[partitionOf(key, node.boards.length)]!;
  board.take([{ seq: board.next, value: bytesOf(event) }], board.next + 1);
}

const raise = (node: LocalNode, device: string, number: number) =>
  append(node, device, alarmEvent(alarmOf(device, number)));

/** Returns device and number of the alarms in messages. */
function alarmsIn(messages: readonly ServerMessage[], isSnapshot = false): string[] {
  return messages.flatMap((message) =>
    'alarm' in message && (message.alarm.snapshot ?? false) === isSnapshot
      ? message.alarm.events.map(({ transition }) => `${transition?.device} ${transition?.number}`)
      : [],
  );
}

const subscribedIn = (messages: readonly ServerMessage[]) =>
  messages.flatMap((message) => ('subscribed' in message ? [message.subscribed] : []))[0]!;

test('the snapshot is the alarms that are not normal; then each transition comes once', async () => {
  for (const encoding of ['json', 'proto'] as const) {
    const node = createNode();
    raise(node, devices[0]!, 1);
    raise(node, devices[1]!, 1);
    raise(node, devices[1]!, 2);
    const client = await openedSession(node, 'plant.>', { encoding });
    client.send({ subscribe: { id: 'a', channel: 'plant.line1.>', alarms: true } });
    const start = client.received.splice(0);
    assert.equal(subscribedIn(start).snapshot, 1);
    assert.deepEqual(alarmsIn(start, true), [`${devices[0]} 1`]);
    assert.ok(start.some((message) => 'alarm' in message && message.alarm.snapshotComplete));
    await node.clock.advance(0);
    for (const device of devices) raise(node, device, 3);
    assert.deepEqual(alarmsIn(client.received).sort(), [`${devices[0]} 3`, `${devices[1]} 3`].sort());
  }
});

test('a subscription to alarms gets no readings, and one to readings no alarms', async () => {
  const node = createNode();
  const client = await openedSession(node);
  client.send({ subscribe: { id: 'a', channel: '>', alarms: true } });
  client.send({ subscribe: { id: 'd', channel: '>' } });
  client.received.length = 0;
  raise(node, devices[0]!, 1);
  node.report(devices[0]!, { t: 1 });
  assert.deepEqual(client.kinds(), ['alarm', 'data']);
});

test('a client that resumes gets the transitions since its position, and no snapshot', async () => {
  const node = createNode();
  const first = await openedSession(node);
  first.send({ subscribe: { id: 'a', channel: '>', alarms: true } });
  const { position } = subscribedIn(first.received);
  for (const device of devices) raise(node, device, 1);
  raise(node, devices[0]!, 2);
  const second = await openedSession(node);
  second.send({ subscribe: { id: 'a', channel: '>', alarms: true, after: position } });
  const messages = second.received.splice(0);
  const { recovered, snapshot } = subscribedIn(messages);
  assert.deepEqual({ recovered, snapshot }, { recovered: true, snapshot: 0 });
  assert.deepEqual(alarmsIn(messages).sort(), alarmsIn(first.received).sort());
  assert.equal(alarmsIn(messages).length, 4);
});

test('a client that has seen more than its node waits for the node, and gets nothing again', async () => {
  const [ahead, behind] = [createNode(), createNode()];
  const first = await openedSession(ahead);
  first.send({ subscribe: { id: 'a', channel: devices[0]!, alarms: true } });
  raise(ahead, devices[0]!, 1);
  raise(ahead, devices[0]!, 2);
  const again = await openedSession(ahead);
  again.send({ subscribe: { id: 'a', channel: devices[0]!, alarms: true } });
  const { position } = subscribedIn(again.received);
  raise(behind, devices[0]!, 1);
  const second = await openedSession(behind);
  second.send({ subscribe: { id: 'a', channel: devices[0]!, alarms: true, after: position } });
  assert.deepEqual(second.received, []);
  raise(behind, devices[0]!, 2);
  assert.equal(subscribedIn(second.received).recovered, true);
  await behind.clock.advance(0);
  raise(behind, devices[0]!, 3);
  assert.deepEqual(alarmsIn(second.received), [`${devices[0]} 3`]);
});

test('a token of readings, or one that is too old, names what is missing, and the snapshot follows', async () => {
  const node = createNode();
  raise(node, devices[0]!, 1);
  const client = await openedSession(node);
  client.send({ subscribe: { id: 'd', channel: '>' } });
  const { position: ofReadings } = subscribedIn(client.received.splice(0));
  client.send({ subscribe: { id: 'a', channel: '>', alarms: true, after: ofReadings } });
  const messages = client.received.splice(0);
  const { recovered, missing = [] } = subscribedIn(messages);
  assert.equal(recovered, false);
  assert.deepEqual([...new Set(missing.map(({ reason }) => reason))], ['epoch']);
  assert.deepEqual(alarmsIn(messages, true), [`${devices[0]} 1`]);
});

test('a client without a right to a device receives nothing of its alarms', async () => {
  const node = createNode();
  const client = await openedSession(node, 'plant.line1.>');
  client.send({ subscribe: { id: 'a', channel: 'plant.>', alarms: true } });
  client.send({ subscribe: { id: 'b', channel: 'plant.line1.>', alarms: true, commands: true } });
  assert.deepEqual(
    client.errors().map(({ code }) => code),
    ['forbidden'],
  );
  raise(node, devices[2]!, 1);
  append(node, devices[2]!, commandEvent({ id: 'c', device: devices[2]!, number: 1, state: 'accepted', time: 1 }));
  assert.deepEqual(client.kinds(), []);
});

test('watchers of commands get their states and the leases that touch the channel', async () => {
  const node = createNode();
  append(node, 'plant', leaseEvent({ scope: 'plant.>', token: 1, holder: 'anna', time: 1 }));
  const client = await openedSession(node);
  client.send({ subscribe: { id: 'c', channel: devices[0]!, commands: true } });
  assert.deepEqual(client.kinds(), ['subscribed', 'lease']);
  await node.clock.advance(0);
  append(node, devices[0]!, commandEvent({ id: 'c', device: devices[0]!, number: 1, state: 'accepted', time: 1 }));
  append(node, 'plant.line2', leaseEvent({ scope: 'plant.line2.>', token: 2, holder: 'ben', time: 2 }));
  raise(node, devices[0]!, 1);
  assert.deepEqual(client.kinds(), ['command']);
});

test('a client with a full socket gets alarms at once, and is on the topic again when it has read', async () => {
  const node = createNode();
  const client = await openedSession(node);
  client.send({ subscribe: { id: 'a', channel: '>', alarms: true } });
  client.received.length = 0;
  let drain = () => {};
  const drained = new Promise<void>((resolve) => {
    drain = resolve;
  });
  let isFull = true;
  client.socket.whenWritable = (() => (isFull ? drained : undefined)) as () => undefined;
  (client.socket.watcher as unknown as { onFull(): void }).onFull();
  assert.equal(client.topics.size, 0);
  raise(node, devices[0]!, 1);
  assert.deepEqual(alarmsIn(client.received), [`${devices[0]} 1`]);
  isFull = false;
  drain();
  await node.clock.advance(1);
  assert.equal(client.topics.size, 1);
  raise(node, devices[0]!, 2);
  assert.deepEqual(alarmsIn(client.received), [`${devices[0]} 1`, `${devices[0]} 2`]);
});

test('a client whose snapshot waits gets what arrives meanwhile after it, in order', async () => {
  const node = createNode();
  raise(node, devices[0]!, 1);
  const client = await openedSession(node);
  let drain = () => {};
  const drained = new Promise<void>((resolve) => {
    drain = resolve;
  });
  let isFull = true;
  client.socket.whenWritable = (() => (isFull ? drained : undefined)) as () => undefined;
  client.send({ subscribe: { id: 'a', channel: '>', alarms: true } });
  raise(node, devices[0]!, 2);
  assert.deepEqual(client.kinds(), ['subscribed']);
  isFull = false;
  drain();
  await node.clock.advance(1);
  assert.deepEqual(alarmsIn(client.received, true), [`${devices[0]} 1`]);
  assert.deepEqual(alarmsIn(client.received), [`${devices[0]} 2`]);
});

test('the same request twice on a connection gets every event twice, and each can be closed', async () => {
  const node = createNode();
  const client = await openedSession(node);
  for (const id of ['a', 'b']) client.send({ subscribe: { id, channel: '>', alarms: true } });
  client.received.length = 0;
  raise(node, devices[0]!, 1);
  assert.deepEqual(client.kinds(), ['alarm', 'alarm']);
  client.send({ unsubscribe: { id: 'a' } });
  client.received.length = 0;
  raise(node, devices[0]!, 2);
  assert.deepEqual(client.kinds(), ['alarm']);
  client.send({ unsubscribe: { id: 'b' } });
  assert.equal(node.eventHub.views, 0);
});

test('options of data, and a pause, are refused', async () => {
  const node = createNode();
  const client = await openedSession(node);
  client.send({ subscribe: { id: 'a', channel: '>', alarms: true, maxRate: 1 } });
  client.send({ subscribe: { id: 'a', channel: '>', alarms: true } });
  client.send({ subscribe: { id: 'a', channel: '>' } });
  client.send({ pause: { id: 'a' } });
  assert.deepEqual(
    client.errors().map(({ code }) => code),
    ['invalid_message', 'conflict', 'conflict'],
  );
});

test('without the boards of its partitions a subscription is unavailable after the deadline', async () => {
  const node = createLocalNode({ partitions: 2, joinDeadlineMs: 1_000 });
  const client = await openedSession(node);
  client.send({ subscribe: { id: 'a', channel: '>', alarms: true } });
  await node.clock.advance(1_001);
  const [error] = client.errors();
  assert.deepEqual([error?.code, error?.retryable, error?.id], ['unavailable', true, 'a']);
  assert.equal(node.eventHub.subscriptions, 0);
});
