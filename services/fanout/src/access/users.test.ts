import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTokenVerifier, issueToken, type TokenIssue } from '@tailrace/platform/token';
import { isTailraceError } from '@tailrace/protocol/error';
import { UserShare } from './user-share.ts';
import { Users } from './users.ts';

const limits = { userConnectionsMax: 2, userSubscriptionsMax: 3, userViewsMax: 2, viewsPerConnectionMax: 2 };

test('connections of a user are limited, one that closes frees its place, and other users are not affected', () => {
  const users = new Users(limits);
  const shares = ['anna', 'anna', 'anna', 'ben'].map((subject) => {
    const share = new UserShare(users);
    return { share, error: share.join({ subject }) };
  });
  assert.deepEqual(
    shares.map(({ error }) => error?.code),
    [undefined, undefined, 'limit_reached', undefined],
  );
  assert.match(shares[2]?.error?.message ?? '', /expected at most 2 connections of "anna", got one more/);
  assert.ok(shares[2]?.error?.retryable);
  shares[2]?.share.leave();
  shares[0]?.share.leave();
  assert.equal(new UserShare(users).join({ subject: 'anna' }), undefined);
  assert.equal(users.counts.refusedConnections, 1);
});

test('subscriptions count over all connections of a user, and are subtracted when a connection closes', () => {
  const users = new Users(limits);
  const [one, other] = [new UserShare(users), new UserShare(users)];
  assert.equal(one.join({ subject: 'anna' }) ?? other.join({ subject: 'anna' }), undefined);
  one.count(2);
  assert.equal(other.subscribeError(), undefined);
  other.count(1);
  for (const share of [one, other]) assert.equal(share.subscribeError()?.code, 'limit_reached');
  assert.deepEqual(users.most(), { connections: 2, subscriptions: 3, views: 0 });
  one.leave();
  one.leave();
  assert.equal(other.subscribeError(), undefined);
  assert.deepEqual(users.most(), { connections: 1, subscriptions: 1, views: 0 });
});

test('with a token of another user a connection and its subscriptions count there, unless that user is at the limit', () => {
  const users = new Users(limits);
  const share = new UserShare(users);
  share.join({ subject: 'anna' });
  share.count(3);
  share.join({ subject: 'ben' });
  share.count(3);
  assert.equal(users.size, 1);
  assert.deepEqual(users.most(), { connections: 1, subscriptions: 3, views: 0 });
  assert.ok(!isTailraceError(users.join({ subject: 'carl' })) && !isTailraceError(users.join({ subject: 'carl' })));
  assert.equal(share.join({ subject: 'carl' })?.code, 'limit_reached');
  assert.match(share.subscribeError()?.message ?? '', /of "ben", got/);
});

test('different views of subtrees, and of one channel, are limited by user; a shared view counts once', () => {
  const users = new Users(limits);
  const [one, other] = [new UserShare(users), new UserShare(users)];
  one.join({ subject: 'anna' });
  other.join({ subject: 'anna' });
  const [first, second] = [{}, {}];
  one.addView(first, 'a.>');
  one.addView(second, 'b.>');
  other.addView(first, 'a.>');
  assert.equal(users.most().views, 2);
  assert.equal(other.viewError(second, 'b.>'), undefined, 'the user has it already');
  assert.equal(other.viewError(undefined, 'c.>')?.code, 'limit_reached');
  for (let i = 0; i < 20; i++) {
    assert.equal(other.viewError(undefined, `c.d${i}`), undefined);
    other.addView({}, `c.d${i}`);
  }
  other.addView({}, 'c.d7');
  assert.match(other.viewError(undefined, 'c.d7')?.message ?? '', /at most 2 different views of "c.d7"/);
  assert.equal(users.counts.refusedViews, 2);
  one.leave();
  assert.equal(users.most().views, 1);
  assert.equal(other.viewError(undefined, 'c.>'), undefined);
  other.join({ subject: 'ben' });
  assert.equal(users.most().views, 1, 'the views of a connection count at its new user');
  assert.equal(other.viewError(undefined, 'c.d7')?.code, 'limit_reached');
  other.removeView(first);
  assert.equal(users.most().views, 0);
});

test('a user without connections is forgotten', () => {
  const users = new Users(limits);
  for (let i = 0; i < 100; i++) {
    const share = new UserShare(users);
    share.join({ subject: `user${i}` });
    share.leave();
  }
  assert.equal(users.size, 0);
});

test('a thousand tokens of one subject share one quota, and the same subject of another tenant or issuer has its own', async () => {
  const secret = 'a-secret-of-at-least-thirty-two-bytes';
  const verifier = createTokenVerifier({ secret });
  const claimsOf = async (n: number, more: Partial<TokenIssue> = {}) => {
    const issue = { secret, subject: 'anna', tokenId: `id-${n}`, publish: [], subscribe: [], expiresInMs: 60_000 };
    return verifier.verify(await issueToken({ ...issue, ...more }));
  };
  const users = new Users(limits);
  const errors = [];
  for (let n = 0; n < 1000; n++) errors.push(new UserShare(users).join(await claimsOf(n)));
  assert.equal(errors.filter((error) => error === undefined).length, limits.userConnectionsMax);
  assert.equal(users.size, 1);
  for (const more of [{ tenant: 'plant1' }, { tenant: 'plant2' }, { issuer: 'https://issuer' }])
    assert.equal(new UserShare(users).join(await claimsOf(0, more)), undefined);
  assert.equal(users.size, 4);
});
