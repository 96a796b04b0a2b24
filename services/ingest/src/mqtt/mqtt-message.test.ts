import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { deadLetterReasonOf } from '../dead-letters/dead-letter.ts';
import { isBatch } from '../devices/device-message.ts';
import { deviceTopicFrom } from './device-topic.ts';
import { deviceMessageFrom, type PublishedMessage, presenceFrom } from './mqtt-message.ts';

const published = (topic: string, payload: string | Buffer, rest: Partial<PublishedMessage> = {}) =>
  deviceMessageFrom({
    ...{
      topic: deviceTopicFrom(topic),
      payload: Buffer.from(payload),
      qos: 1,
      ticket: 3,
      id: '',
      batchId: '',
      contentType: '',
    },
    ...{ isText: false, receivedMs: 5, traceparent: '' },
    ...rest,
  });

/** Returns the reports of a message, or the errors in their place. */
function reportsOf(...args: Parameters<typeof published>) {
  const message = published(...args);
  if (!isBatch(message)) return [message.report()];
  return message.messages().map((each) => {
    if ('error' in each) return each.error.code;
    try {
      return each.report();
    } catch (error) {
      return (error as { code: string }).code;
    }
  });
}

const readings = [{ tag: 't', value: 1 }];

test('a report has the device of its topic, unless it names one', () => {
  assert.deepEqual(reportsOf('a/b/telemetry', '{"readings":[{"tag":"t","value":1}]}'), [
    { device: 'a.b', time: 0, readings },
  ]);
  const named = '{"device":"a.c","time":1764446400000,"readings":[{"tag":"t","value":1}],"id":"m1"}';
  assert.deepEqual(reportsOf('a/b/telemetry', named, { id: 'other' }), [
    { device: 'a.c', time: 1_764_446_400_000, readings, id: 'm1' },
  ]);
  // The envelope of older gateways.
  assert.deepEqual(reportsOf('a/b/telemetry', '{"timestamp":1764446400000,"values":[{"tag":"t","value":1}]}'), [
    { device: 'a.b', time: 1_764_446_400_000, readings },
  ]);
});

test('the ID of a message is that of its report, if the payload has none and one report', () => {
  const ids = (payload: string) =>
    reportsOf('a/b/telemetry', payload, { id: 'x1' }).map((each) => (each as { id?: string }).id);
  assert.deepEqual(ids('{"readings":[{"tag":"t","value":1}]}'), ['x1']);
  assert.deepEqual(ids('[{"readings":[{"tag":"t","value":1}]}]'), ['x1']);
  assert.deepEqual(ids('[{"readings":[{"tag":"t","value":1}]},{"readings":[{"tag":"t","value":2}]}]'), [
    undefined,
    undefined,
  ]);
});

test('an ID of the message that is too long or no plain text is refused', () => {
  for (const id of ['x'.repeat(1_000), 'a\nb']) {
    const one = () => reportsOf('a/b/telemetry', '{"readings":[{"tag":"t","value":1}]}', { id });
    assert.throws(one, /id: expected a text of at most/);
    assert.throws(() => reportsOf('a/b/telemetry/t', '1', { id }), /id: expected a text of at most/);
    assert.deepEqual(reportsOf('a/b/telemetry', '[{"readings":[{"tag":"t","value":1}]}]', { id }), ['invalid_report']);
  }
});

test('the reason of what is no report is known, for its dead letter', () => {
  const reasonOf = (topic: string, payload: string | Buffer) => {
    try {
      const message = published(topic, payload);
      const [first] = isBatch(message) ? message.messages() : [message];
      if ('error' in first!) throw first.error;
      first!.report();
    } catch (error) {
      return deadLetterReasonOf(error as TailraceError);
    }
    return undefined;
  };
  assert.equal(reasonOf('a/b/telemetry', '{'), 'malformed_json');
  assert.equal(reasonOf('a/b/telemetry', '[{'), 'malformed_json');
  assert.equal(reasonOf('a/b/telemetry', '{"readings":[{"tag":"t","value":9007199254740993}]}'), 'inexact');
  assert.equal(reasonOf('a/b/telemetry', '{"readings":[]}'), 'invalid_report');
  assert.equal(reasonOf('a/b/telemetry/t', 'x'), 'malformed_number');
  assert.equal(reasonOf('a/b/telemetry/t', '9007199254740993'), 'inexact');
  assert.equal(reasonOf('a/b/telemetry/pb', Buffer.of(0x0a, 9)), 'malformed_protobuf');
});

test('a topic with a tag takes one number or boolean, and nothing like one', () => {
  const value = (payload: string) => {
    const [report] = reportsOf('a/b/telemetry/oil', payload);
    return (report as Report).readings;
  };
  assert.deepEqual(value(' -42.5e1\n'), [{ tag: 'oil', value: -425 }]);
  assert.deepEqual(value('true'), [{ tag: 'oil', value: true }]);
  for (const payload of ['', 'NaN', '1,5', '0x1F', '01', '1.', '"1"', 'null', '{}', 'on', '+1', 'Infinity'])
    assert.throws(() => value(payload), { code: 'invalid_report' }, payload);
  // A double does not hold it.
  assert.throws(() => value('9007199254740993'), { code: 'invalid_report' });
});

test('an array is a batch of which each report is checked by itself', () => {
  const message = published('a/b/telemetry', ' [{"readings":[{"tag":"t","value":1}]}, 7, {"readings":[]}]');
  assert.ok(isBatch(message));
  assert.deepEqual([message.count, message.token, message.device], [3, 3, 'a.b']);
  const results = reportsOf('a/b/telemetry', '[{"readings":[{"tag":"t","value":1}]}, 7, {"readings":[]}]');
  assert.deepEqual(results, [{ device: 'a.b', time: 0, readings }, 'invalid_report', 'invalid_report']);
  assert.deepEqual(reportsOf('a/b/telemetry', '[]'), ['invalid_report']);
  assert.deepEqual(reportsOf('a/b/telemetry', '[{]'), ['invalid_report']);
});

test('a batch beyond the limit is refused before it is parsed', () => {
  const payload = `[${Array(501).fill('{"readings":[{"tag":"t","value":1}]}').join(',')}]`;
  assert.throws(() => published('a/b/telemetry', payload), { code: 'too_large' });
});

test('Protobuf is recognized by topic or content type, never by its first byte', () => {
  // ReportBatch { reports: [{ device: "a.b", readings: [{ tag: "t", number_value: 1 }] }] } of telemetry.proto.
  const batch = Buffer.from('{"readings":[{"tag":"t","value":1}]}');
  assert.throws(() => published('a/b/telemetry/pb', batch), { code: 'invalid_report' });
  assert.throws(() => published('a/b/telemetry', batch, { contentType: 'application/x-protobuf' }), {
    code: 'invalid_report',
  });
  assert.equal(reportsOf('a/b/telemetry', batch, { contentType: 'application/json; charset=utf-8' }).length, 1);
  assert.throws(() => published('a/b/telemetry', batch, { contentType: 'text/csv' }), /expected application\/json/);
});

test('text by its format indicator has to be UTF-8', () => {
  assert.throws(() => published('a/b/telemetry', Buffer.of(0x22, 0xff), { isText: true }), { reason: 0x99 });
  assert.throws(() => reportsOf('a/b/telemetry', Buffer.of(0x22, 0xff)), { code: 'invalid_report' });
});

test('a message that is kept does not share the bytes of its connection', () => {
  const payload = Buffer.from('{"readings":[{"tag":"t","value":1}]}');
  const facts = {
    topic: deviceTopicFrom('a/b/telemetry'),
    payload,
    qos: 1,
    ticket: 3,
    id: '',
    batchId: '',
    contentType: '',
  } as const;
  const message = deviceMessageFrom({ ...facts, isText: false, receivedMs: 5, traceparent: '' });
  assert.ok(!isBatch(message));
  message.keep();
  payload.fill(0);
  assert.deepEqual(message.report().readings, readings);
});

test('presence is a word or an object', () => {
  const presence = (text: string) => presenceFrom(Buffer.from(text));
  assert.deepEqual(['online', ' offline\n', '{"online":true,"time":1}', '{"online":false}'].map(presence), [
    ...[true, false, true, false],
  ]);
  for (const text of ['', 'ONLINE', '1', '{"online":1}', '{', 'null'])
    assert.throws(() => presence(text), { code: 'invalid_message' }, text);
});
