import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { climb, missing, type Rung, rungsFrom } from './ladder.ts';

const attempts = (results: Partial<Record<Rung, string | Error>>) => {
  const tried: Rung[] = [];
  const attempt = (rung: Rung) => async () => {
    tried.push(rung);
    const result = results[rung] ?? missing(`no ${rung}`);
    if (result instanceof Error) throw result;
    return result;
  };
  return {
    tried,
    environment: attempt('environment'),
    local: attempt('local'),
    testcontainers: attempt('testcontainers'),
  };
};

test('unless told otherwise an address comes first, then a process, then a container', () => {
  assert.deepEqual(rungsFrom({}), ['environment', 'local', 'testcontainers']);
  assert.deepEqual(rungsFrom({ TAILRACE_TEST_BROKERS: 'auto' }), ['environment', 'local', 'testcontainers']);
});

test('TAILRACE_TEST_BROKERS chooses one rung, and a value that is none is refused', () => {
  assert.deepEqual(rungsFrom({ TAILRACE_TEST_BROKERS: 'docker' }), ['testcontainers']);
  assert.deepEqual(rungsFrom({ TAILRACE_TEST_BROKERS: 'local' }), ['local']);
  assert.deepEqual(rungsFrom({ TAILRACE_TEST_BROKERS: 'environment' }), ['environment']);
  for (const value of ['podman', 'toString']) {
    assert.throws(() => rungsFrom({ TAILRACE_TEST_BROKERS: value }), {
      code: 'invalid_config',
      message: `TAILRACE_TEST_BROKERS is "${value}"; it may be auto, environment, docker, local`,
    });
  }
});

test('the first rung that has a broker is taken and the others are not tried', async () => {
  const rungs = attempts({ local: 'here' });
  assert.equal(await climb('Kafka', rungsFrom({}), rungs, ''), 'here');
  assert.deepEqual(rungs.tried, ['environment', 'local']);
});

test('when no rung has one, the error tells what each lacks and what to install', async () => {
  await assert.rejects(climb('Kafka', rungsFrom({}), attempts({}), 'Install this.'), {
    code: 'unavailable',
    retryable: false,
    message:
      'no Kafka to test with.\n  environment: no environment\n  local: no local\n  testcontainers: no testcontainers\nInstall this.',
  });
});

test('a broker that is there and does not work ends the climb: it is not stepped over', async () => {
  const broken = new TailraceError('unavailable', 'cannot be reached');
  const rungs = attempts({ environment: broken, local: 'here' });
  await assert.rejects(climb('Kafka', rungsFrom({}), rungs, ''), broken);
  assert.deepEqual(rungs.tried, ['environment']);
});
