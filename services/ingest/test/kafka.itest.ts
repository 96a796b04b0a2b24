import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { loggedReports, reportOf, startIngest } from './ingest-fixture.ts';

const appendDeadlineMs = 2_000;
const settings = { telemetryPartitions: 4, appendDeadlineMs };

let broker: KafkaBroker;

// A broker of its own: the tests kill it.
before(async () => {
  broker = await startKafka({ env: { ...process.env, TAILRACE_TEST_KAFKA: undefined } });
});
after(() => broker?.stop());

function kafkaLog(): KafkaEventLog {
  return new KafkaEventLog({ brokers: broker.brokers, logger: silentLogger, appendTimeoutMs: appendDeadlineMs });
}

/** Starts ingest on Kafka, beside another client of Kafka that reads the reports. */
async function serveOnKafka(t: Parameters<typeof startIngest>[0]) {
  const eventLog = kafkaLog();
  await eventLog.start();
  const serving = await startIngest(t, { eventLog, settings });
  t.after(async () => {
    await serving.ingest.stop();
    await eventLog.close();
  });
  const idsInKafka = async (): Promise<Set<string | undefined>> => {
    const reader = kafkaLog();
    await reader.start();
    try {
      return new Set((await loggedReports(reader)).map(({ id }) => id));
    } finally {
      await reader.close();
    }
  };
  return { ...serving, idsInKafka };
}

const batchOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, n) => reportOf(`plant1.line1.press${n % 7}`, { id: `${name}-${n}` }));

test('202 means that every accepted report is in Kafka, in the order of its device', async (t) => {
  const { post, eventLog, idsInKafka } = await serveOnKafka(t);
  const names = Array.from({ length: 20 }, (_, n) => `first${n}`);
  for (const response of await Promise.all(names.map((name) => post(JSON.stringify(batchOf(name, 100)))))) {
    assert.equal(response.status, 202);
    assert.deepEqual(await response.json(), { accepted: 100, rejected: [] });
  }
  const ids = await idsInKafka();
  for (const name of names) for (let n = 0; n < 100; n++) assert.ok(ids.has(`${name}-${n}`), `${name}-${n}`);
  const inOrder = (await loggedReports(eventLog)).filter(
    ({ device, id }) => device.endsWith('press3') && id?.startsWith('first7-'),
  );
  const numbers = inOrder.map(({ id }) => Number(id?.split('-')[1]));
  assert.equal(numbers.length, 14);
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
});

test('while the broker is stopped the answer is 503 within the deadline; after its restart reports are accepted, and none that was answered 202 is missing', async (t) => {
  const { post, idsInKafka } = await serveOnKafka(t);
  assert.equal((await post(JSON.stringify(batchOf('before', 10)))).status, 202);
  await broker.kill();
  const startMs = performance.now();
  const response = await post(JSON.stringify(batchOf('during', 10)));
  assert.equal(response.status, 503);
  assert.ok(performance.now() - startMs < appendDeadlineMs + 1_000);
  assert.ok(Number(response.headers.get('retry-after')) >= 1);
  await broker.restart();
  // As a sender does: retries until it is accepted.
  await eventually(async () => (await post(JSON.stringify(batchOf('during', 10)))).status === 202, {
    deadlineMs: 30_000,
    describe: 'reports are accepted again',
  });
  const ids = await idsInKafka();
  for (const name of ['before', 'during'])
    for (let n = 0; n < 10; n++) assert.ok(ids.has(`${name}-${n}`), `${name}-${n}`);
});

test('while the broker hangs the answer is 503 at the deadline', async (t) => {
  const { post } = await serveOnKafka(t);
  assert.equal((await post(JSON.stringify(batchOf('hanging', 1)))).status, 202);
  await broker.signal('SIGSTOP');
  try {
    const startMs = performance.now();
    const response = await post(JSON.stringify(batchOf('hung', 1)));
    assert.equal(response.status, 503);
    assert.ok(performance.now() - startMs < appendDeadlineMs + 1_000);
  } finally {
    await broker.signal('SIGCONT');
  }
  await eventually(async () => (await post(JSON.stringify(batchOf('hung', 1)))).status === 202, { deadlineMs: 30_000 });
});
