import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { deviceMessageTypes, nodeMessageTypes, parseTopic, stateTopicOf, topicOf } from './topic.ts';

const refused = (topic: string, reason: RegExp) =>
  assert.throws(() => parseTopic(topic), { code: 'invalid_message', message: reason });

test('[tck-id-topics-nbirth-topic] [tck-id-topics-ndata-topic] [tck-id-topics-ndeath-topic] messages of a node are parsed', () => {
  for (const type of nodeMessageTypes)
    assert.deepEqual(parseTopic(`spBv1.0/Line 3/${type}/n-1`), { type, group: 'Line 3', node: 'n-1' });
});

test('[tck-id-topics-dbirth-topic] [tck-id-topics-ddata-topic] [tck-id-topics-ddeath-topic] messages of a device are parsed', () => {
  for (const type of deviceMessageTypes)
    assert.deepEqual(parseTopic(`spBv1.0/g/${type}/n/d.1`), { type, group: 'g', node: 'n', device: 'd.1' });
});

test('the state of a host is parsed', () => {
  assert.deepEqual(parseTopic('spBv1.0/STATE/scada'), { type: 'STATE', host: 'scada' });
  assert.equal(stateTopicOf('scada'), 'spBv1.0/STATE/scada');
  refused('spBv1.0/STATE', /expected spBv1.0/);
  refused('spBv1.0/STATE/', /host ID/);
  assert.throws(() => stateTopicOf('a/b'), { code: 'invalid_message' });
});

test('[tck-id-topic-structure] a topic of more than 5 levels, or less than 4, is unknown', () => {
  refused('spBv1.0/g/DDATA/n/d/x', /it has 6 levels/);
  refused('spBv1.0/g/NDATA', /the node ID/);
  refused('spBv1.0/g', /no message type/);
  refused('spBv1.0', /no message type/);
  refused('', /does not start with spBv1.0/);
});

test('[tck-id-topic-structure-namespace-a] another namespace is unknown, Sparkplug A with its reason', () => {
  refused('spAv1.0/g/NDATA/n', /Sparkplug A is not supported/);
  refused('spBv2.0/g/NDATA/n', /does not start with spBv1.0/);
});

test('[tck-id-topic-structure-namespace-device-id-associated-message-types] a message of a device needs the device', () => {
  for (const type of deviceMessageTypes) refused(`spBv1.0/g/${type}/n`, /needs a device/);
});

test('[tck-id-topic-structure-namespace-device-id-non-associated-message-types] a message of a node has no device', () => {
  for (const type of nodeMessageTypes) refused(`spBv1.0/g/${type}/n/d`, /has no device/);
});

test('[tck-id-topic-structure-namespace-valid-group-id] [tck-id-topic-structure-namespace-valid-edge-node-id] [tck-id-topic-structure-namespace-valid-device-id] an ID is not empty, and has no wildcard and no control character', () => {
  for (const id of ['', '+', '#', 'a+', 'a\0', 'a\n', 'x'.repeat(257)]) {
    refused(`spBv1.0/${id}/NDATA/n`, /the group ID/);
    refused(`spBv1.0/g/NDATA/${id}`, /the node ID/);
    refused(`spBv1.0/g/DDATA/n/${id}`, /the device ID/);
  }
  parseTopic(`spBv1.0/${'x'.repeat(256)}/DDATA/${'x'.repeat(256)}/${'x'.repeat(256)}`);
  parseTopic('spBv1.0/Größe 1/NDATA/n$');
});

test('fuzz: a topic is parsed to what it was made of, or is one TailraceError', () => {
  const level = fc.oneof(
    fc.constantFrom('spBv1.0', 'STATE', 'g', '', '+', '__proto__', ...nodeMessageTypes, ...deviceMessageTypes),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(level, { maxLength: 7 }), (levels) => {
      const topic = levels.join('/');
      try {
        const parsed = parseTopic(topic);
        assert.equal(parsed.type === 'STATE' ? stateTopicOf(parsed.host) : topicOf(parsed), topic);
      } catch (error) {
        assert.ok(isTailraceError(error), String(error));
      }
    }),
    fuzzed(2_000),
  );
});
