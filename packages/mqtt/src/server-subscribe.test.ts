import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  field,
  packet,
  pingreq,
  properties,
  publish,
  type RawPacket,
  subscribe,
  uint16,
  unsubscribe,
  type Version,
  varint,
} from '../test/raw-packets.ts';
import { ServerFixture } from '../test/server-fixture.ts';
import { assertRefused, statement } from '../test/statements.ts';

/** SUBSCRIBE, UNSUBSCRIBE and PINGREQ: sections 3.8 to 3.13, 4.7 and 4.8.2. */

function refuses(version: Version, bytes: Buffer, reason: number, what = ''): void {
  const client = new ServerFixture().open({ version });
  client.send(bytes);
  assertRefused(client, reason, what);
}

/** The codes of a SUBACK or UNSUBACK, behind packet identifier and properties. */
function codes(answer: RawPacket | undefined, version: Version): number[] {
  return [...answer!.content.subarray(version === 5 ? 3 : 2)];
}

const command = { topic: 'a/command', payload: Buffer.from('go'), qos: 1 } as const;

statement(
  { v4: '2.3.1-7', v5: '2.2.1-6' },
  'answers SUBSCRIBE and UNSUBSCRIBE with the packet ID that they carry',
  (version) => {
    const client = new ServerFixture().open({ version });
    client.send(subscribe({ version, packetId: 513 }), unsubscribe({ version, packetId: 514 }));
    const ids = client.take().map(({ type, content }) => [type, content.readUInt16BE(0)]);
    assert.deepEqual(ids, [
      [9, 513],
      [11, 514],
    ]);
  },
);

statement(
  { v4: '3.8.1-1', v5: '3.8.1-1' },
  'closes the connection when the header bits of SUBSCRIBE are not 0010',
  (version) => {
    for (const bits of [0, 1, 3, 4, 6, 8, 10])
      refuses(version, subscribe({ version, firstByte: 0x80 | bits }), 0x81, `${bits}`);
  },
);

statement(
  { v4: '3.10.1-1', v5: '3.10.1-1' },
  'closes the connection when the header bits of UNSUBSCRIBE are not 0010',
  (version) => {
    for (const bits of [0, 1, 3, 4, 6, 8, 10])
      refuses(version, unsubscribe({ version, firstByte: 0xa0 | bits }), 0x81, `${bits}`);
  },
);

statement({ v4: '3.8.3-1', v5: '3.8.3-1' }, 'closes the connection when a filter is not UTF-8', (version) => {
  refuses(version, subscribe({ version, filters: [[Buffer.of(0xc0, 0x80), 0]] }), 0x81);
});

statement(
  { v4: '3.10.3-1', v5: '3.10.3-1' },
  'closes the connection when a filter of UNSUBSCRIBE is not UTF-8',
  (version) => {
    refuses(version, unsubscribe({ version, filters: [Buffer.of(0xff)] }), 0x81);
  },
);

statement(
  { v4: '3.8.3-3', v5: '3.8.3-2' },
  'closes the connection with 0x82 on SUBSCRIBE without a filter',
  (version) => {
    refuses(version, subscribe({ version, filters: [] }), 0x82);
  },
);

statement(
  { v4: '3.10.3-2', v5: '3.10.3-2' },
  'closes the connection with 0x82 on UNSUBSCRIBE without a filter',
  (version) => {
    refuses(version, unsubscribe({ version, filters: [] }), 0x82);
  },
);

statement({ v5: '3.8.3-3' }, 'accepts No Local', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version, filters: [['a/command', 0x05]] }));
  assert.deepEqual(codes(client.take()[0], version), [1]);
});

statement({ v5: '3.8.3-4' }, 'ends with 0x82 on No Local with $share', (version) => {
  refuses(version, subscribe({ version, filters: [['$share/x/a/command', 0x05]] }), 0x82);
});

statement({ v4: '3.8.3-4' }, 'closes when reserved bits of the options are set or QoS is 3', (version) => {
  for (const options of [3, 4, 8, 16, 32, 64, 128]) {
    refuses(version, subscribe({ version, filters: [['a/command', options]] }), 0x81, `${options}`);
  }
});

statement(
  { v5: '3.8.3-5' },
  'ends with 0x81 when reserved bits are set, QoS is 3 or retain handling is 3',
  (version) => {
    for (const options of [0x03, 0x30, 0x40, 0x80]) {
      refuses(version, subscribe({ version, filters: [['a/command', options]] }), 0x81, `${options}`);
    }
  },
);

statement(
  { v4: '3.8.4-1', v5: '3.8.4-1' },
  'answers SUBSCRIBE by SUBACK, also when all filters are refused',
  (version) => {
    const client = new ServerFixture().open({ version });
    client.send(subscribe({ version, filters: [['b', 0]] }));
    const [answer] = client.take();
    assert.equal(answer?.type, 9);
    assert.deepEqual(codes(answer, version), [version === 5 ? 0x8f : 0x80]);
  },
);

statement({ v4: '3.8.4-2', v5: '3.8.4-2' }, 'answers with the packet ID of SUBSCRIBE', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version, packetId: 65_535 }));
  assert.equal(client.take()[0]?.content.readUInt16BE(0), 65_535);
});

statement(
  { v4: '3.8.4-3', v5: '3.8.4-3' },
  'replaces a subscription with the same filter: one copy of a command, at the newer QoS',
  (version) => {
    const client = new ServerFixture().open({ version });
    for (const qos of [1, 0]) client.send(subscribe({ version, filters: [['a/command', qos]] }));
    client.take();
    assert.equal(client.connection.deliver(command), 'sent');
    assert.deepEqual(
      client.take().map(({ firstByte }) => firstByte),
      [0x30],
    );
    assert.equal(client.connection.session?.subscriptions?.size, 1);
  },
);

const several = [
  ['a/command', 0],
  ['b', 1],
  ['c/command', 2],
  ['a/command', 1],
] as const;

statement(
  { v4: '3.8.4-4', v5: '3.8.4-5' },
  'treats several filters in one SUBSCRIBE as a sequence, with one SUBACK',
  (version) => {
    const client = new ServerFixture().open({ version });
    client.send(subscribe({ version, filters: several }));
    assert.equal(client.take().length, 1);
    const { subscriptions } = client.connection.session!;
    assert.deepEqual(
      [...subscriptions!].map(([filter, { qos }]) => [filter, qos]),
      [
        ['a/command', 1],
        ['c/command', 1],
      ],
    );
  },
);

statement({ v4: '3.8.4-5', v5: '3.8.4-6' }, 'returns one code for each filter', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version, filters: several }));
  assert.equal(codes(client.take()[0], version).length, 4);
});

statement({ v4: '3.9.3-1', v5: '3.9.3-1' }, 'returns the codes in the order of the filters', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version, filters: several }));
  assert.deepEqual(codes(client.take()[0], version), [0, version === 5 ? 0x8f : 0x80, 1, 1]);
});

statement({ v4: '3.9.3-2' }, 'uses 0, 1, 2 and 0x80 alone', (version) => {
  for (const reason of [0x80, 0x87, 0x8f, 0x97]) {
    const client = new ServerFixture({ handlers: { subscribe: () => reason } }).open({ version });
    client.send(subscribe({ version }));
    assert.deepEqual(codes(client.take()[0], version), [0x80]);
  }
});

statement({ v5: '3.9.3-2' }, 'returns the reason of the server for a refused filter', (version) => {
  for (const reason of [0x87, 0x8f, 0x97]) {
    const client = new ServerFixture({ handlers: { subscribe: () => reason } }).open({ version });
    client.send(subscribe({ version }));
    assert.deepEqual(codes(client.take()[0], version), [reason]);
  }
});

statement({ v5: '3.8.4-7' }, 'returns the granted QoS, 0 or 1, or the failure', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(
    subscribe({
      version,
      filters: [
        ['a/command', 0],
        ['b/command', 1],
        ['c/command', 2],
        ['d', 1],
      ],
    }),
  );
  assert.deepEqual(codes(client.take()[0], version), [0, 1, 1, 0x8f]);
});

statement({ v5: '3.2.2-10' }, 'accepts SUBSCRIBE with QoS 2 and grants 1', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version, filters: [['a/command', 2]] }));
  assert.deepEqual(codes(client.take()[0], version), [1]);
});

statement({ v4: '3.8.4-6', v5: '3.8.4-8' }, 'sends a command at the lower of 1 and the granted QoS', (version) => {
  for (const [asked, expected] of [
    [0, 0x30],
    [1, 0x32],
    [2, 0x32],
  ] as const) {
    const client = new ServerFixture().open({ version });
    client.send(subscribe({ version, filters: [['a/command', asked]] }));
    client.take();
    client.connection.deliver(command);
    assert.equal(client.take()[0]?.firstByte, expected);
  }
});

statement(
  { v4: '3.3.2-3', v5: '3.3.2-3' },
  'sends a command only to a session with a filter that matches',
  (version) => {
    const client = new ServerFixture().open({ version });
    assert.equal(client.connection.deliver(command), 'not_subscribed');
    client.send(subscribe({ version, filters: [['b/command', 1]] }));
    client.take();
    assert.equal(client.connection.deliver(command), 'not_subscribed');
    assert.deepEqual(client.answers(), []);
  },
);

statement(
  { v4: '3.3.5-1', v5: '3.3.4-2' },
  'sends a command once, at the highest granted QoS, when several filters of a session match',
  (version) => {
    const client = new ServerFixture().open({ version });
    client.send(
      subscribe({
        version,
        filters: [
          ['a/command', 0],
          ['+/command', 1],
          ['a/+/command', 0],
        ],
      }),
    );
    client.take();
    client.connection.deliver(command);
    assert.deepEqual(
      client.take().map(({ firstByte }) => firstByte),
      [0x32],
    );
  },
);

statement(
  { v4: '3.10.4-1', v5: '3.10.4-1' },
  'removes the subscription whose filter is equal, and no other',
  (version) => {
    const client = new ServerFixture().open({ version });
    const filters = ['a/command', 'A/command', '+/command'] as const;
    client.send(subscribe({ version, filters: filters.map((filter) => [filter, 0] as const) }));
    client.send(unsubscribe({ version, filters: ['a/command'] }));
    assert.deepEqual([...client.connection.session!.subscriptions!.keys()], ['A/command', '+/command']);
  },
);

statement({ v4: '3.10.4-2', v5: '3.10.4-2' }, 'sends no further command after UNSUBACK', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version }), unsubscribe({ version }));
  client.take();
  assert.equal(client.connection.deliver(command), 'not_subscribed');
  assert.deepEqual(client.take(), []);
});

statement(
  { v4: '3.10.4-3', v5: '3.10.4-3' },
  'finishes the delivery of a command that it has started to send',
  (version) => {
    const fixture = new ServerFixture();
    const client = fixture.open({ version });
    client.send(subscribe({ version }));
    client.connection.deliver(command);
    client.send(unsubscribe({ version }), Buffer.of(0x40, 2, 0, 1));
    assert.deepEqual(
      fixture.acknowledged.map(({ reason }) => reason),
      [0],
    );
  },
);

statement({ v4: '3.10.4-4', v5: '3.10.4-4' }, 'answers UNSUBSCRIBE by UNSUBACK', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(unsubscribe({ version, packetId: 77 }));
  const [answer] = client.take();
  assert.deepEqual([answer?.type, answer?.content.readUInt16BE(0)], [11, 77]);
});

statement({ v4: '3.10.4-5', v5: '3.10.4-5' }, 'answers UNSUBACK also when nothing was removed', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(unsubscribe({ version, packetId: 77 }));
  assert.deepEqual(codes(client.take()[0], version), version === 5 ? [0x11] : []);
});

statement({ v4: '3.10.4-6', v5: '3.10.4-6' }, 'treats several filters as a sequence, with one UNSUBACK', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version }));
  client.take();
  client.send(unsubscribe({ version, filters: ['a/command', 'a/command', 'b'] }));
  const answers = client.take();
  assert.equal(answers.length, 1);
  assert.deepEqual(codes(answers[0], version), version === 5 ? [0, 0x11, 0x11] : []);
});

statement({ v5: '3.11.3-1' }, 'returns the codes of UNSUBACK in the order of the filters', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version }));
  client.take();
  client.send(unsubscribe({ version, filters: ['b', 'a/command', 'c'] }));
  assert.deepEqual(codes(client.take()[0], version), [0x11, 0, 0x11]);
});

statement({ v5: '3.11.3-2' }, 'uses 0x00 and 0x11 alone', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version }), unsubscribe({ version }), unsubscribe({ version }));
  const answers = client.take().slice(1);
  assert.deepEqual(
    answers.flatMap((answer) => codes(answer, version)),
    [0, 0x11],
  );
});

statement(
  { v4: '3.12.4-1', v5: '3.12.4-1' },
  'answers PINGREQ, also when the window is full and the log is away',
  (version) => {
    const fixture = new ServerFixture({ acknowledges: false });
    const client = fixture.open({ version });
    for (let packetId = 1; packetId <= 64; packetId++) client.send(publish({ version, qos: 1, packetId }));
    client.send(pingreq);
    assert.deepEqual(client.answers(), ['pingresp']);
  },
);

statement({ v4: '4.7.1-2', v5: '4.7.1-1' }, 'treats a filter with a misplaced # as malformed', (version) => {
  for (const filter of ['a/#/b', 'a#', '#a', 'a/b#'])
    refuses(version, subscribe({ version, filters: [[filter, 0]] }), 0x81, filter);
});

statement({ v4: '4.7.1-3', v5: '4.7.1-2' }, 'treats a filter with + as part of a level as malformed', (version) => {
  for (const filter of ['a+', '+a/b', 'a/b+/c'])
    refuses(version, subscribe({ version, filters: [[filter, 0]] }), 0x81, filter);
});

statement({ v4: '4.7.2-1', v5: '4.7.2-1' }, 'matches no topic that starts with $ by a leading wildcard', (version) => {
  const client = new ServerFixture().open({ version });
  client.send(subscribe({ version, filters: [['+/command', 0]] }));
  client.take();
  assert.equal(client.connection.deliver({ ...command, topic: '$SYS/command' }), 'not_subscribed');
});

statement({ v5: '4.8.2-1' }, 'ends with 0x81 on "$share//x"', (version) => {
  for (const filter of ['$share//x', '$share/x', '$share/a+/x', '$share']) {
    refuses(version, subscribe({ version, filters: [[filter, 0]] }), 0x81, filter);
  }
});

test('closes the connection with 0x9E on a shared subscription, and with 0xA1 on a subscription identifier', () => {
  refuses(5, subscribe({ version: 5, filters: [['$share/x/a/command', 0]] }), 0x9e);
  refuses(5, subscribe({ version: 5, properties: properties([11, varint(1)]) }), 0xa1);
});

test('MQTT 3.1.1 knows no shared subscription: the filter is refused as any other', () => {
  const client = new ServerFixture().open();
  client.send(subscribe({ filters: [['$share/x/a', 0]] }));
  assert.deepEqual(codes(client.take()[0], 4), [0x80]);
});

test('refuses the 33rd filter of a session with 0x97, and 0x80 in 3.1.1; a known filter is no further one', () => {
  for (const version of [4, 5] as const) {
    const client = new ServerFixture().open({ version });
    const filters = Array.from({ length: 33 }, (_, index) => [`d${index}/command`, 0] as const);
    client.send(subscribe({ version, filters }));
    assert.equal(codes(client.take()[0], version).at(-1), version === 5 ? 0x97 : 0x80);
    client.send(subscribe({ version, filters: [['d0/command', 1]] }));
    assert.deepEqual(codes(client.take()[0], version), [1]);
  }
});

test('ends with 0x97 on a packet of more than 256 filters, before it is decoded', () => {
  for (const version of [4, 5] as const) {
    const filters = Array.from({ length: 257 }, (_, index) => `d${index}/command`);
    refuses(version, subscribe({ version, filters: filters.map((filter) => [filter, 0] as const) }), 0x97);
    refuses(version, unsubscribe({ version, filters }), 0x97);
    const client = new ServerFixture().open({ version });
    client.send(unsubscribe({ version, filters: filters.slice(1) }));
    assert.equal(client.take()[0]!.type, 11);
  }
});

test('refuses a filter of more than 1,024 characters, which the session would keep', () => {
  for (const version of [4, 5] as const) {
    const client = new ServerFixture().open({ version });
    const filters = [1_024, 1_025].map((length) => [`d/${'x'.repeat(length - 10)}/command`, 0] as const);
    client.send(subscribe({ version, filters }));
    assert.deepEqual(codes(client.take()[0], version), [0, version === 5 ? 0x8f : 0x80]);
  }
});

test('more than 500 packets without a payload in a second end the connection with 0x96', async () => {
  const fixture = new ServerFixture();
  const client = fixture.open({ version: 5 });
  const many = Buffer.concat(Array.from({ length: 499 }, () => pingreq));
  client.send(many, pingreq);
  assert.equal(client.isClosed, false);
  await fixture.clock.advance(1000);
  client.send(many, pingreq);
  client.take();
  client.send(pingreq);
  assertRefused(client, 0x96);
});

for (const [handling, isNew, expected] of [
  [0, true, true],
  [0, false, true],
  [1, true, true],
  [1, false, false],
  [2, true, false],
  [2, false, false],
] as const) {
  const id = ['3.3.1-9', '3.3.1-10', '3.3.1-11'][handling];
  const sentence = `${expected ? 'sends' : 'sends no'} retained messages with retain handling ${handling} on ${
    isNew ? 'a new' : 'a repeated'
  } subscription`;
  statement({ v5: id! }, sentence, (version) => {
    const fixture = new ServerFixture();
    const client = fixture.open({ version });
    if (!isNew) client.send(subscribe({ version, filters: [['a/command', 0x20]] }));
    client.send(subscribe({ version, filters: [['a/command', handling << 4]] }));
    assert.deepEqual(fixture.retainedFor, expected ? ['a/command'] : []);
  });
}

const state = { topic: 'a/command', payload: Buffer.from('on'), qos: 1, retain: true } as const;

statement({ v4: '3.3.1-8' }, 'sets retain 1 on a message that is sent because of a new subscription', (version) => {
  const client = new ServerFixture({
    handlers: { retained: (connection, filter) => void connection.sendRetained(state, filter) },
  }).open({ version });
  client.send(subscribe({ version }));
  assert.deepEqual(
    client.take().map(({ firstByte }) => firstByte),
    [0x90, 0x33],
  );
});

statement(
  { v4: '3.3.1-9', v5: '3.3.1-12' },
  'sets retain 0 on a retained message for an established subscription',
  (version) => {
    const client = new ServerFixture().open({ version });
    client.send(subscribe({ version }));
    client.take();
    client.connection.deliver(state);
    assert.deepEqual(
      client.take().map(({ firstByte }) => firstByte),
      [0x32],
    );
  },
);

statement(
  { v5: '3.3.1-13' },
  'keeps retain 1 for an established subscription with Retain As Published 1',
  (version) => {
    const client = new ServerFixture().open({ version });
    client.send(subscribe({ version, filters: [['a/command', 0x09]] }));
    client.take();
    client.connection.deliver(state);
    assert.deepEqual(
      client.take().map(({ firstByte }) => firstByte),
      [0x33],
    );
  },
);

test('a SUBSCRIBE that is truncated anywhere is malformed', () => {
  for (const version of [4, 5] as const) {
    const content = subscribe({ version }).subarray(2);
    for (let length = 0; length < content.length; length++) {
      const client = new ServerFixture().open({ version });
      client.send(packet(0x82, content.subarray(0, length)));
      assert.equal(client.isClosed, true, `${length} bytes`);
    }
    refuses(
      version,
      Buffer.concat([
        packet(0xa2, uint16(1), version === 5 ? properties() : Buffer.alloc(0), field('a'), Buffer.of(0)),
      ]),
      0x81,
    );
  }
});
