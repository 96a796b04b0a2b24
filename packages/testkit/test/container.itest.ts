import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findDockerEngine } from '../src/docker-engine.ts';
import { eventually } from '../src/eventually.ts';
import { freePort } from '../src/free-port.ts';
import { startKafka } from '../src/kafka.ts';
import { failOnLeaks } from '../src/leak-check.ts';
import { startNats } from '../src/nats.ts';
import { askKafka, askNats } from './fixtures/ask.ts';

failOnLeaks();

describe('a container', () => {
  const docker = { ...process.env, TAILRACE_TEST_BROKERS: 'docker' };

  /** Without an engine, checks that the error has the reason. */
  const withEngine = (run: () => Promise<void>) => async (t: { diagnostic(text: string): void }) => {
    const engine = await findDockerEngine(process.env).catch((error: Error) => error);
    if (typeof engine === 'string') return await run();
    t.diagnostic(`containers were not tried: ${engine.message}`);
    const expected = { code: 'unavailable', message: /testcontainers: no Docker engine answers at [a-z]+:\/\/\S+ \(/ };
    await assert.rejects(startKafka({ env: docker }), expected);
    await assert.rejects(startNats({ env: docker }), expected);
  };

  test(
    'runs Kafka on a Docker engine',
    withEngine(async () => {
      const kafka = await startKafka({ env: docker });
      assert.equal(kafka.source, 'testcontainers');
      assert.equal(await askKafka(kafka), 1);
      await kafka.signal('SIGSTOP');
      await eventually(() => assert.rejects(askKafka(kafka, 100), { message: /no answer from/ }));
      await kafka.stop();
      await kafka.stop();
      await assert.rejects(askKafka(kafka), { code: 'unavailable' });
      await assert.rejects(kafka.restart(), { code: 'closed' });
    }),
  );

  test(
    'runs NATS on a Docker engine, and restarts it on the same port',
    withEngine(async () => {
      const nats = await startNats({ env: docker });
      assert.equal(nats.source, 'testcontainers');
      assert.match((await askNats(nats)).version, /^\d/);
      await nats.kill();
      await assert.rejects(askNats(nats, 1000), { code: 'unavailable' });
      await nats.restart();
      assert.match((await askNats(nats)).version, /^\d/);
      await nats.stop();
    }),
  );

  test(
    'of an unknown image is an error with engine and image',
    withEngine(async () => {
      const failing = startNats({ env: { ...docker, TAILRACE_TEST_NATS_IMAGE: 'localhost:1/no/such-image:0' } });
      await assert.rejects(failing, {
        code: 'unavailable',
        message: /the Docker engine at \S+ does not run localhost:1\/no\/such-image:0 \(/,
      });
    }),
  );

  test('needs an engine that responds: else the error names it', async () => {
    const port = await freePort();
    for (const engine of ['unix:///no/such/docker.sock', `tcp://127.0.0.1:${port}`, 'ssh://somewhere']) {
      const failing = startKafka({ env: { TAILRACE_TEST_BROKERS: 'docker', DOCKER_HOST: engine } });
      await assert.rejects(failing, {
        code: 'unavailable',
        message: new RegExp(`testcontainers: no Docker engine answers at ${engine} \\(`),
      });
    }
  });
});
