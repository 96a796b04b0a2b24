import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { MemoryDisk } from '../test/memory-disk.ts';
import { MemoryIngest } from '../test/memory-ingest.ts';
import { createEdge } from './app.ts';
import { configSchema } from './config.ts';
import type { Value } from './sample.ts';
import type { SourceOptions } from './source.ts';
import { sourcesFrom } from './sources-file.ts';

const device = 'plant1.pump1';
const file = {
  sources: [
    {
      name: 'plc',
      modbus: { host: '10.0.0.9' },
      units: [
        {
          ...{ unit: 1, device, addressing: 'zero' },
          tags: [
            { tag: 'pressure', table: 'holding', address: 0, type: 'u16', unit: 'bar' },
            { tag: 'setpoint', table: 'holding', address: 1, type: 'u16', write: { min: 0, max: 10 } },
          ],
        },
      ],
    },
  ],
  rules: [
    {
      when: { device, tag: 'pressure', above: 8 },
      actions: [{ event: 'pressure_high' }, { write: { device, tag: 'setpoint', value: 0 } }],
    },
  ],
};

async function start(t: TestContext, { disk = new MemoryDisk() }: { readonly disk?: MemoryDisk } = {}) {
  const clock = createFakeClock();
  const ingest = new MemoryIngest();
  const metrics = createMetrics({ service: 'edge', node: 'test', processMetrics: false });
  const writes: (readonly [number, Value])[] = [];
  let options: SourceOptions | undefined;
  const edge = createEdge({
    config: configSchema.parse({ edgePath: 'plant1.edge1', token: 't' }),
    sources: sourcesFrom(JSON.stringify(file)),
    ...{ clock, random: () => 0.5, logger: silentLogger, metrics, WebSocket: ingest.WebSocket },
    openDisk: async () => ({ disk, isReplaced: false }),
    probe: async () => ingest.isReachable,
    createSource: (source, given) => {
      options = given;
      return {
        ...{ name: source.name, tags: source.tags, state: 'connected', isLive: true, badTags: 0 },
        ...{ start: () => {}, stop: () => {}, heldValue: (_tag: number, value: Value) => value },
        async write(tag, value) {
          writes.push([tag, value]);
          return { state: 'done', before: 5, after: value };
        },
      };
    },
  });
  await edge.start();
  await clock.advance(0);
  t.after(async () => {
    await edge.stop();
    assert.equal(clock.pending(), 0, 'no timer is left');
  });
  const metric = async (series: string) => {
    const line = (await metrics.text()).split('\n').find((each) => each.startsWith(series));
    return Number(line?.split(' ').at(-1));
  };
  const sample = (tag: number, value: Value) => options!.sink({ tag, time: clock.now(), value, quality: 'good' });
  const reportsOf = (path: string) => [...ingest.log.values()].filter((report) => report.device === path);
  return { clock, ingest, edge, disk, writes, sample, reportsOf, metric };
}

test('a sample becomes a reading of its device in the log, and the gateway reports itself', async (t) => {
  const { clock, sample, reportsOf, metric } = await start(t);
  sample(0, 5);
  sample(1, 3);
  const time = clock.now();
  await clock.advance(200);
  assert.deepEqual(
    reportsOf(device).map((report) => ({ ...report, id: '' })),
    [
      {
        ...{ device, id: '', time },
        readings: [
          { tag: 'pressure', value: 5, unit: 'bar' },
          { tag: 'setpoint', value: 3 },
        ],
      },
    ],
  );
  const [own] = reportsOf('plant1.edge1');
  assert.ok(own!.readings.some(({ tag, value }) => tag === 'source.plc.state' && value === 'connected'));
  assert.equal(await metric('tailrace_edge_samples_total'), 2);
  assert.equal(await metric('tailrace_edge_links{state="up"'), 1);
});

test('a rule sends its event and writes when its value crosses the limit', async (t) => {
  const { clock, sample, reportsOf, writes } = await start(t);
  sample(0, 9);
  await clock.advance(200);
  const tags = reportsOf(device).flatMap(({ readings }) => readings.map(({ tag }) => tag));
  assert.deepEqual(tags.toSorted(), ['pressure', 'pressure_high']);
  assert.deepEqual(writes, [[1, 0]]);
});

test('a command is written and answered, and counted', async (t) => {
  const { clock, ingest, writes, metric } = await start(t);
  ingest.sendCommand('c1', device, 'set', { setpoint: 7 });
  ingest.sendCommand('c2', device, 'set', { setpoint: 70 });
  await clock.advance(0);
  assert.deepEqual(writes, [[1, 7]]);
  const done = { command: 'c1', state: 'done', before: 5, after: 7, confirmedBy: 'read_back' };
  assert.deepEqual(ingest.replies.slice(0, 2), [{ delivered: 'c1' }, done]);
  assert.equal((ingest.replies[2] as { code: string }).code, 'forbidden');
  assert.equal(await metric('tailrace_edge_commands_total{state="done"'), 1);
});

test('what could not be sent at the stop is on disk, and the next process sends it', async (t) => {
  const first = await start(t);
  first.ingest.isReachable = false;
  first.ingest.disconnect();
  first.sample(0, 1);
  await first.clock.advance(0);
  const drained = first.edge.drain();
  await first.clock.advance(5_000);
  await drained;
  await first.edge.stop();
  assert.ok(first.disk.count > 0);
  const next = await start(t, { disk: first.disk });
  await next.clock.advance(2_000);
  assert.deepEqual(
    next.reportsOf(device).map(({ readings }) => readings[0]!.value),
    [1],
  );
});
