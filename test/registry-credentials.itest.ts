import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DeviceConnection } from '@tailrace/client/device';
import { eventually } from '@tailrace/testkit/eventually';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackCluster } from '../scripts/stack-cluster.ts';
import { freePortBase } from './ports.ts';

/** Tokens that control issues, with real PostgreSQL, Kafka, NATS and ingest, and devices of the SDK. */

let cluster: StackCluster;
const cleanup: (() => unknown)[] = [];

before(async () => {
  const dir = await createTempDir('registry-credentials');
  cleanup.push(() => dir.remove());
  const portBase = await freePortBase(1);
  cluster = new StackCluster({ nodes: 1, data: dir.path, keepsData: false, portBase, drainMs: 0, print: () => {} });
  cleanup.push(() => cluster.stop());
  await cluster.start();
  await cluster.startControl();
});

after(async () => {
  for (const stop of cleanup.reverse()) await stop();
});

async function send(method: string, path: string, body?: object, token = cluster.token) {
  const json = body && { 'content-type': 'application/json' };
  const headers = { authorization: `Bearer ${token}`, ...json };
  const answer = await fetch(`${cluster.control[0]!.url}/v1/registry/devices${path}`, {
    ...{ method, headers },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  // biome-ignore lint/suspicious/noExplicitAny: the assertions name the fields
  return { status: answer.status, headers: answer.headers, body: (text === '' ? {} : JSON.parse(text)) as any };
}

async function ok(method: string, path: string, body?: object) {
  const answer = await send(method, path, body);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Connects a device with a token. The topic of control reaches ingest within half a second: it tries again. */
async function connect(device: string, token: string): Promise<DeviceConnection> {
  const url = cluster.ingest.url.replace('http', 'ws');
  const connection = await eventually(async () => {
    const tried = new DeviceConnection({ url, device, token });
    tried.start();
    try {
      await eventually(() => assert.notEqual(tried.state.name, 'connecting'), { pollMs: 5 });
      assert.equal(tried.state.name, 'live', JSON.stringify(tried.state));
      return tried;
    } catch (error) {
      tried.close();
      throw error;
    }
  });
  cleanup.push(() => connection.close());
  return connection;
}

const isRefused = (connection: DeviceConnection) =>
  eventually(() => assert.equal(connection.state.name, 'stopped', JSON.stringify(connection.state)));

const statesOf = async (device: string): Promise<Record<string, string>> => {
  const { credentials } = await ok('GET', `/${device}/credentials`);
  return Object.fromEntries(credentials.map(({ id, state }: { id: string; state: string }) => [id, state]));
};

test('a device connects with the token of the registry; when it is revoked, its session is closed and it is refused', async () => {
  const device = 'plant1.line2.pump1';
  assert.equal((await send('POST', `/${device}/credentials`, {})).status, 404, 'not in the registry');
  await ok('POST', '', { device, name: 'Pump 1' });
  const issued = await send('POST', `/${device}/credentials`, { label: 'first' });
  assert.deepEqual([issued.status, issued.headers.get('cache-control')], [201, 'no-store']);
  const { id, token, publish } = issued.body;
  assert.deepEqual(publish, [device]);
  const list = await send('GET', `/${device}/credentials`);
  assert.ok(!JSON.stringify(list.body).includes(token.slice(-43)), 'the secret is not listed');
  const connection = await connect(device, token);
  assert.equal((await send('DELETE', `/${device}/credentials/${id}`)).status, 204);
  await isRefused(connection);
  const refused = await fetch(`${cluster.ingest.url}/v1/ingest`, {
    ...{ method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
    body: JSON.stringify({ device, time: Date.now(), readings: [{ tag: 't', value: 1 }] }),
  });
  assert.equal(refused.status, 401, await refused.text());
  assert.deepEqual(await statesOf(device), { [id]: 'revoked' });
  assert.equal((await send('DELETE', `/${device}/credentials/${id}`)).status, 204, 'once more');
  assert.equal((await send('POST', `/${device}/credentials/${id}/rotate`, {})).status, 409);
});

test('after a rotation both tokens are valid for the overlap, then the former one is revoked', async () => {
  const device = 'plant1.line2.pump2';
  await ok('POST', '', { device, name: 'Pump 2' });
  const former = await ok('POST', `/${device}/credentials`, {});
  const connection = await connect(device, former.token);
  const next = await ok('POST', `/${device}/credentials/${former.id}/rotate`, { overlapMs: 3_000 });
  assert.equal((await statesOf(device))[former.id], 'replaced');
  assert.equal(connection.state.name, 'live');
  await isRefused(connection);
  const replaced = await connect(device, next.token);
  assert.deepEqual(await statesOf(device), { [next.id]: 'active', [former.id]: 'revoked' });
  assert.equal(replaced.state.name, 'live');
});

test('a decommissioned device has no valid token, and gets none', async () => {
  const device = 'plant1.line2.pump3';
  await ok('POST', '', { device, name: 'Pump 3' });
  const { token } = await ok('POST', `/${device}/credentials`, {});
  const connection = await connect(device, token);
  await ok('POST', `/${device}/decommission`);
  await isRefused(connection);
  assert.equal((await send('POST', `/${device}/credentials`, {})).status, 409);
  await ok('POST', `/${device}/recommission`);
  const renewed = await ok('POST', `/${device}/credentials`, {});
  await connect(device, renewed.token);
});

test('a person without the role, or without the right to command the device, issues none', async () => {
  const { status, body } = await send('POST', '/plant1.line2.pump1/credentials', {}, cluster.supervisorToken);
  assert.deepEqual([status, body.error?.code], [403, 'forbidden'], JSON.stringify(body));
});
