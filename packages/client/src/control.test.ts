import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AlarmTransition } from '@tailrace/protocol/control-event-json';
import { isTailraceError } from '@tailrace/protocol/error';
import { AlarmStore } from './alarm-store.ts';
import { createControl } from './control.ts';
import type { Stream, StreamOptions } from './stream.ts';
import type { SubscribeOptions, Subscription } from './subscription.ts';
import { createTestServer } from './testing.ts';

const device = 'plant.press';
const rule = 'too-hot';

async function createFixture(options: Partial<StreamOptions> = {}) {
  const server = createTestServer();
  const stream = server.stream(options);
  const control = createControl(stream, server.clock);
  await server.settled();
  return { server, stream, control };
}

const shortOf = (alarms: readonly AlarmTransition[]) =>
  alarms.map(({ device: of, number, state }) => `${of} ${number} ${state}`);

test('the alarms of a channel are the ones that are not normal, the most important first', async () => {
  const { server, stream, control } = await createFixture();
  server.alarm('plant.a', rule, { priority: 2 });
  server.alarm('plant.b', rule, { priority: 1, state: 'acknowledged' });
  server.alarm('other.c', rule);
  const alarms = control.alarms('plant.>');
  let changes = 0;
  alarms.onChange(() => changes++);
  await server.settled();
  assert.equal(alarms.isLive, true);
  assert.deepEqual(shortOf(alarms.current), ['plant.a 1 unacknowledged', 'plant.b 1 acknowledged']);
  server.alarm('plant.c', rule, { priority: 1 });
  server.alarm('plant.a', rule, { state: 'normal', cause: 'returned' });
  await server.settled();
  assert.deepEqual(shortOf(alarms.current), ['plant.c 1 unacknowledged', 'plant.b 1 acknowledged']);
  assert.ok(changes >= 3);
  assert.equal(alarms.current, alarms.current, 'the same array without a change');
  stream.close();
});

test('over a reconnect each transition is delivered once, and the alarms are those of the server', async () => {
  const { server, stream, control } = await createFixture();
  const alarms = control.alarms('>');
  const seen: number[] = [];
  alarms.onTransition(({ number }) => seen.push(number));
  await server.settled();
  server.alarm(device, rule);
  await server.settled();
  server.drop();
  server.alarm(device, rule, { state: 'normal' });
  server.alarm(device, rule);
  await server.clock.advance(1_000);
  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual(shortOf(alarms.current), [`${device} 3 unacknowledged`]);
  stream.close();
});

test('where the server cannot deliver the transitions, alarms that are normal meanwhile disappear', async () => {
  const { server, stream, control } = await createFixture();
  server.alarm('plant.a', rule);
  server.alarm('plant.b', rule);
  const alarms = control.alarms('>');
  await server.settled();
  server.forgetEvents();
  server.drop();
  server.alarm('plant.a', rule, { state: 'normal' });
  server.forgetEvents();
  await server.clock.advance(1_000);
  assert.deepEqual(shortOf(alarms.current), ['plant.b 1 unacknowledged']);
  assert.equal(alarms.isLive, true);
  stream.close();
});

test('a transition that comes twice is delivered once', async () => {
  const { server, stream, control } = await createFixture();
  const alarms = control.alarms('>');
  const seen: number[] = [];
  alarms.onTransition(({ number }) => seen.push(number));
  await server.settled();
  const transition = server.alarm(device, rule);
  await server.settled();
  for (const seq of [0, 7]) server.send({ alarm: { view: 1, events: [{ partition: 0, seq, transition }] } });
  await server.settled();
  assert.deepEqual(seen, [1]);
  stream.close();
});

test('an alarm is acknowledged as the person has seen it; a changed one is refused', async () => {
  const { server, stream, control } = await createFixture();
  const alarms = control.alarms('>');
  server.alarm(device, rule);
  await server.settled();
  const seen = alarms.current[0]!;
  const action = await control.acknowledge(seen, 'on my way');
  await server.settled();
  const [alarm] = alarms.current;
  assert.deepEqual([alarm?.state, alarm?.action], ['acknowledged', action]);
  const { acknowledge } = server.received.find((message) => 'acknowledge' in message) as { acknowledge: object };
  assert.deepEqual(
    { ...acknowledge, id: '' },
    { id: '', device, rule, alarm: seen.alarm, number: 1, note: 'on my way' },
  );
  await assert.rejects(control.acknowledge(seen), (error) => isTailraceError(error) && error.code === 'conflict');
  await control.shelve(alarm!, { reason: 'test run', forMs: 60_000 });
  await server.settled();
  assert.equal(alarms.current[0]?.state, 'shelved');
  stream.close();
});

test('an action that the service of alarms refuses is delivered by its ID, and changes no alarm', () => {
  let listener: SubscribeOptions = {};
  const subscription = { state: { name: 'live' }, unsubscribe: () => {} } as Subscription;
  const subscribe = (_channel: string, options?: SubscribeOptions) => {
    listener = options ?? {};
    return subscription;
  };
  const alarms = new AlarmStore({ subscribe } as Stream, '>');
  const seen: string[] = [];
  alarms.onRefused(({ action, code }) => seen.push(`${action} ${code}`));
  listener.onAlarms?.([{ partition: 0, refused: { action: 'a1', device, rule, code: 'conflict' } }], false);
  assert.deepEqual([seen, alarms.current], [['a1 conflict'], []]);
});

test('a command has its states in order, each once, and one result', async () => {
  const { stream, control } = await createFixture();
  const command = control.command({ device, name: 'set', params: { level: 3 } });
  const states: string[] = [];
  command.onState(({ state }) => states.push(state));
  const { state } = await command.result;
  assert.equal(state, 'done');
  assert.deepEqual(states, ['accepted', 'done']);
  assert.equal(command.last?.number, 2);
  stream.close();
});

test('unconfirmed is no result while the device may still report', async () => {
  const { server, stream, control } = await createFixture();
  server.holdCommands();
  const command = control.command({ device, name: 'set' });
  await server.settled();
  server.command({ ...command.last!, number: 2, state: 'unconfirmed', awaits: 'outcome' });
  await server.settled();
  assert.equal(command.last?.state, 'unconfirmed');
  const { awaits: _awaits, ...last } = command.last!;
  server.command({ ...last, number: 3, state: 'done' });
  assert.equal((await command.result).state, 'done');
  stream.close();
});

test('a command that is in progress when the connection is lost is sent again with its key', async () => {
  const { server, stream, control } = await createFixture();
  server.holdCommands();
  const command = control.command({ id: 'key-1', device, name: 'set' });
  await server.settled();
  assert.deepEqual(
    command.states.map(({ state }) => state),
    ['accepted'],
  );
  server.drop();
  server.command({ ...command.last!, number: 2, state: 'sent' });
  await server.clock.advance(1_000);
  server.command({ ...command.last!, number: 3, state: 'done' });
  await server.settled();
  assert.equal((await command.result).state, 'done');
  assert.deepEqual(
    command.states.map(({ number }) => number),
    [1, 2, 3],
  );
  const sent = server.received.filter((message) => 'command' in message);
  assert.equal(sent.length, 2);
  stream.close();
});

test('while control is away a command is tried again until its deadline, and an action is refused', async () => {
  const { server, stream, control } = await createFixture();
  server.refuseControl('unavailable');
  const isUnavailable = (error: unknown) => isTailraceError(error) && error.code === 'unavailable' && error.retryable;
  await assert.rejects(control.acknowledge({ device, rule }), isUnavailable);
  const first = control.command({ device, name: 'set' });
  await server.clock.advance(2_000);
  server.refuseControl(undefined);
  await server.clock.advance(2_000);
  assert.equal((await first.result).state, 'done');
  server.refuseControl('unavailable');
  const late = control.command({ device, name: 'set' });
  await server.clock.advance(40_000);
  await assert.rejects(late.result, isUnavailable);
  server.refuseControl('forbidden');
  const refused = control.command({ device, name: 'set' });
  await assert.rejects(refused.result, (error) => isTailraceError(error) && error.code === 'forbidden');
  stream.close();
});

const failsWith = (result: Promise<unknown>, code: string, words: RegExp) =>
  assert.rejects(result, (error) => isTailraceError(error) && error.code === code && words.test(error.message));

test('a command that is never on a connection fails at its deadline, and one of a closed stream at once', async () => {
  const { server, stream, control } = await createFixture({ random: () => 0.5 });
  server.setReachable(false);
  server.drop();
  await server.settled();
  const command = control.command({ device, name: 'set', deadline: stream.serverNow() + 10_000 });
  let isSettled = false;
  void command.result.catch(() => (isSettled = true));
  await server.clock.advance(9_000);
  assert.equal(isSettled, false);
  await server.clock.advance(1_000);
  await failsWith(command.result, 'unavailable', /expected a connection until its deadline/);
  assert.equal(server.received.filter((message) => 'command' in message).length, 0);
  stream.close();
  await failsWith(control.command({ device, name: 'set' }).result, 'closed', /got a closed one/);
});

test('a command without an answer fails at its deadline with timeout: it may have been accepted', async () => {
  const { server, stream, control } = await createFixture();
  server.refuseControl('timeout');
  const command = control.command({ device, name: 'set', deadline: stream.serverNow() + 10_000 });
  await server.clock.advance(1_000);
  // One refusal does not prove that the attempt before it was not accepted.
  server.refuseControl('unavailable');
  await server.clock.advance(9_000);
  await failsWith(command.result, 'timeout', /not known whether it was accepted/);
  stream.close();
});

test('while control is away a command has the reason for which it is tried again, until control answers', async () => {
  const { server, stream, control } = await createFixture();
  server.refuseControl('unavailable', 'control is away');
  const command = control.command({ device, name: 'set' });
  const seen: string[] = [];
  command.onRetry(({ message }) => seen.push(message));
  await server.clock.advance(2_500);
  assert.deepEqual([seen.length, command.retryError?.message], [3, 'control is away']);
  server.refuseControl(undefined);
  await server.clock.advance(1_000);
  assert.equal((await command.result).state, 'done');
  assert.equal(command.retryError, undefined);
  stream.close();
});

test('a command that control has accepted gets its final state also if control is away over its deadline', async () => {
  const { server, stream, control } = await createFixture();
  server.holdCommands();
  const command = control.command({ device, name: 'set', deadline: stream.serverNow() + 5_000 });
  await server.settled();
  server.refuseControl('unavailable');
  server.drop();
  await server.clock.advance(20_000);
  assert.equal(command.last?.state, 'accepted');
  server.refuseControl(undefined);
  server.command({ ...command.last!, number: 2, state: 'done' });
  await server.clock.advance(5_000);
  assert.equal((await command.result).state, 'done');
  stream.close();
});

test('the final state of a command that was lost on its way is requested after the deadline', async () => {
  const { server, stream, control } = await createFixture();
  server.loseCommandStates();
  const command = control.command({ device, name: 'set', deadline: stream.serverNow() + 5_000 });
  await server.clock.advance(9_000);
  assert.deepEqual(
    command.states.map(({ state }) => state),
    ['accepted'],
  );
  await server.clock.advance(1_500);
  assert.equal((await command.result).state, 'done');
  stream.close();
});

test('a command is canceled and confirmed by the name that control has given it', async () => {
  const { server, stream, control } = await createFixture();
  server.holdCommands();
  const command = control.command({ device, name: 'stop' });
  await assert.rejects(command.cancel(), (error) => isTailraceError(error) && error.code === 'conflict');
  await server.settled();
  const { state } = await control.confirm(command.last!.id);
  assert.equal(state, 'queued');
  await command.cancel();
  assert.equal((await command.result).state, 'canceled');
  stream.close();
});

test('a lease is acquired and released', async () => {
  const { server, stream, control } = await createFixture();
  const leases: (string | undefined)[] = [];
  stream.subscribe('plant.>', {
    commands: true,
    onLeases: (events) => leases.push(...events.map(({ transition }) => transition.holder)),
  });
  await server.settled();
  const { token } = await control.lease({ scope: 'plant.>', action: 'acquire', forMs: 60_000 });
  assert.equal(token, 1);
  await control.lease({ scope: 'plant.>', action: 'release', token });
  await server.settled();
  assert.deepEqual(leases, ['test', undefined]);
  stream.close();
});

test('after the stream is closed nothing is in progress', async () => {
  const { server, stream, control } = await createFixture();
  server.holdCommands();
  const command = control.command({ device, name: 'set' });
  const action = control.acknowledge({ device, rule });
  stream.close();
  await assert.rejects(command.result, (error) => isTailraceError(error) && error.code === 'closed');
  await assert.rejects(action, (error) => isTailraceError(error) && error.code === 'unavailable');
  await assert.rejects(control.acknowledge({ device, rule }));
});
