import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Claims } from '@tailrace/platform/token';
import { TailraceError } from '@tailrace/protocol/error';
import { Admission, DeviceNames } from './admission.ts';

const limits = {
  inFlightRequestsMax: 2,
  inFlightBytesMax: 100,
  requestsPerTokenMax: 1,
  unverifiedRequestsMax: 3,
  addressUnverifiedRequestsMax: 2,
  streamsMax: 3,
  streamsPerTokenMax: 2,
};
const claims = (publish: readonly string[], rest: Partial<Claims> = {}): Claims => ({
  subject: 'gateway7',
  publish,
  subscribe: [],
  ...rest,
});
const refused = (code: string) => (error: unknown) =>
  error instanceof TailraceError && error.code === code && error.retryable;

test('a token covers the devices of its patterns, and its description names them', () => {
  const grant = new Admission(limits).grantOf(claims(['plant1.line3.>', 'plant2.press1']));
  assert.ok(grant.allowsDevice('plant1.line3.press7'));
  assert.ok(grant.allowsDevice('plant2.press1'));
  assert.ok(!grant.allowsDevice('plant1.line4.press7'));
  assert.ok(!grant.allowsDevice('plant2.press11'));
  assert.equal(grant.covers, 'the token of "gateway7" may publish plant1.line3.>, plant2.press1');
});

test('the description of many patterns is short', () => {
  const many = Array.from({ length: 200 }, (_, n) => `plant${n}.>`);
  const { covers } = new Admission(limits).grantOf(claims(many));
  assert.equal(
    covers,
    'the token of "gateway7" may publish plant0.>, plant1.>, plant2.>, plant3.>, plant4.> and 195 more',
  );
});

test('a token without the claim may publish nothing', () => {
  const grant = new Admission(limits).grantOf(claims([]));
  assert.ok(!grant.allowsDevice('plant1'));
  assert.match(grant.covers, /may publish nothing/);
});

const grantOf = (admission: Admission, subject: string, rest: Partial<Claims> = {}) =>
  admission.grantOf(claims(['>'], { subject, ...rest }));

test('requests over the limit are refused until one leaves', () => {
  const admission = new Admission(limits);
  const first = admission.enter(grantOf(admission, 'a'));
  admission.enter(grantOf(admission, 'b'));
  assert.throws(() => admission.enter(grantOf(admission, 'c')), refused('limit_reached'));
  admission.leave(first);
  admission.enter(grantOf(admission, 'c'));
  assert.equal(admission.requests, 2);
});

test('streams over the limit of a sender and of all are refused until one leaves', () => {
  const admission = new Admission({ ...limits, inFlightRequestsMax: 9, requestsPerTokenMax: 9 });
  const [a, b] = ['a', 'b'].map((subject) => admission.enter(grantOf(admission, subject)));
  admission.enterStream(a!);
  admission.enterStream(a!);
  assert.throws(() => admission.enterStream(a!), refused('rate_limited'));
  admission.enterStream(b!);
  assert.throws(() => admission.enterStream(b!), refused('limit_reached'));
  assert.deepEqual([admission.streams, admission.mostOfOneSender().streams], [3, 2]);
  admission.leaveStream(a!);
  admission.enterStream(b!);
  assert.equal(admission.streams, 3);
});

test('bytes over the limit are refused until others are released, and one sender has half of them', () => {
  const admission = new Admission({ ...limits, inFlightRequestsMax: 9 });
  const [a, b, c] = ['a', 'b', 'c'].map((subject) => admission.enter(grantOf(admission, subject)));
  admission.hold(a!, 45);
  assert.throws(() => admission.hold(a!, 6), refused('rate_limited'));
  admission.hold(b!, 50);
  assert.throws(() => admission.hold(c!, 6), refused('limit_reached'));
  admission.hold(c!, 5);
  assert.throws(() => admission.enter(grantOf(admission, 'd')), refused('limit_reached'));
  assert.deepEqual(admission.mostOfOneSender(), { requests: 1, sessions: 0, bytes: 50, streams: 0 });
  admission.release(a!, 45);
  admission.enter(grantOf(admission, 'd'));
  assert.equal(admission.bytes, 55);
});

test('one body above half of the limit is accepted if its sender has no other in progress', () => {
  const admission = new Admission(limits);
  const sender = admission.enter(grantOf(admission, 'a'));
  admission.hold(sender, 60);
  assert.equal(admission.bytes, 60);
});

test('a sender at its limit is refused with any of its tokens; another sender is not', () => {
  const admission = new Admission(limits);
  admission.enter(grantOf(admission, 'greedy', { tokenId: 'one' }));
  assert.throws(() => admission.enter(grantOf(admission, 'greedy', { tokenId: 'two' })), refused('rate_limited'));
  admission.enter(grantOf(admission, 'greedy', { tenant: 'plant2' }));
});

test('requests that wait for keys have a limit of their own, and each address a part of it', () => {
  const admission = new Admission(limits);
  admission.enterUnverified('10.0.0.1');
  admission.enterUnverified('10.0.0.1');
  assert.throws(() => admission.enterUnverified('10.0.0.1'), refused('rate_limited'));
  admission.enterUnverified('10.0.0.2');
  assert.throws(() => admission.enterUnverified('10.0.0.3'), refused('limit_reached'));
  assert.equal(admission.requests, 0, 'none of them takes capacity from requests with a valid token');
  assert.equal(admission.mostUnverifiedOfOneAddress(), 2);
  admission.leaveUnverified('10.0.0.1');
  admission.enterUnverified('10.0.0.3');
  for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) admission.leaveUnverified(address);
  assert.deepEqual([admission.unverified, admission.mostUnverifiedOfOneAddress()], [0, 0]);
});

test('a sender with nothing in progress is removed', () => {
  const admission = new Admission(limits);
  const sender = admission.enter(grantOf(admission, 'a'));
  admission.hold(sender, 10);
  admission.leave(sender);
  assert.equal(admission.mostOfOneSender().bytes, 10);
  admission.release(sender, 10);
  assert.deepEqual(admission.mostOfOneSender(), { requests: 0, sessions: 0, bytes: 0, streams: 0 });
});

const deviceLimits = (devicesMax: number, devicesPerTenantMax = devicesMax) => ({ devicesMax, devicesPerTenantMax });

test('each name counts once, however often it is admitted and however much the table has grown', () => {
  const names = new DeviceNames(deviceLimits(100_000), [0x1234_5678, 0x9abc_def0]);
  for (let repeat = 0; repeat < 2; repeat++) for (let n = 0; n < 50_000; n++) names.admit(`a.line${n % 7}.d${n}`);
  assert.equal(names.size, 50_000);
  assert.equal(names.mostOfOneTenant, 50_000);
});

test('a refused name is refused again, and uses no slot', () => {
  const names = new DeviceNames(deviceLimits(3, 2), [1, 2]);
  names.admit('a.1');
  names.admit('a.2');
  for (let n = 0; n < 5; n++) assert.throws(() => names.admit('a.3'), { code: 'limit_reached' });
  names.admit('b');
  assert.throws(() => names.admit('b.1'), {
    code: 'limit_reached',
    message: /^device: expected at most 3 devices, got one more: "b\.1"$/,
  });
  names.admit('a.2');
  assert.equal(names.size, 3);
});

test('messages of sessions are counted with bodies, and leave a tenth of all bytes to events', () => {
  const admission = new Admission(limits);
  const [a, b, c] = ['a', 'b', 'c'].map((subject) => admission.enterSession(grantOf(admission, subject)));
  assert.ok(admission.tryHold(a!, 45, false));
  assert.ok(admission.tryHold(b!, 45, false));
  assert.ok(!admission.tryHold(c!, 1, false));
  assert.ok(admission.tryHold(c!, 10, true));
  assert.equal(admission.bytes, 100);
  admission.release(c!, 10);
  admission.release(b!, 45);
  // Half of all for one sender.
  assert.ok(!admission.tryHold(a!, 6, false));
  assert.ok(admission.tryHold(a!, 5, false));
});

test('a single message fits, however large', () => {
  const admission = new Admission(limits);
  assert.ok(admission.tryHold(admission.enterSession(grantOf(admission, 'a')), 1_000, false));
});

test('a sender is forgotten when its last session has closed and its bytes are released', () => {
  const admission = new Admission(limits);
  const sender = admission.enterSession(grantOf(admission, 'a'));
  assert.equal(admission.enterSession(grantOf(admission, 'a')), sender);
  assert.equal(admission.mostOfOneSender().sessions, 2);
  admission.tryHold(sender, 10, false);
  admission.leaveSession(sender);
  admission.leaveSession(sender);
  assert.equal(admission.mostOfOneSender().bytes, 10);
  admission.release(sender, 10);
  assert.notEqual(admission.enterSession(grantOf(admission, 'a')), sender);
});
