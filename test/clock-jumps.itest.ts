import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tailrace/testkit/eventually';
import { connectRawWebSocket } from '@tailrace/testkit/raw-websocket';
import { setClock, skewableClocks } from '@tailrace/testkit/skewed-clock';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { HonestClients, type Measurement } from './attack/honest-clients.ts';
import { StackTarget } from './attack/stack-target.ts';
import { StandaloneTarget } from './attack/standalone-target.ts';
import type { Target } from './attack/target.ts';

/*
 * The wall clock of one process is set, by NTP, an operator or a hypervisor, while its monotonic clock continues.
 */

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Ahead and back, and correct again after each. */
const jumpsMs = [hourMs, 0, -hourMs, 0, 2 * dayMs, 0, -2 * dayMs, 0];
/** How long each offset lasts. */
const offsetDurationMs = 1_000;
const alignMs = 200;
/** Validity of tokens, longer than any offset of these tests. */
const validMs = 10 * dayMs;
/** Kafka refuses records that are further ahead of its clock (`message.timestamp.after.max.ms`). */
const kafkaAheadMsMax = hourMs;
const noViolations = { lost: 0, named: 0, doubled: 0, disordered: 0, invalid: 0 };

interface Fixture {
  readonly target: Target;
  readonly honest: HonestClients;
  /** Expires in half an hour. */
  readonly shortToken: string;
  readonly longToken: string;
  readonly clocks: string;
}

async function fixture(
  t: TestContext,
  start: typeof StandaloneTarget.start | typeof StackTarget.start,
): Promise<Fixture> {
  const dir = await createTempDir('clock-jumps');
  const [clocks, folder] = [join(dir.path, 'clocks'), join(dir.path, 'target')];
  await Promise.all([clocks, folder].map((path) => mkdir(path)));
  const target = await start({ folder, heapMb: undefined, env: skewableClocks(clocks) });
  const nowMs = Date.now();
  const times = { issuedAtMs: nowMs - validMs, expiresAtMs: nowMs + validMs };
  const { ingestPort, streamPort } = target.addresses;
  const subscriberToken = await target.issueToken({ subject: 's', publish: [], subscribe: ['b.>'], ...times });
  const honest = new HonestClients({
    ...{
      ingestPort,
      streamPort,
      subscriberToken,
      devices: 10,
      intervalMs: 100,
      visitIntervalMs: 100,
      probes: [],
      probeDeadlineMs: 1_000,
    },
    deviceToken: await target.issueToken({ subject: 'd', publish: ['b.>'], subscribe: [], ...times }),
    visits: [{ streamPort, token: subscriberToken, channel: 'b.>', options: {} }],
  });
  t.after(async () => {
    await honest.close();
    await target.stop();
    await dir.remove();
  });
  const claims = { publish: ['c.>'], subscribe: ['b.>'], issuedAtMs: times.issuedAtMs };
  return {
    ...{ target, honest, clocks },
    shortToken: await target.issueToken({ subject: 'short', ...claims, expiresAtMs: nowMs + hourMs / 2 }),
    longToken: await target.issueToken({ subject: 'long', ...claims, expiresAtMs: times.expiresAtMs }),
  };
}

function assertUndisturbed(measured: Measurement, when: string): void {
  const { samples, disconnects, visits, verdict, p99 } = measured;
  assert.ok(samples > 0, `${when}: no report was received`);
  assert.deepEqual(disconnects, [], `${when}: no subscription is lost, and no device that reports becomes stale`);
  assert.deepEqual(visits.failures, [], `${when}: new clients get their last values`);
  assert.deepEqual(verdict, noViolations, when);
  assert.ok(p99 < 3_000, `${when}: p99 ${p99} ms`);
}

async function ingestStatus({ target }: Fixture, token: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${target.addresses.ingestPort}/v1/ingest`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ device: 'c.token', readings: [{ tag: 'n', value: 1 }] }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** Resolves with the result of a connection with this token: `live`, or the close code. */
async function streamAnswer({ target }: Fixture, token: string): Promise<'live' | number> {
  const stream = await connectRawWebSocket({
    port: target.addresses.streamPort,
    path: '/v1/stream',
    headers: { Authorization: `Bearer ${token}` },
  });
  stream.sendText(JSON.stringify({ ping: { t: 1 } }));
  const answer = await Promise.race([
    stream.closed.then(({ code }) => code),
    eventually(() => stream.frames.some(({ payload }) => payload.includes('"pong"')), { deadlineMs: 10_000 }).then(
      () => 'live' as const,
    ),
  ]);
  stream.socket.close();
  return answer;
}

/** Counts the consistent cuts that a subscription with `align` receives. */
async function watchAligned({ target, longToken }: Fixture) {
  const stream = await connectRawWebSocket({
    port: target.addresses.streamPort,
    path: '/v1/stream',
    headers: { Authorization: `Bearer ${longToken}` },
  });
  stream.sendText(JSON.stringify({ subscribe: { id: 'c', channel: 'b.>', align: alignMs } }));
  return {
    get count() {
      return stream.frames.filter(({ payload }) => payload.toString('latin1', 0, 7) === '{"cut":').length;
    },
    close: () => stream.socket.close(),
  };
}

interface Jumps {
  /** Processes whose clock is set. */
  readonly pids: readonly number[];
  /** Services that verify tokens by this clock. */
  readonly verifiedBy: 'ingest' | 'streams' | 'both';
  /** Whether records in Kafka have the time of this clock. */
  readonly stampsForKafka: boolean;
}

async function runJumps(t: TestContext, world: Fixture, { pids, verifiedBy, stampsForKafka }: Jumps): Promise<void> {
  const { honest, clocks, shortToken, longToken } = world;
  await honest.start();
  const aligned = await watchAligned(world);
  t.after(() => aligned.close());
  await sleep(offsetDurationMs);
  assertUndisturbed(honest.measure(), 'before');
  for (const offsetMs of jumpsMs) {
    const when = `clock at ${offsetMs / hourMs} h`;
    for (const pid of pids) await setClock(clocks, pid, offsetMs);
    const countBefore = aligned.count;
    const isRefusedByKafka = stampsForKafka && offsetMs > kafkaAheadMsMax;
    const isExpired = offsetMs > hourMs / 2;
    if (verifiedBy !== 'streams') {
      assert.equal(await ingestStatus(world, longToken), isRefusedByKafka ? 503 : 202, when);
      assert.equal(await ingestStatus(world, shortToken), isExpired ? 401 : 202, when);
    }
    if (verifiedBy !== 'ingest') {
      assert.equal(await streamAnswer(world, longToken), 'live', when);
      assert.equal(await streamAnswer(world, shortToken), isExpired ? 4401 : 'live', when);
    }
    await sleep(offsetDurationMs);
    const measured = honest.measure();
    if (isRefusedByKafka) {
      assert.ok(measured.refused.length > 0, when);
      for (const refusal of measured.refused) assert.match(refusal, /503 .*"unavailable"/, when);
    } else {
      assertUndisturbed(measured, when);
      // The first ones may have been in flight while Kafka refused earlier ones.
      if (!stampsForKafka) assert.deepEqual(measured.refused, [], `${when}: every report is accepted`);
    }
    const sent = () => aligned.count - countBefore;
    await eventually(() => sent() > 2, { deadlineMs: 10_000, describe: `${when}: align continues` });
    // One per period, with some for a pause of a busy machine.
    assert.ok(sent() < 40, `${when}: ${sent()} with align`);
  }
  await honest.settle({ deadlineMs: 15_000, isLast: true });
  assert.deepEqual(honest.measure().verdict, noViolations);
}

test('standalone: reports, align and new clients continue while its clock is set an hour or two days ahead or back', async (t) => {
  const world = await fixture(t, StandaloneTarget.start);
  await runJumps(t, world, { pids: world.target.pids, verifiedBy: 'both', stampsForKafka: false });
});

test('ingest on Kafka: no accepted report is lost while its clock is set; two days ahead Kafka refuses, and senders retry', async (t) => {
  const world = await fixture(t, StackTarget.start);
  await runJumps(t, world, { pids: [world.target.pids[0]!], verifiedBy: 'ingest', stampsForKafka: true });
});

test('a fanout node: reports, align and new clients continue while its clock is set an hour or two days ahead or back', async (t) => {
  const world = await fixture(t, StackTarget.start);
  await runJumps(t, world, { pids: [world.target.pids[1]!], verifiedBy: 'streams', stampsForKafka: false });
});
