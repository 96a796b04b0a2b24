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

  /** Where no engine answers, the rung must say so; that is what is checked then. */
  const withEngine = (run: () => Promise<void>) => async (t: { diagnostic(text: string): void }) => {
    const engine = await findDockerEngine(process.env).catch((error: Error) => error);
    if (typeof engine === 'string') return await run();
    t.diagnostic(`containers were not tried: ${engine.message}`);
    const expected = { code: 'unavailable', message: /testcontainers: no Docker engine answers at [a-z]+:\/\/\S+ \(/ };
    await assert.rejects(startKafka({ env: docker }), expected);
    await assert.rejects(startNats({ env: docker }), expected);
  };

  test(
    'runs Kafka where a Docker engine answers',
    withEngine(async () => {
      const kafka = await startKafka({ env: docker });
      assert.equal(kafka.rung, 'testcontainers');
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
    'runs NATS where a Docker engine answers, and restarts it on the same port',
    withEngine(async () => {
      const nats = await startNats({ env: docker });
      assert.equal(nats.rung, 'testcontainers');
      assert.match((await askNats(nats)).version, /^\d/);
      await nats.kill();
      await assert.rejects(askNats(nats, 1000), { code: 'unavailable' });
      await nats.restart();
      assert.match((await askNats(nats)).version, /^\d/);
      await nats.stop();
    }),
  );

  test(
    'of an image that cannot be had is told with engine and image',
    withEngine(async () => {
      const failing = startNats({ env: { ...docker, TAILRACE_TEST_NATS_IMAGE: 'localhost:1/no/such-image:0' } });
      await assert.rejects(failing, {
        code: 'unavailable',
        message: /the Docker engine at \S+ does not run localhost:1\/no\/such-image:0 \(/,
      });
    }),
  );

  test('is not to be had from an engine that does not answer, which is named', async () => {
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
