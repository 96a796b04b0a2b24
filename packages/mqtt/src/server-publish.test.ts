import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ack,
  field,
  packet,
  pingreq,
  properties,
  publish,
  subscribe,
  uint16,
  uint32,
  type Version,
  varint,
} from '../test/raw-packets.ts';
import { type RawClient, ServerFixture } from '../test/server-fixture.ts';
import { assertRefused, statement } from '../test/statements.ts';
import { pauseReasons } from './packet-connection.ts';

/** PUBLISH and its acknowledgments: sections 3.3 to 3.7, 4.3 and 4.6. */

function refuses(version: Version, bytes: Buffer, reason: number, what = ''): void {
  const fixture = new ServerFixture();
  const client = fixture.open({ version });
  client.send(bytes);
  assertRefused(client, reason, what);
  assert.deepEqual(fixture.received, [], what);
}

/** A client of a session that is stored. */
const stored = (version: Version) =>
  version === 5 ? { version, clean: false, properties: properties([17, uint32(600)]) } : { version, clean: false };

statement({ v4: '2.3.1-5', v5: '2.2.1-2' }, 'reads no packet ID from a QoS 0 PUBLISH', (version) => {
  const fixture = new ServerFixture();
  fixture.open({ version }).send(publish({ version, payload: 'x' }));
  assert.deepEqual(fixture.payloads(), ['x']);
});

statement(
  { v4: '2.3.1-1', v5: '2.2.1-3' },
  'closes the connection when SUBSCRIBE, UNSUBSCRIBE or PUBLISH above QoS 0 has packet ID 0',
  (version) => {
    refuses(version, publish({ version, qos: 1, packetId: 0 }), 0x82);
    refuses(version, publish({ version, qos: 2, packetId: 0 }), 0x82);
    refuses(version, subscribe({ version, packetId: 0 }), 0x82);
    refuses(version, packet(0xa2, uint16(0), version === 5 ? properties() : Buffer.alloc(0), field('a')), 0x82);
    refuses(version, ack('pubrel', 0), 0x82);
  },
);

statement(
  { v4: '2.3.1-6', v5: '2.2.1-5' },
  'answers PUBLISH and PUBREL with the packet ID that they carry',
  (version) => {
    const client = new ServerFixture().open({ version });
    client.send(publish({ version, qos: 1, packetId: 1 }), publish({ version, qos: 2, packetId: 65_535 }));
    assert.deepEqual(client.answers(), ['puback 1', 'pubrec 65535']);
    client.send(ack('pubrel', 65_535));
    assert.deepEqual(client.answers(), ['pubcomp 65535']);
  },
);

statement({ v4: '3.3.1-2', v5: '3.3.1-2' }, 'closes the connection on QoS 0 with DUP 1', (version) => {
  refuses(version, publish({ version, dup: true }), 0x81);
});

statement({ v4: '3.3.1-4', v5: '3.3.1-4' }, 'closes the connection when both QoS bits are set', (version) => {
  refuses(version, publish({ version, qos: 3 }), 0x81);
});

statement(
  { v4: '3.3.2-1', v5: '3.3.2-1' },
  'closes the connection when the topic is missing or not UTF-8',
  (version) => {
    refuses(version, packet(0x30), 0x81);
    refuses(version, packet(0x30, uint16(9), Buffer.from('abc')), 0x81);
    refuses(version, publish({ version, topic: Buffer.of(0xff) }), 0x81);
  },
);

statement({ v4: '3.3.2-2', v5: '3.3.2-2' }, 'closes the connection when a topic has a wildcard', (version) => {
  for (const topic of ['a/+', '#', 'a/b#', '+a']) refuses(version, publish({ version, topic }), 0x81, topic);
});

statement({ v4: '4.7.1-1', v5: '4.7.0-1' }, 'closes the connection when a topic name has a wildcard', (version) => {
  refuses(version, publish({ version, topic: 'a/#' }), 0x81);
});

statement({ v4: '4.7.3-1' }, 'closes on an empty topic or filter', (version) => {
  refuses(version, publish({ version, topic: '' }), 0x81);
  refuses(version, subscribe({ version, filters: [['', 0]] }), 0x81);
});

statement(
  { v5: '4.7.3-1' },
  'ends with 0x82 on an empty topic without alias, with 0x81 on an empty filter',
  (version) => {
    refuses(version, publish({ version, topic: '' }), 0x82);
    refuses(version, subscribe({ version, filters: [['', 0]] }), 0x81);
  },
);

statement({ v4: '4.7.3-2', v5: '4.7.3-2' }, 'closes the connection on U+0000 in a topic or filter', (version) => {
  refuses(version, publish({ version, topic: 'a\0b' }), 0x81);
  refuses(version, subscribe({ version, filters: [['a\0b', 0]] }), 0x81);
});

statement({ v4: '4.7.3-3', v5: '4.7.3-3' }, 'accepts a topic of 65,535 bytes', (version) => {
  const fixture = new ServerFixture();
  fixture.open({ version }).send(publish({ version, topic: 'a'.repeat(65_535) }));
  assert.equal(fixture.received[0]?.message.topic.length, 65_535);
});

statement(
  { v4: '4.7.3-4', v5: '4.7.3-4' },
  'compares filters and topics byte by byte, without normalization',
  (version) => {
    const client = new ServerFixture().open({ version });
    client.send(subscribe({ version, filters: [['é/command', 0]] }));
    client.take();
    const outcomes = ['e\u0301/command', 'É/command', 'é /command', 'é/command'].map((topic) =>
      client.connection.deliver({ topic, payload: Buffer.from('x'), qos: 0 }),
    );
    assert.deepEqual(outcomes, ['not_subscribed', 'not_subscribed', 'not_subscribed', 'sent']);
  },
);

statement(
  { v4: '3.3.4-1', v5: '3.3.4-1' },
  'answers QoS 1 by PUBACK, QoS 2 by PUBREC, QoS 0 by nothing, after the confirmation of the log',
  (version) => {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open({ version });
    client.send(
      publish({ version }),
      publish({ version, qos: 1, packetId: 2 }),
      publish({ version, qos: 2, packetId: 3 }),
    );
    assert.deepEqual(client.answers(), []);
    fixture.settle(1);
    fixture.settle(2);
    assert.deepEqual(client.answers(), ['puback 2', 'pubrec 3']);
  },
);

statement(
  { v4: '3.3.5-2' },
  'acknowledges a PUBLISH that is refused, since 3.1.1 has no negative acknowledgment',
  () => {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open();
    client.send(publish({ qos: 1, packetId: 5 }), publish({ qos: 2, packetId: 6 }));
    fixture.settle(0, 0x87, 'no right');
    fixture.settle(1, 0x87, 'no right');
    assert.deepEqual(
      client.take().map(({ bytes }) => bytes.toString('hex')),
      ['40020005', '50020006'],
    );
  },
);

statement({ v5: '3.4.2-1' }, 'sends the reason of a refused message in PUBACK', () => {
  for (const reason of [0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]) {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open({ version: 5 });
    client.send(publish({ version: 5, qos: 1, packetId: 5 }));
    fixture.settle(0, reason);
    assert.deepEqual(
      client.take().map(({ bytes }) => bytes.toString('hex')),
      [`40030005${reason.toString(16)}`],
    );
  }
});

statement({ v5: '3.5.2-1' }, 'sends the reason of a refused message in PUBREC', () => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open({ version: 5 });
  client.send(publish({ version: 5, qos: 2, packetId: 5 }));
  fixture.settle(0, 0x97);
  assert.deepEqual(
    client.take().map(({ bytes }) => bytes.toString('hex')),
    ['5003000597'],
  );
});

for (const [numbers, qos, name] of [
  [{ v5: '3.4.2-2' }, 1, 'PUBACK'],
  [{ v5: '3.5.2-2' }, 2, 'PUBREC'],
] as const) {
  statement(numbers, `leaves the Reason String of ${name} out where it would exceed the maximum of the client`, () => {
    for (const [bytesMax, hasText] of [
      [60, true],
      [20, false],
    ] as const) {
      const fixture = new ServerFixture({ acknowledges: false });
      const client = fixture.open({ version: 5, properties: properties([39, uint32(bytesMax)]) });
      client.send(publish({ version: 5, qos, packetId: 5 }));
      fixture.settle(0, 0x83, 'value of temperature is no number');
      const [answer] = client.take();
      assert.equal(answer!.bytes.includes('is no number'), hasText);
      assert.ok(answer!.bytes.length <= bytesMax);
    }
  });
}

statement({ v5: '3.1.2-29' }, 'sends no Reason String in PUBACK when Request Problem Information is 0', () => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open({ version: 5, properties: properties([23, Buffer.of(0)]) });
  client.send(publish({ version: 5, qos: 1, packetId: 5 }));
  fixture.settle(0, 0x83, 'value of temperature is no number');
  assert.deepEqual(
    client.take().map(({ bytes }) => bytes.toString('hex')),
    ['4003000583'],
  );
});

statement(
  { v4: '3.6.1-1', v5: '3.6.1-1' },
  'closes the connection when the header bits of PUBREL are not 0010',
  (version) => {
    for (const bits of [0, 1, 3, 4, 6, 8, 10, 15]) refuses(version, packet(0x60 | bits, uint16(1)), 0x81, `${bits}`);
  },
);

statement({ v5: '3.6.2-1' }, 'ends with 0x81 on a PUBREL code that is not 0x00 or 0x92', () => {
  refuses(5, ack('pubrel', 1, 0x80), 0x81);
  const client = new ServerFixture().open({ version: 5 });
  client.send(publish({ version: 5, qos: 2, packetId: 1 }), ack('pubrel', 1, 0x92));
  assert.deepEqual(client.answers(), ['pubrec 1', 'pubcomp 1']);
});

statement({ v5: '3.7.2-1' }, 'answers PUBREL by PUBCOMP 0x00, or 0x92 for an unknown packet ID', () => {
  const client = new ServerFixture().open({ version: 5 });
  client.send(ack('pubrel', 7));
  assert.deepEqual(client.answers(), ['pubcomp 7 0x92']);
  client.send(publish({ version: 5, qos: 2, packetId: 7 }), ack('pubrel', 7), ack('pubrel', 7));
  assert.deepEqual(client.answers(), ['pubrec 7', 'pubcomp 7', 'pubcomp 7 0x92']);
});

statement({ v5: '4.3.3-11' }, 'answers PUBREL by PUBCOMP with its packet ID', () => {
  const client = new ServerFixture().open({ version: 5 });
  client.send(publish({ version: 5, qos: 2, packetId: 300 }), ack('pubrel', 300, 0));
  assert.deepEqual(client.answers(), ['pubrec 300', 'pubcomp 300']);
});

statement({ v4: '4.3.2-2', v5: '4.3.2-5' }, 'takes a PUBLISH after PUBACK as new, whatever its DUP', (version) => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version });
  client.send(publish({ version, qos: 1, packetId: 9, payload: 'first' }));
  client.send(publish({ version, qos: 1, packetId: 9, payload: 'second', dup: true }));
  assert.deepEqual(fixture.payloads(), ['first', 'second']);
  assert.deepEqual(client.answers(), ['puback 9', 'puback 9']);
});

statement({ v5: '4.3.2-4' }, 'sends PUBACK after the log has the message, never before', (version) => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open({ version });
  client.send(publish({ version, qos: 1, packetId: 9 }), pingreq);
  assert.deepEqual(client.answers(), ['pingresp']);
  fixture.settle(0);
  assert.deepEqual(client.answers(), ['puback 9']);
});

statement(
  { v4: '4.3.3-2', v5: '4.3.3-10' },
  'appends nothing for the same packet ID before PUBREL, and answers PUBREC again',
  (version) => {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open({ version });
    const again = publish({ version, qos: 2, packetId: 9, dup: true });
    client.send(publish({ version, qos: 2, packetId: 9 }), again);
    assert.deepEqual(client.answers(), []);
    fixture.settle(0);
    assert.deepEqual(client.answers(), ['pubrec 9']);
    client.send(again);
    assert.deepEqual(client.answers(), ['pubrec 9']);
    client.send(ack('pubrel', 9));
    assert.deepEqual(client.answers(), ['pubcomp 9']);
    assert.equal(fixture.received.length, 1);
  },
);

statement(
  { v4: '4.3.3-2', v5: '4.3.3-10' },
  'appends a QoS 2 message once when its PUBREC is lost with the connection, before and after the log has it',
  (version) => {
    const fixture = new ServerFixture({ acknowledges: false });
    const first = fixture.open(stored(version));
    first.send(publish({ version, qos: 2, packetId: 1, payload: 'one' }));
    first.send(publish({ version, qos: 2, packetId: 2, payload: 'two' }));
    first.close();
    fixture.settle(0);
    const second = fixture.open(stored(version));
    second.send(publish({ version, qos: 2, packetId: 1, payload: 'one', dup: true }));
    second.send(publish({ version, qos: 2, packetId: 2, payload: 'two', dup: true }));
    assert.deepEqual(second.answers(), ['pubrec 1']);
    fixture.settle(1);
    assert.deepEqual(second.answers(), ['pubrec 2']);
    second.send(ack('pubrel', 1), ack('pubrel', 2));
    assert.deepEqual(second.answers(), ['pubcomp 1', 'pubcomp 2']);
    assert.deepEqual(fixture.payloads(), ['one', 'two']);
  },
);

statement({ v5: '4.3.3-8' }, 'sends PUBREC after the log has the message', (version) => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open({ version });
  client.send(publish({ version, qos: 2, packetId: 4 }), pingreq);
  assert.deepEqual(client.answers(), ['pingresp']);
  fixture.settle(0);
  assert.deepEqual(client.answers(), ['pubrec 4']);
});

statement({ v5: '4.3.3-9' }, 'treats a PUBLISH after its PUBREC of 0x80 or more as new', (version) => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open({ version });
  client.send(publish({ version, qos: 2, packetId: 4, payload: 'bad' }));
  fixture.settle(0, 0x83);
  client.send(publish({ version, qos: 2, packetId: 4, payload: 'good' }));
  fixture.settle(1);
  assert.deepEqual(client.answers(), ['pubrec 4 0x83', 'pubrec 4']);
  assert.deepEqual(fixture.payloads(), ['bad', 'good']);
});

statement({ v5: '4.3.3-12' }, 'treats a PUBLISH after PUBCOMP as new', (version) => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version });
  for (const payload of ['one', 'two']) {
    client.send(publish({ version, qos: 2, packetId: 4, payload }), ack('pubrel', 4));
  }
  assert.deepEqual(fixture.payloads(), ['one', 'two']);
  assert.deepEqual(client.answers(), ['pubrec 4', 'pubcomp 4', 'pubrec 4', 'pubcomp 4']);
});

statement(
  { v5: '4.3.3-13' },
  'finishes the QoS 2 exchange of a message whose Message Expiry has passed',
  async (version) => {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open({ version });
    client.send(publish({ version, qos: 2, packetId: 4, properties: properties([2, uint32(1)]) }));
    await fixture.clock.advance(5000);
    fixture.settle(0);
    client.send(ack('pubrel', 4));
    assert.deepEqual(client.answers(), ['pubrec 4', 'pubcomp 4']);
  },
);

for (const [numbers, qos, name] of [
  [{ v4: '4.6.0-2', v5: '4.6.0-2' }, 1, 'puback'],
  [{ v4: '4.6.0-3', v5: '4.6.0-3' }, 2, 'pubrec'],
] as const) {
  statement(
    numbers,
    `sends ${name.toUpperCase()}s in the order of the PUBLISH packets although the log confirmed in another order`,
    (version) => {
      const fixture = new ServerFixture({ acknowledges: false });
      const client = fixture.open({ version });
      for (const packetId of [3, 1, 2]) client.send(publish({ version, qos, packetId }));
      fixture.settle(2);
      fixture.settle(1);
      assert.deepEqual(client.answers(), []);
      fixture.settle(0);
      assert.deepEqual(client.answers(), [`${name} 3`, `${name} 1`, `${name} 2`]);
    },
  );
}

statement(
  { v5: '3.3.2-7' },
  'knows no alias of an earlier connection: alias without topic as first use ends with 0x82',
  () => {
    const fixture = new ServerFixture();
    const first = fixture.open(stored(5));
    first.send(publish({ version: 5, topic: 'a/telemetry', properties: properties([35, uint16(1)]) }));
    first.send(publish({ version: 5, topic: '', properties: properties([35, uint16(1)]) }));
    assert.deepEqual(
      fixture.received.map(({ message }) => message.topic),
      ['a/telemetry', 'a/telemetry'],
    );
    first.close();
    const second = fixture.open(stored(5));
    second.send(publish({ version: 5, topic: '', properties: properties([35, uint16(1)]) }));
    assertRefused(second, 0x82);
  },
);

statement({ v5: '3.3.2-8' }, 'ends with 0x94 on alias 0', () => {
  refuses(5, publish({ version: 5, properties: properties([35, uint16(0)]) }), 0x94);
});

statement({ v5: '3.3.2-12' }, 'accepts every alias from 1 to 32, and ends with 0x94 above', () => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version: 5 });
  for (let alias = 1; alias <= 32; alias++) {
    client.send(publish({ version: 5, topic: `t${alias}`, properties: properties([35, uint16(alias)]) }));
  }
  for (let alias = 1; alias <= 32; alias++) {
    client.send(publish({ version: 5, topic: '', properties: properties([35, uint16(alias)]) }));
  }
  const topics = fixture.received.map(({ message }) => message.topic);
  assert.deepEqual(topics.slice(0, 32), topics.slice(32));
  refuses(5, publish({ version: 5, properties: properties([35, uint16(33)]) }), 0x94);
});

test('ends with 0x90 on a topic of more than 1,024 characters with an alias, which would keep it', () => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version: 5 });
  const alias = properties([35, uint16(1)]);
  client.send(publish({ version: 5, topic: 'x'.repeat(1_024), properties: alias }));
  // Without one it is for the server to refuse.
  client.send(publish({ version: 5, topic: 'x'.repeat(1_025) }));
  assert.deepEqual(
    fixture.received.map(({ message }) => message.topic.length),
    [1_024, 1_025],
  );
  client.send(publish({ version: 5, topic: 'x'.repeat(1_025), properties: alias }));
  assertRefused(client, 0x90);
});

test('an alias that is used again stands for its new topic', () => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version: 5 });
  const alias = properties([35, uint16(1)]);
  for (const topic of ['a', 'b', '']) client.send(publish({ version: 5, topic, properties: alias }));
  assert.deepEqual(
    fixture.received.map(({ message }) => message.topic),
    ['a', 'b', 'b'],
  );
});

statement({ v5: '3.3.2-13' }, 'ends with 0x81 when Response Topic is not UTF-8', () => {
  refuses(5, publish({ version: 5, properties: properties([8, field(Buffer.of(0xff))]) }), 0x81);
});

statement({ v5: '3.3.2-14' }, 'ends with 0x82 on a Response Topic with wildcards', () => {
  refuses(5, publish({ version: 5, properties: properties([8, field('a/+')]) }), 0x82);
});

statement({ v5: '3.3.2-19' }, 'ends with 0x81 when Content Type is not UTF-8', () => {
  refuses(5, publish({ version: 5, properties: properties([3, field(Buffer.of(0xff))]) }), 0x81);
});

statement({ v5: '3.3.4-6' }, 'ends with 0x82 when a PUBLISH of a client has a Subscription Identifier', () => {
  refuses(5, publish({ version: 5, properties: properties([11, varint(1)]) }), 0x82);
});

statement(
  { v5: '3.3.4-7' },
  'ends with 0x93 at the 65th unacknowledged message while the log is held back, and not at the 64th',
  (version) => {
    for (const qos of [1, 2]) {
      const fixture = new ServerFixture({ acknowledges: false });
      const client = fixture.open({ version });
      for (let packetId = 1; packetId <= 64; packetId++) client.send(publish({ version, qos, packetId }));
      assert.equal(client.isClosed, false);
      client.send(publish({ version, qos, packetId: 65 }));
      assertRefused(client, 0x93);
      assert.equal(fixture.received.length, 64);
    }
  },
);

test('[5 MQTT-3.3.4-7] counts a QoS 2 message until its PUBREL, and no longer', () => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version: 5 });
  for (let packetId = 1; packetId <= 64; packetId++) client.send(publish({ version: 5, qos: 2, packetId }));
  client.send(ack('pubrel', 1), publish({ version: 5, qos: 2, packetId: 65 }));
  assert.equal(client.isClosed, false);
  client.take();
  client.send(publish({ version: 5, qos: 1, packetId: 66 }));
  assertRefused(client, 0x93);
});

test('a client of 3.1.1 with as many messages as the receive maximum is read again when one is acknowledged', () => {
  const fixture = new ServerFixture({ acknowledges: false, limits: { receiveMaximum: 2 } });
  const client = fixture.open();
  for (let packetId = 1; packetId <= 4; packetId++) client.send(publish({ qos: 1, packetId, payload: `${packetId}` }));
  assert.deepEqual(fixture.payloads(), ['1', '2']);
  fixture.settle(1);
  assert.deepEqual(fixture.payloads(), ['1', '2']);
  fixture.settle(0);
  assert.deepEqual(client.answers(), ['puback 1', 'puback 2']);
  assert.deepEqual(fixture.payloads(), ['1', '2', '3', '4']);
});

test('a QoS 1 message that a client of 3.1.1 repeats while the log is away is appended once', () => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open();
  client.send(publish({ qos: 1, packetId: 7 }));
  for (let times = 0; times < 5; times++) client.send(publish({ qos: 1, packetId: 7, dup: true }));
  fixture.settle(0);
  assert.equal(fixture.received.length, 1);
  assert.deepEqual(client.answers(), ['puback 7']);
});

test('a QoS 1 message that is repeated on a new connection is appended once, and acknowledged when the log has it', () => {
  for (const version of [4, 5] as const) {
    const fixture = new ServerFixture({ acknowledges: false });
    const first = fixture.open(stored(version));
    first.send(publish({ version, qos: 1, packetId: 7 }), publish({ version, qos: 1, packetId: 8 }));
    fixture.received[1]!.connection.settle(fixture.received[1]!.message.ticket, 0);
    first.close();
    const second = fixture.open(stored(version));
    second.send(publish({ version, qos: 1, packetId: 7, dup: true }));
    second.send(publish({ version, qos: 1, packetId: 8, dup: true }));
    assert.deepEqual(second.answers(), []);
    fixture.settle(0);
    assert.deepEqual(second.answers(), ['puback 7', 'puback 8']);
    assert.equal(fixture.received.length, 2);
  }
});

test('a client that starts at packet ID 1 on each connection of a session loses no message', () => {
  const fixture = new ServerFixture({ acknowledges: false });
  fixture.open(stored(4)).send(publish({ qos: 1, packetId: 1, payload: '42' }));
  fixture.received[0]!.connection.disconnect(0x8e, 'replaced');
  const second = fixture.open(stored(4));
  second.send(publish({ qos: 1, packetId: 1, payload: '42' }));
  assert.deepEqual(fixture.payloads(), ['42', '42']);
  fixture.settle(0);
  assert.deepEqual(second.answers(), []);
  fixture.settle(1);
  assert.deepEqual(second.answers(), ['puback 1']);
});

test('a PUBREL before its PUBREC closes the connection: the message may not be in the log', () => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open({ version: 5 });
  client.send(publish({ version: 5, qos: 2, packetId: 1 }), ack('pubrel', 1));
  assertRefused(client, 0x82);
});

test('a QoS 2 message has an ID, and keeps it on a session of another node', () => {
  const fixture = new ServerFixture({ acknowledges: false });
  fixture
    .open(stored(5))
    .send(publish({ version: 5, qos: 2, packetId: 1 }), publish({ version: 5, qos: 1, packetId: 2 }));
  assert.deepEqual(
    fixture.received.map(({ message }) => message.exchangeId),
    ['id-1', undefined],
  );
});

statement(
  { v5: '3.14.4-1' },
  'sends nothing after DISCONNECT, although appends are still being confirmed',
  (version) => {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open({ version });
    client.send(publish({ version, qos: 1, packetId: 1 }));
    client.connection.disconnect(0x89, 'the log is away');
    fixture.settle(0);
    assertRefused(client, 0x89);
  },
);

statement(
  { v4: '4.8.0-2' },
  'closes the connection when the log stays away; nothing is acknowledged, and the will is due',
  () => {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open({ will: { topic: 'a/presence' } });
    client.send(publish({ qos: 1, packetId: 1 }));
    client.connection.disconnect(0x89, 'the log is away');
    assertRefused(client, 0x89);
    assert.equal(fixture.closed[0]?.will?.topic, 'a/presence');
  },
);

for (const type of ['puback', 'pubcomp'] as const) {
  test(`answers ${type.toUpperCase()} with an unknown packet ID by nothing`, () => {
    for (const version of [4, 5] as const) {
      const client = new ServerFixture().open({ version });
      client.send(ack(type, 99));
      assert.deepEqual(client.answers(), []);
      assert.equal(client.isClosed, false);
    }
  });
}

test('closes the connection with 0x82 on PUBREC, because nothing is sent at QoS 2', () => {
  for (const version of [4, 5] as const) refuses(version, ack('pubrec', 1), 0x82);
});

/** Lets time pass for a client that sends PINGREQ. */
async function pinging(fixture: ServerFixture, client: RawClient, seconds: number): Promise<void> {
  for (let second = 0; second < seconds && !client.isClosed; second += 10) {
    await fixture.clock.advance(10_000);
    if (!client.isClosed) client.send(pingreq);
  }
}

test('a client that leaves out PUBREL is disconnected after one to two minutes, and its exchange is forgotten later', async () => {
  for (const version of [4, 5] as const) {
    const fixture = new ServerFixture();
    const first = fixture.open(stored(version));
    first.send(publish({ version, qos: 2, packetId: 1 }), publish({ version, qos: 2, packetId: 2 }));
    first.send(ack('pubrel', 2));
    await pinging(fixture, first, 60);
    assert.equal(first.isClosed, false);
    first.take();
    await pinging(fixture, first, 70);
    assert.equal(first.isClosed, true);
    assert.equal(fixture.closed[0]!.reason, 0x97);
    assert.match(fixture.closed[0]!.message, /^PUBREL: expected within 60000 ms/);
    const session = fixture.sessions.get('c1')!;
    assert.deepEqual([...session.exchanges!.keys()], [1]);
    // A client that has forgotten its session is not disconnected again.
    const second = fixture.open(stored(version));
    await pinging(fixture, second, 180);
    assert.equal(second.isClosed, false);
    assert.equal(session.exchanges!.size, 0);
    second.send(publish({ version, qos: 2, packetId: 1, payload: 'new' }));
    assert.equal(fixture.payloads().at(-1), 'new', 'it is no repetition of the first message');
  }
});

test('a client that repeats what it has sent, or that is not read, is not disconnected because of a PUBREL', async () => {
  const fixture = new ServerFixture();
  fixture.open(stored(5)).send(publish({ version: 5, qos: 2, packetId: 1 }));
  fixture.received[0]!.connection.disconnect(0x8e, 'replaced');
  const client = fixture.open(stored(5));
  await pinging(fixture, client, 50);
  client.send(publish({ version: 5, qos: 2, packetId: 1, dup: true }));
  client.connection.pause(pauseReasons.bytes);
  await pinging(fixture, client, 300);
  client.send(ack('pubrel', 1));
  client.connection.resume(pauseReasons.bytes);
  await pinging(fixture, client, 200);
  assert.equal(client.isClosed, false);
  assert.equal(fixture.received.length, 1);
});

test('a message that waits for the log for long is no PUBREL that is left out', async () => {
  const fixture = new ServerFixture({ acknowledges: false });
  const client = fixture.open({ version: 5 });
  client.send(publish({ version: 5, qos: 2, packetId: 1 }));
  await pinging(fixture, client, 300);
  fixture.settle(0);
  await pinging(fixture, client, 50);
  assert.equal(client.isClosed, false);
  client.send(ack('pubrel', 1));
  await pinging(fixture, client, 200);
  assert.equal(client.isClosed, false);
});
