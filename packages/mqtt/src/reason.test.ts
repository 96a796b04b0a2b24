import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { isPermanent, MqttError, mqttReasons, reasonFrom, reasonFromReturnCode, returnCodeFrom } from './reason.ts';

test('a refused message has the reason of its error', () => {
  for (const [code, reason] of [
    ['invalid_report', 0x83],
    ['too_large', 0x83],
    ['invalid_path', 0x90],
    ['forbidden', 0x87],
    ['unauthorized', 0x87],
    ['limit_reached', 0x97],
    ['internal', 0x80],
  ] as const) {
    assert.equal(reasonFrom(new TailraceError(code, 'x')), reason, code);
  }
  assert.equal(reasonFrom(new MqttError(mqttReasons.payloadFormatInvalid, 'x')), 0x99);
});

test('the return codes of 3.1.1 and the reasons of 5 stand for each other', () => {
  for (const returnCode of [0, 1, 2, 3, 4, 5])
    assert.equal(returnCodeFrom(reasonFromReturnCode(returnCode)!), returnCode);
  assert.equal(reasonFromReturnCode(6), undefined);
  assert.equal(returnCodeFrom(mqttReasons.malformedPacket), undefined);
  assert.equal(returnCodeFrom(mqttReasons.connectionRateExceeded), 3);
});

test('a refusal by rights or version is permanent, and one by load is not', () => {
  for (const reason of [0x84, 0x85, 0x86, 0x87, 0x9d]) assert.equal(isPermanent(reason), true);
  for (const reason of [0, 0x80, 0x88, 0x89, 0x8b, 0x8e, 0x97, 0x9f]) assert.equal(isPermanent(reason), false);
});

test('an error of MQTT has a code of the product, for its log', () => {
  assert.equal(new MqttError(mqttReasons.packetTooLarge, 'x').code, 'too_large');
  assert.equal(new MqttError(mqttReasons.protocolError, 'x').code, 'invalid_message');
});
