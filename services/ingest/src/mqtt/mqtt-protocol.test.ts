import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ControlTopic } from '@tailrace/eventlog/control-topic';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { nextTurn, press } from '../../test/device-fixture.ts';
import { startMqtt } from '../../test/mqtt-fixture.ts';
import { logDeadlineMs } from './mqtt-protocol.ts';

const topic = 'plant1/line2/press7/telemetry';
const payload = '{"time":1764446400000,"readings":[{"tag":"t","value":1}]}';

test('a message is acknowledged when it is in the log, and not before', async (t) => {
  const { login, held, reports } = await startMqtt(t);
  const device = await login();
  device.publish(topic, payload, { packetId: 7 });
  assert.deepEqual(await reports(), [{ device: press, time: 1_764_446_400_000, readings: [{ tag: 't', value: 1 }] }]);
  assert.deepEqual(device.take(), []);
  held.shift()!.confirm();
  assert.deepEqual(await device.next(), ['puback 7']);
});

test('QoS 2 has PUBREC when the message is in the log, and its report has an ID', async (t) => {
  const { login, held, reports, confirmAll } = await startMqtt(t);
  const device = await login();
  device.publish(topic, payload, { qos: 2, packetId: 7 });
  const [first] = await reports();
  assert.match(first!.id!, /^[\w-]{20}$/);
  // Sent again: one message.
  device.publish(topic, payload, { qos: 2, packetId: 7, dup: true });
  await nextTurn();
  assert.deepEqual([held.length, device.take()], [1, []]);
  await confirmAll();
  assert.deepEqual(device.take(), ['pubrec 7']);
  device.pubrel(7);
  assert.deepEqual(await device.next(), ['pubcomp 7']);
  device.publish(topic, payload, { qos: 2, packetId: 7 });
  const [second] = await reports();
  assert.notEqual(second!.id, first!.id);
});

test('QoS 0 is appended, and not acknowledged', async (t) => {
  const { login, confirmAll } = await startMqtt(t);
  const device = await login({ version: 4 });
  device.publish(`${topic}/speed`, '12.5', { qos: 0 });
  assert.equal(await confirmAll(), 1);
  assert.deepEqual(device.take(), []);
});

test('acknowledgments are in the order of the messages, whatever the log confirms first', async (t) => {
  const { login, held } = await startMqtt(t);
  const device = await login();
  for (const packetId of [1, 2, 3]) device.publish(topic, payload, { packetId });
  await nextTurn();
  held[2]!.confirm();
  held[1]!.confirm();
  await nextTurn();
  assert.deepEqual(device.take(), []);
  held[0]!.confirm();
  assert.deepEqual(await device.next(), ['puback 1', 'puback 2', 'puback 3']);
});

test('the user property id is the ID of the report', async (t) => {
  const { login, reports } = await startMqtt(t);
  const device = await login();
  device.publish(topic, payload, { properties: { userProperties: [['id', 'm-1']] } });
  assert.equal((await reports())[0]!.id, 'm-1');
});

for (const version of [4, 5] as const) {
  test(`MQTT ${version}: a message that is refused for good is answered with its reason, in order`, async (t) => {
    const { login, held, metric, confirmAll } = await startMqtt(t);
    const device = await login({ version });
    device.publish(topic, payload, { packetId: 1 });
    device.publish(topic, '{"readings":[]}', { packetId: 2 });
    device.publish('plant2/press1/telemetry', payload, { packetId: 3 });
    device.publish('plant1/press1/state', payload, { packetId: 4 });
    device.publish(topic, '{', { packetId: 5, qos: 2 });
    await nextTurn();
    assert.deepEqual(device.take(), []);
    held.shift()!.confirm();
    const letters = await confirmAll();
    // MQTT 3.1.1 cannot answer for the content: what is invalid becomes a dead letter.
    assert.equal(letters, version === 4 ? 2 : 0);
    const answers = device.take();
    // MQTT 3.1.1 has no negative acknowledgment, and a device that got none would send the message forever.
    if (version === 4) assert.deepEqual(answers, ['puback 1', 'puback 2', 'puback 3', 'puback 4', 'pubrec 5']);
    else {
      assert.equal(answers[0], 'puback 1');
      assert.match(answers[1]!, /^puback 2 0x83 readings: expected 1 to 1000 items, got 0/);
      assert.match(answers[2]!, /^puback 3 0x87 "plant2.press1" is not covered: the token of "gateway7"/);
      assert.match(answers[3]!, /^puback 4 0x90 MQTT topic: expected <path>\/telemetry/);
      assert.match(answers[4]!, /^pubrec 5 0x83 the JSON is malformed/);
    }
    assert.equal(await metric('tailrace_ingest_messages_total{protocol="mqtt",outcome="rejected"}'), 4);
  });
}

test('a message with the user property batch of one that is in the log is acknowledged and not appended again', async (t) => {
  const { login, confirmAll, reports } = await startMqtt(t);
  const device = await login();
  const batch = (id: string, packetId: number) =>
    device.publish(topic, `[${payload}]`, { packetId, properties: { userProperties: [['batch', id]] } });
  batch('b1', 1);
  // At the same time as the first one: two packets cannot have the same outcome.
  batch('b1', 2);
  assert.equal((await reports()).length, 1);
  assert.equal(await confirmAll(), 1);
  batch('b1', 3);
  batch('b2', 4);
  batch('x'.repeat(65), 5);
  assert.equal(await confirmAll(), 1);
  const answers = device.take();
  assert.match(
    answers[1]!,
    /^puback 2 0x83 id: expected one that no other message of this session has, got "b1" again/,
  );
  assert.match(answers[4]!, /^puback 5 0x83 id: expected a text of at most 64 bytes/);
  assert.deepEqual([answers[0], ...answers.slice(2, 4)], ['puback 1', 'puback 3', 'puback 4']);
});

test('a batch with invalid reports is acknowledged with what was accepted', async (t) => {
  const { login, confirmAll } = await startMqtt(t);
  const device = await login();
  const reading = '{"readings":[{"tag":"t","value":1}]}';
  device.publish(topic, `[${reading},{"readings":[]},${reading}]`, { packetId: 1 });
  device.publish(topic, '[{"readings":[]},7]', { packetId: 2 });
  assert.equal(await confirmAll(), 2);
  const answers = device.take();
  assert.match(answers[0]!, /^puback 1 0x00 accepted 2 of 3: report 1: readings: expected 1 to 1000/);
  assert.match(answers[1]!, /^puback 2 0x83 readings/);
});

test('a message that the log refuses for now gets no answer, and is appended again in its order', async (t) => {
  const { login, held, clock, confirmAll, reports } = await startMqtt(t);
  const device = await login();
  for (const value of [1, 2, 3]) device.publish(`${topic}/v`, `${value}`, { packetId: value });
  await nextTurn();
  const [first, second, third] = held.splice(0);
  second!.fail();
  first!.fail();
  await nextTurn();
  // The third is not settled yet.
  await clock.advance(1_000);
  assert.equal(held.length, 0);
  third!.confirm();
  await clock.advance(1_000);
  const values = (await reports()).map(({ readings: [reading] }) => reading!.value);
  assert.deepEqual(values, [1, 2]);
  assert.deepEqual(device.take(), []);
  await confirmAll();
  assert.deepEqual(device.take(), ['puback 1', 'puback 2', 'puback 3']);
});

test('a message that the log confirms after its deadline is acknowledged all the same', async (t) => {
  const { login, held, clock } = await startMqtt(t);
  const device = await login();
  device.publish(topic, payload);
  await clock.advance(8_000);
  assert.deepEqual(device.take(), []);
  held.shift()!.confirm();
  assert.deepEqual(await device.next(), ['puback 1']);
});

for (const version of [4, 5] as const) {
  test(`MQTT ${version}: a client is disconnected when the log takes nothing for ${logDeadlineMs} ms, and what it sends again is one message`, async (t) => {
    const { login, held, clock, confirmAll } = await startMqtt(t);
    const session = { version, clean: false, ...(version === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}) };
    const device = await login(session);
    device.publish(topic, payload, { packetId: 5 });
    for (let second = 0; second < 40 && !device.isClosed; second++) {
      await clock.advance(1_000);
      for (const record of held.splice(0)) record.fail();
      await nextTurn();
    }
    assert.equal(device.isClosed, true);
    assert.deepEqual(device.take(), version === 5 ? ['disconnect 0x89'] : []);
    const again = await login(session);
    again.publish(topic, payload, { packetId: 5, dup: true });
    await clock.advance(3_000);
    assert.equal(await confirmAll(), 1);
    assert.deepEqual(again.take(), ['puback 5']);
  });
}

test('messages beyond the rate wait, and none is refused', async (t) => {
  const settings = { deviceMessagesPerSecond: 10, deviceMessagesBurst: 5 };
  const { login, clock, held, confirmAll } = await startMqtt(t, { settings });
  const device = await login();
  for (let packetId = 1; packetId <= 20; packetId++) device.publish(topic, payload, { packetId });
  await nextTurn();
  assert.ok(held.length <= 6, `${held.length}`);
  for (let step = 0; step < 20; step++) {
    await confirmAll();
    await clock.advance(100);
  }
  await confirmAll();
  assert.deepEqual(
    device.take(),
    Array.from({ length: 20 }, (_, index) => `puback ${index + 1}`),
  );
});

test('while the log is away messages of QoS 0 are discarded after half the keep-alive, so that pings are answered', async (t) => {
  const { login, clock, held, metric, confirmAll } = await startMqtt(t, { settings: { deviceWindowMax: 4 } });
  const device = await login({ keepalive: 10 });
  const send = (count: number) => {
    for (let index = 0; index < count; index++) device.publish(topic, payload, { qos: 0 });
  };
  send(6);
  await nextTurn();
  assert.equal(held.length, 4);
  device.send({ cmd: 'pingreq' });
  await clock.advance(4_000);
  assert.deepEqual(device.take(), []);
  await clock.advance(2_000);
  assert.deepEqual(device.take(), ['pingresp']);
  send(3);
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_messages_total{protocol="mqtt",outcome="dropped"}'), 4);
  assert.equal(await confirmAll(), 4);
  await nextTurn();
  // It was received before the pause.
  assert.equal(await confirmAll(), 1);
  send(1);
  assert.equal(await confirmAll(), 1);
});

test('more messages than Receive Maximum are a protocol error in MQTT 5, and wait in 3.1.1', async (t) => {
  const { login, confirmAll } = await startMqtt(t, { settings: { deviceWindowMax: 4 } });
  const send = (device: Awaited<ReturnType<typeof login>>) => {
    for (let packetId = 1; packetId <= 5; packetId++) device.publish(topic, payload, { packetId });
  };
  const five = await login();
  send(five);
  assert.deepEqual(await five.next(), ['disconnect 0x93']);
  await confirmAll();
  const four = await login({ version: 4 });
  send(four);
  assert.equal(await confirmAll(), 4);
  assert.equal(await confirmAll(), 1);
  assert.deepEqual(
    four.take(),
    [1, 2, 3, 4, 5].map((packetId) => `puback ${packetId}`),
  );
});

test('a topic alias stands for its topic', async (t) => {
  const { login, reports } = await startMqtt(t);
  const device = await login();
  for (const name of [topic, '']) {
    device.send({
      ...{ cmd: 'publish', topic: name, payload, qos: 1, messageId: name === '' ? 2 : 1, dup: false, retain: false },
      properties: { topicAlias: 1 },
    });
  }
  assert.deepEqual(
    (await reports()).map((each) => each.device),
    [press, press],
  );
});

test('a retained message is a report, as any', async (t) => {
  const { login, confirmAll } = await startMqtt(t);
  const device = await login();
  device.publish(topic, payload, { retain: true });
  await confirmAll();
  assert.deepEqual(device.take(), ['puback 1']);
});

test('a device subscribes to its own commands, and to nothing else', async (t) => {
  const { login } = await startMqtt(t);
  for (const version of [4, 5] as const) {
    const device = await login({ version });
    const filters = ['plant1/line2/press7/command', 'plant1/line2/press8/command', 'plant1/+/command', '#', topic];
    for (const filter of filters) device.subscribe(filter);
    const codes = version === 5 ? ['0x01', '0x87', '0x8f', '0x8f', '0x8f'] : ['0x01', '0x80', '0x80', '0x80', '0x80'];
    assert.deepEqual(
      await device.next(),
      codes.map((code) => `suback ${code}`),
    );
  }
});

test('presence is accepted for covered devices', async (t) => {
  const { login } = await startMqtt(t);
  const device = await login();
  device.publish('plant1/line2/press7/presence', 'online', { packetId: 1, retain: true });
  device.publish('plant2/press7/presence', 'online', { packetId: 2 });
  device.publish('plant1/line2/press7/presence', 'maybe', { packetId: 3 });
  const answers = await device.next();
  assert.equal(answers[0], 'puback 1');
  assert.match(answers[1]!, /^puback 2 0x87/);
  assert.match(answers[2]!, /^puback 3 0x83 presence: expected online/);
});

test('a gateway announces the devices behind it: they have sessions until it withdraws them or is disconnected', async (t) => {
  const { login, events, metric } = await startMqtt(t);
  const gateway = await login();
  const own = await login({ clientId: 'c2', username: 'plant1.own' });
  await nextTurn();
  assert.deepEqual(events().sort(), ['started plant1.line2.press7', 'started plant1.own']);
  const presence = async (device: string, payload: string) => {
    gateway.publish(`plant1/${device}/presence`, payload);
    assert.deepEqual(await gateway.next(), ['puback 1']);
    await nextTurn();
    return events();
  };
  assert.deepEqual(await presence('a', 'online'), ['started plant1.a']);
  assert.deepEqual(await presence('a', 'online'), [], 'once');
  assert.deepEqual(await presence('b', '{"online":true}'), ['started plant1.b']);
  assert.deepEqual(await presence('line2/press7', 'online'), [], 'it is the session itself');
  assert.deepEqual(await presence('own', 'offline'), [], 'its own session decides');
  assert.equal(await metric('tailrace_ingest_announced_devices'), 2);
  assert.deepEqual(await presence('a', 'offline'), ['closed plant1.a: bye, 2000 ms, no report']);
  assert.deepEqual(await presence('c', 'offline'), ['closed plant1.c: bye, 2000 ms, no report']);
  gateway.wire.close();
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  const closed = ['closed plant1.b: lost, 5000 ms, no report', 'closed plant1.line2.press7: lost, 5000 ms, no report'];
  assert.deepEqual(events().sort(), closed);
  assert.equal(await metric('tailrace_ingest_announced_devices'), 0);
  own.disconnect();
});

test('presence counts against the rate of events of its device: beyond it the gateway is not read until it allows more', async (t) => {
  const { login, events, clock } = await startMqtt(t, {
    settings: { deviceEventsPerSecond: 10, deviceEventsBurst: 5 },
  });
  const gateway = await login();
  await nextTurn();
  events();
  for (let n = 0; n < 100; n++)
    gateway.publish('plant1/a/presence', n % 2 === 0 ? 'online' : 'offline', { packetId: n + 1, qos: 0 });
  await nextTurn();
  const first = events().length;
  assert.ok(first >= 5 && first <= 7, `${first} events at once`);
  // An honest device is not delayed.
  const other = await login({ clientId: 'c2', username: 'plant1.own' });
  other.publish('plant1/own/presence', 'online');
  assert.deepEqual(await other.next(), ['puback 1']);
  events();
  for (let second = 0; second < 2; second++) {
    for (let step = 0; step < 10; step++) {
      await clock.advance(100);
      await nextTurn();
    }
    const next = events().length;
    assert.ok(next >= 9 && next <= 11, `${next} events a second`);
  }
});

test('presence, and a session without a report, count as names of devices: one tenant cannot invent them without end', async (t) => {
  const { login, connect, events } = await startMqtt(t, { settings: { devicesPerTenantMax: 3 } });
  const gateway = await login();
  for (const name of ['a', 'b', 'c', 'd']) gateway.publish(`plant1/${name}/presence`, 'online', { qos: 1 });
  const answers: string[] = [];
  while (answers.length < 4) answers.push(...(await gateway.next()));
  assert.deepEqual(answers.slice(0, 2), ['puback 1', 'puback 1']);
  for (const answer of answers.slice(2)) assert.match(answer, /^puback 1 0x97 device: expected at most 3 devices/);
  gateway.publish('plant1/e/presence', 'offline', { qos: 1 });
  assert.match((await gateway.next())[0]!, /^puback 1 0x97/);
  const [, answer] = await connect({ clientId: 'c2', username: 'plant1.f' });
  assert.match(answer, /^connack 0x88/);
  await nextTurn();
  assert.equal(events().length, 3);
});

test('the will of a token that was revoked is not published, also if it was due later', async (t) => {
  const { login, reports, memory, clock, metric } = await startMqtt(t);
  const properties = { sessionExpiryInterval: 600 };
  const will = (willDelayInterval: number) => ({
    topic: `${topic}/running`,
    payload: Buffer.from('false'),
    properties: { willDelayInterval },
  });
  const later = await login({ clientId: 'later', properties, will: will(60) });
  later.wire.close();
  await nextTurn();
  const open = await login({ clientId: 'open', username: 'plant1.open', properties, will: will(0) });
  const control = new ControlTopic({
    ...{ eventLog: memory, topicPrefix: 'tailrace', clock, logger: silentLogger },
    ...{ onCredentials() {}, onRevocations() {} },
  });
  await control.revoke({ subject: 'gateway7', issuedBefore: clock.now() + 1_000 });
  control.stop();
  for (let second = 0; second < 90 && (second < 80 || !open.isClosed); second++) {
    await clock.advance(1_000);
    await nextTurn();
  }
  assert.ok(open.isClosed);
  assert.deepEqual(await reports(), []);
  assert.equal(await metric('tailrace_ingest_mqtt_will_bytes'), 0);
});

test('a session is resumed with its messages and subscriptions, and CONNACK has that', async (t) => {
  const { login, connect, confirmAll } = await startMqtt(t);
  const session = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const device = await login(session);
  device.publish(topic, payload, { qos: 2, packetId: 3 });
  await nextTurn();
  device.disconnect();
  await confirmAll();
  const [again, answer] = await connect(session);
  assert.equal(answer, 'connack present 0x00');
  again.publish(topic, payload, { qos: 2, packetId: 3, dup: true });
  assert.deepEqual(await again.next(), ['pubrec 3']);
  assert.equal(await confirmAll(), 0);
  again.disconnect();
  const [, other] = await connect({ ...session, clean: true });
  assert.equal(other, 'connack 0x00');
});

test('a newer connection of a device replaces the former one', async (t) => {
  const { login, connect } = await startMqtt(t);
  const first = await login();
  // Another client ID, the same device.
  await login({ clientId: 'c2' });
  assert.deepEqual([first.take(), first.isClosed], [['disconnect 0x8e'], true]);
  // And by WebSocket: one session a device, whatever its protocol.
  const [third] = await connect({ version: 4, clientId: 'c3' });
  assert.equal(third.isClosed, false);
});

test('a client ID is not enough to disconnect another sender', async (t) => {
  const { login, connect, tokenFor } = await startMqtt(t);
  const device = await login({ username: 'press' });
  const other = await tokenFor(['plant1.line9.>'], { subject: 'other' });
  const [, answer] = await connect({ username: 'other', password: Buffer.from(other) });
  assert.equal(answer, 'connack 0x87');
  assert.equal(device.isClosed, false);
});

test('a client without a device of its own publishes for those that its token covers', async (t) => {
  const { login, reports, metric } = await startMqtt(t);
  const gateway = await login({ username: 'gateway', clientId: 'mosq-1' });
  gateway.publish('plant1/a/telemetry', payload, { packetId: 1 });
  gateway.publish('plant1/b/telemetry', payload, { packetId: 2 });
  assert.deepEqual(
    (await reports()).map(({ device }) => device),
    ['plant1.a', 'plant1.b'],
  );
  gateway.subscribe('plant1/a/command');
  assert.deepEqual(await gateway.next(), ['suback 0x87']);
  // It is no device, and has no presence.
  assert.equal(await metric('tailrace_ingest_session_events_total{event="started"}'), 0);
});

test('a connection is refused with the code of its version', async (t) => {
  const { connect, tokenFor, clock } = await startMqtt(t);
  const expired = await tokenFor(['plant1.>'], { expiresInMs: 1_000 });
  await clock.advance(120_000);
  const cases: [Parameters<typeof connect>[0], string, string][] = [
    [{ password: Buffer.from('nonsense') }, '0x86', '0x04'],
    [{ password: Buffer.from(expired) }, '0x86', '0x04'],
    [{ username: 'plant2.press1' }, '0x87', '0x05'],
    [{ clientId: 'x'.repeat(200) }, '0x85', '0x02'],
    [{ will: { topic: 'plant2/press1/telemetry', payload: Buffer.from(payload) } }, '0x87', '0x05'],
    [{ will: { topic: 'plant1/state', payload: Buffer.from('x') } }, '0x90', '0x05'],
    [{ will: { topic: `${topic}/running`, payload: Buffer.from('maybe') } }, '0x83', '0x05'],
    [{ will: { topic, payload: Buffer.from('{"readings":') } }, '0x83', '0x05'],
    [{ will: { topic, payload: Buffer.from('[]') } }, '0x83', '0x05'],
    [
      { will: { topic, payload: Buffer.from('{"device":"plant1//","readings":[{"tag":"t","value":1}]}') } },
      '0x83',
      '0x05',
    ],
    [{ will: { topic, payload: Buffer.from(`{"device":"plant2.a",${payload.slice(1)}`) } }, '0x87', '0x05'],
    [{ will: { topic: `${topic}/pb`, payload: Buffer.of(0xff) } }, '0x83', '0x05'],
    [{ will: { topic: 'plant1/line2/press7/presence', payload: Buffer.from('gone') } }, '0x83', '0x05'],
    [{ password: Buffer.from(await tokenFor([])), username: 'x' }, '0x87', '0x05'],
  ];
  for (const [fields, five, four] of cases) {
    const shownFields = Object.keys(fields!).join();
    const [device, answer] = await connect(fields);
    assert.deepEqual([answer, device.isClosed], [`connack ${five}`, true], shownFields);
    assert.equal((await connect({ ...fields, version: 4 }))[1], `connack ${four}`, shownFields);
  }
});

test('a will that is no text against its Payload Format, or not of its content type, is refused', async (t) => {
  const { connect } = await startMqtt(t);
  const refusedOf = async (bytes: Buffer, properties: object) =>
    (await connect({ will: { topic, payload: bytes, properties } }))[1];
  assert.equal(await refusedOf(Buffer.of(0xff), { payloadFormatIndicator: true }), 'connack 0x99');
  assert.equal(await refusedOf(Buffer.from(payload), { contentType: 'text/html' }), 'connack 0x83');
  const json = { payloadFormatIndicator: true, contentType: 'application/json' };
  assert.equal(await refusedOf(Buffer.from(payload), json), 'connack 0x00');
});

test('a CONNECT whose will or client ID is refused replaces no session of its device', async (t) => {
  const { login, connect, events, tokenFor } = await startMqtt(t);
  const device = await login();
  const gateway = await tokenFor(['plant1.line9.>'], { subject: 'other' });
  await login({ username: 'other', password: Buffer.from(gateway), clientId: 'c9' });
  events();
  const refused: Parameters<typeof connect>[0][] = [
    { will: { topic: 'plant2/press1/telemetry', payload: Buffer.from(payload) } },
    { will: { topic, payload: Buffer.from('{') } },
    { clientId: 'c9', password: Buffer.from(await tokenFor(['plant1.line2.>'], { subject: 'third' })) },
  ];
  for (const fields of refused) {
    const [, answer] = await connect({ clientId: 'c2', ...fields });
    assert.notEqual(answer, 'connack 0x00');
    await nextTurn();
    assert.deepEqual([device.isClosed, events()], [false, []], answer);
  }
});

test('a will that cannot be a report when it is due is a dead letter', async (t) => {
  const { login, held } = await startMqtt(t, { settings: { devicesMax: 1 } });
  const will = { topic: 'plant1/line2/press8/telemetry/running', payload: Buffer.from('false') };
  const device = await login({ will });
  device.publish(topic, payload, { packetId: 1 });
  await nextTurn();
  held.shift()!.confirm();
  device.wire.close();
  await nextTurn();
  assert.deepEqual(
    held.map(({ key, value }) => [key, Buffer.from(value).toString()]),
    [[press, 'false']],
  );
  held.shift()!.confirm();
});

test('wills count against the rates of their device: those of many lost connections beyond it are dead letters', async (t) => {
  const { login, held } = await startMqtt(t, { settings: { deviceMessagesPerSecond: 1, deviceMessagesBurst: 2 } });
  const will = { topic: `${topic}/running`, payload: Buffer.from('false') };
  for (let n = 0; n < 5; n++) {
    // Gateways: their sessions count against the rate of no device.
    const gateway = await login({ clientId: `c${n}`, username: '', will });
    gateway.wire.close();
    await nextTurn();
  }
  const letters = held.filter(({ value }) => Buffer.from(value).toString() === 'false');
  assert.deepEqual([held.length - letters.length, letters.length], [2, 3]);
});

test('a connection beyond the limit is refused, and one that sends nothing is closed', async (t) => {
  const { login, connect, dial, clock } = await startMqtt(t, { settings: { mqttConnectionsMax: 1 } });
  await login();
  assert.equal((await connect({ clientId: 'c2', username: 'plant1.b' }))[1], 'connack 0x88');
  const idle = dial();
  await clock.advance(12_000);
  assert.deepEqual([idle.take(), idle.isClosed], [[], true]);
});

test('a CONNECT of a version that is not served is counted apart from protocol errors', async (t) => {
  const { dial, metric } = await startMqtt(t);
  const closes = (code: number) => metric(`tailrace_ingest_device_closes_total{protocol="mqtt",code="${code}"}`);
  const probe = dial();
  probe.wire.send(Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 6, 2, 0, 0, 0, 0]));
  await nextTurn();
  assert.deepEqual([probe.take(), probe.isClosed], [['connack 0x84'], true]);
  assert.equal(await metric('tailrace_ingest_mqtt_unsupported_versions_total'), 1);
  assert.deepEqual([await closes(4400), await closes(1000)], [0, 1]);
  const invalid = dial();
  invalid.wire.send(Buffer.from([0x30, 2, 0, 0]));
  await nextTurn();
  assert.deepEqual([await closes(4400), await metric('tailrace_ingest_mqtt_unsupported_versions_total')], [1, 1]);
});

test('of the connections of an address without CONNECT the oldest is closed for a new one', async (t) => {
  const { dial } = await startMqtt(t, { settings: { addressUnauthenticatedDevicesMax: 2 } });
  const [first, second] = [dial(), dial()];
  dial({ address: '10.0.0.2' });
  assert.equal(first.isClosed, false);
  dial();
  assert.deepEqual([first.isClosed, second.isClosed], [true, false]);
});

test('a device is disconnected when its token expires, with the reason', async (t) => {
  const { connect, tokenFor, clock } = await startMqtt(t, { settings: { tokenClockToleranceMs: 0 } });
  const [device] = await connect({ password: Buffer.from(await tokenFor(['plant1.>'], { expiresInMs: 10_000 })) });
  await clock.advance(9_000);
  assert.equal(device.isClosed, false);
  await clock.advance(2_000);
  assert.deepEqual([device.take(), device.isClosed], [['disconnect 0x87'], true]);
});

test('a client that sends nothing for one and a half times its keep-alive is disconnected', async (t) => {
  const { login, clock, metric } = await startMqtt(t);
  const device = await login({ keepalive: 10 });
  await clock.advance(14_000);
  assert.equal(device.isClosed, false);
  await clock.advance(3_000);
  assert.deepEqual(device.take(), ['disconnect 0x8d']);
  assert.equal(await metric('tailrace_ingest_device_closes_total{protocol="mqtt",code="4001"}'), 1);
});

test('the will is a report when the connection is lost, and nothing after DISCONNECT', async (t) => {
  const { login, reports, confirmAll, metric } = await startMqtt(t);
  const will = { topic: `${topic}/running`, payload: Buffer.from('false') };
  const first = await login({ will });
  assert.equal(await metric('tailrace_ingest_mqtt_will_bytes'), 5);
  first.disconnect();
  assert.deepEqual(await reports(), []);
  assert.equal(await metric('tailrace_ingest_mqtt_will_bytes'), 0);
  const second = await login({ will });
  second.wire.close();
  const [report] = await reports();
  assert.deepEqual(
    [report!.device, report!.readings, report!.clock],
    [press, [{ tag: 'running', value: false }], 'ingest'],
  );
  assert.equal(await confirmAll(), 1);
  assert.equal(await metric('tailrace_ingest_mqtt_will_bytes'), 0);
});

test('a will that the log refuses for now is appended again', async (t) => {
  const { login, held, clock, confirmAll } = await startMqtt(t);
  const device = await login({ will: { topic: `${topic}/running`, payload: Buffer.from('false') } });
  device.wire.close();
  await nextTurn();
  held.shift()!.fail();
  await clock.advance(1_500);
  assert.equal(await confirmAll(), 1);
});

test('a drain acknowledges what has come, and disconnects with the reason', async (t) => {
  const { login, ingest, clock, held } = await startMqtt(t);
  const device = await login();
  device.publish(topic, payload);
  await nextTurn();
  const drained = ingest.drain();
  await clock.advance(500);
  held.shift()!.confirm();
  await clock.advance(3_000);
  assert.deepEqual(device.take(), ['puback 1', 'disconnect 0x8b']);
  await drained;
});

test('a failure that is final is answered with its code', async (t) => {
  const { login, held } = await startMqtt(t);
  const device = await login();
  device.publish(topic, payload);
  await nextTurn();
  held.shift()!.fail(new TailraceError('too_large', 'record: expected at most 1 bytes, got 2'));
  assert.match((await device.next())[0]!, /^puback 1 0x83 record: expected/);
});

test('MQTT 3.1.1: an invalid message is acknowledged when its dead letter is in the log', async (t) => {
  const { login, held, clock } = await startMqtt(t);
  const device = await login({ version: 4 });
  device.publish(topic, '{"readings":7}', { packetId: 3 });
  await nextTurn();
  assert.equal(Buffer.from(held[0]!.value).toString(), '{"readings":7}');
  held.shift()!.fail();
  await nextTurn();
  assert.deepEqual(device.take(), []);
  await clock.advance(1_000);
  held.shift()!.confirm();
  assert.deepEqual(await device.next(), ['puback 3']);
});

test('MQTT 3.1.1: a batch with invalid reports is acknowledged when it is a dead letter for these', async (t) => {
  const { login, held } = await startMqtt(t);
  const device = await login({ version: 4 });
  const batch = `[${payload},{"readings":7}]`;
  device.publish(topic, batch, { packetId: 3 });
  await nextTurn();
  held.shift()!.confirm();
  await nextTurn();
  assert.deepEqual(device.take(), []);
  assert.equal(Buffer.from(held[0]!.value).toString(), batch);
  held.shift()!.confirm();
  assert.deepEqual(await device.next(), ['puback 3']);
});

test('MQTT 3.1.1: an invalid message that has waited for its rate is a dead letter, too', async (t) => {
  const { login, held, clock } = await startMqtt(t, {
    settings: { deviceMessagesPerSecond: 1, deviceMessagesBurst: 2 },
  });
  const device = await login({ version: 4 });
  const invalid = '{"readings":7}';
  for (let packetId = 1; packetId <= 5; packetId++)
    device.publish(topic, packetId === 5 ? invalid : payload, { packetId });
  const texts: string[] = [];
  for (let second = 0; second < 10; second++) {
    await nextTurn();
    for (const record of held.splice(0)) {
      texts.push(Buffer.from(record.value).toString());
      record.confirm();
    }
    await clock.advance(1_000);
  }
  assert.deepEqual([texts.length, texts.at(-1)], [5, invalid]);
  assert.deepEqual(device.take(), ['puback 1', 'puback 2', 'puback 3', 'puback 4', 'puback 5']);
});

test('a device whose connection is lost is offline after 5 s, or after the delay of its will; after DISCONNECT at once', async (t) => {
  const { login, events } = await startMqtt(t);
  const will = { topic: 'plant1/line2/press7/presence', payload: Buffer.from('offline') };
  const session = { clean: false, properties: { sessionExpiryInterval: 600 } };
  for (const properties of [undefined, { willDelayInterval: 30 }]) {
    const device = await login({ ...session, will: { ...will, ...(properties && { properties }) } });
    device.wire.close();
    await nextTurn();
  }
  (await login()).disconnect();
  await nextTurn();
  const closed = events()
    .filter((event) => event.startsWith('closed'))
    .map((event) => event.replace(/, no report$/, ''));
  assert.deepEqual(closed, [
    `closed ${press}: lost, 5000 ms`,
    `closed ${press}: lost, 30000 ms`,
    `closed ${press}: bye, 0 ms`,
  ]);
});

test('a will is no sign of life: its report is behind no session, and the device is offline after it', async (t) => {
  const { login, events, held, clock, confirmAll } = await startMqtt(t);
  const closes = () => events().filter((event) => event.startsWith('closed'));
  const will = { topic: `${topic}/running`, payload: Buffer.from('false') };
  const first = await login({ will });
  first.publish(topic, payload);
  assert.equal(await confirmAll(), 1);
  events();
  first.wire.close();
  await nextTurn();
  assert.deepEqual(closes(), [], 'the event has the position of the last report, the will');
  held.shift()!.confirm(41);
  await nextTurn();
  assert.deepEqual(closes(), [`closed ${press}: lost, 5000 ms, 41`]);

  // With a delay the will follows the event of the close, so that there is another one.
  const session = { clean: false, properties: { sessionExpiryInterval: 20 } };
  const second = await login({ ...session, will: { ...will, properties: { willDelayInterval: 30 } } });
  events();
  second.wire.close();
  await nextTurn();
  assert.deepEqual(closes(), [`closed ${press}: lost, 25000 ms, 41`], 'the will is due when the session expires');
  await clock.advance(22_000);
  held.shift()!.fail();
  await clock.advance(2_000);
  held.shift()!.confirm(43);
  await nextTurn();
  assert.deepEqual(closes(), [`closed ${press}: lost, 0 ms, 43`]);

  const third = await login({ ...session, will: { ...will, properties: { willDelayInterval: 10 } } });
  third.wire.close();
  const fourth = await login({ ...session, clean: true });
  await nextTurn();
  events();
  held.shift()!.confirm(44);
  await nextTurn();
  assert.deepEqual(closes(), [], 'a newer session is the presence of the device');
  fourth.disconnect();
});

test('MQTT 3.1.1: a message that only the log finds too large is acknowledged when its dead letter is in the log', async (t) => {
  const { login, held } = await startMqtt(t);
  const device = await login({ version: 4 });
  for (const qos of [1, 2] as const) {
    device.publish(topic, payload, { packetId: 3, qos });
    await nextTurn();
    const { value } = held[0]!;
    const report = Buffer.from(value);
    held.shift()!.fail(new TailraceError('too_large', 'record: expected at most 1 bytes, got 2'));
    await nextTurn();
    assert.deepEqual(device.take(), []);
    assert.equal(held[0]!.key, press);
    assert.deepEqual(Buffer.from(held[0]!.value), report);
    held.shift()!.confirm();
    assert.deepEqual(await device.next(), [qos === 1 ? 'puback 3' : 'pubrec 3']);
  }
});

test('wills of the connections that a drain closes are withheld, since their devices are not gone; the reason is 0x8b', async (t) => {
  const { login, ingest, clock, held, metric, events } = await startMqtt(t);
  const will = { topic: `${topic}/running`, payload: Buffer.from('false') };
  const stored = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const devices = [
    await login({ will }),
    await login({ ...stored, clientId: 'c2', username: 'plant1.b', will: { ...will, topic: 'plant1/b/telemetry/on' } }),
    await login({
      version: 4,
      clientId: 'c3',
      username: 'plant1.c',
      will: { ...will, topic: 'plant1/c/telemetry/on' },
    }),
  ];
  await nextTurn();
  events();
  const drained = ingest.drain();
  await clock.advance(5_000);
  await drained;
  assert.deepEqual(
    devices.map((device) => device.take()),
    [['disconnect 0x8b'], ['disconnect 0x8b'], []],
  );
  assert.deepEqual(held, []);
  assert.equal(await metric('tailrace_ingest_mqtt_will_bytes'), 0);
  assert.equal(await metric('tailrace_ingest_mqtt_withheld_wills_total'), 3);
  // Presence does not depend on a will: a device that finds no other server is offline.
  assert.equal(events().filter((event) => event.startsWith('closed')).length, 3);
});

test('wills that wait for their delay are published when their sessions end with the server', async (t) => {
  const { login, ingest, clock, held, confirmAll } = await startMqtt(t);
  const properties = { willDelayInterval: 300 };
  const will = { topic: `${topic}/running`, payload: Buffer.from('false'), properties };
  const device = await login({ clean: false, properties: { sessionExpiryInterval: 600 }, will });
  device.wire.close();
  await clock.advance(10_000);
  assert.deepEqual(held, []);
  const drained = ingest.drain();
  await nextTurn();
  assert.equal(await confirmAll(), 1);
  await clock.advance(5_000);
  await drained;
});
