import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqttPacket from 'mqtt-packet';
import {
  connack,
  connect,
  field,
  packet,
  properties,
  subscribe,
  uint16,
  uint32,
  unsubscribe,
} from '../test/raw-packets.ts';
import {
  type ConnectPacket,
  decodePacket,
  encodePacket,
  type SubscribePacket,
  type UnsubscribePacket,
} from './codec.ts';
import { assertPacket } from './packet-check.ts';
import { MqttError } from './reason.ts';

/** What mqtt-packet accepts, and the checks before it refuse; and what it keeps, and the codec does not. */

function acceptedByLibrary(bytes: Buffer, version: 4 | 5): boolean {
  const parser = mqttPacket.parser({ protocolVersion: version });
  let isAccepted = false;
  parser.on('packet', () => {
    isAccepted = true;
  });
  parser.on('error', () => {
    isAccepted = false;
  });
  parser.parse(bytes);
  return isAccepted;
}

for (const [what, version, bytes, reason] of [
  ['strings that are not UTF-8', 4, connect({ clientId: Buffer.of(0xff) }), 0x81],
  ['a packet identifier of 0', 4, subscribe({ packetId: 0 }), 0x82],
  ['a SUBSCRIBE without filters', 4, subscribe({ filters: [] }), 0x82],
  ['an UNSUBSCRIBE without filters', 4, unsubscribe({ filters: [] }), 0x82],
  [
    'a property that the packet may not have',
    5,
    subscribe({ version: 5, properties: properties([33, uint16(1)]) }),
    0x81,
  ],
  [
    'a property that comes twice',
    5,
    connect({ version: 5, properties: properties([33, uint16(1)], [33, uint16(2)]) }),
    0x82,
  ],
  [
    'a byte property with another value than 0 and 1',
    5,
    connect({ version: 5, properties: properties([23, Buffer.of(7)]) }),
    0x82,
  ],
  ['a will of QoS 3', 4, connect({ will: { topic: 'a', qos: 3 } }), 0x81],
  ['a password without a user name in 3.1.1', 4, connect({ flags: 0x42, rest: field('p') }), 0x81],
  ['bytes behind the payload of CONNECT', 4, connect({ rest: Buffer.of(1, 2) }), 0x81],
  ['No Local on a shared subscription', 5, subscribe({ version: 5, filters: [['$share/a/b', 4]] }), 0x82],
] as const) {
  test(`refuses ${what}, which mqtt-packet accepts`, () => {
    assert.equal(acceptedByLibrary(bytes, version), true);
    assert.throws(() => assertPacket(bytes, version, 'server'), { reason });
  });
}

test('decodes CONNECT, SUBSCRIBE and UNSUBSCRIBE', () => {
  const will = { topic: 'w', payload: 'gone', qos: 1, properties: properties([24, uint32(5)]) };
  const decoded = decodePacket(
    connect({ version: 5, clientId: 'ä', userName: 'u', password: 'p', will }),
    5,
  ) as ConnectPacket;
  assert.deepEqual(
    [decoded.clientId, decoded.username, decoded.password?.toString(), decoded.will?.properties?.willDelayInterval],
    ['ä', 'u', 'p', 5],
  );
  const { subscriptions } = decodePacket(subscribe({ version: 5, filters: [['a', 0x2d]] }), 5) as SubscribePacket;
  assert.deepEqual(subscriptions, [{ topic: 'a', qos: 1, nl: true, rap: true, rh: 2 }]);
  const { unsubscriptions } = decodePacket(unsubscribe({ filters: ['a', 'b'] }), 4) as UnsubscribePacket;
  assert.deepEqual(unsubscriptions, ['a', 'b']);
});

test('packets of the two versions alternate on one parser', () => {
  for (let times = 0; times < 3; times++) {
    assert.equal((decodePacket(connect({ version: 5 }), 5) as ConnectPacket).protocolVersion, 5);
    assert.deepEqual((decodePacket(subscribe(), 4) as SubscribePacket).subscriptions, [{ topic: 'a/command', qos: 1 }]);
    assert.equal((decodePacket(connect(), 4) as ConnectPacket).protocolVersion, 4);
    assert.equal((decodePacket(subscribe({ version: 5 }), 5) as SubscribePacket).subscriptions[0]?.rh, 0);
  }
});

test('an error or an exception of the parser is one error, and the next packet is decoded', () => {
  for (const bytes of [packet(0x10, field('MQTT')), packet(0x90, uint16(1), Buffer.of(0x77))]) {
    assert.throws(() => decodePacket(bytes, 4), MqttError, bytes.toString('hex'));
    assert.equal((decodePacket(connect({ clientId: 'next' }), 4) as ConnectPacket).clientId, 'next');
  }
});

test('the packets that are written have the bytes of the specification', () => {
  const suback = encodePacket({ cmd: 'suback', messageId: 258, granted: [1, 0x8f] }, 5);
  assert.equal(suback.toString('hex'), '9005010200018f');
  const unsuback = encodePacket({ cmd: 'unsuback', messageId: 258, granted: [] }, 4);
  assert.equal(unsuback.toString('hex'), 'b0020102');
  const ack = encodePacket(
    { cmd: 'connack', reasonCode: 0x87, sessionPresent: false, properties: { reasonString: 'no' } },
    5,
  );
  assert.equal(
    ack.toString('hex'),
    connack(5, { code: 0x87, properties: properties([31, field('no')]) }).toString('hex'),
  );
});
