import assert from 'node:assert/strict';
import { test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { connectRawWebSocket } from '@tailrace/testkit/raw-websocket';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackCluster } from '../scripts/stack-cluster.ts';
import { StandaloneTarget } from './attack/standalone-target.ts';
import { freePortBase } from './ports.ts';

/**
 * A revocation reaches every process that verifies tokens, and survives restarts:
 * docs/adr/0014-revocations-in-the-log.md.
 */

/** Limit of docs/OPERATIONS.md. */
const reachMs = 2_000;
/** Revocations at most: the best one counts, because the machine may pause. */
const triesMax = 3;

interface Installation {
  readonly ingestUrl: string;
  /** A port for each fanout node. */
  readonly streamPorts: readonly number[];
  readonly issue: (claims: { subject: string; tokenId?: string; roles?: string[] }) => Promise<string>;
}

async function report({ ingestUrl }: Installation, token: string): Promise<number> {
  const response = await fetch(`${ingestUrl}/v1/ingest`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ device: 'plant1.a', time: Date.now(), readings: [{ tag: 't', value: 1 }] }),
  });
  await response.text();
  return response.status;
}

async function operate(port: number, token: string, path: string, body?: object): Promise<Response> {
  return await fetch(`http://127.0.0.1:${port}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, connection: 'close' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

interface Revoked {
  /** The last one that was revoked. */
  readonly token: string;
  readonly tokenIds: readonly string[];
  readonly operator: string;
}

/**
 * Revokes a token that sends to ingest and watches at every node, and waits until each process refuses it; again with
 * another token where that took too long.
 */
async function revokeEverywhere(installation: Installation): Promise<Revoked> {
  const { issue } = installation;
  const operator = await issue({ subject: 'operator', roles: ['operator'] });
  const tokenIds: string[] = [];
  const times: number[] = [];
  let token = '';
  while (tokenIds.length < triesMax && !times.some((ms) => ms < reachMs)) {
    const tokenId = `g${tokenIds.length + 1}`;
    tokenIds.push(tokenId);
    token = await issue({ subject: 'gateway7', tokenId });
    times.push(await refusedAfterMs(installation, operator, tokenId, token));
  }
  assert.ok(Math.min(...times) < reachMs, `refused after ${times} ms`);
  return { token, tokenIds, operator };
}

/** Revokes a token. Resolves with the time until each process refuses it. */
async function refusedAfterMs(
  installation: Installation,
  operator: string,
  tokenId: string,
  token: string,
): Promise<number> {
  const { streamPorts } = installation;
  assert.equal(await report(installation, token), 202);
  const sockets = await Promise.all(
    streamPorts.map((port) => connectRawWebSocket({ port, path: `/v1/stream?token=${token}` })),
  );
  for (const socket of sockets) assert.ok('welcome' in ((await socket.nextJson()) as object));
  const answer = await operate(streamPorts[0]!, operator, '/v1/revocations', { tokenId });
  assert.equal(answer.status, 202, await answer.text());
  const revokedAt = performance.now();
  await eventually(async () => assert.equal(await report(installation, token), 401), {
    deadlineMs: 30_000,
    describe: 'ingest refuses the token',
  });
  const closes = await Promise.all(sockets.map((socket) => socket.closed));
  assert.deepEqual(
    closes.map(({ code }) => code),
    streamPorts.map(() => 4401),
  );
  return performance.now() - revokedAt;
}

async function assertStillRevoked(installation: Installation, revoked: Revoked): Promise<void> {
  const { token, tokenIds, operator } = revoked;
  assert.equal(await report(installation, token), 401, 'by the first request');
  for (const port of installation.streamPorts) {
    const list = await operate(port, operator, '/v1/revocations');
    const { revocations } = (await list.json()) as { revocations: { tokenId: string }[] };
    assert.deepEqual(revocations.map(({ tokenId }) => tokenId).sort(), tokenIds);
    const socket = await connectRawWebSocket({ port, path: `/v1/stream?token=${token}` });
    assert.equal((await socket.closed).code, 4401);
  }
}

test('on Kafka, ingest and fanout as processes refuse a revoked token within two seconds, and after a restart of all of them', async (t) => {
  const dir = await createTempDir('revocation');
  const cluster = new StackCluster({
    nodes: 2,
    data: dir.path,
    keepsData: false,
    portBase: await freePortBase(),
    drainMs: 0,
    print: () => {},
  });
  t.after(async () => {
    await cluster.stop();
    await dir.remove();
  });
  await cluster.start();
  const installation: Installation = {
    ingestUrl: cluster.ingest.url,
    streamPorts: cluster.fanout.map(({ port }) => port),
    issue: (claims) =>
      issueToken({
        secret: cluster.tokenSecret,
        publish: ['plant1.>'],
        subscribe: ['plant1.>'],
        expiresInMs: 3_600_000,
        ...claims,
      }),
  };
  const revoked = await revokeEverywhere(installation);

  // No process is left that has it in memory.
  const services = [cluster.ingest, ...cluster.fanout];
  await Promise.all(services.map((service) => service.end('SIGTERM')));
  await Promise.all(services.map((service) => service.start()));
  await assertStillRevoked(installation, revoked);

  // Without the log a revocation cannot be durable: it is not acknowledged.
  await cluster.kafka.signal('SIGSTOP');
  const refused = await operate(installation.streamPorts[0]!, revoked.operator, '/v1/revocations', {
    tokenId: 'other',
  });
  const error = (await refused.json()) as { error: { retryable?: boolean } };
  await cluster.kafka.signal('SIGCONT');
  assert.equal(refused.status, 503, JSON.stringify(error));
});

test('standalone refuses a revoked token in all of its services within two seconds, and after a restart', async (t) => {
  const dir = await createTempDir('revocation-standalone');
  const target = await StandaloneTarget.start({ folder: dir.path, heapMb: undefined });
  t.after(async () => {
    await target.stop();
    await dir.remove();
  });
  const { ingestPort, streamPort } = target.addresses;
  const installation: Installation = {
    ingestUrl: `http://127.0.0.1:${ingestPort}`,
    streamPorts: [streamPort],
    issue: (claims) => target.issueToken({ publish: ['plant1.>'], subscribe: ['plant1.>'], ...claims }),
  };
  const revoked = await revokeEverywhere(installation);
  await target.restart('SIGKILL');
  await assertStillRevoked(installation, revoked);
});
