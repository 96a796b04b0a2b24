import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { Users } from './users.ts';
import { UserShare } from './usershare.ts';

const limits = { userConnectionsMax: 2, userSubscriptionsMax: 3 };

test('a user has only so many connections, and one that closes makes room; others are not touched', () => {
  const users = new Users(limits);
  const shares = ['anna', 'anna', 'anna', 'ben'].map((subject) => {
    const share = new UserShare(users);
    return { share, fault: share.join(subject) };
  });
  assert.deepEqual(
    shares.map(({ fault }) => fault?.code),
    [undefined, undefined, 'limit_reached', undefined],
  );
  assert.match(shares[2]?.fault?.message ?? '', /"anna" has 2 connections, as many as a user may/);
  assert.ok(shares[2]?.fault?.retryable);
  shares[2]?.share.leave();
  shares[0]?.share.leave();
  assert.equal(new UserShare(users).join('anna'), undefined);
  assert.equal(users.counts.refusedConnections, 1);
});

test('subscriptions count over all connections of a user, and go with the connection', () => {
  const users = new Users(limits);
  const [one, other] = [new UserShare(users), new UserShare(users)];
  assert.equal(one.join('anna') ?? other.join('anna'), undefined);
  one.count(2);
  assert.equal(other.faultOfSubscribing(), undefined);
  other.count(1);
  for (const share of [one, other]) assert.equal(share.faultOfSubscribing()?.code, 'limit_reached');
  assert.deepEqual(users.most(), { connections: 2, subscriptions: 3 });
  one.leave();
  one.leave();
  assert.equal(other.faultOfSubscribing(), undefined);
  assert.deepEqual(users.most(), { connections: 1, subscriptions: 1 });
});

test('with a token of somebody else a connection is his, subscriptions and all; where he has no room it stays whose it was', () => {
  const users = new Users(limits);
  const share = new UserShare(users);
  share.join('anna');
  share.count(3);
  share.join('ben');
  share.count(3);
  assert.equal(users.size, 1);
  assert.deepEqual(users.most(), { connections: 1, subscriptions: 3 });
  assert.ok(!isTailraceError(users.join('carl')) && !isTailraceError(users.join('carl')));
  assert.equal(share.join('carl')?.code, 'limit_reached');
  assert.match(share.faultOfSubscribing()?.message ?? '', /^"ben"/);
});

test('nobody is remembered who has gone', () => {
  const users = new Users(limits);
  for (let i = 0; i < 100; i++) {
    const share = new UserShare(users);
    share.join(`user${i}`);
    share.leave();
  }
  assert.equal(users.size, 0);
});
