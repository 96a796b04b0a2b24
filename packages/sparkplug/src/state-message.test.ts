import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import type { OutboundMessage } from './outbound-message.ts';
import { HostState, parseState, stateMessage } from './state-message.ts';

const nowMs = 1_700_000_000_000;
const textOf = (message: OutboundMessage | undefined) => message && new TextDecoder().decode(message.payload);
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A host that is connected and subscribed at `nowMs`. */
function connectedHost() {
  const host = new HostState('scada');
  const will = host.connecting(nowMs);
  const birth = host.subscribed(nowMs + 20)!;
  return { host, will, birth };
}

test('[tck-id-host-topic-phid-birth-payload] [tck-id-message-flow-phid-sparkplug-state-publish-payload] [tck-id-operational-behavior-host-application-connect-birth-payload] [tck-id-payloads-state-birth-payload] the birth of a host is JSON with online true and a timestamp', () => {
  assert.equal(textOf(connectedHost().birth), '{"online":true,"timestamp":1700000000000}');
});

test('[tck-id-host-topic-phid-birth-payload-timestamp] [tck-id-message-flow-phid-sparkplug-state-publish-payload-timestamp] the timestamp of the birth is that of the will of the same connection', () => {
  const { will, birth } = connectedHost();
  assert.equal(parseState(birth.payload).timestamp, parseState(will.payload).timestamp);
});

test('[tck-id-host-topic-phid-birth-qos] [tck-id-host-topic-phid-birth-retain] [tck-id-host-topic-phid-birth-topic] [tck-id-operational-behavior-host-application-connect-birth-qos] [tck-id-operational-behavior-host-application-connect-birth-retained] [tck-id-operational-behavior-host-application-connect-birth-topic] the birth has QoS 1, is retained, and is on the topic of the host', () => {
  const { topic, qos, retain } = connectedHost().birth;
  assert.deepEqual([topic, qos, retain], ['spBv1.0/STATE/scada', 1, true]);
});

test('[tck-id-host-topic-phid-death-payload] [tck-id-host-topic-phid-death-qos] [tck-id-host-topic-phid-death-retain] [tck-id-host-topic-phid-death-topic] [tck-id-operational-behavior-host-application-connect-will-payload] [tck-id-operational-behavior-host-application-connect-will-qos] [tck-id-operational-behavior-host-application-connect-will-retained] [tck-id-operational-behavior-host-application-connect-will-topic] [tck-id-payloads-state-will-message-payload] [tck-id-payloads-state-will-message-qos] [tck-id-payloads-state-will-message-retain] the will is JSON with online false, QoS 1, retained, on the topic of the host', () => {
  const { will } = connectedHost();
  assert.equal(textOf(will), '{"online":false,"timestamp":1700000000000}');
  assert.deepEqual([will.topic, will.qos, will.retain], ['spBv1.0/STATE/scada', 1, true]);
});

test('[tck-id-host-topic-phid-death-payload-timestamp-connect] [tck-id-operational-behavior-host-application-multi-server-timestamp] every connection has a timestamp of its own', () => {
  const { host, will } = connectedHost();
  host.disconnected();
  const next = host.connecting(nowMs + 5_000);
  assert.notEqual(textOf(next), textOf(will));
  assert.equal(textOf(host.subscribed(nowMs + 5_010)), '{"online":true,"timestamp":1700000005000}');
});

test('[tck-id-host-topic-phid-death-payload-timestamp-disconnect-clean] [tck-id-operational-behavior-host-application-death-payload] [tck-id-operational-behavior-host-application-death-qos] [tck-id-operational-behavior-host-application-death-retained] [tck-id-operational-behavior-host-application-death-topic] the death before an intended disconnect has the time of now', () => {
  const { host } = connectedHost();
  const death = host.disconnecting(nowMs + 60_000);
  assert.equal(textOf(death), '{"online":false,"timestamp":1700000060000}');
  assert.deepEqual([death.topic, death.qos, death.retain], ['spBv1.0/STATE/scada', 1, true]);
  // Its own death is no reason to publish a birth.
  assert.equal(host.received(death.payload, nowMs + 61_000), undefined);
});

test('[tck-id-message-flow-hid-sparkplug-state-message-delivered] another STATE on the topic of the host is overwritten by its birth, with the timestamp of the will', () => {
  for (const text of [
    '{"online":false,"timestamp":1700000000000}',
    '{"online":false,"timestamp":1}',
    '{"online":true,"timestamp":1700000099999}',
    'OFFLINE',
    '',
    '{}',
    '\xff',
  ]) {
    const { host, birth } = connectedHost();
    assert.equal(textOf(host.received(bytesOf(text), nowMs + 2_000)), textOf(birth), text);
    assert.equal(host.overwritten, 1);
  }
});

test('its own birth, in any notation, is no other STATE', () => {
  const { host, birth } = connectedHost();
  assert.equal(host.received(birth.payload, nowMs + 2_000), undefined);
  assert.equal(host.received(bytesOf('{ "timestamp": 1700000000000, "online": true }'), nowMs + 2_000), undefined);
  assert.equal(host.overwritten, 0);
});

test('the birth is published again at most once a second', () => {
  const { host } = connectedHost();
  const other = bytesOf('');
  const published: number[] = [];
  for (let ms = nowMs + 100; ms < nowMs + 5_000; ms += 100) {
    const message = host.received(other, ms) ?? host.tick(ms);
    if (message !== undefined) published.push(ms);
  }
  assert.deepEqual(
    published.map((ms) => ms - nowMs),
    [1_100, 2_100, 3_100, 4_100],
  );
  assert.equal(host.overwritten, 49);
});

test('a delayed birth is due, and no more after the connection is lost', () => {
  const { host, birth } = connectedHost();
  assert.equal(host.received(bytesOf(''), nowMs + 30), undefined);
  assert.equal(host.dueMs, nowMs + 1_020);
  assert.equal(host.tick(nowMs + 1_019), undefined);
  assert.equal(textOf(host.tick(nowMs + 1_020)), textOf(birth));
  assert.equal(host.dueMs, undefined);
  host.received(bytesOf(''), nowMs + 1_030);
  host.disconnected();
  assert.deepEqual([host.dueMs, host.tick(nowMs + 9_000), host.subscribed(nowMs)], [undefined, undefined, undefined]);
});

test('another form of STATE is an error with the expected form', () => {
  for (const text of ['ONLINE', '', '[]', 'null', '{"online":1,"timestamp":1}', '{"online":true,"timestamp":"1"}'])
    assert.throws(() => parseState(bytesOf(text)), {
      code: 'invalid_message',
      message: /^STATE: expected JSON as in /,
    });
  assert.throws(() => parseState(bytesOf(`{"online":true,"timestamp":1${' '.repeat(2_000)}}`)), {
    code: 'invalid_message',
    message: /got "2\d+ bytes"/,
  });
});

test('a host ID that no topic may have is rejected', () => {
  for (const id of ['', 'a/b', '#', '+']) assert.throws(() => new HostState(id), { code: 'invalid_message' });
  assert.throws(() => stateMessage('a/b', { online: true, timestamp: 1 }), { code: 'invalid_message' });
});

test('fuzz: any payload is a STATE, or one TailraceError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytesOf)), (payload) => {
      try {
        const { online, timestamp } = parseState(payload);
        assert.ok(typeof online === 'boolean' && Number.isSafeInteger(timestamp));
      } catch (error) {
        assert.ok(isTailraceError(error), String(error));
      }
    }),
    fuzzed(),
  );
});
