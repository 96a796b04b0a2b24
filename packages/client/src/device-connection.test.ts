import assert from 'node:assert/strict';
import { test } from 'node:test';
import { device, startFakeIngest } from '../test/fake-ingest.ts';
import type { CommandAnswer, DeviceCommand } from './device-commands.ts';
import type { DeviceState } from './device-connection.ts';
import { createTestClock } from './test-clock.ts';

const readings = [{ tag: 'temperature', value: 42.5 }];

/** Returns a promise and whether it is settled. */
function watched<T>(promise: Promise<T>): { result: T | undefined; error: unknown } {
  const watch: { result: T | undefined; error: unknown } = { result: undefined, error: undefined };
  promise.then(
    (result) => {
      watch.result = result;
    },
    (error: unknown) => {
      watch.error = error;
    },
  );
  return watch;
}

test('the first message is auth with the challenge of the hello, and messages follow the welcome', async () => {
  const ingest = startFakeIngest({ instance: 'boot1' });
  const { connection, clock } = ingest;
  const ack = watched(connection.status(readings, { time: 1_700_000_000_000.25 }));
  const auth = await ingest.hello();
  assert.equal(ingest.last().url, 'ws://ingest:8082/v1/device');
  assert.equal(ingest.last().protocol, 'tailrace.device.v1.json');
  assert.deepEqual(auth.payload, { device, token: 'secret', challenge: 'c', instance: 'boot1' });
  assert.deepEqual(ingest.take(), []);
  ingest.send('welcome', {
    session: 7,
    window: 64,
    windowBytes: 5e5,
    messageBytesMax: 2e5,
    batchMax: 500,
    messagesPerSecond: 9,
  });
  const [status] = ingest.take();
  assert.deepEqual(
    { ...status, msgid: '' },
    {
      ...{ type: 'status', msgid: '', timestamp: 1_700_000_000_000.25, payload: { readings }, qos: 1 },
    },
  );
  ingest.ack(status!.msgid!);
  await clock.advance(0);
  assert.deepEqual(ack.result, { status: 'accepted' });
  assert.deepEqual(ingest.states, ['connecting', 'live']);
  await connection.close();
});

test('at most a window of messages has no answer, and events are sent before what waits', async () => {
  const ingest = startFakeIngest();
  await ingest.live({ window: 2 });
  for (const id of ['a', 'b', 'c', 'd']) void ingest.connection.status(readings, { id });
  void ingest.connection.event('valve_open', { id: 'e' });
  assert.deepEqual(ingest.ids(), ['a', 'b']);
  ingest.ack('b');
  assert.deepEqual(ingest.ids(), ['e']);
  ingest.ack('a');
  ingest.ack('e');
  assert.deepEqual(ingest.ids(), ['c', 'd']);
});

test('a window in bytes holds messages back, and a larger one is sent alone', async () => {
  const ingest = startFakeIngest();
  await ingest.live({ windowBytes: 300 });
  const text = 'x'.repeat(400);
  void ingest.connection.status([{ tag: 't', value: text }], { id: 'large' });
  void ingest.connection.status(readings, { id: 'small' });
  assert.deepEqual(ingest.ids(), ['large']);
  ingest.ack('large');
  assert.deepEqual(ingest.ids(), ['small']);
});

test('after a lost connection everything without an answer is sent again: same IDs and times, events first, in order', async () => {
  const ingest = startFakeIngest();
  await ingest.live();
  const { connection, clock } = ingest;
  const acks = ['a', 'b'].map((id) => watched(connection.status(readings, { id })));
  void connection.event('e', { id: 'e' });
  const first = ingest.take();
  ingest.last().end(1006);
  void connection.status(readings, { id: 'c' });
  assert.equal(connection.state.name, 'waiting');
  await clock.advance(1_000);
  await ingest.live();
  const again = ingest.take();
  assert.deepEqual(
    again.map(({ msgid }) => msgid),
    ['e', 'a', 'b', 'c'],
  );
  for (const frame of first)
    assert.deepEqual(
      again.find(({ msgid }) => msgid === frame.msgid),
      frame,
    );
  ingest.ack('a', { status: 'duplicate' });
  await clock.advance(0);
  assert.deepEqual(
    acks.map(({ result }) => result?.status),
    ['duplicate', undefined],
  );
  assert.equal(connection.counts.resent, 3);
});

test('a retryable rejection is sent again after the requested time, before later messages', async () => {
  const ingest = startFakeIngest();
  await ingest.live({ window: 2 });
  const { connection, clock } = ingest;
  for (const id of ['a', 'b', 'c']) void connection.status(readings, { id });
  ingest.take();
  ingest.ack('a', { status: 'rejected', code: 'unavailable', message: 'm', retryable: true, retryAfterMs: 2_000 });
  assert.deepEqual(ingest.ids(), []);
  // 2 s and a quarter of it as jitter.
  await clock.advance(2_499);
  assert.deepEqual(ingest.ids(), []);
  await clock.advance(1);
  assert.deepEqual(ingest.ids(), ['a']);
});

test('the last messages before an idle time are sent again, although Node.js truncates the delay of the timer', async () => {
  const clock = createTestClock(() => new Promise((resolve) => setImmediate(resolve)));
  const after = (ms: number, call: () => void) => clock.after(Math.trunc(ms), call);
  const ingest = startFakeIngest({ clock: { ...clock, after } });
  await ingest.live();
  void ingest.connection.status(readings, { id: 'a' });
  ingest.take();
  ingest.ack('a', { status: 'rejected', code: 'unavailable', message: 'm', retryable: true, retryAfterMs: 1_001 });
  // 1,001 ms and a quarter of it are 1,251.25 ms.
  await clock.advance(1_251);
  assert.deepEqual(ingest.ids(), ['a']);
});

test('a final rejection is the answer, and the connection stays', async () => {
  const ingest = startFakeIngest();
  await ingest.live();
  const ack = watched(
    ingest.connection.batch(
      [
        { type: 'status', readings, id: 'x' },
        { type: 'event', name: 'e' },
      ],
      { id: 'b' },
    ),
  );
  const [batch] = ingest.take();
  const time = ingest.clock.now();
  assert.deepEqual(batch?.payload, {
    messages: [
      { type: 'status', msgid: 'x', timestamp: time, payload: { readings } },
      { type: 'event', timestamp: time, payload: { name: 'e' } },
    ],
  });
  ingest.ack('b', { status: 'accepted', accepted: 1, rejected: [{ index: 1, code: 'forbidden', message: 'no' }] });
  await ingest.clock.advance(0);
  assert.deepEqual(ack.result, { status: 'accepted', rejected: [{ index: 1, code: 'forbidden', message: 'no' }] });
  assert.equal(ingest.connection.state.name, 'live');
});

test('the backoff grows, and an event from outside interrupts it', async () => {
  const ingest = startFakeIngest();
  const { connection, clock, sockets } = ingest;
  await clock.advance(0);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 7; attempt++) {
    ingest.last().end(1006);
    const { state } = connection;
    assert.ok(state.name === 'waiting');
    waits.push(state.retryAtMs - clock.monotonic());
    await clock.advance(waits.at(-1)!);
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  ingest.last().end(1006);
  const before = sockets.length;
  connection.reconnect();
  await clock.advance(0);
  assert.equal(sockets.length, before + 1);
  await ingest.live();
  assert.equal(connection.state.name, 'live');
  connection.reconnect();
  assert.equal(connection.state.name, 'live', 'no effect in a session');
});

test('a server that answers nothing is left, and one that answers slowly is not', async () => {
  const ingest = startFakeIngest();
  await ingest.live();
  const { connection, clock } = ingest;
  void connection.status(readings, { id: 'a' });
  await clock.advance(9_000);
  void connection.status(readings, { id: 'b' });
  ingest.ack('a');
  await clock.advance(9_999);
  assert.equal(connection.state.name, 'live');
  await clock.advance(1);
  assert.equal(connection.state.name, 'waiting');
  assert.equal(ingest.sockets[0]!.closedWith, 1000);
});

test('a refused device and one with another sender stop until reconnect', async () => {
  for (const [code, name] of [
    [4403, 'stopped'],
    [4409, 'stopped'],
    [4401, 'stopped'],
    [1012, 'waiting'],
    [1013, 'waiting'],
    [4001, 'waiting'],
  ] as const) {
    const ingest = startFakeIngest();
    await ingest.live();
    ingest.send('error', { code: 'conflict', message: 'replaced by 10.0.0.7', retryable: false });
    ingest.last().end(code, 'reason');
    const { state } = ingest.connection;
    assert.equal(state.name, name, String(code));
    assert.ok('loss' in state);
    assert.deepEqual(state.loss, { code, message: 'replaced by 10.0.0.7' });
    ingest.connection.reconnect();
    await ingest.live();
    assert.equal(ingest.connection.state.name, 'live');
  }
});

test('a refused token is fetched once more, a token that expires is renewed in the session', async () => {
  let tokens = 0;
  const ingest = startFakeIngest({ token: () => `t${++tokens}` });
  const { connection, clock } = ingest;
  await clock.advance(0);
  assert.equal((await ingest.hello()).payload['token'], 't1');
  ingest.last().end(4401);
  await clock.advance(1_000);
  assert.equal((await ingest.hello()).payload['token'], 't2');
  ingest.last().end(4401);
  assert.equal(connection.state.name, 'stopped');
  connection.reconnect();
  await clock.advance(0);
  await ingest.live();
  ingest.send('expiring', { inMs: 60_000 });
  await clock.advance(0);
  const [auth] = ingest.take();
  assert.equal(auth?.type, 'auth');
  assert.equal(auth?.payload['token'], 't4');
  assert.equal(auth?.payload['challenge'], undefined);
  ingest.send('welcome', {
    session: 7,
    window: 3,
    windowBytes: 1,
    messageBytesMax: 1,
    batchMax: 1,
    messagesPerSecond: 1,
  });
  const renewed = connection.state as DeviceState;
  assert.ok(renewed.name === 'live' && renewed.welcome.window === 3);
});

test('while the server drains, messages are still sent; after 1012 the next session has the rest', async () => {
  const ingest = startFakeIngest();
  await ingest.live();
  const { connection, clock } = ingest;
  ingest.send('draining', { afterMs: 2_000 });
  void connection.status(readings, { id: 'a' });
  assert.deepEqual(ingest.ids(), ['a']);
  assert.ok(connection.state.name === 'live' && connection.state.isDraining);
  ingest.last().end(1012);
  await clock.advance(1_000);
  await ingest.live();
  assert.deepEqual(ingest.ids(), ['a']);
});

test('a takeover that waits for its turn is not given up', async () => {
  const ingest = startFakeIngest();
  await ingest.hello();
  ingest.send('error', { code: 'conflict', message: 'wait', retryable: true, retryAfterMs: 30_000 });
  await ingest.clock.advance(30_000);
  assert.equal(ingest.connection.state.name, 'connecting');
  await ingest.clock.advance(15_000);
  assert.equal(ingest.connection.state.name, 'waiting');
});

test('an attempt without a session has a deadline, whatever the server sends', async () => {
  const ingest = startFakeIngest({ openMs: 5_000 });
  await ingest.hello();
  await ingest.clock.advance(5_000);
  assert.equal(ingest.connection.state.name, 'waiting');
  await ingest.clock.advance(1_000);
  await ingest.hello();
  ingest.last().deliverRaw('no JSON');
  assert.equal(ingest.connection.state.name, 'waiting');
});

test('a full queue, a message that is too large, and values that JSON cannot represent are refused', async () => {
  const ingest = startFakeIngest({ queueMessagesMax: 2 });
  const { connection } = ingest;
  await ingest.clock.advance(0);
  await assert.rejects(connection.status([{ tag: 't', value: Number.NaN }]), { code: 'invalid_report' });
  await assert.rejects(connection.status([{ tag: 't', value: 'x'.repeat(300_000) }]), { code: 'too_large' });
  void connection.status(readings);
  void connection.status(readings);
  await assert.rejects(connection.status(readings), { code: 'limit_reached' });
  assert.equal(connection.queuedMessages, 2);
});

test('without resend a message is sent at once or lost, and the caller gets each answer', async () => {
  const ingest = startFakeIngest({ resend: false });
  const { connection, clock } = ingest;
  assert.deepEqual(await connection.status(readings), { status: 'lost' });
  await ingest.live();
  const acks = ['a', 'b'].map((id) => watched(connection.status(readings, { id })));
  const rejection = { status: 'rejected', code: 'rate_limited', message: 'm', retryable: true, retryAfterMs: 1_000 };
  ingest.ack('a', rejection);
  ingest.last().end(1006);
  await clock.advance(0);
  assert.deepEqual(
    acks.map(({ result }) => result),
    [rejection, { status: 'lost' }],
  );
  assert.equal(connection.queuedMessages, 0);
});

test('close waits for answers, sends bye, and rejects the rest', async () => {
  const ingest = startFakeIngest();
  await ingest.live();
  const { connection, clock } = ingest;
  const acks = ['a', 'b'].map((id) => watched(connection.status(readings, { id })));
  const closed = connection.close({ drainMs: 3_000 });
  assert.rejects(connection.status(readings), { code: 'closed' });
  ingest.ack('a');
  assert.equal(connection.state.name, 'live');
  await clock.advance(3_000);
  await closed;
  assert.equal(ingest.take().at(-1)?.type, 'bye');
  assert.deepEqual(
    acks.map(({ result }) => result?.status),
    ['accepted', undefined],
  );
  assert.equal((acks[1]!.error as { code: string }).code, 'closed');
  assert.equal(connection.state.name, 'closed');
  await connection.close();
});

interface Received {
  readonly command: DeviceCommand;
  readonly answer: CommandAnswer;
}

function commandFrame(id: string, payload: object = {}): [string, object, object] {
  const fields = { name: 'set', params: { stroke: 12 }, deadline: 0, expiresInMs: 5_000, qos: 1, ...payload };
  return ['command', fields, { msgid: id, to: device }];
}

test('a command reaches the program once, and its receipt and reply are sent again for a repetition', async () => {
  const received: Received[] = [];
  const ingest = startFakeIngest({ onCommand: (command, answer) => received.push({ command, answer }) });
  const auth = await ingest.hello();
  assert.deepEqual(auth.payload['protocols'], ['command']);
  await ingest.live();
  ingest.send(...commandFrame('c1', { fence: 3 }));
  ingest.send(...commandFrame('c1', { fence: 3 }));
  assert.deepEqual(ingest.take(), [], 'no receipt before the program has it');
  assert.equal(received.length, 1);
  const { command, answer } = received[0]!;
  assert.deepEqual(command, {
    ...{ id: 'c1', device, name: 'set', params: { stroke: 12 }, qos: 1, fence: 3 },
    expiresAtMs: ingest.clock.monotonic() + 5_000,
  });
  answer.delivered();
  answer.delivered();
  assert.deepEqual(ingest.take(), [{ type: 'ack', msgid: 'c1' }]);
  answer.reply({ state: 'done', before: 11, after: 12, confirmedBy: 'read_back' });
  const [reply] = ingest.take();
  const payload = { command: 'c1', state: 'done', before: 11, after: 12, confirmedBy: 'read_back' };
  assert.deepEqual(reply?.payload, payload);
  ingest.ack(reply!.msgid!);
  ingest.send(...commandFrame('c1'));
  assert.deepEqual(
    ingest.take().map(({ type }) => type),
    ['ack', 'reply'],
  );
  assert.equal(received.length, 1);
});

test('a command with the ID of another one is refused, and the program does not get it', async () => {
  const received: Received[] = [];
  const ingest = startFakeIngest({ onCommand: (command, answer) => received.push({ command, answer }) });
  await ingest.hello();
  await ingest.live();
  ingest.send(...commandFrame('c1'));
  received[0]!.answer.reply({ state: 'done' });
  ingest.take();
  ingest.send(...commandFrame('c1', { params: { stroke: 13 } }));
  const [reply, ...others] = ingest.take();
  const { command, state, code } = reply!.payload as Record<string, unknown>;
  assert.deepEqual([command, state, code], ['c1', 'failed', 'conflict']);
  assert.deepEqual([others.length, received.length], [0, 1]);
});

test('a gateway receives the commands of the machines behind it, and replies for them', async () => {
  const received: Received[] = [];
  const ingest = startFakeIngest({ onCommand: (command, answer) => received.push({ command, answer }) });
  await ingest.live();
  const [type, payload] = commandFrame('c1');
  ingest.send(type, payload, { msgid: 'c1', to: 'plant1.boiler' });
  assert.equal(received[0]!.command.device, 'plant1.boiler');
  received[0]!.answer.reply({ state: 'done' });
  assert.deepEqual(
    ingest.take().map(({ from }) => from),
    ['plant1.boiler'],
  );
});

test('a command before its deadline reaches the program once, however many others came, and at the bound new ones fail', async () => {
  const received: DeviceCommand[] = [];
  const ingest = startFakeIngest({
    onCommand(command, answer) {
      received.push(command);
      answer.reply({ state: 'done' });
    },
  });
  await ingest.live();
  const day = 86_400_000;
  const send = (id: string, expiresInMs: number) =>
    ingest.send(...commandFrame(id, { expiresInMs, deadline: ingest.clock.now() + expiresInMs }));
  send('long', day);
  for (let n = 0; n < 5_000; n++) {
    send(`short${n}`, 1_000);
    if (n % 100 === 99) await ingest.clock.advance(2_000);
  }
  const count = received.length;
  send('long', day - 200_000);
  assert.deepEqual([count, received.length], [5_001, 5_001]);
  for (let n = 0; n < 10_000; n++) send(`long${n}`, day);
  const executed = received.length;
  ingest.take();
  assert.deepEqual(ingest.connection.rememberedCommands, { used: 10_000, max: 10_000 });
  send('more', day);
  send('long', day - 200_000);
  assert.equal(received.length, executed);
  const [refused, again] = ingest.take().filter(({ type }) => type === 'reply');
  assert.deepEqual(
    [refused!.payload['code'], again!.payload['command'], again!.payload['state']],
    ['rate_limited', 'long', 'done'],
  );
});

test('a command after its deadline, by the clock of the server too, does not reach the program', async () => {
  const received: DeviceCommand[] = [];
  const ingest = startFakeIngest({ onCommand: (command) => received.push(command) });
  await ingest.live();
  const serverNow = ingest.clock.now();
  await ingest.clock.advance(2_000);
  ingest.send(...commandFrame('late', { deadline: serverNow + 1_000 }));
  ingest.send(...commandFrame('expired', { expiresInMs: 0 }));
  assert.deepEqual(
    ingest.take().map(({ payload }) => payload['state']),
    ['expired', 'expired'],
  );
  ingest.send(...commandFrame('soon', { deadline: serverNow + 3_000 }));
  assert.deepEqual(
    received.map(({ id, expiresAtMs }) => [id, expiresAtMs - ingest.clock.monotonic()]),
    [['soon', 1_000]],
  );
});

test('a reply that could not be sent, or was not acknowledged, is sent in the next session', async () => {
  const received: Received[] = [];
  const ingest = startFakeIngest({ onCommand: (command, answer) => received.push({ command, answer }), resend: false });
  await ingest.live();
  ingest.send(...commandFrame('c1'));
  ingest.send(...commandFrame('c2'));
  received[0]!.answer.reply({ state: 'done' });
  ingest.take();
  ingest.last().end(1006);
  received[1]!.answer.reply({ state: 'failed', code: 'forbidden' });
  await ingest.clock.advance(1_000);
  await ingest.live();
  const replies = ingest.take();
  assert.deepEqual(
    replies.map(({ payload }) => payload),
    [
      { command: 'c1', state: 'done' },
      { command: 'c2', state: 'failed', code: 'forbidden' },
    ],
  );
  for (const { msgid } of replies) ingest.ack(msgid!);
  ingest.last().end(1006);
  await ingest.clock.advance(10_000);
  await ingest.live();
  assert.deepEqual(ingest.take(), []);
});

test('without a listener a command fails, and the device does not ask for commands', async () => {
  const ingest = startFakeIngest();
  const auth = await ingest.hello();
  assert.equal(auth.payload['protocols'], undefined);
  await ingest.live();
  ingest.send(...commandFrame('c1'));
  assert.deepEqual(
    ingest.take().map(({ payload }) => payload['code']),
    ['not_found'],
  );
});

test('messages of a later server are ignored', async () => {
  const ingest = startFakeIngest();
  await ingest.live();
  ingest.send('weather', { sunny: true });
  ingest.ack('unknown');
  assert.equal(ingest.connection.state.name, 'live');
});
