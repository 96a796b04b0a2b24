import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createStream } from '@tailrace/client/stream';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { deleteTopic } from '../packages/eventlog/test/kafka-tools.ts';
import { RestartingService } from './restarting-service.ts';

/**
 * The topics are deleted while services run. A restarted service creates them again; the others must notice, or their
 * partitions are never served again.
 */
const tokenSecret = 'a secret that is only there for the tests';
const prefix = 'replaced';
const device = 'plant.line1.m1';
let kafka: KafkaBroker;
let nats: NatsServer;
let token: string;
let services: RestartingService[];
let urls: string[];
let ingestUrl: string;

before(async () => {
  [kafka, nats] = await Promise.all([startKafka(), startNats()]);
  const expiresInMs = 3_600_000;
  token = await issueToken({ secret: tokenSecret, subject: 'test', publish: ['>'], subscribe: ['>'], expiresInMs });
  const ports = await freePorts(6);
  services = ['fanout', 'fanout', 'ingest'].map((kind, n) => {
    const [port, internalPort] = [ports[2 * n]!, ports[2 * n + 1]!];
    const publicUrl = `ws://127.0.0.1:${port}`;
    const ofFanout = {
      TAILRACE_PUBLIC_URL: publicUrl,
      TAILRACE_DRAIN_MS: '500',
      TAILRACE_HANDOVER_MS: '1000',
    };
    return new RestartingService(`services/${kind}/src/main.ts`, internalPort, {
      TAILRACE_NODE: `${kind}-${n}`,
      TAILRACE_HOST: '127.0.0.1',
      TAILRACE_PORT: `${port}`,
      TAILRACE_INTERNAL_HOST: '127.0.0.1',
      TAILRACE_INTERNAL_PORT: `${internalPort}`,
      TAILRACE_TOPIC_PREFIX: prefix,
      TAILRACE_TELEMETRY_PARTITIONS: '6',
      TAILRACE_TOKEN_SECRET: tokenSecret,
      TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
      TAILRACE_NATS_SERVERS: nats.url,
      ...(kind === 'fanout' ? ofFanout : {}),
    });
  });
  urls = [0, 2].map((at) => `ws://127.0.0.1:${ports[at]}`);
  ingestUrl = `http://127.0.0.1:${ports[4]}/v1/ingest`;
  await Promise.all(services.map((service) => service.start()));
});

after(async () => {
  await Promise.all((services ?? []).map((service) => service.stop()));
  await Promise.all([kafka?.stop(), nats?.stop()]);
});

/** Reports numbers from 1 on, one every 50 ms, and retries each until it is accepted. */
class Sender {
  value = 0;
  #running = true;
  readonly #done = this.#run();

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    while (this.#running) {
      if (await this.#isAccepted(this.value + 1)) this.value++;
      await sleep(50);
    }
  }

  async #isAccepted(value: number): Promise<boolean> {
    const report = { device, time: Date.now(), id: `${value}`, readings: [{ tag: 'n', value }] };
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    try {
      const answer = await fetch(ingestUrl, { method: 'POST', headers, body: JSON.stringify(report) });
      await answer.body?.cancel();
      return answer.status === 202;
    } catch {
      return false;
    }
  }
}

test('topics deleted while services run: a restarted one creates them again, the others exit with 1 and log why, clients are notified and continue', async (t) => {
  const sender = new Sender();
  t.after(() => sender.stop());
  const watchers = urls.map((url) => {
    const stream = createStream({ url: [url], token, follow: false, backoff: { baseMs: 50, capMs: 500 } });
    t.after(() => stream.close());
    const seen = { last: 0, missing: [] as string[] };
    const take = (reports: readonly { readonly readings: readonly { readonly value: unknown }[] }[]) => {
      for (const { readings } of reports) seen.last = Number(readings.at(-1)?.value);
    };
    stream.subscribe('plant.>', {
      onSnapshot: take,
      onReports: take,
      onState: (state) => {
        if (state.name === 'live') for (const { reason } of state.missing ?? []) seen.missing.push(reason);
      },
    });
    return seen;
  });
  await eventually(() => watchers.every(({ last }) => last > 5), { deadlineMs: 30_000, describe: 'all is live' });

  for (const topic of ['telemetry', 'state']) await deleteTopic(kafka, `${prefix}.${topic}`);
  const atMs = performance.now();
  const [restarted, ...others] = services as [RestartingService, ...RestartingService[]];
  restarted.signal('SIGTERM');
  await eventually(
    () =>
      assert.deepEqual(
        others.map(({ codes }) => codes),
        [[1], [1]],
      ),
    {
      deadlineMs: 60_000,
      pollMs: 50,
      describe: 'the others exit',
    },
  );
  t.diagnostic(`the others exited ${Math.round(performance.now() - atMs)} ms after the topics were deleted`);
  for (const { output } of others) {
    assert.match(
      output,
      /"level":"error".*cannot go on, stopping: topic \\"replaced.telemetry\\" was created again: expected epoch \S{12}, got \S{12}/,
    );
  }
  for (const service of services) await service.ready(60_000);
  t.diagnostic(`all were ready again after ${Math.round(performance.now() - atMs)} ms`);
  assert.deepEqual(restarted.codes, [0]);

  const accepted = sender.value;
  await eventually(() => watchers.every(({ last }) => last > accepted + 5), {
    deadlineMs: 30_000,
    pollMs: 50,
    describe: 'clients are live again',
  });
  t.diagnostic(`clients were live again after ${Math.round(performance.now() - atMs)} ms`);
  for (const { missing } of watchers) assert.deepEqual([...new Set(missing)], ['epoch']);
});
