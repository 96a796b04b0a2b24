import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { Admission } from './admission.ts';

const limits = { inFlightRequestsMax: 2, inFlightBytesMax: 100, requestsPerTokenMax: 1 };
const claims = (publish: readonly string[]) => ({ subject: 'gateway7', publish, subscribe: [] });
const refused = (code: string) => (error: unknown) =>
  error instanceof TailraceError && error.code === code && error.retryable;

test('a sender may send what its patterns mean, and its words say what that is', () => {
  const sender = new Admission(limits).senderOf(claims(['plant1.line3.>', 'plant2.press1']));
  assert.ok(sender.allowsDevice('plant1.line3.press7'));
  assert.ok(sender.allowsDevice('plant2.press1'));
  assert.ok(!sender.allowsDevice('plant1.line4.press7'));
  assert.ok(!sender.allowsDevice('plant2.press11'));
  assert.equal(sender.covers, 'the token of "gateway7" may publish plant1.line3.>, plant2.press1');
});

test('the words about many patterns stay short', () => {
  const many = Array.from({ length: 200 }, (_, n) => `plant${n}.>`);
  const { covers } = new Admission(limits).senderOf(claims(many));
  assert.equal(
    covers,
    'the token of "gateway7" may publish plant0.>, plant1.>, plant2.>, plant3.>, plant4.> and 195 more',
  );
});

test('a token without the claim may send nothing', () => {
  const sender = new Admission(limits).senderOf(claims([]));
  assert.ok(!sender.allowsDevice('plant1'));
  assert.match(sender.covers, /may publish nothing/);
});

test('requests over the limit are refused until one has left', () => {
  const admission = new Admission(limits);
  admission.enter();
  admission.enter();
  assert.throws(() => admission.enter(), refused('limit_reached'));
  admission.leave(undefined);
  admission.enter();
  assert.equal(admission.requests, 2);
});

test('bytes over the limit are refused until others are released', () => {
  const admission = new Admission(limits);
  admission.hold(60);
  assert.throws(() => admission.hold(41), refused('limit_reached'));
  admission.hold(40);
  assert.throws(() => admission.enter(), refused('limit_reached'));
  admission.release(60);
  admission.enter();
  assert.equal(admission.bytes, 40);
});

test('one token with enough under way is refused, another is not', () => {
  const admission = new Admission(limits);
  const greedy = claims(['>']);
  admission.enterFor(admission.senderOf(greedy));
  assert.throws(() => admission.enterFor(admission.senderOf(greedy)), refused('rate_limited'));
  admission.enterFor(admission.senderOf(claims(['>'])));
});

test('empty resolves when the last request has left', async () => {
  const admission = new Admission(limits);
  await admission.empty();
  admission.enter();
  admission.enter();
  let isEmpty = false;
  const emptied = admission.empty().then(() => {
    isEmpty = true;
  });
  admission.leave(undefined);
  await Promise.resolve();
  assert.ok(!isEmpty);
  admission.leave(undefined);
  await emptied;
});
