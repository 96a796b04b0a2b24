import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ack,
  connack,
  connect,
  disconnect,
  field,
  packet,
  properties,
  publish,
  suback,
  subscribe,
  uint16,
  unsuback,
  unsubscribe,
  type Version,
} from '../test/raw-packets.ts';
import { ServerFixture } from '../test/server-fixture.ts';
import { statement } from '../test/statements.ts';
import { decodeAck } from './acks.ts';
import { assertPacket, connectVersion, type Role } from './packet-check.ts';
import { decodePublish } from './publish.ts';
import { MqttError } from './reason.ts';

/** Checks a packet as a connection does. */
function check(bytes: Buffer, version: Version, role: Role): void {
  const type = bytes[0]! >> 4;
  if (type === 3) decodePublish(bytes, version);
  else if (type >= 4 && type <= 7) decodeAck(bytes, version);
  else {
    if (type === 1) connectVersion(bytes);
    assertPacket(bytes, version, role);
  }
}

function reasonOf(bytes: Buffer, version: Version, role: Role = 'server'): number | undefined {
  try {
    check(bytes, version, role);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof MqttError, String(error));
    return error.reason;
  }
}

type Text = string | Buffer;

/** A packet for each string field; the field has the value. */
function fields(version: Version): [name: string, role: Role, make: (value: Text) => Buffer][] {
  const all: [string, Role, (value: Text) => Buffer][] = [
    ['protocol name', 'server', (name) => connect({ version, name })],
    ['client ID', 'server', (clientId) => connect({ version, clientId })],
    ['will topic', 'server', (topic) => connect({ version, will: { topic } })],
    ['user name', 'server', (userName) => connect({ version, userName })],
    ['topic', 'server', (topic) => publish({ version, topic })],
    ['topic of a server', 'client', (topic) => publish({ version, topic })],
    ['filter', 'server', (filter) => subscribe({ version, filters: [[filter, 0]] })],
    ['filter of UNSUBSCRIBE', 'server', (filter) => unsubscribe({ version, filters: [filter] })],
  ];
  if (version === 4) return all;
  const block = (id: number, value: Text) => properties([id, field(value)]);
  const user = (value: Text) => properties([38, Buffer.concat([field('name'), field(value)])]);
  const userName = (value: Text) => properties([38, Buffer.concat([field(value), field('value')])]);
  const behind = (value: Buffer, firstByte: number, ...rest: Buffer[]) => packet(firstByte, ...rest, value);
  return [
    ...all,
    ['user property', 'server', (value) => publish({ version, properties: user(value) })],
    ['name of a user property', 'server', (value) => publish({ version, properties: userName(value) })],
    ['content type', 'server', (value) => publish({ version, properties: block(3, value) })],
    ['response topic', 'server', (value) => publish({ version, properties: block(8, value) })],
    [
      'content type of a will',
      'server',
      (value) => connect({ version, will: { topic: 'a', properties: block(3, value) } }),
    ],
    ['authentication method', 'server', (value) => connect({ version, properties: block(21, value) })],
    ['user property of CONNECT', 'server', (value) => connect({ version, properties: user(value) })],
    ['user property of SUBSCRIBE', 'server', (value) => subscribe({ version, properties: user(value) })],
    ['reason string of PUBACK', 'server', (value) => behind(block(31, value), 0x40, uint16(1), Buffer.of(0))],
    ['reason string of PUBREL', 'server', (value) => behind(block(31, value), 0x62, uint16(1), Buffer.of(0))],
    ['reason string of DISCONNECT', 'server', (value) => disconnect(0, block(31, value))],
    ['assigned client ID', 'client', (value) => connack(5, { properties: block(18, value) })],
    ['response information', 'client', (value) => connack(5, { properties: block(26, value) })],
    ['server reference', 'client', (value) => connack(5, { properties: block(28, value) })],
    ['reason string of CONNACK', 'client', (value) => connack(5, { properties: block(31, value) })],
    ['reason string of SUBACK', 'client', (value) => packet(0x90, uint16(1), block(31, value), Buffer.of(0))],
    ['reason string of UNSUBACK', 'client', (value) => packet(0xb0, uint16(1), block(31, value), Buffer.of(0))],
  ];
}

const notUtf8 = ['ff', 'c3', 'c328', 'c080', 'eda080', 'edbfbf', 'e282', 'f4908080', '61ff', '80'];

statement(
  { v4: '1.5.3-1', v5: '1.5.4-1' },
  'refuses a string that is not well-formed UTF-8, in every string field of every packet',
  (version) => {
    for (const [name, role, make] of fields(version)) {
      for (const bytes of notUtf8) {
        assert.equal(reasonOf(make(Buffer.from(bytes, 'hex')), version, role), 0x81, `${name}: ${bytes}`);
      }
    }
  },
);

statement({ v4: '1.5.3-2', v5: '1.5.4-2' }, 'refuses a string with U+0000, in every string field', (version) => {
  for (const [name, role, make] of fields(version)) {
    for (const value of ['\0', 'a\0', '\0a', 'ä\0']) assert.equal(reasonOf(make(value), version, role), 0x81, name);
  }
});

statement({ v5: '1.5.7-1' }, 'checks both strings of a user property', (version) => {
  const pair = (name: Text, value: Text) => properties([38, Buffer.concat([field(name), field(value)])]);
  assert.equal(reasonOf(publish({ version, properties: pair('ä', 'ö') }), version), undefined);
  assert.equal(reasonOf(publish({ version, properties: pair(Buffer.of(0xff), 'b') }), version), 0x81);
  assert.equal(reasonOf(publish({ version, properties: pair('a', Buffer.of(0xff)) }), version), 0x81);
});

test('well-formed strings of one to four bytes a character are accepted', () => {
  for (const version of [4, 5] as const) {
    for (const [name, role, make] of fields(version)) {
      if (name === 'protocol name') continue;
      for (const value of ['a', 'ä', '€', '😀', '\ufeff', '\uffff', '\u0001']) {
        assert.equal(reasonOf(make(value), version, role), undefined, `${name}: ${value}`);
      }
    }
  }
});

/** Flags that each packet type has to have; PUBLISH has its own. */
const flags: [type: number, expected: number][] = [
  ...([1, 2, 4, 5, 7, 9, 11, 12, 13, 14] as const).map((type): [number, number] => [type, 0]),
  [6, 2],
  [8, 2],
  [10, 2],
];

statement(
  { v4: '2.2.2-2', v5: '2.1.3-1' },
  'refuses reserved header bits of every packet type that are wrong',
  (version) => {
    for (const [type, expected] of flags) {
      for (let bits = 0; bits < 16; bits++) {
        if (bits === expected) continue;
        // The first byte is enough: nothing of the packet is waited for.
        for (const role of ['server', 'client'] as const) {
          const bytes = packet((type << 4) | bits);
          assert.throws(() => assertPacket(bytes, version, role), { reason: 0x81 }, `type ${type}, bits ${bits}`);
        }
      }
    }
    assert.throws(() => assertPacket(packet(0x00), version, 'server'), { reason: 0x81 });
  },
);

test('an open connection is closed by the first byte of a packet with wrong bits, before the rest has come', () => {
  const client = new ServerFixture().open({ version: 5 });
  client.send(Buffer.of(0x80));
  assert.deepEqual(client.answers(), ['disconnect 0x81']);
});

test('a packet that only the other side sends is a protocol error', () => {
  for (const version of [4, 5] as const) {
    for (const bytes of [connack(version), suback(version, 1, 0), unsuback(version, 1, 0), packet(0xd0)]) {
      assert.equal(reasonOf(bytes, version, 'server'), 0x82, bytes.toString('hex'));
    }
    for (const bytes of [connect({ version }), subscribe({ version }), unsubscribe({ version }), packet(0xc0)]) {
      assert.equal(reasonOf(bytes, version, 'client'), 0x82, bytes.toString('hex'));
    }
  }
  assert.equal(reasonOf(packet(0xe0), 4, 'client'), 0x82);
});

statement({ v5: '1.5.5-1' }, 'refuses a longer form of a variable byte integer', (version) => {
  const long = (value: number) => Buffer.of(value | 0x80, 0);
  const head = Buffer.concat([field('a'), long(0)]);
  assert.equal(reasonOf(packet(0x30, head), version), 0x81);
  const identifier = Buffer.concat([uint16(1), Buffer.of(3, 11), long(5), field('a'), Buffer.of(0)]);
  assert.equal(reasonOf(packet(0x82, identifier), version), 0x81);
  const client = new ServerFixture().open({ version });
  client.send(Buffer.of(0xc0, 0x80, 0x00));
  assert.deepEqual(client.answers(), ['disconnect 0x81']);
});

test('every packet that is truncated, or has a byte left over, is malformed', () => {
  for (const version of [4, 5] as const) {
    const whole: [Role, Buffer][] = [
      ['server', connect({ version, will: { topic: 'a' }, userName: 'u', password: 'p' })],
      ['server', subscribe({ version })],
      ['server', unsubscribe({ version })],
      ['server', ack('puback', 1)],
      ['server', packet(0xc0)],
      ['client', connack(version)],
      ['client', suback(version, 1, 0)],
      ['client', unsuback(version, 1, 0)],
      ['client', packet(0xd0)],
    ];
    for (const [role, bytes] of whole) {
      assert.equal(reasonOf(bytes, version, role), undefined, bytes.toString('hex'));
      const content = bytes.subarray(2);
      for (let length = 0; length < content.length; length++) {
        const short = packet(bytes[0]!, content.subarray(0, length));
        assert.notEqual(reasonOf(short, version, role), undefined, short.toString('hex'));
      }
      // A SUBACK and an UNSUBACK with a further code are whole; a filter needs more than one byte.
      if ((role === 'client' && bytes[0] === 0x90) || (version === 5 && bytes[0] === 0xb0)) continue;
      // A reason is a field of an acknowledgment of 5.
      if (version === 5 && bytes[0] === 0x40) continue;
      assert.equal(reasonOf(packet(bytes[0]!, content, Buffer.of(0)), version, role), 0x81, bytes.toString('hex'));
    }
  }
});

test('CONNACK: a session without success, unknown codes and unknown flags are refused', () => {
  assert.equal(reasonOf(connack(5, { present: true, code: 0x87 }), 5, 'client'), 0x82);
  assert.equal(reasonOf(connack(4, { present: true, code: 5 }), 4, 'client'), 0x82);
  assert.equal(reasonOf(connack(4, { code: 6 }), 4, 'client'), 0x81);
  assert.equal(reasonOf(connack(5, { code: 0x01 }), 5, 'client'), 0x81);
  assert.equal(reasonOf(packet(0x20, Buffer.of(2, 0)), 4, 'client'), 0x81);
  assert.equal(reasonOf(connack(4, { code: 1 }), 5, 'client'), undefined, 'the form of 3.1.1 refuses a version');
});
