import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import type { MemoryWire } from '@tailrace/mqtt/memory-wire';
import { silentLogger } from '@tailrace/platform/logger';
import type { CommandOutcome, DeviceCommand } from '@tailrace/protocol/device-command';
import { CommandClient } from '@tailrace/testkit/command-client';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { nextTurn, press } from '../../test/device-fixture.ts';
import { type ConnectOptions, startMqtt } from '../../test/mqtt-fixture.ts';
import { replyFrom } from './mqtt-commands.ts';

const commandTopic = 'plant1/line2/press7/command';
const replyTopic = 'plant1/line2/press7/reply';

/** Ingest with MQTT, and the upper end of commands on another node of its bus. */
async function start(t: TestContext) {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const network = createMemoryNetwork({ clock, random: () => 0.5 });
  const fixture = await startMqtt(t, { clock, bus: network.createBus({ node: 'ingest-0', logger: silentLogger }) });
  const bus = network.createBus({ node: 'control', logger: silentLogger });
  await bus.start();
  const client = new CommandClient(bus, clock);
  await client.start();
  const token = Buffer.from(await fixture.tokenFor([press]));
  /** Delivers what the bus and the sockets have. */
  const settle = async () => {
    for (let turn = 0; turn < 5; turn++) {
      await clock.advance(1);
      await nextTurn();
    }
  };
  return {
    ...fixture,
    settle,
    login: (options: ConnectOptions = {}) => fixture.login({ password: token, ...options }),
    /** Resolves with a device that has subscribed to its commands. */
    async loginForCommands(options: ConnectOptions = {}) {
      const device = await fixture.login({ password: token, ...options });
      device.subscribe(commandTopic);
      assert.deepEqual(await device.next(), ['suback 0x01']);
      return device;
    },
    /** Sends a command, and collects its outcomes, as `state code`. */
    send(id: string, rest: Partial<DeviceCommand> = {}): string[] {
      const command = {
        ...{ id, device: press, name: 'set', params: { speed: 3 }, qos: 1, deadline: clock.now() + 10_000 },
        ...{ issued: clock.now(), fence: 0, session: 0, subject: 'operator', traceparent: '', via: '' },
        ...rest,
      } as DeviceCommand;
      const states: string[] = [];
      void collect(client.send(command), states);
      return states;
    },
  };
}

async function collect(outcomes: AsyncIterable<CommandOutcome>, states: string[]): Promise<void> {
  for await (const { state, code } of outcomes) states.push(code === undefined ? state : `${state} ${code}`);
}

for (const version of [4, 5] as const) {
  test(`MQTT ${version}: a command goes to the device that has subscribed, and its reply back`, async (t) => {
    const { send, settle, loginForCommands, metric } = await start(t);
    const device = await loginForCommands({ version });
    const states = send('c1', { fence: 7 });
    await settle();
    const [message] = device.messages;
    assert.deepEqual([device.take(), message!.topic, message!.qos], [['publish 1'], commandTopic, 1]);
    const { deadline, expiresInMs, ...body } = JSON.parse(message!.payload.toString());
    assert.ok(expiresInMs > 9_900 && expiresInMs <= 10_000 && deadline > 0);
    assert.deepEqual(body, { id: 'c1', name: 'set', params: { speed: 3 }, qos: 1, fence: 7 });
    if (version === 5) {
      const { payloadFormat, contentType, responseTopic, correlationData, messageExpiry } = message!.properties!;
      assert.deepEqual([payloadFormat, contentType, responseTopic], [1, 'application/json', replyTopic]);
      assert.deepEqual([correlationData!.toString(), messageExpiry], ['c1', 10]);
    }
    assert.deepEqual(states, ['accepted']);
    device.puback(1);
    await settle();
    assert.deepEqual(states, ['accepted', 'delivered']);
    const id = version === 5 ? {} : { id: 'c1' };
    const properties = version === 5 ? { properties: { correlationData: Buffer.from('c1') } } : {};
    device.publish(replyTopic, JSON.stringify({ ...id, state: 'done', after: 3 }), { packetId: 8, ...properties });
    await settle();
    assert.deepEqual([states, device.take()], [['accepted', 'delivered', 'done'], ['puback 8']]);
    assert.equal(await metric('tailrace_ingest_commands_total{protocol="mqtt",state="done"}'), 1);
  });
}

test('a reply over MQTT with a value of 64 bits has all its digits', () => {
  const text = '{"id":"c1","state":"done","before":9007199254740992,"after":9007199254740993}';
  const { before, after } = replyFrom({ payload: Buffer.from(text) } as InboundMessage);
  assert.deepEqual([before, after], [9_007_199_254_740_992, '9007199254740993']);
});

test('a device that has not subscribed gets no command, until it does', async (t) => {
  const { send, settle, login } = await start(t);
  const device = await login();
  const refused = send('c1');
  await settle();
  assert.deepEqual([refused, device.messages.length], [['failed unavailable'], 0]);
  device.subscribe(commandTopic);
  await settle();
  const sent = send('c2');
  await settle();
  assert.deepEqual([sent, device.messages.length], [['accepted'], 1]);
});

test('a command without PUBACK is sent once on a connection, and again when the session is resumed, until its deadline', async (t) => {
  const { send, settle, loginForCommands, login, clock } = await start(t);
  const session = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const device = await loginForCommands(session);
  send('c1');
  await settle();
  await clock.advance(2_000);
  assert.equal(device.messages.length, 1);
  device.wire.close();
  await settle();
  const again = await login(session);
  await settle();
  assert.deepEqual(
    again.messages.map(({ dup, packetId }) => [dup, packetId]),
    [[true, 1]],
  );
  again.wire.close();
  await clock.advance(12_000);
  const late = await login(session);
  await settle();
  assert.deepEqual(late.messages, []);
});

for (const username of [press, 'plant1.other'])
  test(`a command without PUBACK is not sent to a token without the right to it that resumes the session as ${username}`, async (t) => {
    const { send, settle, loginForCommands, connect, token } = await start(t);
    const session = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const device = await loginForCommands(session);
    send('c1');
    await settle();
    assert.equal(device.messages.length, 1);
    device.wire.close();
    await settle();
    // It covers the device, so that it may take its session; it may not receive its commands.
    const [other, answer] = await connect({ ...session, username, password: Buffer.from(token) });
    assert.equal(answer, username === press ? 'connack present 0x00' : 'connack 0x00');
    await settle();
    assert.deepEqual([other.messages, other.take()], [[], []]);
  });

test('a reply of a token without the right to the commands of the device does not count, also as a session of it', async (t) => {
  const { send, settle, loginForCommands, login, token } = await start(t);
  const device = await loginForCommands();
  const states = send('c1');
  await settle();
  device.puback(1);
  await settle();
  const forger = await login({ clientId: 'forger', username: 'plant1.forger', password: Buffer.from(token) });
  const forged = (packetId: number) => forger.publish(replyTopic, '{"id":"c1","state":"done"}', { packetId });
  forged(1);
  await settle();
  assert.match(forger.take()[0]!, /^puback 1 0x83 command: expected one that was sent to this device/);
  assert.deepEqual(states, ['accepted', 'delivered']);
  const same = await login({ clientId: 'same', username: press, password: Buffer.from(token) });
  await settle();
  same.publish(replyTopic, '{"id":"c1","state":"done"}', { packetId: 2 });
  same.publish(replyTopic, '{"id":"never-sent","state":"done"}', { packetId: 3 });
  await settle();
  const answers = same.take();
  assert.match(answers[0]!, /^puback 2 0x83/);
  assert.match(answers[1]!, /^puback 3 0x83/);
  assert.deepEqual(states, ['accepted', 'delivered']);
});

test('a command that the device refuses, or that is too large for it, has failed', async (t) => {
  const { send, settle, loginForCommands } = await start(t);
  const device = await loginForCommands();
  const refused = send('c1');
  await settle();
  device.puback(1, 0x83);
  await settle();
  assert.deepEqual(refused, ['accepted', 'failed unavailable']);
  const small = await loginForCommands({ clientId: 'small', properties: { maximumPacketSize: 200 } });
  const large = send('c2', { params: { text: 'x'.repeat(200) } });
  await settle();
  assert.deepEqual([large, small.messages.length], [['failed too_large'], 0]);
});

test('a reply to a command that is not known is refused, and so is one of another device', async (t) => {
  const { login } = await startMqtt(t);
  const device = await login({ username: press });
  // Another node may have sent it, and know it to be done; but not that nothing is known.
  device.publish(replyTopic, '{"id":"c9","state":"unconfirmed"}', { packetId: 1 });
  device.publish('plant2/press8/reply', '{"id":"c9","state":"done"}', { packetId: 2 });
  device.publish(replyTopic, '{"id":"c9","state":"well"}', { packetId: 3 });
  const answers = await device.next();
  assert.match(answers[0]!, /^puback 1 0x83 command: expected one that was sent to this device/);
  assert.match(answers[1]!, /^puback 2 0x87/);
  assert.match(answers[2]!, /^puback 3 0x83 payload.state: expected done/);
});

test('a command for a subscription of QoS 0 is sent once, and counts as delivered when it is written', async (t) => {
  const { send, settle, login, clock } = await start(t);
  const device = await login();
  device.subscribe(commandTopic, 9, 0);
  assert.deepEqual(await device.next(), ['suback 0x00']);
  await settle();
  const states = send('c1');
  await settle();
  await clock.advance(9_000);
  assert.equal(device.messages.length, 1);
  assert.equal(states.at(-1), 'delivered');
});

test('a client that does not read gets no command that would arrive late', async (t) => {
  const { send, settle, loginForCommands, clock } = await start(t);
  const device = await loginForCommands();
  const { peer } = device.wire as unknown as { readonly peer: MemoryWire };
  // Each byte waits.
  peer.highWaterBytes = -1;
  device.wire.pause();
  device.send({ cmd: 'pingreq' });
  const states = send('c1');
  await settle();
  await clock.advance(10_000);
  await settle();
  assert.deepEqual(states, ['accepted', 'expired timeout']);
  device.wire.resume();
  await settle();
  assert.deepEqual(device.messages, []);
});
