import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { seededWholeNumbers } from '@tailrace/testkit/random';
import { ack, field, packet, properties, publish, uint16, uint32 } from '../test/raw-packets.ts';
import { ServerFixture } from '../test/server-fixture.ts';
import { decodeSession, encodeSession, SessionState, sessionBytesMax } from './session-state.ts';

function sample(): SessionState {
  const session = new SessionState();
  session.subscriptions = new Map([
    ['a/command', { qos: 1, retainAsPublished: false }],
    ['STATE', { qos: 0, retainAsPublished: true }],
  ]);
  session.exchanges = new Map([
    [1, { id: 'x1', state: 'confirmed', by: undefined, of: undefined, isChecked: false }],
    [65_535, { id: 'x2', state: 'appending', by: {}, of: undefined, isChecked: false }],
  ]);
  const window = session.windowOf(16);
  window.connected(16);
  window.add({
    topic: 'a/command',
    payload: Buffer.of(0, 255),
    qos: 1,
    expiresAtMs: 5000,
    properties: { isText: true, responseTopic: 'a/reply', correlationData: Buffer.of(7), userProperties: [['n', 'v']] },
  });
  window.add({ topic: 'b', payload: Buffer.from('p'), qos: 1, retain: true });
  return session;
}

test('a session is the same on another node, but what was being appended is unknown there', () => {
  const session = decodeSession(encodeSession(sample()));
  assert.deepEqual(session.subscriptions, sample().subscriptions);
  assert.deepEqual(
    [...session.exchanges!.values()].map(({ id, state }) => [id, state]),
    [
      ['x1', 'confirmed'],
      ['x2', 'unknown'],
    ],
  );
  assert.deepEqual(
    session.window?.unacknowledged().map(({ packetId, message }) => [packetId, message.topic, message.retain]),
    [
      [1, 'a/command', false],
      [2, 'b', true],
    ],
  );
  const [first] = session.window!.unacknowledged();
  assert.deepEqual(first?.message.properties?.correlationData, Buffer.of(7));
  assert.equal(first?.message.expiresAtMs, 5000);
  assert.equal(decodeSession(encodeSession(new SessionState())).window, undefined);
});

test('[5 MQTT-4.3.3-10] a QoS 2 message is appended with the same ID after a hand-over, and once if the log had it', () => {
  const before = new ServerFixture({ acknowledges: false });
  const block = properties([17, uint32(600)]);
  const first = before.open({ version: 5, clean: false, properties: block });
  first.send(publish({ version: 5, qos: 2, packetId: 1 }), publish({ version: 5, qos: 2, packetId: 2 }));
  before.settle(0);
  first.close();
  const ids = before.received.map(({ message }) => message.exchangeId);
  const after = new ServerFixture();
  after.sessions.set('c1', decodeSession(encodeSession(before.sessions.get('c1')!)));
  const second = after.dial();
  second.send(packet(0x10, field('MQTT'), Buffer.of(5, 0), uint16(60), block, field('c1')));
  for (const packetId of [1, 2]) second.send(publish({ version: 5, qos: 2, packetId, dup: true }));
  second.send(ack('pubrel', 1), ack('pubrel', 2));
  assert.deepEqual(second.answers(), ['connack 1 0x00', 'pubrec 1', 'pubrec 2', 'pubcomp 1', 'pubcomp 2']);
  assert.deepEqual(
    after.received.map(({ message }) => message.exchangeId),
    [ids[1]],
  );
});

test('a session over 64 KiB is refused', () => {
  const session = sample();
  session.windowOf(16).add({ topic: 'a', payload: Buffer.alloc(50_000), qos: 1 });
  assert.throws(() => encodeSession(session), { code: 'too_large' });
  assert.throws(() => decodeSession(Buffer.alloc(sessionBytesMax + 1)), { code: 'invalid_message' });
});

test('bytes that are no session are refused with one error, whatever is changed in them', () => {
  const valid = encodeSession(sample());
  const random = seededWholeNumbers(11);
  for (let run = 0; run < 3000; run++) {
    const bytes = Buffer.from(valid);
    for (let changes = random(4); changes >= 0; changes--) bytes[random(bytes.length)] = random(256);
    try {
      encodeSession(decodeSession(bytes.subarray(0, run % 3 === 0 ? random(bytes.length) : bytes.length)));
    } catch (error) {
      assert.ok(isTailraceError(error) && error.code === 'invalid_message', String(error));
    }
  }
  for (const text of ['null', '[]', '{}', '{"format":1}', '{"format":2}', '1']) {
    assert.throws(() => decodeSession(Buffer.from(text)), { code: 'invalid_message' }, text);
  }
});
