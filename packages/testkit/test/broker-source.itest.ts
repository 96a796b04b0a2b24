import assert from 'node:assert/strict';
import { readdir, readFile, symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { exists } from '../src/cache.ts';
import { eventually } from '../src/eventually.ts';
import { freePort } from '../src/free-port.ts';
import { type KafkaBroker, startKafka } from '../src/kafka.ts';
import { hostAndPortFrom } from '../src/kafka-handshake.ts';
import { failOnLeaks } from '../src/leak-check.ts';
import { startNats } from '../src/nats.ts';
import { natsAddressFrom } from '../src/nats-handshake.ts';
import { isRunning, startService } from '../src/process.ts';
import { createTempDir } from '../src/tempdir.ts';
import { askKafka, askNats } from './fixtures/ask.ts';

failOnLeaks();

const local = { ...process.env, TAILRACE_TEST_BROKERS: 'local' };
const fixtures = join(import.meta.dirname, 'fixtures');

describe('Kafka as a local process', () => {
  let kafka: KafkaBroker;
  before(async () => {
    kafka = await startKafka({ env: local });
  });
  after(() => kafka.stop());

  test('serves as soon as it is started, under a pid of its own', async () => {
    assert.equal(kafka.source, 'local');
    assert.equal(await askKafka(kafka), 1);
    assert.match(await readFile(`/proc/${kafka.pid}/cmdline`, 'utf8').catch(() => 'kafka.Kafka'), /kafka\.Kafka/);
  });

  test('does not respond while it is paused, and does after', async () => {
    await kafka.signal('SIGSTOP');
    await assert.rejects(askKafka(kafka, 100), { code: 'unavailable', message: /no answer from .* within 100 ms/ });
    await kafka.signal('SIGCONT');
    await eventually(async () => assert.equal(await askKafka(kafka), 1));
  });

  test('has exited after kill, and after restart another process serves on the same port', async () => {
    const { pid, brokers } = kafka;
    await kafka.kill();
    assert.equal(kafka.pid, pid);
    assert.equal(await isRunning(pid!), false);
    await assert.rejects(askKafka(kafka), { code: 'unavailable', message: /ECONNREFUSED/ });
    await kafka.restart();
    assert.notEqual(kafka.pid, pid);
    assert.deepEqual(kafka.brokers, brokers);
    assert.equal(await askKafka(kafka), 1);
  });

  test('can be used by others through TAILRACE_TEST_KAFKA, who cannot stop it', async () => {
    const shared = await startKafka({ env: { TAILRACE_TEST_KAFKA: kafka.brokers.join(',') } });
    assert.equal(shared.source, 'environment');
    assert.deepEqual(shared.brokers, kafka.brokers);
    await assert.rejects(shared.kill(), {
      code: 'forbidden',
      message: /was not started by the test; to kill it, unset the variable/,
    });
    await shared.stop();
    assert.equal(await askKafka(kafka), 1);
  });

  test('a port that is in use is named, and nothing is left of the attempt', async () => {
    const { port } = hostAndPortFrom(kafka.brokers[0]!, '');
    await assert.rejects(startKafka({ env: local, port }), {
      code: 'address_in_use',
      message: new RegExp(`has port ${port} `),
    });
  });

  test('a broker that does not start is an error with the last lines of its log', async () => {
    const failing = startKafka({ env: local, settings: { 'metric.reporters': 'no.such.Reporter' } });
    await assert.rejects(failing, {
      code: 'internal',
      message: /Kafka exited while starting[\s\S]*no\.such\.Reporter/,
    });
  });

  test('a setting that Kafka refuses is an error with its message', async () => {
    const failing = startKafka({ env: local, settings: { 'log.cleaner.dedupe.buffer.size': 1 } });
    await assert.rejects(failing, { code: 'internal', message: /StorageTool cannot prepare .* must be at least 1MB/ });
  });
});

describe('NATS as a local process', () => {
  test('serves as soon as it is started, and has exited after stop', async () => {
    const nats = await startNats({ env: local });
    assert.equal(nats.source, 'local');
    assert.match((await askNats(nats)).version, /^\d/);
    await nats.stop();
    await nats.stop();
    assert.equal(await isRunning(nats.pid!), false);
    await assert.rejects(nats.restart(), { code: 'closed' });
  });

  test('is paused, killed and restarted on the same port', async () => {
    const nats = await startNats({ env: local });
    const { pid, url } = nats;
    await nats.signal('SIGSTOP');
    // Threads that run on another processor at that moment may still respond.
    await eventually(() => assert.rejects(askNats(nats, 50), { message: /no answer from .* within 50 ms/ }));
    await nats.kill();
    assert.equal(await isRunning(pid!), false);
    await nats.restart();
    assert.equal(nats.url, url);
    assert.notEqual(nats.pid, pid);
    assert.match((await askNats(nats)).version, /^\d/);
    await nats.stop();
  });

  test('listens on the given port, logs to the given file, and leaves the given data folder', async () => {
    const temp = await createTempDir('sources');
    const port = await freePort();
    const log = join(temp.path, 'nats.log');
    const nats = await startNats({ env: local, dataDir: join(temp.path, 'data'), log, port });
    assert.equal(nats.url, `nats://127.0.0.1:${port}`);
    await assert.rejects(startNats({ env: local, port }), {
      code: 'address_in_use',
      message: new RegExp(`has port ${port} `),
    });
    await nats.stop();
    assert.deepEqual(await readdir(join(temp.path, 'data')), []);
    assert.match(await readFile(log, 'utf8'), /Server is ready[\s\S]*Server Exiting/);
    await temp.remove();
  });

  test('can be used by others through TAILRACE_TEST_NATS', async () => {
    const nats = await startNats({ env: local });
    const shared = await startNats({ env: { TAILRACE_TEST_NATS: nats.url } });
    assert.deepEqual([shared.source, shared.url], ['environment', nats.url]);
    await assert.rejects(shared.restart(), { code: 'forbidden' });
    await nats.stop();
  });
});

describe('an address in the environment', () => {
  test('without a server is an error, and no other source is tried', async () => {
    const port = await freePort();
    const advice = 'unset the variable';
    await assert.rejects(startKafka({ env: { ...process.env, TAILRACE_TEST_KAFKA: `127.0.0.1:${port}` } }), {
      code: 'unavailable',
      message: new RegExp(
        `TAILRACE_TEST_KAFKA names 127.0.0.1:${port}, which does not serve: .*ECONNREFUSED.*${advice}`,
      ),
    });
    await assert.rejects(
      startNats({ env: { ...process.env, TAILRACE_TEST_NATS: `nats://u:secret@127.0.0.1:${port}` } }),
      (error: Error) => {
        assert.match(
          error.message,
          new RegExp(`TAILRACE_TEST_NATS names 127.0.0.1:${port}, which does not serve: .*ECONNREFUSED.*${advice}`),
        );
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  });

  test('of another server is an error', async () => {
    const nats = await startNats({ env: local });
    const { port } = natsAddressFrom(nats.url, '');
    await assert.rejects(startKafka({ env: { TAILRACE_TEST_KAFKA: `127.0.0.1:${port}` } }), {
      message: /answers, but not as Kafka does/,
    });
    await nats.stop();
  });

  test('that is required and not set is an error', async () => {
    await assert.rejects(startKafka({ env: { TAILRACE_TEST_BROKERS: 'environment' } }), {
      message: /environment: TAILRACE_TEST_KAFKA is not set/,
    });
    await assert.rejects(startNats({ env: { TAILRACE_TEST_BROKERS: 'environment' } }), {
      message: /environment: TAILRACE_TEST_NATS is not set/,
    });
  });
});

describe('a machine without brokers', () => {
  const bare = async () => {
    const temp = await createTempDir('bare');
    const env = {
      PATH: temp.path,
      HOME: temp.path,
      TAILRACE_CACHE: join(temp.path, 'cache'),
      DOCKER_HOST: `unix://${temp.path}/docker.sock`,
    };
    return { temp, env };
  };

  test('gets an error with what each source of Kafka lacks and what to install', async () => {
    const { temp, env } = await bare();
    await assert.rejects(startKafka({ env }), (error) => {
      assert.ok(isTailraceError(error));
      assert.equal(error.code, 'unavailable');
      const lines = error.message.split('\n');
      assert.equal(lines[0], 'no Kafka to test with.');
      assert.match(lines[1]!, /environment: TAILRACE_TEST_KAFKA is not set/);
      assert.match(lines[2]!, /local: no Java \(java: not found\)/);
      assert.match(lines[3]!, /testcontainers: no Docker engine answers at unix:\/\/.*docker\.sock \(.*ENOENT/);
      assert.match(
        error.message,
        /Debian: apt install openjdk-17-jre-headless maven; macOS: brew install openjdk maven/,
      );
      return true;
    });
    await temp.remove();
  });

  test('gets an error with what each source of NATS lacks and what to install', async () => {
    const { temp, env } = await bare();
    await assert.rejects(startNats({ env }), {
      code: 'unavailable',
      message:
        /no NATS to test with[\s\S]*local: no nats-server on the PATH.*go: not found[\s\S]*apt install nats-server; macOS: brew install nats-server/,
    });
    await temp.remove();
  });

  test('with Java and without Maven gets an error with that', async () => {
    const { temp, env } = await bare();
    const java = (process.env['PATH'] ?? '').split(':').map((folder) => join(folder, 'java'));
    const found = await Promise.all(java.map(exists));
    const program = java[found.indexOf(true)];
    assert.ok(program, 'the local source needs Java, and so does this test');
    await symlink(program, join(temp.path, 'java'));
    const failing = startKafka({ env: { ...env, TAILRACE_TEST_BROKERS: 'local' } });
    await assert.rejects(failing, {
      message: /local: no kafka-4\.1\.1 in .*cache and Maven cannot fetch it \(mvn: not found\)/,
    });
    assert.deepEqual(await readdir(join(temp.path, 'cache')), []);
    await temp.remove();
  });
});

test('brokers exit with the process that started them, even if that is killed, and leave no data', async () => {
  const temp = await createTempDir('orphans');
  const owner = await startService({
    args: [join(fixtures, 'brokers.ts')],
    env: { TAILRACE_TEST_BROKERS: 'local', TMPDIR: temp.path },
  });
  const [, kafkaPid, natsPid] = await owner.line(/^started (\d+) (\d+)$/, { deadlineMs: 60_000 });
  const running = async () => [await isRunning(Number(kafkaPid)), await isRunning(Number(natsPid))];
  assert.deepEqual(await running(), [true, true]);
  // A paused one too.
  process.kill(Number(natsPid), 'SIGSTOP');
  await owner.kill();
  await eventually(async () => assert.deepEqual(await running(), [false, false]), {
    describe: 'both brokers have exited',
  });
  await eventually(async () => assert.deepEqual(await readdir(temp.path), []), {
    describe: 'their folders are removed',
  });
  await temp.remove();
});

test('a free port can be listened on', async () => {
  const port = await freePort();
  const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
    connect({ port, host: '127.0.0.1' }).once('error', resolve),
  );
  assert.equal(error.code, 'ECONNREFUSED');
});
