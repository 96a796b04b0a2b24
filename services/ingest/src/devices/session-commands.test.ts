import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { silentLogger } from '@tailrace/platform/logger';
import type { CommandOutcome, DeviceCommand } from '@tailrace/protocol/device-command';
import { CommandClient } from '@tailrace/testkit/command-client';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { type DeviceFixtureOptions, nextTurn, press, startDevices } from '../../test/device-fixture.ts';

/** Ingest, and the upper end of commands on another node of its bus. */
async function start(t: TestContext, options: DeviceFixtureOptions = {}) {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const network = createMemoryNetwork({ clock, random: () => 0.5 });
  const ingestBus = network.createBus({ node: 'ingest-0', logger: silentLogger });
  const fixture = await startDevices(t, { ...options, clock, bus: ingestBus });
  const { tokenFor, login } = fixture;
  const bus = network.createBus({ node: 'control', logger: silentLogger });
  await bus.start();
  const client = new CommandClient(bus, clock);
  await client.start();
  const token = await tokenFor([press]);
  return {
    ...fixture,
    client,
    /** Resolves with a device that takes commands. */
    loginForCommands: (auth: object = {}) => login({ token, protocols: ['command'], ...auth }),
    /** Sends a command, and collects its outcomes, as `state code`. */
    send(id: string, rest: Partial<DeviceCommand> = {}): Sent {
      const command = {
        ...{ id, device: press, name: 'set', params: { speed: 3 }, qos: 1, deadline: clock.now() + 10_000 },
        ...{ issued: clock.now(), fence: 0, session: 0, subject: 'operator', traceparent: '', via: '' },
        ...rest,
      } as DeviceCommand;
      return new Sent(client.send(command));
    },
    /** Delivers what the bus and the sockets have. */
    async settle(): Promise<void> {
      for (let turn = 0; turn < 5; turn++) {
        await clock.advance(1);
        await nextTurn();
      }
    },
  };
}

class Sent {
  readonly outcomes: CommandOutcome[] = [];
  readonly finished: Promise<void>;

  constructor(outcomes: AsyncIterable<CommandOutcome>) {
    this.finished = this.#collect(outcomes);
  }

  get states(): string[] {
    return this.outcomes.map(({ state, code }) => (code === undefined ? state : `${state} ${code}`));
  }

  async #collect(outcomes: AsyncIterable<CommandOutcome>): Promise<void> {
    for await (const outcome of outcomes) this.outcomes.push(outcome);
  }
}

test('a command goes from the bus to its device, and its outcome back', async (t) => {
  const { send, settle, loginForCommands, metric, clock } = await start(t);
  const device = await loginForCommands();
  const sent = send('c1', { fence: 7 });
  await settle();
  const command = await device.next('command');
  const { expiresInMs, ...payload } = command.payload;
  assert.ok(expiresInMs! > 9_900 && expiresInMs! <= 10_000);
  assert.deepEqual(payload, {
    ...{ name: 'set', params: { speed: 3 }, deadline: sent.outcomes[0]!.time + expiresInMs!, qos: 1, fence: 7 },
  });
  assert.deepEqual(
    { ...command, timestamp: undefined, payload: undefined },
    { type: 'command', msgid: 'c1', to: press, timestamp: undefined, payload: undefined },
  );
  device.send({ type: 'ack', msgid: 'c1' });
  await settle();
  assert.deepEqual(sent.states, ['accepted', 'delivered']);
  device.send({
    ...{ type: 'reply', msgid: 'r1', qos: 1 },
    payload: { command: 'c1', state: 'done', before: 2, after: 3, confirmedBy: 'read_back', message: 'set' },
  });
  await settle();
  await sent.finished;
  const { time, session, ...done } = sent.outcomes.at(-1)!;
  assert.ok(time <= clock.now() && session > 0);
  assert.deepEqual(done, {
    ...{ id: 'c1', device: press, state: 'done', node: 'ingest-0', attempt: 1, message: 'set', holder: '' },
    ...{ confirmedBy: 'read_back', before: 2, after: 3 },
  });
  assert.deepEqual(device.acks(), ['r1 accepted']);
  assert.equal(await metric('tailrace_ingest_commands_total{protocol="websocket",state="done"}'), 1);
  assert.equal(await metric('tailrace_ingest_command_duration_seconds_count{protocol="websocket"}'), 1);
});

test('a reply with a value of 64 bits has all its digits', async (t) => {
  const { send, settle, loginForCommands } = await start(t);
  const device = await loginForCommands();
  const sent = send('c1');
  await settle();
  device.socket.send('{"type":"reply","payload":{"command":"c1","state":"done","before":1,"after":9007199254740993}}');
  await settle();
  await sent.finished;
  const { before, after } = sent.outcomes.at(-1)!;
  assert.deepEqual([before, after], [1, '9007199254740993']);
});

test('a device that does not announce commands gets none, until it does', async (t) => {
  const { send, settle, login, tokenFor } = await start(t);
  const token = await tokenFor([press]);
  const device = await login({ token });
  const refused = send('c1');
  await settle();
  assert.deepEqual(refused.states, ['failed unavailable']);
  device.send({ type: 'auth', payload: { device: press, token, protocols: ['command'] } });
  await device.next('welcome');
  const sent = send('c2');
  await settle();
  assert.deepEqual(sent.states, ['accepted']);
  await device.next('command');
});

test('a token that may publish everything receives no commands, unless it has a claim for them', async (t) => {
  const { send, settle, loginForCommands, tokenFor } = await start(t);
  await loginForCommands({ token: await tokenFor(['plant1.>']) });
  const refused = send('c1');
  await settle();
  assert.deepEqual(refused.states, ['failed forbidden']);
  const device = await loginForCommands({
    token: await tokenFor(['plant1.>'], { receiveCommands: ['plant1.line2.>'] }),
  });
  const sent = send('c2');
  await settle();
  await device.next('command');
  assert.deepEqual(sent.states, ['accepted']);
});

test('a command that waits for its device is canceled over the bus, and another one is not known', async (t) => {
  const { send, settle, loginForCommands, client, metric } = await start(t);
  const device = await loginForCommands();
  const first = send('c1');
  await settle();
  const waiting = send('c2');
  await settle();
  const canceled = client.cancel('c2', press, 'ingest-0');
  await settle();
  assert.deepEqual([(await canceled)?.state, (await canceled)?.code], ['failed', 'canceled']);
  const unknown = client.cancel('c9', press);
  await settle();
  assert.equal(await unknown, undefined);
  assert.deepEqual(waiting.states, ['accepted', 'failed canceled']);
  device.send({ type: 'ack', msgid: 'c1' });
  await settle();
  assert.deepEqual(first.states, ['accepted', 'delivered']);
  assert.deepEqual(
    device.take('command').map(({ msgid }) => msgid),
    ['c1'],
  );
  assert.equal(await metric('tailrace_ingest_canceled_commands_total'), 1);
});

test('commandsEnabled off refuses each command', async (t) => {
  const { send, settle, loginForCommands, metric } = await start(t, { settings: { commandsEnabled: false } });
  const device = await loginForCommands();
  const refused = send('c1');
  await settle();
  assert.deepEqual(refused.states, ['failed forbidden']);
  assert.match(refused.outcomes[0]!.message, /commandsEnabled/);
  assert.deepEqual(device.take('command'), []);
  assert.equal(await metric('tailrace_ingest_refused_commands_total{code="forbidden"}'), 1);
});

test('a device that reads nothing gets no command that would arrive late', async (t) => {
  const { send, settle, loginForCommands, clock } = await start(t);
  const device = await loginForCommands();
  device.socket.stopReading();
  // Its answers fill the socket.
  for (let index = 0; index < 400; index++) device.status(`a${index}`, { payload: { readings: [] } });
  await settle();
  const sent = send('c1');
  await settle();
  assert.deepEqual(sent.states, ['accepted']);
  await clock.advance(10_000);
  await settle();
  assert.deepEqual(sent.states, ['accepted', 'expired timeout']);
  device.socket.startReading();
  await settle();
  assert.deepEqual(device.take('command'), []);
});

test('a newer session of the device gets a command whose receipt it has not confirmed, and answers for both', async (t) => {
  const { send, settle, loginForCommands } = await start(t);
  const first = await loginForCommands({ instance: 'a' });
  const [c1, c2] = [send('c1'), send('c2')];
  await settle();
  first.send({ type: 'ack', msgid: 'c1' });
  await settle();
  assert.deepEqual(
    first.take('command').map(({ msgid }) => msgid),
    ['c1', 'c2'],
  );
  const second = await loginForCommands({ instance: 'a' });
  await settle();
  assert.deepEqual(
    second.take('command').map(({ msgid }) => msgid),
    ['c2'],
  );
  second.send(
    { type: 'reply', payload: { command: 'c1', state: 'done' } },
    { type: 'reply', payload: { command: 'c2', state: 'failed', code: 'conflict', message: 'locked' } },
  );
  await settle();
  assert.deepEqual(c1.states, ['accepted', 'delivered', 'done']);
  assert.deepEqual(c2.states, ['accepted', 'failed conflict']);
});

test('a command whose device is lost is unconfirmed, and the device corrects it in its next session', async (t) => {
  const { send, settle, loginForCommands, client } = await start(t);
  const device = await loginForCommands();
  const sent = send('c1');
  await settle();
  device.send({ type: 'ack', msgid: 'c1' });
  device.socket.abort();
  await settle();
  await settle();
  assert.deepEqual(sent.states, ['accepted', 'unconfirmed unavailable']);
  const next = await loginForCommands();
  next.send({ type: 'reply', msgid: 'r1', qos: 1, payload: { command: 'c1', state: 'done' } });
  await settle();
  assert.deepEqual(next.acks(), ['r1 accepted']);
  const query = client.query('c1', press);
  await settle();
  assert.equal((await query)?.state, 'done');
});

test('a reply that cannot be read, or to no known command, is refused, and the session stays', async (t) => {
  const { settle, loginForCommands, tokenFor } = await start(t);
  const device = await loginForCommands();
  const reply = (msgid: string, payload: object, rest: object = {}) =>
    device.send({ type: 'reply', msgid, qos: 1, payload, ...rest });
  reply('r1', { command: 'c1', state: 'maybe' });
  reply('r2', { state: 'done' });
  reply('r3', { command: 'c1', state: 'done', speed: 3 });
  reply('r4', { command: 'c1', state: 'done' }, { from: 'plant1.other' });
  reply('r5', { command: 'c1', state: 'unconfirmed' });
  device.send({ type: 'reply', qos: 1, payload: { command: 'c1', state: 'done' } });
  device.send({ type: 'ack', payload: {} }, { type: 'ack', msgid: 'c9' });
  await settle();
  assert.deepEqual(device.acks(), [
    'r1 invalid_message',
    'r2 invalid_message',
    'r3 invalid_message',
    'r4 not_found',
    'r5 not_found',
  ]);
  assert.deepEqual(
    device.take('error').map(({ payload }) => payload.code),
    ['invalid_message', 'invalid_message'],
  );
  assert.equal(device.close, undefined);
  const wrong = await loginForCommands({ token: await tokenFor([press]), protocols: ['command'] });
  assert.equal(wrong.close, undefined);
});

test('commands of a node that stops are refused, or unconfirmed', async (t) => {
  const { send, settle, loginForCommands, ingest, clock } = await start(t);
  const device = await loginForCommands();
  const [c1, c2] = [send('c1'), send('c2')];
  await settle();
  const drained = ingest.drain();
  await clock.advance(3_000);
  await drained;
  await settle();
  assert.deepEqual(c1.states, ['accepted', 'unconfirmed unavailable']);
  assert.deepEqual(c2.states, ['accepted', 'failed unavailable']);
  assert.equal(await device.closed(), 1012);
});
