import { setTimeout as sleep } from 'node:timers/promises';
import { withRig } from './brokers.ts';
import { startChild } from './child.ts';
import type { Row } from './row.ts';

const count = 100_000;
const checkpointRecords = 'tailrace_fanout_checkpoint_records_total';

/** The memory of a known device: last values, presence, and its newest report in the window. */
export async function benchDevices(): Promise<Row[]> {
  return await withRig(12, async (rig) => {
    const { broker, nats } = rig;
    const server = startChild('node-server.ts', [], ['--expose-gc']);
    try {
      const settings = { telemetryPartitions: 12, windowMs: 600_000, windowBytesMax: 67_108_864 };
      await server.ask('start', { node: 'bench', broker, nats, settings });
      const sender = rig.child('device-sender.ts');
      await sender.ask('start', { broker });
      // A few, for one-time costs.
      await sender.ask('run', { devices: 1_000, perSecond: 0, seconds: 0, readings: 4 });
      await sleep(8_000);
      const before = await server.ask<{ rss: number; heap: number }>('use');
      await sender.ask('run', { devices: count, perSecond: 0, seconds: 0, readings: 4 });
      for (let known = 0; known < count; await sleep(200)) {
        known = (await server.ask<{ value: number }>('metric', { name: 'tailrace_fanout_devices' })).value;
      }
      // Until the last values are in the state topic, too, and no write is in flight.
      for (let written = 0; written < count; await sleep(500)) {
        written = (await server.ask<{ value: number }>('metric', { name: checkpointRecords })).value;
      }
      await sleep(3_000);
      const after = await server.ask<{ rss: number; heap: number }>('use');
      const kilobytes = (after.heap - before.heap) / (count - 1_000) / 1_024;
      return [
        {
          what: `memory of a known device, ${count.toLocaleString('en')} devices of 4 tags with their newest report in the window`,
          ours: `${kilobytes.toFixed(2)} KB of heap and buffers (RSS ${((after.rss - before.rss) / count / 1_024).toFixed(2)} KB)`,
          against: '',
          result: `${kilobytes.toFixed(2)} KB`,
          target: '≤ 1.5 KB',
          met: kilobytes <= 1.5,
          value: kilobytes,
        },
      ];
    } finally {
      await server.end();
    }
  });
}
