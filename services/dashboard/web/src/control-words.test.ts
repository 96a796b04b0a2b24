import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsNote, refusalText, sentText } from './control-words.ts';
import { shownTime } from './format.ts';

const nowMs = Date.parse('2026-03-01T17:00:00Z');
const error = (code: string, message = '') => ({ code, message });
const none = { state: undefined, error: undefined, retryError: undefined, isPending: true };
const away = error('unavailable', 'control: expected an answer, got none');

test('a refusal has times of this clock, and an outage neither addresses nor a note that cannot help', () => {
  const message = 'commands are off since 2026-03-01T16:30:00.000Z, by anna';
  const since = Date.parse('2026-03-01T16:30:00Z');
  assert.equal(
    refusalText(error('forbidden', message), nowMs),
    `commands are off since ${shownTime(since, nowMs)}, by anna`,
  );
  const outage = error('unavailable', 'database: cannot connect: ECONNREFUSED');
  assert.equal(refusalText(outage, nowMs), 'Control is not available at present. Try again.');
  assert.equal(needsNote(outage), false);
  const noteless = error(
    'invalid_message',
    'acknowledge: expected a note, as the class of the alarm requires, got none',
  );
  assert.equal(needsNote(noteless), true);
});

test('a command that is not answered has why it waits, and at its deadline whether it was sent', () => {
  const text = (fields: Partial<Parameters<typeof sentText>[0]>, isConnected = true) =>
    sentText({ ...none, ...fields }, isConnected, nowMs);
  assert.equal(text({}), 'sending');
  assert.equal(text({ retryError: away }), 'control does not answer, trying again');
  assert.equal(text({}, false), 'not connected, trying again');
  const failed = { isPending: false, error: away };
  assert.equal(
    text({ ...failed, retryError: away }),
    'Control does not answer: probably not sent. Check the device before you try again.',
  );
  assert.equal(text(failed, false), 'Not sent: this page is not connected. Try again.');
  assert.equal(
    text({ ...failed, error: error('closed') }, false),
    'This page has lost its connection. Check the device before you try again.',
  );
  assert.match(text({ ...failed, error: error('timeout') }), /may have been executed/);
  assert.equal(text({ ...failed, error: error('forbidden', 'expected a right') }), 'expected a right');
});

test('a command without a final state is unknown some seconds after its deadline', () => {
  const state = { id: 'c', device: 'a', number: 2, state: 'sent', time: 1, deadline: nowMs };
  const textAt = (ms: number, fields: object = {}) => sentText({ ...none, state: { ...state, ...fields } }, true, ms);
  assert.equal(textAt(nowMs), 'sent');
  assert.equal(textAt(nowMs + 6_000), 'sent, outcome not known');
  assert.equal(textAt(nowMs + 6_000, { state: 'done' }), 'done');
});
