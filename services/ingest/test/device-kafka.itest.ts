import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { loggedReports, startIngest } from './ingest-fixture.ts';
import { loginDevice } from './raw-device.ts';

const appendDeadlineMs = 2_000;

let broker: KafkaBroker;

// A broker of its own: the test kills it.
before(async () => {
  broker = await startKafka({ env: { ...process.env, TAILRACE_TEST_KAFKA: undefined } });
});
after(() => broker?.stop());

function kafkaLog(): KafkaEventLog {
  return new KafkaEventLog({ brokers: broker.brokers, logger: silentLogger, appendTimeoutMs: appendDeadlineMs });
}

test('while Kafka is killed a device is refused and stays connected; what it sends again is acknowledged, and nothing acknowledged is missing', async (t) => {
  const eventLog = kafkaLog();
  await eventLog.start();
  const settings = { telemetryPartitions: 4, appendDeadlineMs };
  const { port, token, ingest } = await startIngest(t, { eventLog, settings });
  t.after(async () => {
    await ingest.stop();
    await eventLog.close();
  });
  const device = await loginDevice({ port, token });
  /** Sends until each message is accepted, as a device does. */
  const unanswered = new Map<string, number>();
  const acknowledged = new Map<string, string>();
  let refusals = 0;
  const send = (id: string, value: number) => {
    unanswered.set(id, value);
    device.status(id, value);
  };
  const receive = async () => {
    const { msgid, payload } = await device.next(15_000);
    if (payload.status !== 'rejected') {
      unanswered.delete(msgid!);
      acknowledged.set(msgid!, payload.status!);
      return;
    }
    refusals++;
    assert.equal(payload.retryable, true, JSON.stringify(payload));
    device.status(msgid!, unanswered.get(msgid!)!);
  };
  for (let index = 0; index < 20; index++) send(`before-${index}`, index);
  while (unanswered.size > 0) await receive();
  await broker.kill();
  for (let index = 0; index < 20; index++) send(`during-${index}`, index);
  // Each is refused at least once.
  while (refusals < 20) await receive();
  await broker.restart();
  while (unanswered.size > 0) await receive();
  assert.equal(acknowledged.size, 40);

  const reader = kafkaLog();
  await reader.start();
  t.after(() => reader.close());
  const logged = await eventually(async () => await loggedReports(reader), { deadlineMs: 30_000 });
  const ids = logged.map(({ id }) => id!);
  for (const id of acknowledged.keys()) assert.ok(ids.includes(id), `${id} is acknowledged and not in the log`);
  t.diagnostic(`sent 40, refused ${refusals} times, records ${ids.length}, distinct ${new Set(ids).size}`);
});
