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

interface Asked {
  readonly subject: string;
  readonly request: tailrace.v1.OwnerRequest;
  answer(): void;
  fail(error: TailraceError): void;
}

/** An asker whose questions the test answers. */
function arrangement() {
  const clock = createFakeClock();
  const asked: Asked[] = [];
  const answered: string[][] = [];
  const counts = { asks: 0, askFailures: 0, askSeconds: new Histogram([1]) };
  const interestClient = new InterestClient({
    bus: {
      request: (subject, payload) =>
        new Promise((resolve, reject) => {
          asked.push({
            subject,
            request: OwnerRequest.decode(payload),
            answer: () => resolve([OwnerReply.encode({ generation: 1, next: 5 }).finish()]),
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
    listening: async () => {},
    decode: async (answer) => answer.map((part) => OwnerReply.decode(part)),
    onAnswer: (channels) => answered.push(channels.map(({ pattern }) => pattern)),
  });
  interestClient.turnTo('a');
  /** What is asked for and let go in the question that is due. */
  const next = async () => {
    await clock.advance(0);
    const question = asked.shift() ?? assert.fail('nothing is asked');
    const { interests, released, held } = question.request;
    return { ...question, interests: interests.map(({ channel }) => channel), released, held };
  };
  return { interestClient, clock, asked, answered, counts, next };
}

const unavailable = new TailraceError('unavailable', 'nobody serves it');
const channel = (pattern: string) => new Channel(pattern, [0]);

test('what is wanted in one turn is asked for at once, one question at a time', async () => {
  const { interestClient, asked, answered, clock, next } = arrangement();
  interestClient.ask(channel('p.a'));
  interestClient.ask(channel('p.b'));
  const first = await next();
  assert.equal(first.subject, 'tailrace.v1.owner.a');
  assert.deepEqual([first.interests, first.held], [['p.a', 'p.b'], 2]);
  interestClient.ask(channel('p.c'));
  await clock.advance(100);
  assert.equal(asked.length, 0);
  assert.equal(interestClient.idle, false);
  first.answer();
  const second = await next();
  assert.deepEqual([second.interests, second.held], [['p.c'], 3]);
  second.answer();
  await clock.advance(0);
  assert.deepEqual(answered, [['p.a', 'p.b'], ['p.c']]);
  assert.equal(interestClient.idle, true);
});

test('more channels than one question takes are asked for one question after another', async () => {
  const { interestClient, answered, clock, next } = arrangement();
  for (let i = 0; i < 1_200; i++) interestClient.ask(channel(`p.d${i}`));
  for (const [count, held] of [
    [500, 500],
    [500, 1_000],
    [200, 1_200],
  ]) {
    const question = await next();
    assert.deepEqual([question.interests.length, question.held], [count, held]);
    question.answer();
  }
  await clock.advance(0);
  assert.equal(answered.flat().length, 1_200);
});

test('a channel goes on from where it is, if it was joined before', async () => {
  const { interestClient, next } = arrangement();
  const joined = channel('p.a');
  joined.join(0, 42);
  interestClient.ask(joined);
  interestClient.ask(channel('p.b'));
  assert.equal(joined.slot(0).state, 'asking');
  const { request } = await next();
  assert.deepEqual(
    request.interests.map(({ channel: pattern, from }) => [pattern, from ?? 'none']),
    [
      ['p.a', 42],
      ['p.b', 'none'],
    ],
  );
});

test('a question that fails is asked again, later and later', async () => {
  const { interestClient, clock, counts, next } = arrangement();
  interestClient.ask(channel('p.a'));
  for (const waitMs of [50, 100, 200, 400, 800, 1_000, 1_000]) {
    const question = await next();
    assert.deepEqual([question.interests, question.held], [['p.a'], 1]);
    question.fail(unavailable);
    await clock.advance(waitMs - 1);
    await assert.rejects(next(), /nothing is asked/);
    await clock.advance(1);
  }
  assert.equal(counts.askFailures, 7);
});

test('after a conflict everything is asked for again', async () => {
  const { interestClient, clock, next } = arrangement();
  interestClient.ask(channel('p.a'));
  (await next()).answer();
  await clock.advance(0);
  interestClient.ask(channel('p.b'));
  (await next()).fail(new TailraceError('conflict', 'you have 7 channels here'));
  await clock.advance(50);
  const again = await next();
  assert.deepEqual([again.interests.sort(), again.held], [['p.a', 'p.b'], 2]);
});

test('a channel let go is released with the next question; one never taken down is not', async () => {
  const { interestClient, asked, clock, next } = arrangement();
  const [a, b] = [channel('p.a'), channel('p.b')];
  interestClient.ask(a);
  (await next()).answer();
  await clock.advance(0);
  interestClient.ask(b);
  interestClient.release(b);
  interestClient.release(a);
  const question = await next();
  assert.deepEqual([question.interests, question.released, question.held], [[], ['p.a'], 0]);
  question.answer();
  await clock.advance(100);
  assert.equal(asked.length, 0);
});

test('a channel let go and wanted again before the owner heard of it is asked for, and not released', async () => {
  const { interestClient, clock, next } = arrangement();
  const a = channel('p.a');
  interestClient.ask(a);
  (await next()).answer();
  await clock.advance(0);
  interestClient.release(a);
  interestClient.ask(channel('p.a'));
  const question = await next();
  assert.deepEqual([question.interests, question.released, question.held], [['p.a'], [], 1]);
});

test('a channel let go while its question is under way is not asked for again when that fails', async () => {
  const { interestClient, clock, next, answered } = arrangement();
  const gone = channel('p.a');
  interestClient.ask(gone);
  const question = await next();
  interestClient.release(gone);
  const comes = channel('p.a');
  interestClient.ask(comes);
  question.fail(unavailable);
  await clock.advance(50);
  const again = await next();
  assert.deepEqual([again.interests, again.held], [['p.a'], 1], 'once, for the one that is there');
  again.answer();
  await clock.advance(0);
  assert.deepEqual(answered, [['p.a']]);
});

test('an answer of an owner that is one no longer does not count, and the next owner is asked for the same', async () => {
  const { interestClient, answered, next, clock } = arrangement();
  interestClient.ask(channel('p.a'));
  const old = await next();
  interestClient.turnTo('c');
  const question = await next();
  assert.deepEqual([question.subject, question.interests, question.held], ['tailrace.v1.owner.c', ['p.a'], 1]);
  old.answer();
  await clock.advance(0);
  assert.deepEqual(answered, []);
  question.answer();
  await clock.advance(0);
  assert.deepEqual(answered, [['p.a']]);
});

test('a lease is renewed only while there is something to hold', async () => {
  const { interestClient, asked, clock, next } = arrangement();
  interestClient.renew();
  await clock.advance(100);
  assert.equal(asked.length, 0);
  interestClient.ask(channel('p.a'));
  (await next()).answer();
  await clock.advance(0);
  interestClient.renew();
  const renewal = await next();
  assert.deepEqual([renewal.interests, renewal.held], [[], 1]);
});

test('nothing is asked after stop', async () => {
  const { interestClient, asked, clock } = arrangement();
  interestClient.ask(channel('p.a'));
  interestClient.stop();
  await clock.advance(10_000);
  assert.equal(asked.length, 0);
  assert.equal(clock.pending(), 0);
});
