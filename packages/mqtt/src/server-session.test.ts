import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ack,
  disconnect,
  field,
  packet,
  pingreq,
  properties,
  publish,
  subscribe,
  uint16,
  uint32,
  unsubscribe,
  type Version,
} from '../test/raw-packets.ts';
import { type RawClient, ServerFixture } from '../test/server-fixture.ts';
import { assertRefused, statement } from '../test/statements.ts';

/** Sessions, own messages, wills, keep-alive and closes: sections 3.1.2, 3.14, 4.1, 4.3, 4.4 and 4.9. */

const expiry = (seconds: number) => properties([17, uint32(seconds)]);
/** A client of a session that is stored for an hour. */
const kept = (version: Version, clean = false) =>
  version === 5 ? { version, clean, properties: expiry(3600) } : { version, clean };

const commandOf = (payload: string) => ({ topic: 'a/command', payload: Buffer.from(payload), qos: 1 }) as const;

/** A client with a subscription for commands. */
function subscribed(fixture: ServerFixture, fields: Parameters<ServerFixture['open']>[0] = {}): RawClient {
  const client = fixture.open(fields);
  client.send(subscribe(fields.version === undefined ? {} : { version: fields.version }));
  client.take();
  return client;
}

/** Packet identifier, DUP and payload of the messages that came. */
function messages(client: RawClient): [packetId: number, dup: boolean, payload: string][] {
  return client
    .take()
    .filter(({ type }) => type === 3)
    .map(({ firstByte, content }) => {
      const at = 2 + content.readUInt16BE(0);
      const start = at + 2 + (client.version === 5 ? 1 + content[at + 2]! : 0);
      return [content.readUInt16BE(at), (firstByte & 8) !== 0, content.toString('utf8', start)];
    });
}

statement(
  { v4: '3.1.2-4', v5: '3.1.2-5' },
  'resumes the session of a client that connects with clean session 0, and keeps it after the disconnect',
  (version) => {
    const fixture = new ServerFixture();
    subscribed(fixture, kept(version)).send(disconnect());
    const client = fixture.open(kept(version));
    assert.equal(client.connection.deliver(commandOf('go')), 'sent');
  },
);

statement({ v5: '3.1.2-6' }, 'creates a session when clean start is 0 and none is stored', (version) => {
  const client = new ServerFixture().open(kept(version));
  assert.equal(client.connection.state, 'open');
  assert.notEqual(client.connection.session, undefined);
});

statement(
  { v4: '3.1.2-6', v5: '3.1.2-4' },
  'discards the earlier session when clean session is 1, and reuses nothing of it afterwards',
  (version) => {
    const fixture = new ServerFixture();
    const first = subscribed(fixture, kept(version));
    first.connection.deliver(commandOf('old'));
    first.close();
    const second = fixture.open(kept(version, true));
    assert.deepEqual(messages(second), []);
    assert.equal(second.connection.deliver(commandOf('new')), 'not_subscribed');
    second.close();
    const third = fixture.open(kept(version));
    assert.equal(third.connection.deliver(commandOf('new')), 'not_subscribed');
  },
);

statement({ v4: '3.1.3-2', v5: '3.1.3-2' }, 'finds session state by client ID', (version) => {
  const fixture = new ServerFixture();
  subscribed(fixture, { ...kept(version), clientId: 'one' }).close();
  assert.equal(
    fixture.open({ ...kept(version), clientId: 'two' }).connection.deliver(commandOf('x')),
    'not_subscribed',
  );
  assert.equal(fixture.open({ ...kept(version), clientId: 'one' }).connection.deliver(commandOf('x')), 'sent');
});

statement({ v4: '1.5.3-3', v5: '1.5.4-3' }, 'keeps U+FEFF inside a string: such client IDs differ', (version) => {
  const fixture = new ServerFixture();
  fixture.open({ ...kept(version), clientId: Buffer.from('efbbbf61', 'hex') }).close();
  const client = fixture.open({ ...kept(version), clientId: 'a' });
  assert.equal(fixture.requests[0]?.clientId, '\ufeffa');
  assert.equal(client.connection.clientId, 'a');
  assert.deepEqual([...fixture.sessions.keys()], ['\ufeffa']);
});

statement({ v4: '3.1.4-3', v5: '3.1.4-4' }, 'applies clean session after a valid CONNECT alone', (version) => {
  const fixture = new ServerFixture();
  fixture.open(kept(version)).close();
  const client = fixture.dial();
  // The reserved flag is set.
  client.send(packet(0x10, field('MQTT'), Buffer.of(version, 0x03), uint16(60), field('c1')));
  assert.equal(client.isClosed, true);
  assert.equal(fixture.sessions.has('c1'), true);
});

statement(
  { v4: '3.1.2-8', v5: '3.1.2-7' },
  'keeps the will of an accepted CONNECT, and reports it when the connection is closed without DISCONNECT',
  async (version) => {
    const losses: [string, (client: RawClient, fixture: ServerFixture) => void | Promise<void>][] = [
      ['reset', (client) => client.wire.fail(new Error('reset'))],
      ['close', (client) => client.close()],
      ['protocol error', (client) => client.send(ack('pubrec', 1))],
      ['malformed packet', (client) => client.send(Buffer.of(0x00))],
      ['take-over', (client) => client.connection.disconnect(0x8e, 'another connection')],
      ['keep-alive', (_client, fixture) => fixture.clock.advance(100_000)],
    ];
    for (const [name, lose] of losses) {
      const fixture = new ServerFixture();
      const client = fixture.open({ version, will: { topic: 'a/presence', payload: 'offline' } });
      await lose(client, fixture);
      assert.equal(fixture.closed[0]?.will?.payload.toString(), 'offline', name);
      assert.equal(fixture.closed.length, 1, name);
    }
  },
);

statement({ v4: '3.1.2-10', v5: '3.1.2-10' }, 'reports the will once, and not after DISCONNECT', (version) => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version, will: { topic: 'a/presence' } });
  client.send(disconnect());
  client.close();
  client.connection.disconnect(0x80, 'late');
  assert.deepEqual(
    fixture.closed.map(({ will }) => will),
    [undefined],
  );
});

test('[5 MQTT-3.1.2-10] keeps and reports the will after DISCONNECT 0x04', () => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version: 5, will: { topic: 'a/presence' } });
  client.send(disconnect(0x04));
  assert.equal(fixture.closed[0]?.will?.topic, 'a/presence');
  assert.equal(fixture.closed[0]?.by, 'client');
});

statement({ v4: '3.14.4-3', v5: '3.14.4-3' }, 'discards the will on DISCONNECT', (version) => {
  const fixture = new ServerFixture();
  fixture.open({ version, will: { topic: 'a/presence' } }).send(disconnect(version === 5 ? 0 : undefined));
  assert.equal(fixture.closed[0]?.will, undefined);
  assert.equal(fixture.closed[0]?.by, 'client');
});

test('[5 MQTT-3.1.2-8] reports the will with its delay, content type and ID', () => {
  const fixture = new ServerFixture();
  const willProperties = properties(
    [24, uint32(30)],
    [3, field('application/json')],
    [38, Buffer.concat([field('id'), field('w1')])],
  );
  fixture.open({ version: 5, will: { topic: 'a/telemetry', properties: willProperties } }).close();
  const { delaySeconds, contentType, id } = fixture.closed[0]!.will!;
  assert.deepEqual([delaySeconds, contentType, id], [30, 'application/json', 'w1']);
});

statement(
  { v4: '3.1.2-24', v5: '3.1.2-22' },
  'closes after 1.5 × keep-alive without a packet; not while it has itself paused reading',
  async (version) => {
    const fixture = new ServerFixture();
    const client = fixture.open({ version, keepAlive: 10 });
    await fixture.clock.advance(14_000);
    client.send(pingreq);
    await fixture.clock.advance(14_000);
    assert.deepEqual(client.answers(), ['pingresp']);
    await fixture.clock.advance(3000);
    assertRefused(client, 0x8d);
    const paused = fixture.open({ version, keepAlive: 10 });
    paused.connection.pause(4);
    await fixture.clock.advance(120_000);
    assert.equal(paused.isClosed, false);
    paused.connection.resume(4);
    await fixture.clock.advance(14_000);
    assert.equal(paused.isClosed, false);
    // The wheel had the next check of a paused connection scheduled.
    await fixture.clock.advance(17_000);
    assertRefused(paused, 0x8d);
  },
);

statement(
  { v5: '3.2.2-22' },
  'uses the keep-alive of the client when it has sent no Server Keep Alive',
  async (version) => {
    const fixture = new ServerFixture();
    const client = fixture.open({ version, keepAlive: 1800 });
    await fixture.clock.advance(2_690_000);
    assert.equal(client.isClosed, false);
    await fixture.clock.advance(20_000);
    assertRefused(client, 0x8d);
  },
);

test('a client of 3.1.1 without a keep-alive is closed after twice the longest time', async () => {
  const fixture = new ServerFixture();
  const client = fixture.open({ keepAlive: 0 });
  await fixture.clock.advance(3_590_000);
  assert.equal(client.isClosed, false);
  await fixture.clock.advance(20_000);
  assert.equal(client.isClosed, true);
});

statement(
  { v4: '2.3.1-4' },
  'keeps the packet ID of a command until its PUBACK and uses the same one again',
  (version) => {
    const fixture = new ServerFixture();
    const first = subscribed(fixture, kept(version));
    first.connection.deliver(commandOf('a'));
    assert.deepEqual(messages(first), [[1, false, 'a']]);
    first.close();
    const second = fixture.dial();
    second.version = version;
    second.send(packet(0x10, field('MQTT'), Buffer.of(4, 0), uint16(60), field('c1')));
    assert.deepEqual(messages(second), [[1, true, 'a']]);
  },
);

/** Connects again, and returns the client with what it received. */
function reconnected(
  fixture: ServerFixture,
  version: Version,
): { client: RawClient; came: ReturnType<typeof messages> } {
  const client = fixture.dial();
  client.version = version;
  const block = version === 5 ? [expiry(3600)] : [];
  client.send(packet(0x10, field('MQTT'), Buffer.of(version, 0), uint16(60), ...block, field('c1')));
  return { client, came: messages(client) };
}

statement({ v5: '2.2.1-4' }, 'takes a packet ID for a new command that is not 0 and not in use', (version) => {
  const fixture = new ServerFixture();
  const client = subscribed(fixture, { version });
  client.connection.deliver(commandOf('first'));
  const ids = new Set<number>();
  for (let count = 0; count < 70_000; count++) {
    client.connection.deliver(commandOf('x'));
    const [[packetId] = [0]] = messages(client).slice(-1);
    ids.add(packetId);
    client.send(ack('puback', packetId));
  }
  assert.equal(ids.has(0), false);
  assert.equal(ids.has(1), false);
  assert.equal(ids.size, 65_534);
});

statement({ v4: '3.3.1-1', v5: '3.3.1-1' }, 'sets DUP on a re-sent PUBLISH and only there', (version) => {
  const fixture = new ServerFixture();
  const first = subscribed(fixture, kept(version));
  first.connection.deliver(commandOf('a'));
  assert.deepEqual(messages(first), [[1, false, 'a']]);
  first.close();
  const { client, came } = reconnected(fixture, version);
  client.connection.deliver(commandOf('b'));
  assert.deepEqual(
    [...came, ...messages(client)],
    [
      [1, true, 'a'],
      [2, false, 'b'],
    ],
  );
});

statement({ v4: '4.3.1-1', v5: '4.3.1-1' }, 'sends QoS 0 with DUP 0', (version) => {
  const client = subscribed(new ServerFixture(), { version });
  client.connection.deliver({ ...commandOf('a'), qos: 0 });
  assert.equal(client.take()[0]?.firstByte, 0x30);
});

statement(
  { v4: '4.3.2-1', v5: '4.3.2-1' },
  'sends QoS 1 with a free packet ID, and keeps it until PUBACK',
  (version) => {
    const fixture = new ServerFixture();
    const client = subscribed(fixture, { version });
    client.connection.deliver(commandOf('a'));
    client.connection.deliver(commandOf('b'));
    assert.deepEqual(
      messages(client).map(([packetId]) => packetId),
      [1, 2],
    );
    assert.equal(client.connection.session?.window?.size, 2);
    client.send(ack('puback', 1));
    assert.deepEqual(
      fixture.acknowledged.map(({ message }) => Buffer.from(message.payload).toString()),
      ['a'],
    );
    assert.equal(client.connection.session?.window?.size, 1);
  },
);

statement({ v5: '4.3.2-2' }, 'sends a new QoS 1 message with DUP 0', (version) => {
  const client = subscribed(new ServerFixture(), { version });
  client.connection.deliver(commandOf('a'));
  assert.equal(client.take()[0]?.firstByte, 0x32);
});

statement({ v5: '4.3.2-3' }, 'treats a QoS 1 message as unacknowledged until PUBACK', (version) => {
  const fixture = new ServerFixture();
  subscribed(fixture, kept(version)).connection.deliver(commandOf('a'));
  fixture.closed.length = 0;
  const first = [...fixture.sessions.values()];
  assert.deepEqual(first, []);
  const other = subscribed(fixture, { ...kept(version), clientId: 'c2' });
  other.connection.deliver(commandOf('b'));
  other.send(ack('pubcomp', 1));
  assert.equal(other.connection.session?.window?.size, 1);
  other.send(ack('puback', 1));
  assert.equal(other.connection.session?.window?.size, 0);
});

statement(
  { v4: '4.4.0-1', v5: '4.4.0-1' },
  're-sends unacknowledged commands at a resumed session with the same packet IDs, but none after its deadline',
  async (version) => {
    const fixture = new ServerFixture();
    const first = subscribed(fixture, kept(version));
    first.connection.deliver({ ...commandOf('late'), expiresAtMs: fixture.clock.now() + 5000 });
    first.connection.deliver(commandOf('always'));
    first.send(ack('puback', 99));
    await fixture.clock.advance(3000);
    assert.equal(messages(first).length, 2);
    first.close();
    await fixture.clock.advance(3000);
    const { came } = reconnected(fixture, version);
    assert.deepEqual(came, [[2, true, 'always']]);
    assert.deepEqual(
      fixture.unconfirmed.map(({ payload }) => Buffer.from(payload).toString()),
      ['late'],
    );
  },
);

statement({ v5: '4.4.0-2' }, 'does not re-send after PUBACK of 0x80 or more: the reason is reported', (version) => {
  const fixture = new ServerFixture();
  const first = subscribed(fixture, kept(version));
  first.connection.deliver(commandOf('a'));
  first.send(ack('puback', 1, 0x97));
  first.close();
  assert.deepEqual(
    fixture.acknowledged.map(({ reason }) => reason),
    [0x97],
  );
  assert.deepEqual(reconnected(fixture, version).came, []);
});

statement({ v4: '4.6.0-1', v5: '4.6.0-1' }, 're-sends commands in the order of the first attempt', (version) => {
  const fixture = new ServerFixture();
  const first = subscribed(fixture, kept(version));
  for (const payload of ['a', 'b', 'c', 'd']) first.connection.deliver(commandOf(payload));
  first.send(ack('puback', 2));
  first.close();
  assert.deepEqual(
    reconnected(fixture, version).came.map(([, , payload]) => payload),
    ['a', 'c', 'd'],
  );
});

statement(
  { v4: '4.6.0-6', v5: '4.6.0-5' },
  'sends the commands of one device in the order in which it got them',
  (version) => {
    const client = subscribed(new ServerFixture(), { version });
    for (const payload of ['a', 'b', 'c']) client.connection.deliver(commandOf(payload));
    assert.deepEqual(
      messages(client).map(([, , payload]) => payload),
      ['a', 'b', 'c'],
    );
  },
);

statement(
  { v4: '4.1.0-1', v5: '4.1.0-1' },
  'keeps subscriptions, own messages and QoS 2 exchanges for the whole session',
  (version) => {
    const fixture = new ServerFixture();
    const first = subscribed(fixture, kept(version));
    first.connection.deliver(commandOf('a'));
    first.send(publish({ version, qos: 2, packetId: 5 }));
    first.close();
    const { client, came } = reconnected(fixture, version);
    assert.deepEqual(came, [[1, true, 'a']]);
    client.send(publish({ version, qos: 2, packetId: 5, dup: true }), ack('pubrel', 5));
    assert.deepEqual(client.answers(), ['pubrec 5', 'pubcomp 5']);
    assert.equal(fixture.received.length, 1);
    assert.equal(client.connection.deliver(commandOf('b')), 'sent');
  },
);

statement(
  { v5: '4.9.0-1' },
  'starts with a send quota of the Receive Maximum of the client; 0 is a protocol error',
  (version) => {
    const client = subscribed(new ServerFixture(), { version, properties: properties([33, uint16(3)]) });
    const outcomes = ['a', 'b', 'c', 'd'].map((payload) => client.connection.deliver(commandOf(payload)));
    assert.deepEqual(outcomes, ['sent', 'sent', 'sent', 'full']);
  },
);

statement(
  { v5: '3.3.4-9' },
  'keeps at most the Receive Maximum of the client of commands unacknowledged, 1 tried',
  (version) => {
    const client = subscribed(new ServerFixture(), { version, properties: properties([33, uint16(1)]) });
    assert.equal(client.connection.deliver(commandOf('a')), 'sent');
    assert.equal(client.connection.deliver(commandOf('b')), 'full');
    client.send(ack('puback', 1));
    assert.equal(client.connection.deliver(commandOf('b')), 'sent');
    assert.deepEqual(
      messages(client).map(([, , payload]) => payload),
      ['a', 'b'],
    );
  },
);

statement({ v5: '4.9.0-2' }, 'sends no QoS 1 PUBLISH with quota 0; a PUBACK of any code restores one', (version) => {
  const client = subscribed(new ServerFixture(), { version, properties: properties([33, uint16(1)]) });
  client.connection.deliver(commandOf('a'));
  for (const [packetId, reason] of [
    [1, 0x80],
    [2, 0x10],
    [3, 0],
  ] as const) {
    assert.equal(client.connection.deliver(commandOf('b')), 'full');
    client.send(ack('puback', packetId, reason));
    assert.equal(client.connection.deliver(commandOf('b')), 'sent');
  }
});

for (const id of ['3.3.4-10', '4.9.0-3']) {
  statement({ v5: id }, 'delays no PUBACK, SUBACK or PINGRESP while the window of the client is full', (version) => {
    const client = subscribed(new ServerFixture(), { version, properties: properties([33, uint16(1)]) });
    client.connection.deliver(commandOf('a'));
    client.take();
    client.send(publish({ version, qos: 1, packetId: 4 }), subscribe({ version }), pingreq);
    assert.deepEqual(client.answers().sort(), ['pingresp', 'puback 4', 'suback']);
  });
}

test('a smaller Receive Maximum on the next connection holds the rest back until acknowledgments come', () => {
  const fixture = new ServerFixture();
  const first = subscribed(fixture, kept(5));
  for (const payload of ['a', 'b', 'c']) first.connection.deliver(commandOf(payload));
  first.close();
  const client = fixture.dial();
  client.version = 5;
  const block = properties([17, uint32(3600)], [33, uint16(1)]);
  client.send(packet(0x10, field('MQTT'), Buffer.of(5, 0), uint16(60), block, field('c1')));
  assert.deepEqual(messages(client), [[1, true, 'a']]);
  assert.equal(client.connection.deliver(commandOf('d')), 'full');
  client.send(ack('puback', 1));
  assert.deepEqual(messages(client), [[2, true, 'b']]);
});

statement({ v5: '3.1.2-24' }, 'sends no packet larger than the Maximum Packet Size of the client', (version) => {
  const client = subscribed(new ServerFixture(), { version, properties: properties([39, uint32(40)]) });
  for (const qos of [0, 1] as const) {
    assert.equal(client.connection.deliver({ ...commandOf('x'.repeat(40)), qos }), 'too_large');
  }
  assert.deepEqual(client.take(), []);
});

statement(
  { v5: '3.1.2-25' },
  'discards a command that is larger than the Maximum Packet Size, and frees its slot',
  (version) => {
    const block = properties([39, uint32(40)], [33, uint16(1)]);
    const client = subscribed(new ServerFixture(), { version, properties: block });
    assert.equal(client.connection.deliver(commandOf('x'.repeat(40))), 'too_large');
    assert.equal(client.connection.deliver(commandOf('x')), 'sent');
  },
);

statement({ v5: '3.1.2-27' }, 'sends no topic alias, whatever the Topic Alias Maximum of the client is', (version) => {
  for (const block of [properties(), properties([34, uint16(0)]), properties([34, uint16(10)])]) {
    const client = subscribed(new ServerFixture(), { version, properties: block });
    client.connection.deliver(commandOf('a'));
    client.connection.deliver(commandOf('b'));
    for (const { content } of client.take()) {
      assert.equal(content.readUInt16BE(0), 'a/command'.length);
      assert.equal(content[2 + 9 + 2], 0);
    }
  }
});

statement({ v5: '3.3.2-5' }, 'sends no command whose deadline has passed', async (version) => {
  const fixture = new ServerFixture();
  const client = subscribed(fixture, { version });
  const command = { ...commandOf('a'), expiresAtMs: fixture.clock.now() + 1000 };
  await fixture.clock.advance(1000);
  assert.equal(client.connection.deliver(command), 'expired');
  assert.deepEqual(client.take(), []);
});

statement(
  { v5: '3.3.2-6' },
  'sends Message Expiry Interval = whole seconds left at the time of sending, at least 1',
  async (version) => {
    const fixture = new ServerFixture();
    const client = subscribed(fixture, { version });
    const expiresAtMs = fixture.clock.now() + 10_000;
    for (const [waitMs, expected] of [
      [0, 10],
      [1500, 9],
      [8400, 1],
    ] as const) {
      await fixture.clock.advance(waitMs);
      client.connection.deliver({ ...commandOf('a'), expiresAtMs });
      const [{ content } = { content: Buffer.alloc(0) }] = client.take();
      const at = 2 + 9 + 2;
      assert.deepEqual([content[at], content[at + 1], content.readUInt32BE(at + 2)], [5, 2, expected]);
    }
  },
);

test('[5 MQTT-3.3.2-14] sends Response Topic, Correlation Data, Content Type and Payload Format of a command', () => {
  const client = subscribed(new ServerFixture(), { version: 5 });
  client.connection.deliver({
    ...commandOf('{}'),
    properties: {
      isText: true,
      contentType: 'application/json',
      responseTopic: 'a/reply',
      correlationData: Buffer.from('c-1'),
      userProperties: [['priority', '7']],
    },
  });
  const expected = properties(
    [1, Buffer.of(1)],
    [3, field('application/json')],
    [8, field('a/reply')],
    [9, field('c-1')],
    [38, Buffer.concat([field('priority'), field('7')])],
  );
  assert.equal(
    client.take()[0]?.content.subarray(13).toString('hex'),
    Buffer.concat([expected, Buffer.from('{}')]).toString('hex'),
  );
});

statement({ v5: '3.14.2-1' }, 'accepts the codes of DISCONNECT alone', (version) => {
  const codes = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
  for (const code of codes) {
    const client = new ServerFixture().open({ version });
    client.send(disconnect(code));
    assert.deepEqual(client.answers(), [], `${code}`);
    assert.equal(client.isClosed, true);
  }
  for (const code of [0x01, 0x02, 0x10, 0x84, 0x85, 0x91, 0xff]) {
    const client = new ServerFixture().open({ version });
    client.send(disconnect(code));
    assertRefused(client, 0x81, `${code}`);
  }
});

statement({ v5: '3.14.2-2' }, 'sends no Session Expiry Interval in DISCONNECT', (version) => {
  const client = new ServerFixture().open({ version, properties: expiry(60) });
  client.connection.disconnect(0x8b, '');
  const [{ content } = { content: Buffer.alloc(0) }] = client.take();
  // Reason, and an empty Reason String at most.
  assert.equal(content[0], 0x8b);
  assert.equal(content.includes(17), false);
});

statement(
  { v5: '3.14.2-3' },
  'leaves the Reason String of DISCONNECT out where it would exceed the maximum',
  (version) => {
    for (const [bytesMax, hasText] of [
      [100, true],
      [20, false],
    ] as const) {
      const client = new ServerFixture().open({ version, properties: properties([39, uint32(bytesMax)]) });
      client.connection.disconnect(0x87, 'the token expired');
      const [answer] = client.take();
      assert.equal(answer!.bytes.includes('the token expired'), hasText);
      assert.ok(answer!.bytes.length <= bytesMax);
    }
  },
);

statement(
  { v4: '3.14.1-1', v5: '3.14.1-1' },
  'closes the connection when the header bits of DISCONNECT are not 0',
  (version) => {
    const fixture = new ServerFixture();
    const client = fixture.open({ version, will: { topic: 'a/presence' } });
    client.send(Buffer.of(0xe1, 0));
    assertRefused(client, 0x81);
    assert.equal(fixture.closed[0]?.will?.topic, 'a/presence');
  },
);

statement({ v5: '3.14.4-2' }, 'closes after DISCONNECT', (version) => {
  const client = new ServerFixture().open({ version });
  client.connection.disconnect(0x8e, 'another connection');
  assertRefused(client, 0x8e);
});

statement({ v5: '3.14.0-1' }, 'sends no DISCONNECT before a CONNACK: earlier errors are CONNACK codes', () => {
  const fixture = new ServerFixture({ handlers: { authorize() {} } });
  const client = fixture.dial();
  client.send(packet(0x10, field('MQTT'), Buffer.of(5, 2), uint16(60), properties(), field('c1')));
  client.connection.disconnect(0x8b, 'the server is shutting down');
  assert.deepEqual(client.answers(), ['connack 0 0x88']);
});

statement({ v5: '3.15.1-1' }, 'ends with 0x81 when the header bits of AUTH are not 0', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(packet(0xf1, Buffer.of(0x18)));
  assertRefused(client, 0x81);
});

statement({ v5: '4.12.0-7' }, 'ends with 0x82 on AUTH of a client without a method', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(packet(0xf0, Buffer.of(0x18)));
  assertRefused(client, 0x82);
});

statement(
  { v5: '4.13.1-1' },
  'closes on malformed packets and protocol errors, after DISCONNECT with the code',
  (version) => {
    for (const [bytes, reason] of [
      [Buffer.of(0x00, 0x00), 0x81],
      [Buffer.of(0x20, 0x03, 0, 0, 0), 0x82],
      [Buffer.of(0xd0, 0x00), 0x82],
      [Buffer.of(0xc0, 0x01, 0x00), 0x81],
      [Buffer.of(0xc1, 0x00), 0x81],
      [Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80), 0x81],
      [Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f), 0x95],
    ] as const) {
      const client = new ServerFixture().open({ version });
      client.send(bytes);
      assertRefused(client, reason, bytes.toString('hex'));
    }
  },
);

statement({ v4: '4.8.0-1' }, 'closes the connection on protocol violations', () => {
  for (const bytes of ['0000', '20020000', 'd000', 'c00100', 'c100', 'f000', '3080808080', '500200ff', '620100']) {
    const client = new ServerFixture().open();
    client.send(Buffer.from(bytes, 'hex'));
    assertRefused(client, 0, bytes);
  }
});

statement({ v5: '4.13.2-1' }, 'closes after a DISCONNECT of 0x80 or more, sent or received', (version) => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version });
  client.send(disconnect(0x81));
  assert.equal(client.isClosed, true);
  assert.deepEqual([fixture.closed[0]?.by, fixture.closed[0]?.reason], ['client', 0x81]);
});

test('the session expiry of DISCONNECT counts, but 0 cannot become more', () => {
  for (const [asked, left, expected] of [
    [3600, 10, 10],
    [3600, 0, 0],
    [3600, 0xffff_ffff, 86_400],
  ] as const) {
    const fixture = new ServerFixture();
    fixture.open({ version: 5, properties: expiry(asked) }).send(disconnect(0, expiry(left)));
    assert.equal(fixture.closed[0]?.sessionExpirySeconds, expected);
  }
  const client = new ServerFixture().open({ version: 5, properties: expiry(0) });
  client.send(disconnect(0, expiry(10)));
  assertRefused(client, 0x82);
});

test('open: drain acknowledges what has come, reads nothing more, and then closes with 0x8B', () => {
  for (const version of [4, 5] as const) {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open({ version });
    client.send(publish({ version, qos: 1, packetId: 1 }));
    client.connection.drain();
    client.connection.drain();
    client.send(publish({ version, qos: 1, packetId: 2 }));
    assert.equal(client.connection.state, 'draining');
    fixture.settle(0);
    const answers = client.answers();
    assert.deepEqual(answers, version === 5 ? ['puback 1', 'disconnect 0x8b'] : ['puback 1']);
    assert.equal(fixture.received.length, 1);
    assert.equal(client.isClosed, true);
  }
});

test('what a client has sent of a packet, and what waits for the end of a pause, is counted', () => {
  const client = new ServerFixture().open({ version: 5 });
  const bytes = publish({ version: 5, payload: 'x'.repeat(100) });
  client.send(bytes.subarray(0, 60));
  assert.equal(client.connection.pendingBytes, 60);
  client.send(bytes.subarray(60));
  assert.equal(client.connection.pendingBytes, 0);
});

test('a client that leaves 64 KiB unread for 30 s is closed, and is not read meanwhile', async () => {
  const fixture = new ServerFixture();
  const client = subscribed(fixture, { version: 5 });
  client.serverWire.highWaterBytes = 10;
  client.wire.pause();
  client.connection.deliver({ ...commandOf('x'.repeat(100)), qos: 0 });
  client.send(publish({ version: 5, payload: 'unread' }));
  await fixture.clock.advance(20_000);
  assert.deepEqual(fixture.received, []);
  assert.equal(client.connection.state, 'open');
  await fixture.clock.advance(12_000);
  assert.equal(client.connection.state, 'closed');
  assert.equal(fixture.closed[0]?.reason, 0x97);
});

test('a client that reads again is read again', async () => {
  const fixture = new ServerFixture();
  const client = subscribed(fixture, { version: 5 });
  client.serverWire.highWaterBytes = 10;
  client.wire.pause();
  client.connection.deliver({ ...commandOf('x'.repeat(100)), qos: 0 });
  client.send(publish({ version: 5, payload: 'read' }));
  client.wire.resume();
  assert.deepEqual(fixture.payloads(), ['read']);
  await fixture.clock.advance(40_000);
  assert.equal(client.connection.state, 'open');
});

test('an error of the server itself closes one connection with 0x83, and the cause is reported', () => {
  const failure = new Error('bug');
  const fixture = new ServerFixture({
    handlers: {
      publish() {
        throw failure;
      },
    },
  });
  const client = fixture.open({ version: 5 });
  client.send(publish({ version: 5 }));
  assertRefused(client, 0x83);
  assert.equal(fixture.closed[0]?.cause, failure);
});

statement(
  { v4: '2.2.2-1', v5: '2.1.3-1' },
  'writes every reserved header bit as the table has it, in each packet it sends',
  (version) => {
    const fixture = new ServerFixture();
    const client = fixture.dial();
    client.version = version;
    client.send(
      packet(
        0x10,
        field('MQTT'),
        Buffer.of(version, 2),
        uint16(60),
        ...(version === 5 ? [properties()] : []),
        field('c1'),
      ),
    );
    client.send(
      subscribe({ version }),
      publish({ version, qos: 1 }),
      publish({ version, qos: 2, packetId: 2 }),
      ack('pubrel', 2),
    );
    client.send(pingreq, unsubscribe({ version }));
    client.connection.disconnect(0x8b, 'the server is shutting down');
    const firstBytes = new Set(client.take().map(({ firstByte }) => firstByte));
    const expected = [0x20, 0x90, 0x40, 0x50, 0x70, 0xd0, 0xb0, ...(version === 5 ? [0xe0] : [])];
    assert.deepEqual([...firstBytes].sort(), expected.sort());
  },
);

statement({ v5: '3.9.2-1' }, 'sends no Reason String in SUBACK', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version, filters: [['b', 0]] }));
  assert.equal(client.take()[0]?.content[2], 0);
});

statement({ v4: '4.6.0-5', v5: '4.6.0-6' }, 'treats every topic as ordered, and all of them as one', (version) => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open({ version });
  client.send(subscribe({ version, filters: [['+/command', 1]] }));
  client.take();
  for (const topic of ['b/command', 'a/command', 'b/command']) {
    client.connection.deliver({ topic, payload: Buffer.from(topic), qos: 1 });
  }
  assert.deepEqual(
    messages(client).map(([, , payload]) => payload),
    ['b/command', 'a/command', 'b/command'],
  );
  for (const packetId of [2, 1]) client.send(publish({ version, topic: `${packetId}/telemetry`, qos: 1, packetId }));
  fixture.settle(1);
  fixture.settle(0);
  assert.deepEqual(client.answers(), ['puback 2', 'puback 1']);
});

test('a DISCONNECT has a code of its table, whatever the reason is', () => {
  const client = new ServerFixture().open({ version: 5 });
  client.connection.disconnect(0x92, 'a code of another packet');
  assertRefused(client, 0x80);
});
