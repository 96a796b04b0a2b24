import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IConnackPacket } from 'mqtt-packet';
import { parsedByOther } from '../test/other-parser.ts';
import { connect, field, packet, pingreq, properties, publish, uint16, uint32 } from '../test/raw-packets.ts';
import { ServerFixture } from '../test/server-fixture.ts';
import { assertNotConnected, statement } from '../test/statements.ts';

/** CONNECT and CONNACK: sections 3.1 and 3.2. */

function refused(fields: Parameters<typeof connect>[0] & {}, returnCode?: number, reason = 0x81, what = ''): void {
  const fixture = new ServerFixture();
  const client = fixture.dial();
  client.version = fields.version ?? 4;
  client.send(connect(fields));
  assertNotConnected(client, reason, returnCode, what);
  assert.equal(fixture.sessions.size, 0, what);
}

/** Returns the properties of the CONNACK of MQTT 5, read by another parser. */
function connackOf(fields: Parameters<typeof connect>[0] & {}, fixture = new ServerFixture()) {
  const client = fixture.dial();
  client.send(connect({ ...fields, version: 5 }));
  const [first] = client.take();
  return { connack: parsedByOther<IConnackPacket>(first!.bytes, 5), client, fixture };
}

statement({ v4: '3.1.0-1', v5: '3.1.0-1' }, 'closes the connection when the first packet is not CONNECT', (version) => {
  for (const first of [pingreq, publish({ version }), Buffer.of(0xe0, 0), Buffer.of(0x00)]) {
    const client = new ServerFixture().dial();
    client.send(first);
    assert.deepEqual(client.answers(), []);
    assert.equal(client.isClosed, true);
  }
});

statement({ v4: '3.1.0-2' }, 'closes the connection on a second CONNECT', () => {
  const client = new ServerFixture().open();
  client.send(connect());
  assert.deepEqual(client.answers(), []);
  assert.equal(client.isClosed, true);
});

statement({ v5: '3.1.0-2' }, 'closes the connection with 0x82 on a second CONNECT', () => {
  const client = new ServerFixture().open({ version: 5 });
  client.send(connect({ version: 5 }));
  assert.deepEqual(client.answers(), ['disconnect 0x82']);
  assert.equal(client.isClosed, true);
});

statement({ v4: '3.1.2-1' }, 'closes the connection when the protocol name is neither "MQTT" nor "MQIsdp"', () => {
  for (const name of ['HTTP', 'mqtt', 'MQTT ', '']) refused({ name });
});

statement({ v5: '3.1.2-1' }, 'answers 0x84 and closes when the protocol name is not "MQTT"', () => {
  for (const name of ['HTTP', 'mqtt', '']) refused({ version: 5, name }, undefined, 0x84);
});

statement({ v4: '3.1.2-2' }, 'answers CONNACK 0x01 and closes when the level is not 4 or 5; level 3 too', () => {
  refused({ level: 3 }, 1);
  refused({ level: 3, name: 'MQIsdp' }, 1);
  refused({ level: 0 }, 1);
});

test('[3.1.1 MQTT-3.1.2-2] answers CONNACK 0x01 to the level of a bridge, which then connects as a client', () => {
  refused({ level: 0x84 }, 1);
});

statement({ v5: '3.1.2-2' }, 'answers CONNACK 0x84 and closes when the version is neither 4 nor 5', () => {
  refused({ version: 5, level: 6 }, undefined, 0x84);
  refused({ version: 5, level: 0x7f }, undefined, 0x84);
});

statement({ v4: '3.1.2-3', v5: '3.1.2-3' }, 'refuses CONNECT when bit 0 of the connect flags is set', (version) => {
  refused({ version, flags: 0x03 });
});

statement({ v4: '3.1.2-9', v5: '3.1.2-9' }, 'refuses CONNECT when will topic or will payload is missing', (version) => {
  refused({ version, flags: 0x06 });
  const topicAlone = version === 5 ? Buffer.concat([properties(), field('a/presence')]) : field('a/presence');
  refused({ version, flags: 0x06, rest: topicAlone });
});

test('[3.1.1 MQTT-3.1.2-9] uses will QoS and will retain of the flags', () => {
  const fixture = new ServerFixture();
  fixture.open({ will: { topic: 'a/presence', qos: 2, retain: true } });
  const { will } = fixture.requests[0]!;
  assert.deepEqual([will?.topic, will?.qos, will?.retain, will?.payload.toString()], ['a/presence', 2, true, 'gone']);
});

statement({ v4: '3.1.2-11' }, 'refuses will QoS and will retain without the will flag', (version) => {
  for (const flags of [0x0a, 0x12, 0x22, 0x32]) refused({ version, flags });
});

statement({ v4: '3.1.2-12' }, 'publishes no will for a connection without the will flag', () => {
  const fixture = new ServerFixture();
  fixture.open().close();
  assert.equal(fixture.closed[0]?.will, undefined);
});

statement({ v4: '3.1.2-13', v5: '3.1.2-11' }, 'refuses will QoS without the will flag', (version) => {
  for (const flags of [0x0a, 0x12]) refused({ version, flags });
});

statement({ v4: '3.1.2-14', v5: '3.1.2-12' }, 'accepts will QoS 0, 1 and 2, and refuses 3', (version) => {
  for (const qos of [0, 1, 2]) {
    const client = new ServerFixture().dial();
    client.version = version;
    client.send(connect({ version, will: { topic: 'a/presence', qos } }));
    assert.match(client.answers().join(), /^connack 0 0x00$/);
  }
  refused({ version, will: { topic: 'a/presence', qos: 3 } });
});

statement({ v4: '3.1.2-15', v5: '3.1.2-13' }, 'refuses will retain without the will flag', (version) => {
  refused({ version, flags: 0x22 });
});

statement({ v4: '3.1.2-18', v5: '3.1.2-16' }, 'refuses a user name in the payload without its flag', (version) => {
  refused({ version, userName: 'u', flags: 0x02 });
});

statement({ v4: '3.1.2-19', v5: '3.1.2-17' }, 'refuses the user name flag without a user name', (version) => {
  refused({ version, flags: 0x82 });
});

statement({ v4: '3.1.2-20', v5: '3.1.2-18' }, 'refuses a password in the payload without its flag', (version) => {
  refused({ version, userName: 'u', password: 'p', flags: 0x82 });
});

statement({ v4: '3.1.2-21', v5: '3.1.2-19' }, 'refuses the password flag without a password', (version) => {
  refused({ version, userName: 'u', flags: 0xc2 });
});

test('[5 MQTT-3.1.2-19] accepts a password without a user name', () => {
  const { connack, fixture } = connackOf({ password: 'token' });
  assert.equal(connack.reasonCode, 0);
  assert.equal(fixture.requests[0]?.password?.toString(), 'token');
});

statement({ v4: '3.1.2-22' }, 'refuses the password flag without the user name flag', () => {
  refused({ flags: 0x42, rest: field('p') });
});

statement(
  { v4: '3.1.3-1', v5: '3.1.3-1' },
  'reads client ID, will topic, will message, user name and password in this order',
  (version) => {
    const fixture = new ServerFixture();
    const client = fixture.dial();
    const will = { topic: 'a/presence', payload: 'w' };
    client.send(connect({ version, clientId: 'c', will, userName: 'u', password: 'p' }));
    const { clientId, will: read, userName, password } = fixture.requests[0]!;
    const values = [clientId, read?.topic, read?.payload.toString(), userName, password?.toString()];
    assert.deepEqual(values, ['c', 'a/presence', 'w', 'u', 'p']);
  },
);

statement({ v4: '3.1.3-3', v5: '3.1.3-3' }, 'refuses CONNECT without a client ID', (version) => {
  refused({ version, clientId: undefined });
});

statement({ v4: '3.1.3-4', v5: '3.1.3-4' }, 'refuses a client ID that is not UTF-8', (version) => {
  refused({ version, clientId: Buffer.of(0x61, 0xff) });
});

statement({ v4: '3.1.3-10', v5: '3.1.3-11' }, 'refuses a will topic that is not UTF-8', (version) => {
  refused({ version, will: { topic: Buffer.of(0xc3, 0x28) } });
});

statement({ v4: '3.1.3-11', v5: '3.1.3-12' }, 'refuses a user name that is not UTF-8', (version) => {
  refused({ version, userName: Buffer.of(0xed, 0xa0, 0x80) });
});

statement(
  { v4: '3.1.3-5', v5: '3.1.3-5' },
  'accepts client IDs of 1 to 23 bytes of digits and letters, each character tried',
  (version) => {
    const characters = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
    const ids = [...characters, ...Array.from({ length: 23 }, (_, index) => characters.slice(0, index + 1))];
    for (const clientId of ids) {
      const client = new ServerFixture().dial();
      client.send(connect({ version, clientId }));
      assert.deepEqual(client.answers(), ['connack 0 0x00'], clientId);
    }
  },
);

statement({ v4: '3.1.3-6', v5: '3.1.3-6' }, 'assigns a unique client ID to an empty one', (version) => {
  const fixture = new ServerFixture();
  const first = fixture.open({ version, clientId: '' });
  const second = fixture.open({ version, clientId: '' });
  assert.notEqual(first.connection.clientId, second.connection.clientId);
  assert.equal(first.isClosed, false);
});

statement(
  { v5: '3.1.3-7' },
  'returns the assigned client ID in CONNACK; a second connection with it resumes the session',
  () => {
    const expiry = properties([17, uint32(600)]);
    const { connack, client, fixture } = connackOf({ clientId: '', properties: expiry });
    const clientId = connack.properties?.assignedClientIdentifier;
    assert.equal(clientId, client.connection.clientId);
    client.close();
    assert.equal(connackOf({ clientId: clientId!, clean: false }, fixture).connack.sessionPresent, true);
    assert.equal(connackOf({ clientId: 'own' }).connack.properties?.assignedClientIdentifier, undefined);
  },
);

statement({ v4: '3.1.3-8' }, 'answers CONNACK 0x02 and closes on an empty client ID with clean session 0', () => {
  refused({ clientId: '', clean: false }, 2);
});

statement(
  { v4: '3.1.3-9', v5: '3.1.3-8' },
  'refuses a client ID of over 128 bytes, and one with control characters, by the code for client IDs',
  (version) => {
    refused({ version, clientId: 'a'.repeat(129) }, 2, 0x85);
    refused({ version, clientId: 'a\n' }, 2, 0x85);
    refused({ version, clientId: 'ö'.repeat(65) }, 2, 0x85);
  },
);

statement({ v4: '3.1.4-1', v5: '3.1.4-1' }, 'refuses CONNECT that is not of its form, one case a field', (version) => {
  const whole = connect({ version, will: { topic: 'a/presence' }, userName: 'u', password: 'p' });
  const content = whole.subarray(2);
  for (let length = 0; length < content.length; length++) {
    const client = new ServerFixture().dial();
    client.version = version;
    client.send(packet(0x10, content.subarray(0, length)));
    assert.equal(client.isClosed, true, `${length} bytes`);
    // Up to the level the version is unknown.
    const expected = version === 5 && length > 6 ? ['connack 0 0x81'] : [];
    assert.deepEqual(client.answers(), expected, `${length} bytes`);
  }
  refused({ version, rest: Buffer.of(0) });
});

statement({ v5: '3.1.4-2' }, 'closes when the client is refused, after the CONNACK code of the server', () => {
  for (const reason of [0x86, 0x87, 0x88, 0x97, 0x9f]) {
    const fixture = new ServerFixture({ handlers: { authorize: (connection) => connection.refuse(reason, 'no') } });
    const client = fixture.dial();
    client.version = 5;
    client.send(connect({ version: 5 }));
    assertNotConnected(client, reason);
  }
});

statement({ v4: '3.1.4-4', v5: '3.1.4-5' }, 'answers a valid CONNECT with CONNACK 0', (version) => {
  const client = new ServerFixture().dial();
  client.send(connect({ version }));
  assert.deepEqual(client.answers(), ['connack 0 0x00']);
});

statement(
  { v4: '3.1.4-5', v5: '3.1.4-6' },
  'processes nothing that arrived after a CONNECT that it rejects',
  (version) => {
    const refuse: (() => void)[] = [];
    const fixture = new ServerFixture({
      handlers: { authorize: (connection) => void refuse.push(() => connection.refuse(0x87, 'no right')) },
    });
    const client = fixture.dial();
    client.version = version;
    client.send(connect({ version }), publish({ version, qos: 1 }));
    client.send(publish({ version, qos: 1, packetId: 2 }));
    refuse[0]!();
    assertNotConnected(client, 0x87, 5);
    assert.deepEqual(fixture.received, []);
  },
);

statement({ v4: '3.2.0-1', v5: '3.2.0-1' }, 'sends CONNACK before any other packet', (version) => {
  const open: (() => void)[] = [];
  const fixture = new ServerFixture({
    handlers: { claim: (connection) => void open.push(() => connection.claimed(undefined)) },
  });
  const client = fixture.dial();
  client.send(connect({ version }), pingreq, publish({ version, qos: 1 }));
  assert.deepEqual(client.answers(), []);
  open[0]!();
  assert.deepEqual(client.answers(), ['connack 0 0x00', 'pingresp', 'puback 1']);
});

statement({ v5: '3.2.0-2' }, 'sends one CONNACK on a connection', () => {
  const fixture = new ServerFixture({
    handlers: {
      claim(connection) {
        connection.claimed(undefined);
        connection.claimed(undefined);
        connection.refuse(0x87, 'late');
      },
    },
  });
  const client = fixture.dial();
  client.send(connect({ version: 5 }));
  assert.deepEqual(client.answers(), ['connack 0 0x00']);
});

statement({ v5: '3.2.2-1' }, 'writes bits 7 to 1 of the acknowledge flags as 0', () => {
  const fixture = new ServerFixture();
  fixture.open({ version: 5, properties: properties([17, uint32(600)]) }).close();
  const client = fixture.dial();
  client.send(connect({ version: 5, clean: false }));
  assert.equal(client.take()[0]?.content[0], 1);
});

/** Keeps a session of the client, and returns the session present flag of its next connect. */
function sessionPresent(version: 4 | 5, clean: boolean, isStored: boolean): number | undefined {
  const fixture = new ServerFixture();
  const stored = version === 5 ? { properties: properties([17, uint32(600)]) } : { clean: false };
  if (isStored) fixture.open({ version, ...stored }).close();
  const client = fixture.dial();
  client.send(connect({ version, clean }));
  return client.take()[0]?.content[0];
}

statement({ v4: '3.2.2-1', v5: '3.2.2-2' }, 'sets session present 0 with a clean session', (version) => {
  assert.equal(sessionPresent(version, true, true), 0);
});

statement({ v4: '3.2.2-2' }, 'sets session present 1 when a session is stored and clean session is 0', (version) => {
  assert.equal(sessionPresent(version, false, true), 1);
});

statement({ v4: '3.2.2-3' }, 'sets session present 0 when no session is stored', (version) => {
  assert.equal(sessionPresent(version, false, false), 0);
});

statement({ v5: '3.2.2-3' }, 'sets session present by whether a session is stored', (version) => {
  assert.equal(sessionPresent(version, false, false), 0);
  assert.equal(sessionPresent(version, false, true), 1);
});

statement({ v4: '3.2.2-4', v5: '3.2.2-6' }, 'sets session present 0 with every code but 0', (version) => {
  const fixture = new ServerFixture({ handlers: { claim: (connection) => connection.refuse(0x87, 'no right') } });
  const client = fixture.dial();
  client.version = version;
  client.send(connect({ version, clean: false }));
  assertNotConnected(client, 0x87, 5);
});

statement({ v4: '3.2.2-5', v5: '3.2.2-7' }, 'closes after every code but 0', (version) => {
  for (const [reason, returnCode] of [
    [0x84, 1],
    [0x85, 2],
    [0x88, 3],
    [0x86, 4],
    [0x87, 5],
  ] as const) {
    const fixture = new ServerFixture({ handlers: { authorize: (connection) => connection.refuse(reason, 'no') } });
    const client = fixture.dial();
    client.version = version;
    client.send(connect({ version }));
    assertNotConnected(client, reason, returnCode);
  }
});

statement({ v4: '3.2.2-6' }, 'closes without CONNACK when no return code fits', () => {
  const fixture = new ServerFixture({ handlers: { authorize: (connection) => connection.refuse(0x80, 'no') } });
  const client = fixture.dial();
  client.send(connect());
  assertNotConnected(client, 0x80, undefined);
});

statement(
  { v5: '3.2.2-19' },
  'leaves the Reason String of CONNACK out when the packet would exceed the Maximum Packet Size of the client',
  () => {
    for (const [bytesMax, hasText] of [
      [100, true],
      [20, false],
    ] as const) {
      const fixture = new ServerFixture({
        handlers: { authorize: (connection) => connection.refuse(0x87, 'the token does not cover this device') },
      });
      const client = fixture.dial();
      client.send(connect({ version: 5, properties: properties([39, uint32(bytesMax)]) }));
      const [connack] = client.take();
      assert.equal(connack!.bytes.includes('does not cover'), hasText);
      assert.ok(connack!.bytes.length <= bytesMax);
    }
  },
);

test('the CONNACK of MQTT 5 names the limits of the server', () => {
  const { connack } = connackOf({});
  assert.deepEqual(
    { ...connack.properties },
    {
      receiveMaximum: 64,
      maximumPacketSize: 262_144,
      topicAliasMaximum: 32,
      sharedSubscriptionAvailable: false,
      subscriptionIdentifiersAvailable: false,
    },
  );
});

test('the CONNACK of MQTT 5 names a session expiry and a keep-alive that differ from those of the client', () => {
  const { connack } = connackOf({ keepAlive: 0, properties: properties([17, uint32(0xffff_ffff)]) });
  assert.equal(connack.properties?.serverKeepAlive, 1800);
  assert.equal(connack.properties?.sessionExpiryInterval, 86_400);
});

statement({ v5: '4.12.0-1' }, 'answers an Authentication Method by CONNACK 0x8C and closes', () => {
  refused({ version: 5, properties: properties([21, field('SCRAM')]) }, undefined, 0x8c);
});

test('[5 MQTT-3.1.2-28] sends no Response Information, whatever Request Response Information is', () => {
  for (const value of [0, 1]) {
    const { connack } = connackOf({ properties: properties([25, Buffer.of(value)]) });
    assert.equal(connack.properties?.responseInformation, undefined);
  }
});

test('a Receive Maximum and a Maximum Packet Size of 0 are protocol errors', () => {
  refused({ version: 5, properties: properties([33, uint16(0)]) }, undefined, 0x82);
  refused({ version: 5, properties: properties([39, uint32(0)]) }, undefined, 0x82);
});

test('a user name over 256 bytes, a password over 8 KiB and a will over 4 KiB are refused', () => {
  for (const version of [4, 5] as const) {
    refused({ version, userName: 'u'.repeat(257) }, 4, 0x86);
    refused({ version, userName: 'u', password: 'p'.repeat(8193) }, 4, 0x86);
    refused({ version, will: { topic: 'a/presence', payload: 'w'.repeat(4097) } }, 3, 0x97);
  }
});

test('waiting: a packet over 16,384 bytes is refused by its header, and 10 s without CONNECT close', async () => {
  const fixture = new ServerFixture();
  const large = fixture.dial();
  large.send(Buffer.of(0x10, 0xff, 0xff, 0x7f));
  assert.equal(large.isClosed, true);
  const idle = fixture.dial();
  idle.send(connect().subarray(0, 10));
  await fixture.clock.advance(9000);
  assert.equal(idle.isClosed, false);
  await fixture.clock.advance(3000);
  assert.equal(idle.isClosed, true);
  assert.deepEqual(idle.answers(), []);
});

test('verifying: a client that closes is reported once, and its late verification is ignored', () => {
  const pending: (() => void)[] = [];
  const fixture = new ServerFixture({
    handlers: { authorize: (connection) => void pending.push(() => connection.authorized()) },
  });
  const client = fixture.dial();
  client.send(connect());
  client.close();
  pending[0]!();
  assert.equal(fixture.closed.length, 1);
  assert.equal(fixture.closed[0]?.by, 'network');
  assert.equal(client.connection.state, 'closed');
});

test('verifying: after 10 s without a decision the client is refused by the code for an unavailable server', async () => {
  const fixture = new ServerFixture({ handlers: { authorize() {} } });
  const client = fixture.dial();
  client.send(connect());
  await fixture.clock.advance(12_000);
  assertNotConnected(client, 0x88, 3);
});

test('a Maximum Packet Size below that of CONNACK is refused with 0x95', () => {
  refused({ version: 5, properties: properties([39, uint32(19)]) }, undefined, 0x95);
});

statement({ v5: '3.2.2-8' }, 'uses codes of the CONNACK table alone', () => {
  for (let reason = 0x80; reason <= 0xff; reason++) {
    const fixture = new ServerFixture({ handlers: { authorize: (connection) => connection.refuse(reason, 'no') } });
    const client = fixture.dial();
    client.send(connect({ version: 5 }));
    const code = client.take()[0]!.content[1]!;
    assert.ok(isConnackCode(code), `${reason}`);
    if (isConnackCode(reason)) assert.equal(code, reason);
  }
});

function isConnackCode(code: number): boolean {
  const codes = '80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f';
  return codes.split(' ').includes(code.toString(16));
}

statement({ v5: '4.12.0-6' }, 'sends no AUTH and no Authentication Method', () => {
  const { connack, client } = connackOf({});
  assert.equal(connack.properties?.authenticationMethod, undefined);
  client.send(pingreq, publish({ version: 5, qos: 2 }));
  assert.deepEqual(client.answers(), ['pingresp', 'pubrec 1']);
});

statement(
  { v5: '3.1.2-23' },
  'reports at the close how long the session is stored, at most the limit that CONNACK has named',
  () => {
    for (const [asked, expected] of [
      [600, 600],
      [0xffff_ffff, 86_400],
    ] as const) {
      const { connack, client, fixture } = connackOf({ properties: properties([17, uint32(asked)]) });
      client.close();
      assert.equal(fixture.closed[0]?.sessionExpirySeconds, expected);
      assert.equal(connack.properties?.sessionExpiryInterval, asked === expected ? undefined : expected);
    }
  },
);
