import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AlarmNotice } from './alarm-notice.ts';
import { mailContent } from './mail.ts';

const raised: AlarmNotice = {
  ...{ id: 'ab12', alarm: 'a1', rule: 'pressure', device: 'plant1.press7', number: 1, state: 'unacknowledged' },
  ...{ cause: 'raised', priority: 2, tag: 'p', value: 9.1, limit: 'HH', limitValue: 9 },
  time: Date.parse('2026-01-15T12:00:00Z'),
  context: [{ tag: 'speed', value: 12, unit: 'rpm' }],
};

test('one transition: what, where, when, and the other tags', () => {
  const { subject, text, headers, messageId } = mailContent([raised]);
  assert.equal(subject, '[P2] raised: plant1.press7: p HH 9.1 (limit 9)');
  assert.equal(
    text,
    `raised: plant1.press7: p HH 9.1 (limit 9)
device: plant1.press7
rule: pressure, priority 2, unacknowledged
time: 2026-01-15T12:00:00.000Z
speed: 12 rpm
`,
  );
  assert.deepEqual(headers, { 'Auto-Submitted': 'auto-generated', Importance: 'high' });
  assert.equal(messageId, mailContent([raised]).messageId);
});

test('several are one message, with the highest priority', () => {
  const others = [raised, { ...raised, id: 'x', priority: 1 }, { ...raised, id: 'y', device: 'plant1.oven' }];
  const { subject, text } = mailContent(others);
  assert.equal(subject, '[P1] raised: plant1.press7: p HH 9.1 (limit 9) and 2 more');
  assert.equal(text.split('\n\n').length, 3);
});

test('no text of an alarm adds a header or a line', () => {
  const { subject, text } = mailContent([
    { ...raised, message: 'x\r\nBcc: all@plant.example', by: 'a\nb', note: 'c\nd' },
  ]);
  assert.doesNotMatch(subject, /[\r\n]/);
  assert.doesNotMatch(text, /^Bcc/m);
  assert.match(text, /^by: a b: c d$/m);
});
