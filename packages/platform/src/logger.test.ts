import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createLogger, type LoggerOptions, silentLogger } from './logger.ts';

function recorded(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ service: 'ingest', node: 'ingest-0', level: 'info', destination, ...options });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') };
}

test('a line is JSON with the service, the node, the level as a word, the facts and the message', () => {
  const { logger, lines, last } = recorded();
  logger.info({ queuedRecords: 3 }, 'the log is slow');
  const { time, ...rest } = last();
  assert.deepEqual(rest, {
    level: 'info',
    service: 'ingest',
    node: 'ingest-0',
    queuedRecords: 3,
    message: 'the log is slow',
  });
  assert.match(time, /^\d{4}-\d\d-\d\dT.*Z$/);
  assert.ok(lines[0]?.endsWith('}\n'));
});

test('an error among the facts is logged with its code, its stack and its causes', () => {
  const { logger, last } = recorded();
  const root = Object.assign(new RangeError('socket hang up'), { code: 'ECONNRESET' });
  logger.error({ error: new TailraceError('unavailable', 'no broker', { cause: root }) }, 'append failed');
  const { error } = last();
  assert.equal(error.name, 'TailraceError');
  assert.equal(error.code, 'unavailable');
  assert.equal(error.retryable, true);
  assert.match(error.stack, /logger\.test\.ts/);
  assert.equal(error.cause.name, 'RangeError');
  assert.equal(error.cause.code, 'ECONNRESET');
});

test('an error in place of the facts is logged', () => {
  const { logger, last } = recorded();
  logger.error(new RangeError('bad'), 'odd');
  assert.equal(last().error.message, 'bad');
});

test('circular causes and the errors of an AggregateError are bounded', () => {
  const { logger, last } = recorded();
  const circular = new RangeError('circular');
  circular.cause = circular;
  logger.error({ error: circular }, 'failed');
  let depth = 0;
  for (let error = last().error; error; error = error.cause) depth++;
  assert.equal(depth, 5);
  logger.error({ error: new AggregateError(Array.from({ length: 100 }, () => new RangeError('one'))) }, 'many');
  assert.equal(last().error.errors.length, 5);
});

test('a token or a secret is not logged', () => {
  const { logger, lines } = recorded();
  logger.info({ token: 'hush', request: { authorization: 'hush' } }, 'seen');
  logger.child({ secret: 'hush' }).info({}, 'seen');
  assert.doesNotMatch(lines.join(''), /hush/);
  assert.match(lines.join(''), /\(secret\)/);
});

test('a child has its facts in every line', () => {
  const { logger, last } = recorded();
  logger.child({ partition: 7 }).warn({}, 'behind');
  assert.equal(last().partition, 7);
  assert.equal(last().level, 'warn');
});

test('lines below the level are not written', () => {
  const { logger, lines } = recorded({ level: 'warn' });
  logger.debug({}, 'no');
  logger.info({}, 'no');
  logger.warn({}, 'yes');
  assert.equal(lines.length, 1);
});

test('the pretty form has time, level, service, message, facts, and the stack of an error with its cause', () => {
  const { logger, lines } = recorded({ pretty: true });
  logger.warn({ queuedRecords: 3, topic: 'a' }, 'slow');
  assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d\.\d{3} ! ingest: slow {2}queuedRecords=3 topic=a\n$/);
  logger.error({ error: new RangeError('outer', { cause: new RangeError('inner') }) }, 'failed');
  assert.match(
    lines[1] ?? '',
    /✗ ingest: failed {2}error="outer"\n {4}RangeError: outer[\s\S]*caused by:\n {4}RangeError: inner/,
  );
});

test('the silent logger writes nothing, and so do its children', () => {
  assert.equal(silentLogger.child({ a: 1 }), silentLogger);
  assert.equal(silentLogger.error({}, 'x'), undefined);
});
