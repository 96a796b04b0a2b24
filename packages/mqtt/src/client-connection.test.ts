import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IConnectPacket } from 'mqtt-packet';
import { ClientFixture } from '../test/client-fixture.ts';
import { parsedByOther } from '../test/other-parser.ts';
import {
  ack,
  connack,
  disconnect,
  field,
  packet,
  pingresp,
  properties,
  publish,
  suback,
  uint16,
  uint32,
  unsuback,
  varint,
} from '../test/raw-packets.ts';
import { statement } from '../test/statements.ts';

const messageOf = (payload: string) => ({ topic: 'a/telemetry', payload: Buffer.from(payload), qos: 1 }) as const;

statement({ v4: '3.1.0-1', v5: '3.1.0-1' }, 'the client sends CONNECT first', (version) => {
  const { server } = new ClientFixture({ version }).start();
  const [first, ...rest] = server.take();
  assert.equal(first?.firstByte, 0x10);
  assert.equal(first?.content[6], version);
  assert.deepEqual(rest, []);
});

statement(
  { v4: '3.1.3-1', v5: '3.1.3-1' },
  'the client writes client ID, will, user name and password in this order',
  (version) => {
    const fixture = new ClientFixture({
      version,
      will: { topic: 'w', payload: Buffer.from('gone'), qos: 1, retain: true },
      credentials: () => ({ userName: 'u', password: Buffer.from('p') }),
    });
    const [first] = fixture.start().server.take();
    const willBlock = version === 5 ? Buffer.of(0) : Buffer.alloc(0);
    const expected = Buffer.concat([field('client-1'), willBlock, field('w'), field('gone'), field('u'), field('p')]);
    assert.equal(first!.content.subarray(-expected.length).toString('hex'), expected.toString('hex'));
  },
);

statement({ v4: '3.1.3-3', v5: '3.1.3-3' }, 'the client always sends a client ID', (version) => {
  const fixture = new ClientFixture({ version, clientId: '' });
  fixture.client.start();
  assert.equal(fixture.dials, 0);
  assert.match(fixture.disconnected[0]!.message, /client ID: expected one/);
});

statement({ v4: '3.1.3-7' }, 'the client never sends an empty client ID with clean session 0', (version) => {
  const fixture = new ClientFixture({ version, clientId: '', cleanStart: false });
  fixture.client.start();
  assert.equal(fixture.dials, 0);
});

statement(
  { v4: '3.2.0-1', v5: '3.2.0-1' },
  'the client closes when something else than CONNACK comes first',
  (version) => {
    for (const bytes of [publish({ version }), suback(version, 1, 0), pingresp]) {
      const { server, fixture } = new ClientFixture({ version }).start();
      server.take();
      server.send(bytes);
      assert.deepEqual(server.answers(), []);
      assert.equal(server.isClosed, true);
      assert.equal(fixture.client.state, 'waiting');
    }
  },
);

statement({ v5: '3.2.2-1' }, 'the client closes when bits 7 to 1 of the acknowledge flags are set', () => {
  const { server } = new ClientFixture({ version: 5 }).start();
  server.send(packet(0x20, Buffer.of(2, 0, 0)));
  assert.equal(server.isClosed, true);
});

statement({ v4: '2.2.2-2', v5: '2.1.3-1' }, 'the client closes on reserved header bits that are wrong', (version) => {
  for (const byte of [0x41, 0x60, 0x91, 0xb1, 0xd1, 0x00]) {
    const { server } = new ClientFixture({ version }).open();
    server.send(Buffer.of(byte));
    assert.deepEqual(server.answers(), version === 5 ? ['disconnect 0x81'] : [], byte.toString(16));
    assert.equal(server.isClosed, true);
  }
});

statement(
  { v4: '2.2.2-1', v5: '2.1.3-1' },
  'the client writes every reserved header bit as the table has it',
  async (version) => {
    const { server, fixture } = new ClientFixture({ version, keepAliveSeconds: 10 }).start();
    server.send(connack(version));
    fixture.client.subscribe([{ filter: 'b', qos: 1 }]);
    fixture.client.unsubscribe(['b']);
    server.send(publish({ version, qos: 1 }), publish({ version, qos: 2, packetId: 2 }), ack('pubrel', 2));
    await fixture.clock.advance(6000);
    await fixture.client.stop({ drainMs: 10 });
    const firstBytes = new Set(server.take().map(({ firstByte }) => firstByte));
    assert.deepEqual([...firstBytes].sort(), [0x10, 0x82, 0xa2, 0x40, 0x50, 0x70, 0xc0, 0xe0].sort());
  },
);

statement(
  { v4: '3.1.2-23', v5: '3.1.2-20' },
  'sends PINGREQ before the keep-alive expires when nothing else was sent',
  async (version) => {
    const { server, fixture } = new ClientFixture({ version, keepAliveSeconds: 20 }).open();
    await fixture.clock.advance(9000);
    assert.deepEqual(server.answers(), []);
    fixture.client.publish(messageOf('x'));
    await fixture.clock.advance(9000);
    assert.deepEqual(server.answers(), ['publish']);
    await fixture.clock.advance(2000);
    assert.deepEqual(server.answers(), ['pingreq']);
    server.send(pingresp);
    await fixture.clock.advance(11_000);
    assert.deepEqual(server.answers(), ['pingreq']);
  },
);

for (const id of ['3.1.2-21', '3.2.2-21']) {
  statement({ v5: id }, 'uses the Server Keep Alive of CONNACK instead of its own', async (version) => {
    const fixture = new ClientFixture({ version, keepAliveSeconds: 600 });
    const { server } = fixture.start();
    server.send(connack(5, { properties: properties([19, uint16(10)]) }));
    server.take();
    await fixture.clock.advance(6000);
    assert.deepEqual(server.answers(), ['pingreq']);
  });
}

test('a PINGRESP that does not come within 10 s closes the connection, but not while reading is paused', async () => {
  const { server, fixture } = new ClientFixture({ keepAliveSeconds: 10 }).open();
  fixture.client.pause(4);
  await fixture.clock.advance(60_000);
  assert.equal(fixture.client.state, 'open');
  fixture.client.resume(4);
  await fixture.clock.advance(11_000);
  assert.equal(server.isClosed, true);
  assert.equal(fixture.disconnected[0]?.reason, 0x8d);
});

statement(
  { v4: '3.1.2-23', v5: '3.1.2-20' },
  'the client sends PINGREQ in time while it does not read, and its PINGRESP waits behind data',
  async (version) => {
    const { server, fixture } = new ClientFixture({ version, keepAliveSeconds: 10 }).open();
    fixture.client.pause(4);
    for (let seconds = 0; seconds < 60; seconds += 10) {
      await fixture.clock.advance(10_000);
      assert.ok(server.answers().includes('pingreq'), `after ${seconds} s`);
      server.send(pingresp);
    }
    fixture.client.resume(4);
    await fixture.clock.advance(60_000);
    assert.equal(fixture.disconnected[0]?.reason, 0x8d, 'afterwards a PINGRESP that does not come is noticed');
  },
);

test('a server that does not read what the client sends is disconnected after 30 s, and not before', async () => {
  for (const reads of [true, false]) {
    const { server, fixture } = new ClientFixture({ keepAliveSeconds: 10 }).open();
    server.pause(1);
    fixture.client.publish(messageOf('x'));
    await fixture.clock.advance(28_000);
    assert.equal(fixture.client.state, 'open');
    if (reads) {
      server.resume();
      server.send(pingresp);
    }
    await fixture.clock.advance(3_000);
    const messages = fixture.disconnected.map(({ message }) => message);
    assert.deepEqual(messages, reads ? [] : ['the server has not read for 30000 ms']);
  }
});

statement(
  { v5: '3.3.4-8' },
  'delays no PINGREQ, PUBACK or SUBSCRIBE while the window of the server is full',
  async (version) => {
    const fixture = new ClientFixture({ version, keepAliveSeconds: 10 });
    const { server } = fixture.start();
    server.send(connack(5, { properties: properties([33, uint16(1)]) }));
    server.take();
    fixture.client.publish(messageOf('x'));
    assert.equal(fixture.client.publish(messageOf('y')), undefined);
    server.send(publish({ version, qos: 1, packetId: 4 }));
    fixture.client.subscribe([{ filter: 'b', qos: 1 }]);
    await fixture.clock.advance(6000);
    assert.deepEqual(server.answers(), ['publish', 'puback 4', 'subscribe', 'pingreq']);
  },
);

statement(
  { v5: '3.3.4-7' },
  'keeps at most the Receive Maximum of the server of own messages unacknowledged',
  (version) => {
    const fixture = new ClientFixture({ version });
    const { server } = fixture.start();
    server.send(connack(5, { properties: properties([33, uint16(2)]) }));
    assert.deepEqual(
      ['a', 'b', 'c'].map((payload) => fixture.client.publish(messageOf(payload))),
      [1, 2, undefined],
    );
    server.send(ack('puback', 1));
    assert.equal(fixture.client.publish(messageOf('c')), 3);
  },
);

statement(
  { v4: '2.3.1-3' },
  're-sends with the packet ID of the first attempt, and frees it after PUBACK',
  async (version) => {
    const { server, fixture } = new ClientFixture({ version, cleanStart: false }).open();
    assert.equal(fixture.client.publish(messageOf('a')), 1);
    const second = await fixture.reconnect(server, { present: true });
    assert.deepEqual(
      second
        .take()
        .filter(({ type }) => type === 3)
        .map(({ firstByte }) => firstByte),
      [0x3a],
    );
    second.send(ack('puback', 1));
    assert.deepEqual(fixture.client.unacknowledged(), []);
    assert.deepEqual(fixture.acknowledged, [[1, 0]]);
  },
);

statement(
  { v4: '3.3.1-1', v5: '3.3.1-1' },
  'the client sets DUP on a re-sent PUBLISH and only there',
  async (version) => {
    const { server, fixture } = new ClientFixture({ version, cleanStart: false }).open();
    fixture.client.publish(messageOf('a'));
    assert.equal(server.take()[0]?.firstByte, 0x32);
    const second = await fixture.reconnect(server, { present: true });
    fixture.client.publish(messageOf('b'));
    const bytes = second
      .take()
      .filter(({ type }) => type === 3)
      .map(({ firstByte }) => firstByte);
    assert.deepEqual(bytes, [0x3a, 0x32]);
  },
);

statement(
  { v4: '4.4.0-1', v5: '4.4.0-1' },
  'the client re-sends unacknowledged messages on a resumed session, in order',
  async (version) => {
    const { server, fixture } = new ClientFixture({ version, cleanStart: false }).open();
    for (const payload of ['a', 'b', 'c']) fixture.client.publish(messageOf(payload));
    server.send(ack('puback', 2));
    const second = await fixture.reconnect(server, { present: true });
    const payloads = second
      .take()
      .filter(({ type }) => type === 3)
      .map(({ content }) => content.toString('utf8').at(-1));
    assert.deepEqual(payloads, ['a', 'c']);
  },
);

statement(
  { v5: '4.4.0-2' },
  'the client does not re-send after PUBACK of 0x80 or more: the reason is reported',
  async (version) => {
    const { server, fixture } = new ClientFixture({ version, cleanStart: false }).open();
    fixture.client.publish(messageOf('a'));
    server.send(ack('puback', 1, 0x97));
    assert.deepEqual(fixture.acknowledged, [[1, 0x97]]);
    const second = await fixture.reconnect(server, { present: true });
    assert.deepEqual(
      second.take().filter(({ type }) => type === 3),
      [],
    );
  },
);

statement(
  { v5: '3.2.2-5' },
  'discards its unacknowledged packet IDs and its QoS 2 state when session present is 0, then subscribes',
  async (version) => {
    const fixture = new ClientFixture({ version, cleanStart: false, subscriptions: [{ filter: 'b', qos: 2 }] });
    const { server } = fixture.start();
    server.send(connack(5), suback(5, 1, 2));
    fixture.client.publish(messageOf('a'));
    server.send(publish({ version, qos: 2, packetId: 7, payload: 'first' }));
    server.take();
    const second = await fixture.reconnect(server, { present: false });
    assert.deepEqual(fixture.lost, ['a']);
    const request = second.take().find(({ type }) => type === 8);
    second.send(
      suback(5, request!.content.readUInt16BE(0), 2),
      publish({ version, qos: 2, packetId: 7, payload: 'second' }),
    );
    assert.deepEqual(fixture.payloads, ['first', 'second']);
  },
);

statement({ v5: '3.2.2-4' }, 'closes when session present is 1 after a clean start', (version) => {
  const { server } = new ClientFixture({ version, cleanStart: true }).start();
  server.take();
  server.send(connack(5, { present: true }));
  assert.equal(server.isClosed, true);
});

statement(
  { v4: '3.1.2-4', v5: '3.1.2-5' },
  'sends no SUBSCRIBE when the session is present and has the subscriptions',
  async (version) => {
    const subscriptions = [{ filter: 'b', qos: 1 }] as const;
    const fixture = new ClientFixture({ version, cleanStart: false, subscriptions });
    const { server } = fixture.start();
    server.send(connack(version), suback(version, 1, 1));
    const second = await fixture.reconnect(server, { present: true });
    assert.deepEqual(second.answers(), ['connect']);
    assert.equal(fixture.client.state, 'open');
    const known = new ClientFixture({ version, cleanStart: false, subscriptions, isSubscribed: true });
    const { server: third } = known.start();
    third.send(connack(version, { present: true }));
    assert.deepEqual(third.answers(), ['connect']);
  },
);

test('subscribes again on a session that is present, where the options want it, without retained messages', async () => {
  const subscriptions = [{ filter: '$share/t/b', qos: 1 }] as const;
  const fixture = new ClientFixture({ version: 5, cleanStart: false, subscriptions, subscribesAgain: true });
  const { server } = fixture.start();
  server.send(connack(5), suback(5, 1, 1));
  const second = await fixture.reconnect(server, { present: true });
  const request = second.take().find(({ type }) => type === 8);
  // Retain handling is bits 4 and 5 of the options, behind the filter.
  assert.equal(request!.content.at(-1)! >> 4, 2);
  second.send(suback(5, request!.content.readUInt16BE(0), 1));
  assert.equal(fixture.client.state, 'open');
});

statement({ v4: '3.1.2-6', v5: '3.1.2-4' }, 'the client subscribes again on a new session', async (version) => {
  const fixture = new ClientFixture({ version, cleanStart: true, subscriptions: [{ filter: 'b', qos: 1 }] });
  const { server } = fixture.start();
  server.send(connack(version), suback(version, 1, 1));
  const second = await fixture.reconnect(server, { present: false });
  assert.deepEqual(second.answers(), ['connect', 'subscribe']);
});

test('subscribing: queued messages that come before SUBACK are processed', () => {
  const fixture = new ClientFixture({ version: 5, subscriptions: [{ filter: 'b', qos: 1 }] });
  const { server } = fixture.start();
  server.send(connack(5), publish({ version: 5, qos: 1, packetId: 1, payload: 'queued' }));
  assert.deepEqual(fixture.payloads, ['queued']);
  assert.equal(fixture.client.state, 'subscribing');
  server.send(suback(5, 1, 1));
  assert.equal(fixture.client.state, 'open');
});

test('subscribing: refused filters and lower grants are reported, and the others go on', () => {
  const fixture = new ClientFixture({
    version: 5,
    subscriptions: [
      { filter: 'a', qos: 1 },
      { filter: 'b', qos: 1, retainHandling: 0, retainAsPublished: true },
    ],
  });
  const { server } = fixture.start();
  server.send(connack(5));
  const [, request] = server.take();
  assert.equal(
    request!.content.subarray(3).toString('hex'),
    Buffer.concat([field('a'), Buffer.of(0x21), field('b'), Buffer.of(0x09)]).toString('hex'),
  );
  server.send(suback(5, 1, 0x87, 0));
  assert.deepEqual(fixture.subscribed, [
    ['a', 0x87],
    ['b', 0],
  ]);
  assert.equal(fixture.client.state, 'open');
});

test('more than 100 filters are several packets', () => {
  const { server, fixture } = new ClientFixture({ version: 5 }).open();
  let isDone = false;
  const subscriptions = Array.from({ length: 250 }, (_, index) => ({ filter: `f${index}`, qos: 1 }) as const);
  fixture.client.subscribe(subscriptions, () => {
    isDone = true;
  });
  const ids = server.take().map(({ content }) => content.readUInt16BE(0));
  assert.equal(ids.length, 3);
  server.send(suback(5, ids[0]!, ...Array(100).fill(1)), suback(5, ids[1]!, ...Array(100).fill(1)));
  assert.equal(isDone, false);
  server.send(suback(5, ids[2]!, ...Array(50).fill(1)));
  assert.equal(isDone, true);
  let isRemoved = false;
  fixture.client.unsubscribe(['f1'], () => {
    isRemoved = true;
  });
  const [request] = server.take();
  server.send(unsuback(5, request!.content.readUInt16BE(0), 0));
  assert.equal(isRemoved, true);
});

test('a SUBACK for another packet ID, or with another number of codes, closes the connection', () => {
  for (const answer of [suback(5, 9, 1), suback(5, 1, 1, 1)]) {
    const fixture = new ClientFixture({ version: 5, subscriptions: [{ filter: 'b', qos: 1 }] });
    const { server } = fixture.start();
    server.send(connack(5), answer);
    assert.equal(server.isClosed, true);
  }
});

statement({ v4: '2.3.1-6', v5: '2.2.1-5' }, 'the client answers PUBLISH and PUBREL with their packet ID', (version) => {
  const { server } = new ClientFixture({ version }).open();
  server.send(
    publish({ version, qos: 1, packetId: 300 }),
    publish({ version, qos: 2, packetId: 301 }),
    ack('pubrel', 301),
  );
  assert.deepEqual(server.answers(), ['puback 300', 'pubrec 301', 'pubcomp 301']);
});

statement(
  { v4: '3.3.4-1', v5: '3.3.4-1' },
  'the client acknowledges after the outcome is known, and QoS 0 never',
  (version) => {
    const { server, fixture } = new ClientFixture({ version }).open();
    fixture.acknowledges = false;
    server.send(
      publish({ version }),
      publish({ version, qos: 1, packetId: 2 }),
      publish({ version, qos: 2, packetId: 3 }),
    );
    assert.deepEqual(server.answers(), []);
    for (const index of [1, 2]) fixture.settle(index);
    assert.deepEqual(server.answers(), ['puback 2', 'pubrec 3']);
  },
);

for (const [numbers, qos, name] of [
  [{ v4: '4.6.0-2', v5: '4.6.0-2' }, 1, 'puback'],
  [{ v4: '4.6.0-3', v5: '4.6.0-3' }, 2, 'pubrec'],
] as const) {
  statement(numbers, `the client sends ${name.toUpperCase()}s in the order of the PUBLISH packets`, (version) => {
    const { server, fixture } = new ClientFixture({ version }).open();
    fixture.acknowledges = false;
    for (const packetId of [9, 8, 7]) server.send(publish({ version, qos, packetId }));
    for (const index of [2, 0, 1]) fixture.settle(index);
    assert.deepEqual(server.answers(), [`${name} 9`, `${name} 8`, `${name} 7`]);
  });
}

test('the client has hundreds of messages in flight', () => {
  const { server, fixture } = new ClientFixture({ version: 5, receiveMaximum: 2048 }).open();
  fixture.acknowledges = false;
  for (let packetId = 1; packetId <= 2048; packetId++) server.send(publish({ version: 5, qos: 1, packetId }));
  assert.equal(fixture.client.unsettled, 2048);
  for (let index = 2047; index >= 0; index--) fixture.settle(index);
  assert.equal(server.take().length, 2048);
});

test('[5 MQTT-3.3.4-7] the client closes the connection with 0x93 when the server exceeds its Receive Maximum', () => {
  const { server, fixture } = new ClientFixture({ version: 5, receiveMaximum: 2 }).open();
  fixture.acknowledges = false;
  for (let packetId = 1; packetId <= 3; packetId++) server.send(publish({ version: 5, qos: 1, packetId }));
  assert.deepEqual(server.answers(), ['disconnect 0x93']);
});

test('a server that exceeds the Receive Maximum is not read, where the options want it, and nothing is lost', () => {
  const { server, fixture } = new ClientFixture({ version: 5, receiveMaximum: 2, pausesAtReceiveMaximum: true }).open();
  fixture.acknowledges = false;
  for (let packetId = 1; packetId <= 5; packetId++) server.send(publish({ version: 5, qos: 1, packetId }));
  server.send(pingresp);
  assert.equal(fixture.payloads.length, 2);
  assert.equal(fixture.client.isPaused, true);
  fixture.settle(0);
  assert.deepEqual(server.answers(), ['puback 1']);
  assert.equal(fixture.payloads.length, 3);
  for (const index of [1, 2, 3, 4]) fixture.settle(index);
  assert.deepEqual(server.answers(), ['puback 2', 'puback 3', 'puback 4', 'puback 5']);
  assert.equal(fixture.client.isPaused, false);
  assert.equal(fixture.client.state, 'open');
});

statement({ v5: '3.3.2-10' }, 'accepts every alias from 1 to the maximum that it sent, and no other', (version) => {
  const { server, fixture } = new ClientFixture({ version, topicAliasMaximum: 5 }).open();
  for (let alias = 1; alias <= 5; alias++) {
    server.send(publish({ version, topic: `t${alias}`, properties: properties([35, uint16(alias)]) }));
    server.send(publish({ version, topic: '', properties: properties([35, uint16(alias)]) }));
  }
  assert.deepEqual(fixture.topics.slice(-2), ['t5', 't5']);
  server.send(publish({ version, properties: properties([35, uint16(6)]) }));
  assert.deepEqual(server.answers(), ['disconnect 0x94']);
});

test('a message with a subscription identifier, which a broker adds, is accepted', () => {
  const { server, fixture } = new ClientFixture({ version: 5 }).open();
  server.send(publish({ version: 5, properties: properties([11, varint(3)], [11, varint(4)]) }));
  assert.deepEqual(fixture.payloads, ['x']);
});

for (const id of ['3.2.2-17', '3.2.2-18', '3.3.2-9', '3.1.2-27']) {
  statement({ v5: id }, 'the client sends no topic alias at all', () => {
    const fixture = new ClientFixture({ version: 5 });
    const { server } = fixture.start();
    server.send(connack(5, { properties: properties([34, uint16(10)]) }));
    server.take();
    for (const payload of ['a', 'b']) fixture.client.publish(messageOf(payload));
    for (const { content } of server.take()) {
      assert.equal(content.toString('utf8', 2, 13), 'a/telemetry');
      assert.equal(content[15], 0);
    }
  });
}

statement({ v5: '3.2.2-11' }, 'publishes at no more than the Maximum QoS of the server', () => {
  const fixture = new ClientFixture({ version: 5 });
  const { server } = fixture.start();
  server.send(connack(5, { properties: properties([36, Buffer.of(0)]) }));
  server.take();
  assert.throws(() => fixture.client.publish(messageOf('a')), { reason: 0x9b });
  assert.equal(fixture.client.publish({ ...messageOf('a'), qos: 0 }), 0);
  assert.deepEqual(server.answers(), ['publish']);
});

statement({ v5: '3.2.2-14' }, 'sends no retained message when Retain Available is 0', () => {
  const fixture = new ClientFixture({ version: 5 });
  const { server } = fixture.start();
  server.send(connack(5, { properties: properties([37, Buffer.of(0)]) }));
  server.take();
  assert.throws(() => fixture.client.publish({ ...messageOf('a'), retain: true }), { reason: 0x9a });
  assert.deepEqual(server.answers(), []);
});

for (const id of ['3.2.2-15', '3.1.2-24']) {
  statement({ v5: id }, 'the client sends no packet larger than the Maximum Packet Size of the server', () => {
    const fixture = new ClientFixture({ version: 5 });
    const { server } = fixture.start();
    server.send(connack(5, { properties: properties([39, uint32(50)]) }));
    server.take();
    assert.throws(() => fixture.client.publish(messageOf('x'.repeat(50))), {
      reason: 0x95,
      message: /at most 50 bytes/,
    });
    assert.deepEqual(server.answers(), []);
    assert.deepEqual(fixture.client.unacknowledged(), []);
  });
}

statement({ v4: '3.14.4-1', v5: '3.14.4-2' }, 'the client closes after DISCONNECT', async (version) => {
  const { server, fixture } = new ClientFixture({ version }).open();
  await fixture.client.stop({ drainMs: 1000 });
  assert.deepEqual(server.answers(), [version === 5 ? 'disconnect 0x00' : 'disconnect']);
  assert.equal(server.isClosed, true);
  assert.equal(fixture.client.state, 'stopped');
});

statement(
  { v4: '3.14.4-2', v5: '3.14.4-1' },
  'the client sends nothing after DISCONNECT, although outcomes still come',
  async (version) => {
    const { server, fixture } = new ClientFixture({ version }).open();
    fixture.acknowledges = false;
    server.send(publish({ version, qos: 1, packetId: 1 }));
    const stopped = fixture.client.stop({ drainMs: 1000 });
    await fixture.clock.advance(1000);
    await stopped;
    fixture.settle(0);
    assert.deepEqual(server.answers(), [version === 5 ? 'disconnect 0x00' : 'disconnect']);
  },
);

test('open: stop waits for acknowledgments in both directions, and takes no further message', async () => {
  const { server, fixture } = new ClientFixture({ version: 5 }).open();
  fixture.acknowledges = false;
  fixture.client.publish(messageOf('a'));
  server.send(publish({ version: 5, qos: 1, packetId: 1 }));
  server.take();
  const stopped = fixture.client.stop({ drainMs: 10_000 });
  assert.equal(fixture.client.publish(messageOf('b')), undefined);
  server.send(publish({ version: 5, qos: 1, packetId: 2, payload: 'stays with the server' }));
  fixture.settle(0);
  assert.deepEqual(server.answers(), ['puback 1']);
  server.send(ack('puback', 1));
  await stopped;
  assert.deepEqual(server.answers(), ['disconnect 0x00']);
  assert.equal(fixture.payloads.length, 1);
});

statement(
  { v5: '3.14.2-2' },
  'the client sends a Session Expiry in DISCONNECT only where that of CONNECT was not 0',
  async () => {
    for (const [sessionExpirySeconds, expected] of [
      [3600, true],
      [0, false],
    ] as const) {
      const { server, fixture } = new ClientFixture({ version: 5, sessionExpirySeconds }).open();
      await fixture.client.stop({ drainMs: 10, sessionExpirySeconds: 0 });
      assert.equal(server.take()[0]?.content.includes(17), expected);
    }
  },
);

statement({ v5: '3.14.2-1' }, 'the client accepts the codes of DISCONNECT alone', () => {
  for (const [code, isKnown] of [
    [0x8b, true],
    [0x9d, true],
    [0x01, false],
    [0x91, false],
  ] as const) {
    const { server, fixture } = new ClientFixture({ version: 5 }).open();
    server.send(disconnect(code));
    assert.deepEqual(server.answers(), isKnown ? [] : ['disconnect 0x81']);
    assert.equal(fixture.disconnected[0]?.reason, isKnown ? code : 0x81);
    assert.equal(server.isClosed, true);
  }
});

statement({ v5: '4.13.2-1' }, 'the client closes after a CONNACK of 0x80 or more', () => {
  const { server, fixture } = new ClientFixture({ version: 5 }).start();
  server.send(connack(5, { code: 0x88, properties: properties([31, field('starting')]) }));
  assert.equal(server.isClosed, true);
  assert.deepEqual([fixture.disconnected[0]?.reason, fixture.disconnected[0]?.message], [0x88, 'starting']);
});

test('a CONNACK of 3.1.1 to a client of 5 is the reason of the version', () => {
  const { fixture, server } = new ClientFixture({ version: 5 }).start();
  server.send(connack(4, { code: 1 }));
  assert.equal(fixture.disconnected[0]?.reason, 0x84);
  assert.equal(fixture.disconnected[0]?.isPermanent, true);
});

statement({ v5: '4.12.0-7' }, 'the client ends with 0x82 on AUTH, and sends none', () => {
  const { server } = new ClientFixture({ version: 5 }).open();
  server.send(packet(0xf0, Buffer.of(0x18, 0)));
  assert.deepEqual(server.answers(), ['disconnect 0x82']);
});

test('waiting: the backoff grows with full jitter, starts again after a success, and wake skips it', async () => {
  const fixture = new ClientFixture({ random: () => 1 });
  fixture.client.start();
  const waits: (number | undefined)[] = [];
  for (let attempt = 0; attempt < 9; attempt++) {
    fixture.server.close();
    waits.push(fixture.disconnected.at(-1)?.retryInMs);
    await fixture.clock.advance(waits.at(-1)!);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  fixture.server.send(connack(4));
  fixture.server.close();
  assert.equal(fixture.disconnected.at(-1)?.retryInMs, 500);
  const { dials } = fixture;
  fixture.client.wake();
  assert.equal(fixture.dials, dials + 1);
});

test('waiting: a permanent refusal waits at least 30 s, and a second take-over within 60 s at least 10 s', async () => {
  const fixture = new ClientFixture({ version: 5, random: () => 0 });
  fixture.start().server.send(connack(5, { code: 0x87 }));
  assert.deepEqual([fixture.disconnected[0]?.isPermanent, fixture.disconnected[0]?.retryInMs], [true, 30_000]);
  await fixture.clock.advance(30_000);
  fixture.server.send(connack(5), disconnect(0x8e));
  assert.equal(fixture.disconnected.at(-1)?.retryInMs, 0);
  await fixture.clock.advance(1000);
  fixture.server.send(connack(5), disconnect(0x8e));
  assert.equal(fixture.disconnected.at(-1)?.retryInMs, 10_000);
});

test('connecting: 10 s without CONNACK, and credentials that cannot be read, are failed attempts', async () => {
  const fixture = new ClientFixture({ random: () => 0.5 });
  fixture.client.start();
  await fixture.clock.advance(10_000);
  assert.match(fixture.disconnected[0]!.message, /no CONNACK within 10000 ms/);
  const unreadable = new ClientFixture({
    random: () => 0.5,
    credentials: () => {
      throw new Error('no such file');
    },
  });
  unreadable.client.start();
  assert.match(unreadable.disconnected[0]!.message, /cannot connect: no such file/);
  await unreadable.clock.advance(1000);
  assert.ok(unreadable.disconnected.length > 1);
});

for (const state of ['subscribing', 'open'] as const) {
  test(`${state}: 30 s without the answer to a SUBSCRIBE close the connection, and the next one subscribes again`, async () => {
    const subscriptions = [{ filter: 'b', qos: 1 }] as const;
    const fixture = new ClientFixture({ version: 5, keepAliveSeconds: 10, subscriptions });
    const { server } = fixture.start();
    server.send(connack(5));
    if (state === 'open') {
      server.send(suback(5, 1, 1));
      fixture.client.unsubscribe(['c']);
    }
    assert.equal(fixture.client.state, state);
    server.take();
    const second = async (count: number) => {
      for (; count > 0; count--) {
        await fixture.clock.advance(1_000);
        if (server.answers().includes('pingreq')) server.send(pingresp);
      }
    };
    // While this side does not read, no answer can come.
    fixture.client.pause(4);
    await second(60);
    fixture.client.resume(4);
    await second(29);
    assert.deepEqual(fixture.disconnected, []);
    await second(3);
    const name = state === 'open' ? 'UNSUBACK' : 'SUBACK';
    assert.deepEqual(
      fixture.disconnected.map(({ message, isPermanent }) => [message, isPermanent]),
      [[`no ${name} within 30000 ms`, false]],
    );
    await fixture.clock.advance(1_000);
    assert.equal(fixture.dials, 2);
    fixture.server.send(connack(5));
    const [, request] = fixture.server.take();
    assert.equal(request!.type, 8);
    fixture.server.send(suback(5, request!.content.readUInt16BE(0), 1));
    assert.equal(fixture.client.state, 'open');
  });
}

test('bytes of an earlier connection do not reach the next one', async () => {
  const { server, fixture } = new ClientFixture({}).open();
  const { serverWireHandlers } = fixture;
  const second = await fixture.reconnect(server, { present: false });
  serverWireHandlers.bytes(publish({ qos: 1, packetId: 9 }));
  serverWireHandlers.closed();
  assert.equal(fixture.client.state, 'open');
  assert.deepEqual(second.answers(), ['connect']);
});

test('an outcome that comes on the next connection acknowledges a message that was repeated there', async () => {
  const { server, fixture } = new ClientFixture({ cleanStart: false }).open();
  fixture.acknowledges = false;
  server.send(publish({ qos: 1, packetId: 5 }));
  const second = await fixture.reconnect(server, { present: true });
  second.take();
  second.send(publish({ qos: 1, packetId: 5, dup: true }));
  fixture.settle(0);
  assert.deepEqual(second.answers(), ['puback 5']);
  assert.equal(fixture.payloads.length, 1);
});

test('an outcome of an earlier connection does not acknowledge a message of this one', async () => {
  const { server, fixture } = new ClientFixture({ cleanStart: true }).open();
  fixture.acknowledges = false;
  server.send(publish({ qos: 1, packetId: 1, payload: 'first' }));
  const second = await fixture.reconnect(server, { present: false });
  second.take();
  second.send(publish({ qos: 1, packetId: 7, payload: 'second' }));
  assert.equal(fixture.client.unsettled, 2);
  fixture.settle(0);
  assert.deepEqual(second.answers(), []);
  fixture.settle(1);
  assert.deepEqual(second.answers(), ['puback 7']);
  assert.equal(fixture.client.unsettled, 0);
});

test('the CONNECT of MQTT 5 names the limits of the client', () => {
  const { server } = new ClientFixture({ version: 5, sessionExpirySeconds: 3600, receiveMaximum: 2048 }).start();
  const [sent] = server.take();
  assert.deepEqual(
    { ...parsedByOther<IConnectPacket>(sent!.bytes, 5).properties },
    { sessionExpiryInterval: 3600, receiveMaximum: 2048, maximumPacketSize: 262_144, topicAliasMaximum: 10 },
  );
});
