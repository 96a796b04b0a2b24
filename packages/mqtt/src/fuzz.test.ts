import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import { seededWholeNumbers } from '@tailrace/testkit/random';
import type { IPublishPacket } from 'mqtt-packet';
import { parsedByOther } from '../test/other-parser.ts';
import {
  ack,
  connack,
  connect,
  disconnect,
  field,
  packet,
  pingreq,
  pingresp,
  properties,
  publish,
  suback,
  subscribe,
  uint16,
  uint32,
  unsuback,
  unsubscribe,
  type Version,
  varint,
} from '../test/raw-packets.ts';
import { ServerFixture } from '../test/server-fixture.ts';
import { decodeAck } from './acks.ts';
import { decodePacket } from './codec.ts';
import { PacketFramer } from './framer.ts';
import { assertPacket, connectVersion, type Role } from './packet-check.ts';
import { decodePublish } from './publish.ts';
import { MqttError } from './reason.ts';

/** Bad input of every kind. The one error that may be thrown is MqttError; a connection lives or is closed once. */

const packetBytesMax = 4096;

/** Valid packets of one version, with every kind of field. */
function samples(version: Version): Buffer[] {
  const block = properties(
    [1, Buffer.of(1)],
    [2, uint32(60)],
    [3, field('application/json')],
    [8, field('a/reply')],
    [9, field('c')],
    [35, uint16(1)],
    [38, Buffer.concat([field('id'), field('ä')])],
  );
  const will = { topic: 'a/presence', qos: 1, retain: true, properties: properties([24, uint32(5)]) };
  return [
    connect({ version, will, userName: 'u', password: 'p', properties: properties([17, uint32(9)], [33, uint16(8)]) }),
    publish({ version, topic: 'a/ä', payload: 'x'.repeat(200) }),
    publish({ version, qos: 1, packetId: 300, properties: block }),
    publish({ version, qos: 2, packetId: 7, retain: true, dup: true }),
    ...(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const).map((type) => ack(type, 7)),
    ack('puback', 8, version === 5 ? 0x87 : undefined),
    subscribe({
      version,
      filters: [
        ['a/command', 1],
        ['b/+/#', 0],
      ],
      properties: properties([11, varint(200)]),
    }),
    unsubscribe({ version, filters: ['a/command', 'b'] }),
    pingreq,
    pingresp,
    version === 5 ? disconnect(0x04, properties([17, uint32(3)], [31, field('t')])) : disconnect(),
    connack(version, { properties: properties([18, field('c')], [33, uint16(20)], [36, Buffer.of(1)]) }),
    suback(version, 5, 0, 1, 0x80),
    unsuback(version, 5, 0, 0x11),
    packet(0xf0, Buffer.of(0x18), properties([21, field('m')])),
  ];
}

/** Decodes as a connection does. */
function decode(bytes: Buffer, version: Version, role: Role): void {
  const type = bytes[0]! >> 4;
  if (type === 3) {
    decodePublish(bytes, version);
  } else if (type >= 4 && type <= 7) {
    decodeAck(bytes, version);
  } else {
    if (type === 1) connectVersion(bytes);
    assertPacket(bytes, version, role);
    if (type === 12 || type === 13 || bytes.length === 2) return;
    decodePacket(bytes, version);
  }
}

function assertDecodesOrRefuses(bytes: Buffer, version: Version, role: Role): void {
  const framer = new PacketFramer(packetBytesMax);
  framer.push(Buffer.from(bytes));
  try {
    for (let next = framer.next(); next !== undefined; next = framer.next()) decode(next, version, role);
  } catch (error) {
    assert.ok(error instanceof MqttError, `${bytes.toString('hex')}: ${(error as Error).stack}`);
  }
  framer.retain();
  assert.ok(framer.pendingBytes <= packetBytesMax, bytes.toString('hex'));
}

/** One change of a packet: a byte, a bit, a part removed, a part doubled, a length off by one. */
function changed(bytes: Buffer, random: (max: number) => number): Buffer {
  const at = random(bytes.length);
  switch (random(6)) {
    case 0: {
      const copy = Buffer.from(bytes);
      copy[at] = random(256);
      return copy;
    }
    case 1: {
      const copy = Buffer.from(bytes);
      copy[at]! ^= 1 << random(8);
      return copy;
    }
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(4))]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(at + 1))]);
    case 4: {
      const copy = Buffer.from(bytes);
      copy[at] = copy[at]! + (random(2) === 0 ? 1 : -1);
      return copy;
    }
    default:
      return bytes.subarray(0, at);
  }
}

test('random bytes are refused or waited for', () => {
  const { seed, numRuns } = fuzzed(20_000);
  const random = seededWholeNumbers(seed + 1);
  for (let run = 0; run < numRuns; run++) {
    const bytes = Buffer.from(Array.from({ length: 1 + random(40) }, () => random(256)));
    assertDecodesOrRefuses(bytes, run % 2 === 0 ? 4 : 5, run % 4 < 2 ? 'server' : 'client');
  }
});

test('valid packets with one to three changes are decoded or refused', () => {
  const { seed, numRuns } = fuzzed(40_000);
  const random = seededWholeNumbers(seed + 2);
  for (let run = 0; run < numRuns; run++) {
    const version = run % 2 === 0 ? 4 : 5;
    const all = samples(version);
    let bytes = all[random(all.length)]!;
    for (let changes = random(3); changes >= 0 && bytes.length > 0; changes--) bytes = changed(bytes, random);
    if (bytes.length > 0) assertDecodesOrRefuses(bytes, version, random(2) === 0 ? 'server' : 'client');
  }
});

test('each length field of each packet off by one is decoded or refused', () => {
  for (const version of [4, 5] as const) {
    for (const bytes of samples(version)) {
      for (let at = 0; at < bytes.length; at++) {
        for (const difference of [-1, 1]) {
          const copy = Buffer.from(bytes);
          copy[at] = copy[at]! + difference;
          for (const role of ['server', 'client'] as const) assertDecodesOrRefuses(copy, version, role);
        }
      }
    }
  }
});

test('each property in each packet, with its extreme values, is decoded or refused', () => {
  const values = ['', '00', 'ff', '0000', 'ffff', '00000000', 'ffffffff', 'ffffff7f', '0001ff', '00016100016200'];
  for (let id = 0; id < 64; id++) {
    for (const value of values) {
      const block = properties([id, Buffer.from(value, 'hex')]);
      const twice = properties([id, Buffer.from(value, 'hex')], [id, Buffer.from(value, 'hex')]);
      for (const each of [block, twice]) {
        for (const bytes of [
          connect({ version: 5, properties: each }),
          connect({ version: 5, will: { topic: 'a', properties: each } }),
          publish({ version: 5, properties: each }),
          subscribe({ version: 5, properties: each }),
          packet(0x40, uint16(1), Buffer.of(0), each),
          disconnect(0, each),
        ]) {
          assertDecodesOrRefuses(bytes, 5, 'server');
        }
        assertDecodesOrRefuses(connack(5, { properties: each }), 5, 'client');
        assertDecodesOrRefuses(packet(0x90, uint16(1), each, Buffer.of(0)), 5, 'client');
      }
    }
  }
});

test('a PUBLISH that is accepted has the fields that another parser reads', () => {
  const { seed, numRuns } = fuzzed(20_000);
  const random = seededWholeNumbers(seed + 3);
  let compared = 0;
  for (let run = 0; run < numRuns; run++) {
    const version = run % 2 === 0 ? 4 : 5;
    const all = samples(version).slice(1, 4);
    const bytes = changed(all[random(all.length)]!, random);
    const framer = new PacketFramer(packetBytesMax);
    framer.push(bytes);
    let message: ReturnType<typeof decodePublish>;
    try {
      const next = framer.next();
      if (next === undefined || next.length !== bytes.length || next[0]! >> 4 !== 3) continue;
      message = decodePublish(next, version);
    } catch (error) {
      assert.ok(error instanceof MqttError, String(error));
      continue;
    }
    const parsed = parsedByOther<IPublishPacket>(bytes, version);
    assert.deepEqual(
      [parsed.topic, parsed.qos, parsed.dup, parsed.retain, (parsed.payload as Buffer).toString('hex')],
      [message.topic, message.qos, message.dup, message.retain, message.payload.toString('hex')],
      bytes.toString('hex'),
    );
    if (message.qos > 0) assert.equal(parsed.messageId, message.packetId);
    assert.equal(parsed.properties?.contentType, message.properties?.contentType);
    assert.equal(parsed.properties?.messageExpiryInterval, message.properties?.messageExpiry);
    compared++;
  }
  assert.ok(compared > 5000, `${compared} compared`);
});

test('a connection takes any sequence of packets, changed or not, split anywhere, and is closed once at most', () => {
  const random = seededWholeNumbers(4);
  const fixture = new ServerFixture({ acknowledges: false, limits: { receiveMaximum: 4 } });
  for (let run = 0; run < 2000; run++) {
    const version = run % 2 === 0 ? 4 : 5;
    const all = samples(version);
    const client = fixture.open({ version, clientId: `c${run % 7}`, clean: random(2) === 0 });
    const before = fixture.closed.length;
    for (let count = random(20); count > 0 && !client.isClosed; count--) {
      const bytes = all[random(all.length)]!;
      const sent = random(4) === 0 ? changed(bytes, random) : bytes;
      const at = random(sent.length + 1);
      client.send(sent.subarray(0, at));
      client.send(sent.subarray(at));
      // The log confirms some of the messages, in any order, also of connections that are closed.
      const index = fixture.received.length - 1 - random(6);
      const received = fixture.received[index];
      if (received !== undefined && received.message.ticket >= 0 && random(2) === 0) {
        fixture.received.splice(index, 1);
        received.connection.settle(received.message.ticket, random(3) === 0 ? 0x83 : 0);
        received.connection.flush();
      }
    }
    client.close();
    assert.equal(client.connection.state, 'closed');
    assert.equal(fixture.closed.length, before + 1);
    const { cause } = fixture.closed.at(-1)!;
    assert.equal(cause, undefined, String((cause as Error | undefined)?.stack));
  }
});
