import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import type { Report } from '@tailrace/protocol/report';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createSimulator } from './app.ts';
import { registerMetrics } from './metrics.ts';

const config = {
  ingestUrl: 'http://ingest:8082',
  token: 'secret',
  plant: true,
  house: false,
  plantSeed: 1,
  mood: 'calm' as const,
  deviceWebSocket: false,
  mqttUrl: '',
  modbusHost: '127.0.0.1',
  sparkplugUrl: '',
  modbusPort: 0,
  opcuaHost: '127.0.0.1',
  opcuaPort: 0,
  opcuaPkiPath: '',
  rateHz: 2,
  hostReadings: false,
  hostName: 'here',
};

function setUp(answer: (reports: Report[]) => Response, changes: Partial<typeof config> = {}) {
  const clock = createFakeClock();
  const reports: Report[] = [];
  const warnings: { facts: object; message: string }[] = [];
  const logger: Logger = { ...silentLogger, warn: (facts, message) => void warnings.push({ facts, message }) };
  const fetch = async (_url: unknown, init: RequestInit = {}) => {
    const batch = JSON.parse(String(init.body)) as Report[];
    reports.push(...batch);
    return answer(batch);
  };
  const simulator = createSimulator({
    config: { ...config, ...changes },
    logger,
    clock,
    random: () => 0.5,
    fetch: fetch as typeof globalThis.fetch,
  });
  return { clock, reports, warnings, simulator };
}

const accept = (reports: Report[]) => Response.json({ accepted: reports.length, rejected: [] }, { status: 202 });

test('the plant reports over HTTP at the configured rate, and not after a drain', async () => {
  const { clock, reports, simulator } = setUp(accept);
  await simulator.start();
  await clock.advance(10_100);
  assert.equal(reports.filter(({ device }) => device === 'plant1.line1.press1').length, 20);
  assert.equal(reports.filter(({ device }) => device === 'plant1.line1.oven1').length, 10);
  await simulator.drain();
  const count = reports.length;
  await clock.advance(5000);
  assert.equal(reports.length, count);
  await simulator.stop();
  assert.equal(clock.pending(), 0);
});

test('the house reports, too, and without the plant', async () => {
  const { clock, reports, simulator } = setUp(accept, { plant: false, house: true });
  await simulator.start();
  await clock.advance(10_100);
  assert.equal(reports.filter(({ device }) => device === 'home.lamps.kitchen').length, 10);
  assert.deepEqual([...new Set(reports.map(({ device }) => device.split('.')[0]))], ['home']);
  await simulator.stop();
  assert.equal(clock.pending(), 0);
});

test('while ingest is down one warning is logged, and afterwards it receives every report', async () => {
  let isDown = true;
  const { clock, warnings, simulator } = setUp((reports) =>
    isDown ? new Response('', { status: 503 }) : accept(reports),
  );
  await simulator.start();
  await clock.advance(20_000);
  assert.equal(warnings.length, 1);
  assert.ok(simulator.stats().queuedReports > 500);
  isDown = false;
  await clock.advance(40_000);
  assert.ok(simulator.stats().queuedReports < 100);
  assert.ok(simulator.stats().accepted > 2500);
  await simulator.stop();
});

test('a warning names the reason for which ingest refuses readings', async () => {
  const { clock, warnings, simulator } = setUp((reports) =>
    Response.json(
      { accepted: reports.length - 1, rejected: [{ index: 0, code: 'forbidden', message: 'not your device' }] },
      { status: 202 },
    ),
  );
  await simulator.start();
  await clock.advance(5000);
  assert.deepEqual(warnings, [
    {
      facts: { device: 'plant1.line1.press1', code: 'forbidden', reason: 'not your device', count: 1 },
      message: 'ingest refused readings',
    },
  ]);
  await simulator.stop();
});

test('the metrics have the queue and the outcomes', async () => {
  const { clock, simulator } = setUp(accept);
  const metrics = createMetrics({ service: 'simulator', node: 'here', processMetrics: false });
  registerMetrics(metrics, simulator);
  await simulator.start();
  await clock.advance(1100);
  assert.match(await metrics.text(), /tailrace_simulator_accepted_reports_total\{[^}]*\} [1-9]/);
  await simulator.stop();
});
