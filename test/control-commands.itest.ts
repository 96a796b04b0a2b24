import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DeviceConnection } from '@tailrace/client/device';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { issueToken } from '@tailrace/platform/token';
import { tailrace } from '@tailrace/protocol/generated';
import { eventually } from '@tailrace/testkit/eventually';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { type PostgresServer, startPostgres } from '@tailrace/testkit/postgres';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackService } from '../scripts/stack-service.ts';
import { freePortBase } from './ports.ts';

/** Two processes of control on real PostgreSQL, Kafka and NATS, an ingest node, and devices of the SDK. */

const tokenSecret = 'a secret of the tests, long enough for HS256';
const prefix = `control-${process.pid}`;
const machines = Array.from({ length: 8 }, (_, index) => `plant1.line2.press${index}`);
const away = 'plant1.line2.away';
const cleanup: (() => Promise<unknown>)[] = [];
/** How often each command was executed, by its ID. */
const executed = new Map<string, number>();

let kafka: KafkaBroker;
let nats: NatsServer;
let postgres: PostgresServer;
let ingest: StackService;
let controls: StackService[];
let eventLog: KafkaEventLog;
let token: string;

before(async () => {
  [kafka, nats, postgres] = await Promise.all([startKafka(), startNats(), startPostgres()]);
  const dir = await createTempDir('control-commands');
  cleanup.push(
    () => dir.remove(),
    () => Promise.all([kafka, nats, postgres].map((broker) => broker.stop())),
  );
  const databaseUrl = await postgres.createDatabase();
  const portBase = await freePortBase();
  const service = (name: string, script: string, offset: number) =>
    new StackService({
      ...{ name, script, port: portBase + offset, data: dir.path },
      settings: {
        TAILRACE_NODE: name,
        TAILRACE_TOKEN_SECRET: tokenSecret,
        TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
        TAILRACE_NATS_SERVERS: nats.url,
        TAILRACE_TOPIC_PREFIX: prefix,
        TAILRACE_TELEMETRY_PARTITIONS: '2',
        ...(name.startsWith('control') ? { TAILRACE_DATABASE_URL: databaseUrl, TAILRACE_UNCONFIRMED_MS: '10000' } : {}),
      },
    });
  ingest = service('ingest-0', 'services/ingest/src/main.ts', 2);
  controls = [0, 1].map((index) => service(`control-${index}`, 'services/control/src/main.ts', index));
  // Both migrate at once.
  await Promise.all([ingest, ...controls].map((each) => each.start()));
  cleanup.push(() => Promise.all([ingest, ...controls].map((each) => each.stop())));
  eventLog = new KafkaEventLog({ brokers: [...kafka.brokers], prefix, clientId: 'test', logger: silentLogger });
  await eventLog.start();
  cleanup.push(() => eventLog.close());
  token = await issueToken({
    ...{ secret: tokenSecret, subject: 'anna', publish: [], subscribe: ['plant1.>'], command: ['plant1.>'] },
    ...{ roles: ['auditor', 'supervisor'], expiresInMs: 3_600_000 },
  });
  await Promise.all(machines.map(connect));
});

after(async () => {
  for (const stop of cleanup.reverse()) await stop();
});

async function connect(device: string): Promise<void> {
  const deviceToken = await issueToken({
    ...{ secret: tokenSecret, subject: device, publish: [device], subscribe: [], expiresInMs: 3_600_000 },
  });
  const connection = new DeviceConnection({
    ...{ url: ingest.url.replace('http', 'ws'), device, token: deviceToken },
    onCommand({ id }, answer) {
      answer.delivered();
      executed.set(id, (executed.get(id) ?? 0) + 1);
      answer.reply({ state: 'done', confirmedBy: 'device' });
    },
  });
  connection.start();
  cleanup.push(async () => connection.close());
  await eventually(() => assert.equal(connection.state.name, 'live'));
}

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the assertions name the fields
  readonly body: any;
}

async function request(node: number, method: string, path: string, body?: object, by = token): Promise<Answer> {
  const headers = { authorization: `Bearer ${by}`, 'content-type': 'application/json' };
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  const answer = await fetch(controls[node]!.url + path, init);
  return { status: answer.status, body: await answer.json() };
}

const bodyOf = (id: string, device: string, rest: object = {}) => ({
  id,
  device,
  name: 'set',
  params: { n: 1 },
  ...rest,
});

function isDone(id: string, node = 0): Promise<Answer['body']> {
  return eventually(
    async () => {
      const { body } = await request(node, 'GET', `/v1/commands/${id}`);
      assert.ok(body.final, `${id} is ${body.state} ${body.awaits ?? ''}`);
      return body;
    },
    { deadlineMs: 40_000, pollMs: 5 },
  );
}

/** Resolves with the transitions in the log, by command, in the order of their positions. */
async function transitions(): Promise<Map<string, tailrace.v1.ICommandTransition[]>> {
  const topic = `${prefix}.events`;
  const found = new Map<string, tailrace.v1.ICommandTransition[]>();
  for (const [partition, { first, next }] of (await eventLog.bounds(topic)).entries())
    for await (const records of eventLog.read(topic, partition, { from: first, until: next }))
      for (const { value } of records) {
        const { commandTransition } = tailrace.v1.Event.decode(value);
        if (commandTransition == null) continue;
        const id = commandTransition.id ?? '';
        found.set(id, [...(found.get(id) ?? []), commandTransition]);
      }
  return found;
}

test('a command by HTTP reaches its device over NATS and ingest, and its transitions Kafka', async (t) => {
  const times: number[] = [];
  for (let index = 0; index < 30; index++) {
    const startMs = performance.now();
    const { status, body } = await request(
      index % 2,
      'POST',
      '/v1/commands',
      bodyOf(`a${index}`, machines[index % 8]!),
    );
    assert.equal(status, 202, JSON.stringify(body));
    const done = await isDone(body.id);
    times.push(performance.now() - startMs);
    assert.deepEqual([done.state, done.confirmedBy, executed.get(body.id)], ['done', 'device', 1]);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`a command with its outcome: p50 ${times[15]!.toFixed(0)} ms, p99 ${times.at(-1)!.toFixed(0)} ms`);
  const { body } = await request(0, 'GET', '/v1/commands?limit=1');
  const [last] = body.commands;
  await eventually(async () => {
    const numbers = (await transitions()).get(last.id)?.map(({ number }) => number);
    assert.deepEqual(
      numbers,
      Array.from({ length: last.number }, (_, index) => index + 1),
    );
  });
});

test('while control is killed under load, no command is executed twice, and each has one final state', async () => {
  const ids: string[] = [];
  let isKilled = false;
  const submitted = async (index: number) => {
    // A sender that gets no answer sends the same ID again, to any process.
    const device = index % 10 === 0 ? away : machines[index % 8]!;
    const body = bodyOf(`b${index}`, device, { deadline: Date.now() + 8_000 });
    await eventually(async () => {
      const { status, body: answer } = await request(isKilled ? 1 : index % 2, 'POST', '/v1/commands', body);
      assert.equal(status, 202, JSON.stringify(answer));
      ids.push(answer.id);
    });
  };
  const all = Array.from({ length: 120 }, (_, index) => index);
  const kill = async () => {
    await eventually(() => assert.ok(ids.length > 30), { pollMs: 1 });
    isKilled = true;
    await controls[0]!.end('SIGKILL');
    await controls[0]!.start();
  };
  const killed = kill();
  for (let from = 0; from < all.length; from += 12) await Promise.all(all.slice(from, from + 12).map(submitted));
  await killed;
  isKilled = false;
  await connect(away);
  const finals = await Promise.all(ids.map((id) => isDone(id, 1)));
  for (const { id, state } of finals) {
    const count = executed.get(id) ?? 0;
    assert.ok(count <= 1, `${id} was executed ${count} times`);
    if (state === 'done') assert.equal(count, 1);
    if (state === 'expired' || state === 'canceled') assert.equal(count, 0);
  }
  await eventually(async () => {
    const found = await transitions();
    for (const id of ids) {
      // The process that was killed may have appended some, and not noted it.
      const numbers = [...new Set(found.get(id)?.map(({ number }) => number))];
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a! - b!),
        id,
      );
      const last = found.get(id)?.at(-1);
      assert.ok(last?.final, `${id}: ${numbers}`);
      assert.equal(
        new Set(
          found
            .get(id)!
            .filter(({ final }) => final)
            .map(({ number }) => number),
        ).size,
        1,
      );
    }
  });
  const { body } = await request(1, 'GET', '/v1/audit/verify');
  assert.deepEqual([body.valid, body.broken], [true, []]);
});

test('while control is killed within a fleet command, another process goes on, and each device executes it once at most', async () => {
  const devices = Array.from({ length: 60 }, (_, index) => `plant1.fleet.m${index}`);
  await Promise.all(devices.map(connect));
  const engineer = await issueToken({
    ...{ secret: tokenSecret, subject: 'erik', publish: [], subscribe: ['plant1.>'], command: ['plant1.>'] },
    ...{ roles: ['engineer'], expiresInMs: 3_600_000 },
  });
  const before = executed.size;
  const fleet = { id: 'f1', devices, name: 'set', params: { n: 2 }, rate: { perMinute: 1_200 } };
  const started = await request(0, 'POST', '/v1/fleet-commands', fleet, engineer);
  assert.equal(started.status, 202, JSON.stringify(started.body));
  const path = `/v1/fleet-commands/${started.body.id}`;
  await eventually(() => assert.ok(executed.size >= before + 15), { pollMs: 1 });
  await controls[0]!.end('SIGKILL');
  // A sender that got no answer sends the same ID again.
  const again = await request(1, 'POST', '/v1/fleet-commands', fleet, engineer);
  assert.deepEqual([again.status, again.body.id], [202, started.body.id]);
  const done = await eventually(
    async () => {
      const { body } = await request(1, 'GET', path, undefined, engineer);
      assert.ok(body.final, JSON.stringify(body));
      return body;
    },
    { deadlineMs: 60_000 },
  );
  await controls[0]!.start();
  // What was requested when the process was killed may be unconfirmed.
  const { counts } = done;
  assert.equal((counts.done ?? 0) + (counts.unconfirmed ?? 0), devices.length, JSON.stringify(done));
  const { body } = await request(1, 'GET', `${path}/devices?limit=100`, undefined, engineer);
  assert.equal(body.devices.length, devices.length);
  const commands: string[] = body.devices.map(({ command }: { command: string }) => command);
  assert.equal(new Set(commands).size, devices.length);
  for (const { command, state } of body.devices) {
    const count = executed.get(command) ?? 0;
    assert.ok(state === 'done' ? count === 1 : count <= 1, `${command} is ${state}, executed ${count} times`);
  }
  assert.ok(executed.size <= before + devices.length, 'no device has executed another command');
});

test('while PostgreSQL is away, commands are refused and may be repeated, and work again afterwards', async () => {
  await postgres.kill();
  const { status, body } = await request(0, 'POST', '/v1/commands', bodyOf('c1', machines[0]!));
  assert.deepEqual([status, body.error.retryable], [503, true], JSON.stringify(body));
  await postgres.restart();
  const accepted = await eventually(async () => {
    const answer = await request(0, 'POST', '/v1/commands', bodyOf('c1', machines[0]!));
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    return answer.body;
  });
  assert.equal((await isDone(accepted.id)).state, 'done');
  assert.equal(executed.get(accepted.id), 1);
});
