import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { Histogram } from '@tailrace/platform/measures';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Channel } from '../channels/channels.ts';
import { InterestClient } from './interest-client.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

interface SentRequest {
  readonly subject: string;
  readonly request: tailrace.v1.OwnerRequest;
  reply(): void;
  fail(error: TailraceError): void;
}

/** A client whose requests the test replies to. */
function fixture() {
  const clock = createFakeClock();
  const sent: SentRequest[] = [];
  const replied: string[][] = [];
  const counts = { requests: 0, requestFailures: 0, replySeconds: new Histogram([1]) };
  const interestClient = new InterestClient({
    bus: {
      request: (subject, payload) =>
        new Promise((resolve, reject) => {
          sent.push({
            subject,
            request: OwnerRequest.decode(payload),
            reply: () => resolve([OwnerReply.encode({ generation: 1, next: 5 }).finish()]),
            fail: reject,
          });
        }),
    },
    clock,
    logger: silentLogger,
    random: () => 0.5,
    node: 'b',
    partition: 0,
    deadlineMs: 1_000,
    counts,
    subscribed: async () => {},
    decode: async (reply) => reply.map((part) => OwnerReply.decode(part)),
    onReply: (channels) => replied.push(channels.map(({ pattern }) => pattern)),
  });
  interestClient.setOwner('a');
  /** The request that is due, with its channels. */
  const next = async () => {
    await clock.advance(0);
    const due = sent.shift() ?? assert.fail('no request is sent');
    const { interests, released, held } = due.request;
    return { ...due, interests: interests.map(({ channel }) => channel), released, held };
  };
  return { interestClient, clock, sent, replied, counts, next };
}

const unavailable = new TailraceError('unavailable', 'no node serves it');
const channel = (pattern: string) => new Channel(pattern, [0]);

test('channels of one turn are requested together, one request at a time', async () => {
  const { interestClient, sent, replied, clock, next } = fixture();
  interestClient.request(channel('p.a'));
  interestClient.request(channel('p.b'));
  const first = await next();
  assert.equal(first.subject, 'tailrace.v1.owner.a');
  assert.deepEqual([first.interests, first.held], [['p.a', 'p.b'], 2]);
  interestClient.request(channel('p.c'));
  await clock.advance(100);
  assert.equal(sent.length, 0);
  assert.equal(interestClient.unanswered.size, 3);
  first.reply();
  const second = await next();
  assert.deepEqual([second.interests, second.held], [['p.c'], 3]);
  second.reply();
  await clock.advance(0);
  assert.deepEqual(replied, [['p.a', 'p.b'], ['p.c']]);
  assert.equal(interestClient.unanswered.size, 0);
});

test('more channels than the limit of a request are requested one request after another', async () => {
  const { interestClient, replied, clock, next } = fixture();
  for (let i = 0; i < 1_200; i++) interestClient.request(channel(`p.d${i}`));
  for (const [count, held] of [
    [500, 500],
    [500, 1_000],
    [200, 1_200],
  ]) {
    const request = await next();
    assert.deepEqual([request.interests.length, request.held], [count, held]);
    request.reply();
  }
  await clock.advance(0);
  assert.equal(replied.flat().length, 1_200);
});

test('a channel that was joined before is requested from its position', async () => {
  const { interestClient, next } = fixture();
  const joined = channel('p.a');
  joined.join(0, 42);
  interestClient.request(joined);
  interestClient.request(channel('p.b'));
  assert.equal(joined.slot(0).state, 'requested');
  const { request } = await next();
  assert.deepEqual(
    request.interests.map(({ channel: pattern, from }) => [pattern, from ?? 'none']),
    [
      ['p.a', 42],
      ['p.b', 'none'],
    ],
  );
});

test('a request that fails is repeated with a growing delay', async () => {
  const { interestClient, clock, counts, next } = fixture();
  interestClient.request(channel('p.a'));
  for (const waitMs of [50, 100, 200, 400, 800, 1_000, 1_000]) {
    const request = await next();
    assert.deepEqual([request.interests, request.held], [['p.a'], 1]);
    request.fail(unavailable);
    await clock.advance(waitMs - 1);
    await assert.rejects(next(), /no request is sent/);
    await clock.advance(1);
  }
  assert.equal(counts.requestFailures, 7);
});

test('after a conflict all channels are requested again', async () => {
  const { interestClient, clock, next } = fixture();
  interestClient.request(channel('p.a'));
  (await next()).reply();
  await clock.advance(0);
  interestClient.request(channel('p.b'));
  (await next()).fail(new TailraceError('conflict', 'expected 7 registered channels, got 2'));
  await clock.advance(50);
  const again = await next();
  assert.deepEqual([again.interests.sort(), again.held], [['p.a', 'p.b'], 2]);
});

test('a released channel is released at the owner with the next request, unless it was never registered', async () => {
  const { interestClient, sent, clock, next } = fixture();
  const [a, b] = [channel('p.a'), channel('p.b')];
  interestClient.request(a);
  (await next()).reply();
  await clock.advance(0);
  interestClient.request(b);
  interestClient.release(b);
  interestClient.release(a);
  const request = await next();
  assert.deepEqual([request.interests, request.released, request.held], [[], ['p.a'], 0]);
  request.reply();
  await clock.advance(100);
  assert.equal(sent.length, 0);
});

test('a channel that is released and requested again in one turn is not released at the owner', async () => {
  const { interestClient, clock, next } = fixture();
  const a = channel('p.a');
  interestClient.request(a);
  (await next()).reply();
  await clock.advance(0);
  interestClient.release(a);
  interestClient.request(channel('p.a'));
  const request = await next();
  assert.deepEqual([request.interests, request.released, request.held], [['p.a'], [], 1]);
});

test('a channel that is released while its request is pending is not requested again when that fails', async () => {
  const { interestClient, clock, next, replied } = fixture();
  const released = channel('p.a');
  interestClient.request(released);
  const request = await next();
  interestClient.release(released);
  const opened = channel('p.a');
  interestClient.request(opened);
  request.fail(unavailable);
  await clock.advance(50);
  const again = await next();
  assert.deepEqual([again.interests, again.held], [['p.a'], 1], 'once, for the open one');
  again.reply();
  await clock.advance(0);
  assert.deepEqual(replied, [['p.a']]);
});

test('a channel that is opened again while its request is pending ignores the reply, and is requested again', async () => {
  const { interestClient, clock, next, replied } = fixture();
  const [a, b] = [channel('p.a'), channel('p.b')];
  interestClient.request(a);
  interestClient.request(b);
  const first = await next();
  interestClient.request(a);
  assert.equal(interestClient.unanswered.size, 2);
  first.reply();
  const again = await next();
  assert.deepEqual(replied, [['p.b']]);
  assert.deepEqual([again.interests, again.held], [['p.a'], 2]);
  again.reply();
  await clock.advance(0);
  assert.deepEqual(replied, [['p.b'], ['p.a']]);
});

test('the reply of a previous owner is ignored, and the same is requested from the next owner', async () => {
  const { interestClient, replied, next, clock } = fixture();
  interestClient.request(channel('p.a'));
  const old = await next();
  interestClient.setOwner('c');
  const request = await next();
  assert.deepEqual([request.subject, request.interests, request.held], ['tailrace.v1.owner.c', ['p.a'], 1]);
  old.reply();
  await clock.advance(0);
  assert.deepEqual(replied, []);
  request.reply();
  await clock.advance(0);
  assert.deepEqual(replied, [['p.a']]);
});

test('a lease is renewed only while channels are registered', async () => {
  const { interestClient, sent, clock, next } = fixture();
  interestClient.renew();
  await clock.advance(100);
  assert.equal(sent.length, 0);
  interestClient.request(channel('p.a'));
  (await next()).reply();
  await clock.advance(0);
  interestClient.renew();
  const renewal = await next();
  assert.deepEqual([renewal.interests, renewal.held], [[], 1]);
});

test('no request is sent after stop', async () => {
  const { interestClient, sent, clock } = fixture();
  interestClient.request(channel('p.a'));
  interestClient.stop();
  await clock.advance(10_000);
  assert.equal(sent.length, 0);
  assert.equal(clock.pending(), 0);
});
