import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { EpochWatch } from './epoch-watch.ts';
import type { TopicSpec } from './event-log.ts';

const spec: TopicSpec = { name: 't', partitions: 4, retentionMs: 1e9, retentionBytes: 1e9 };

/** A log whose topic has the epoch or error of the test. */
function arrangement() {
  const clock = createFakeClock();
  const world = {
    epoch: 'old' as string | TailraceError,
    partitions: 4,
    checks: 0,
    made: 0,
    replaced: [] as string[],
    errors: [] as string[],
  };
  const describeTopic = async () => {
    world.checks++;
    if (world.epoch instanceof TailraceError) throw world.epoch;
    return { name: 't', partitions: world.partitions, epoch: world.epoch };
  };
  const ensureTopic = async () => {
    world.made++;
    if (world.epoch instanceof TailraceError) world.epoch = 'new';
    return await describeTopic();
  };
  const logger: Logger = { ...silentLogger, error: (_, sentence) => void world.errors.push(sentence) };
  const watch = new EpochWatch({
    eventLog: { describeTopic, ensureTopic },
    clock,
    logger,
    spec,
    epoch: 'old',
    onReplaced: ({ code, message }) => void world.replaced.push(`${code}: ${message}`),
  });
  return { clock, world, watch };
}

const gone = new TailraceError('not_found', 'no such topic');
const away = new TailraceError('unavailable', 'no broker answers');

test('a topic that stays the same is checked every 5 s, and nothing is reported', async () => {
  const { clock, world, watch } = arrangement();
  await clock.advance(60_000);
  assert.equal(world.checks, 12);
  assert.equal(world.made, 0);
  assert.deepEqual([...world.replaced, ...world.errors], []);
  watch.stop();
  await clock.advance(60_000);
  assert.equal(world.checks, 12);
  assert.equal(clock.pending(), 0);
});

test('another epoch under the same name is reported once, with both, and stops the checks', async () => {
  const { clock, world } = arrangement();
  world.epoch = 'new';
  await clock.advance(60_000);
  assert.equal(world.replaced.length, 1);
  assert.match(world.replaced[0]!, /^conflict: topic "t" was created again: expected epoch old, got new/);
  assert.equal(world.checks, 1);
  assert.equal(clock.pending(), 0);
});

test('after an error of the log the topic is checked at once; one check at a time', async () => {
  const { clock, world, watch } = arrangement();
  world.epoch = 'new';
  watch.check();
  watch.check();
  await clock.advance(0);
  assert.equal(world.checks, 1);
  assert.equal(world.replaced.length, 1);
});

test('a topic that is missing for a while, and brokers that do not answer, are no replacement', async () => {
  const { clock, world } = arrangement();
  for (const error of [gone, away, gone]) {
    world.epoch = error;
    await clock.advance(29_000);
  }
  world.epoch = 'old';
  await clock.advance(300_000);
  assert.equal(world.made, 0);
  assert.deepEqual(world.replaced, []);
});

test('a topic that is missing for 30 s is re-created, and its new epoch is reported', async () => {
  const { clock, world } = arrangement();
  world.epoch = gone;
  await clock.advance(5_000 + 29_000);
  assert.equal(world.made, 0);
  await clock.advance(1_000);
  assert.equal(world.made, 1);
  assert.equal(world.replaced.length, 1);
});

test('a topic with more partitions is no replacement, and is reported once', async () => {
  const { clock, world } = arrangement();
  world.epoch = 'grown';
  world.partitions = 8;
  await clock.advance(60_000);
  assert.deepEqual(world.replaced, []);
  assert.equal(world.errors.length, 1);
  assert.match(world.errors[0]!, /number of partitions of the topic has changed/);
});
