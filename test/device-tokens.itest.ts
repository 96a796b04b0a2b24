import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackCluster } from '../scripts/stack-cluster.ts';
import type { StackService } from '../scripts/stack-service.ts';
import { freePortBase } from './ports.ts';

/** Limit of docs/OPERATIONS.md. The best of some times counts, because the machine may pause. */
const reachMs = 2_000;
const machines = ['plant1.press7', 'plant1.press8', 'plant1.press9'] as const;

interface Issued {
  readonly id: string;
  readonly token: string;
}

/** Sends a report to ingest. Returns the status. */
async function report(ingest: StackService, token: string, device: string = machines[0]): Promise<number> {
  const response = await fetch(`${ingest.url}/v1/ingest`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ device, time: Date.now(), readings: [{ tag: 't', value: 1 }] }),
  });
  await response.text();
  return response.status;
}

/** Waits until every ingest process answers with the status. Resolves with the time that took, ms. */
async function everyIngest(all: readonly StackService[], token: string, status: number, device?: string) {
  const startMs = performance.now();
  for (const ingest of all) {
    await eventually(async () => assert.equal(await report(ingest, token, device), status), {
      deadlineMs: 30_000,
      describe: `${ingest.name} answers ${status}`,
    });
  }
  return performance.now() - startMs;
}

test('a device token that is issued at one node is accepted and, once revoked, refused by every ingest process within two seconds, also after a restart, and its secret is in no topic, file, log or metric', async (t) => {
  const dir = await createTempDir('device-tokens');
  const portBase = await freePortBase();
  const cluster = new StackCluster({
    nodes: 2,
    data: dir.path,
    keepsData: true,
    portBase,
    drainMs: 0,
    print: () => {},
  });
  t.after(async () => {
    await cluster.stop();
    await dir.remove();
  });
  cluster.common['TAILRACE_LOG_LEVEL'] = 'debug';
  await cluster.start();
  const second = await cluster.service('ingest-1', 'services/ingest/src/main.ts', 3, {
    TAILRACE_KAFKA_BROKERS: cluster.kafka.brokers.join(','),
    TAILRACE_NATS_SERVERS: cluster.nats.url,
    TAILRACE_TOKEN_SECRET: cluster.tokenSecret,
    TAILRACE_NODE: 'ingest-1',
  });
  const ingests = [cluster.ingest, second];
  const operator = await issueToken({
    secret: cluster.tokenSecret,
    subject: 'anna',
    roles: ['operator'],
    publish: [],
    subscribe: [],
    expiresInMs: 3_600_000,
  });
  const operate = async (node: number, method: string, path: string, body?: object) => {
    const response = await fetch(`http://127.0.0.1:${cluster.fanout[node]!.port}${path}`, {
      method,
      headers: { authorization: `Bearer ${operator}`, connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  };
  const issue = async (body: object) => {
    const { status, json } = await operate(0, 'POST', '/v1/credentials', body);
    assert.equal(status, 201, JSON.stringify(json));
    return json as unknown as Issued;
  };

  const presses: Issued[] = [];
  const acceptedMs: number[] = [];
  for (const device of machines) {
    const press = await issue({ device, label: 'press hall' });
    acceptedMs.push(await everyIngest(ingests, press.token, 202, device));
    presses.push(press);
  }
  assert.ok(Math.min(...acceptedMs) < reachMs, `accepted after ${acceptedMs} ms`);
  assert.equal(await report(second, presses[0]!.token, machines[1]), 403, 'another device');
  const gateway = await issue({ device: 'plant1', gateway: true });
  await everyIngest(ingests, gateway.token, 202);
  assert.equal(await report(second, gateway.token, 'plant2.press8'), 403, 'outside of the gateway');

  // The other fanout node lists them, without a secret, and revokes.
  const issuedIds = presses.map(({ id }) => id).sort();
  await eventually(async () => {
    const { json } = await operate(1, 'GET', '/v1/credentials?channel=plant1.%3E');
    const ids = (json['credentials'] as Issued[]).map(({ id }) => id);
    assert.deepEqual(ids.sort(), issuedIds);
  });
  const refusedMs: number[] = [];
  for (const { id, token } of presses) {
    const { status } = await operate(1, 'DELETE', `/v1/credentials/${id}`);
    assert.equal(status, 202);
    refusedMs.push(await everyIngest(ingests, token, 401));
  }
  assert.ok(Math.min(...refusedMs) < reachMs, `refused after ${refusedMs} ms`);
  assert.equal(await report(second, gateway.token), 202, 'the other token is still valid');

  // No process is left that has them in memory.
  await Promise.all(ingests.map((service) => service.end('SIGTERM')));
  await Promise.all(ingests.map((service) => service.start()));
  for (const ingest of ingests) {
    for (const { token } of presses) assert.equal(await report(ingest, token), 401, 'by the first request');
    assert.equal(await report(ingest, gateway.token), 202, 'by the first request');
  }

  const secrets = [...presses, gateway].map(({ token }) => token.slice(-43));
  const hashes = secrets.map((secret) => createHash('sha256').update(secret).digest());
  const records = await recordsOf(cluster.kafka.brokers);
  for (const hash of hashes)
    assert.ok(
      records.some((bytes) => bytes.includes(hash)),
      'the search finds the hash',
    );
  const pages = await Promise.all([...ingests, ...cluster.fanout].map(({ port }) => metricsOf(port + 1_010)));
  assert.match(pages[0]!, /tailrace_ingest_verifications_total\{.*kind="token",outcome="ok".*\} [1-9]/);
  const files = await filesOf(dir.path);
  assert.ok(files.length > 10, `${files.length} files`);
  for (const secret of secrets) {
    for (const bytes of [...records, ...files, ...pages.map((page) => Buffer.from(page))]) {
      assert.ok(!bytes.includes(secret), 'the text of a secret');
      assert.ok(!bytes.includes(Buffer.from(secret, 'base64url')), 'the bytes of a secret');
    }
  }
});

/** Returns the keys and values of all records of the installation. */
async function recordsOf(brokers: readonly string[]): Promise<Buffer[]> {
  const eventLog = new KafkaEventLog({ brokers: [...brokers], logger: silentLogger });
  await eventLog.start();
  const found: Buffer[] = [];
  try {
    for (const topic of ['telemetry', 'state', 'control', 'meta'].map((name) => `tailrace.${name}`)) {
      const { partitions } = await eventLog.describeTopic(topic);
      for (let partition = 0; partition < partitions; partition++) {
        for await (const records of eventLog.read(topic, partition, { from: 0 }))
          for (const { key, value } of records) found.push(Buffer.from(key), Buffer.from(value));
      }
    }
  } finally {
    await eventLog.close();
  }
  return found;
}

/** Returns the files of a folder and those below it: logs of processes, and data of brokers. */
async function filesOf(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return await Promise.all(names.map((name) => readFile(name)));
}

async function metricsOf(port: number): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}
