import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { type BrokerSource, brokerSourcesFrom, firstAvailable, missing } from './broker-source.ts';

const attempts = (results: Partial<Record<BrokerSource, string | Error>>) => {
  const tried: BrokerSource[] = [];
  const attempt = (source: BrokerSource) => async () => {
    tried.push(source);
    const result = results[source] ?? missing(`no ${source}`);
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

test('by default an address comes first, then a process, then a container', () => {
  assert.deepEqual(brokerSourcesFrom({}), ['environment', 'local', 'testcontainers']);
  assert.deepEqual(brokerSourcesFrom({ TAILRACE_TEST_BROKERS: 'auto' }), ['environment', 'local', 'testcontainers']);
});

test('TAILRACE_TEST_BROKERS chooses one source, and any other value is refused', () => {
  assert.deepEqual(brokerSourcesFrom({ TAILRACE_TEST_BROKERS: 'docker' }), ['testcontainers']);
  assert.deepEqual(brokerSourcesFrom({ TAILRACE_TEST_BROKERS: 'local' }), ['local']);
  assert.deepEqual(brokerSourcesFrom({ TAILRACE_TEST_BROKERS: 'environment' }), ['environment']);
  for (const value of ['podman', 'toString']) {
    assert.throws(() => brokerSourcesFrom({ TAILRACE_TEST_BROKERS: value }), {
      code: 'invalid_config',
      message: `TAILRACE_TEST_BROKERS: expected one of auto, environment, docker, local, got "${value}"`,
    });
  }
});

test('the first source that has a broker is used and the others are not tried', async () => {
  const sources = attempts({ local: 'here' });
  assert.equal(await firstAvailable('Kafka', brokerSourcesFrom({}), sources, ''), 'here');
  assert.deepEqual(sources.tried, ['environment', 'local']);
});

test('if no source has one, the error has what each lacks and what to install', async () => {
  await assert.rejects(firstAvailable('Kafka', brokerSourcesFrom({}), attempts({}), 'Install this.'), {
    code: 'unavailable',
    retryable: false,
    message:
      'no Kafka to test with.\n  environment: no environment\n  local: no local\n  testcontainers: no testcontainers\nInstall this.',
  });
});

test('a broker that exists and does not work is an error: the next source is not tried', async () => {
  const broken = new TailraceError('unavailable', 'cannot be reached');
  const sources = attempts({ environment: broken, local: 'here' });
  await assert.rejects(firstAvailable('Kafka', brokerSourcesFrom({}), sources, ''), broken);
  assert.deepEqual(sources.tried, ['environment']);
});
