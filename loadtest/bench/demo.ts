import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { median, percentile } from './child.ts';
import type { Row } from './row.ts';

const root = resolve(import.meta.dirname, '../..');
const starts = 3;
const readings = 1_000;

/**
 * `make demo`: from the command to everything ready; and from a device's request to another client's socket, on the
 * embedded log.
 */
export async function benchDemo(): Promise<Row[]> {
  const upMs: number[] = [];
  let delaysMs: number[] = [];
  for (let i = 0; i < starts; i++) {
    const dir = await createTempDir('bench-demo');
    const data = join(dir.path, 'demo');
    const startedMs = performance.now();
    const demo = await startSupervised({
      command: 'make',
      args: ['--no-print-directory', 'demo', `DATA=${data}`, `PORT_BASE=${await freePort()}`],
      cwd: root,
      output: { file: join(dir.path, 'log') },
    });
    const endpoints = await eventually(
      async () => JSON.parse(await readFile(join(data, 'endpoints.json'), 'utf8')) as Endpoints,
      {
        deadlineMs: 30_000,
      },
    );
    upMs.push(performance.now() - startedMs);
    if (i === 0) delaysMs = await delays(endpoints);
    await demo.stop({ deadlineMs: 20_000 });
    await rm(dir.path, { recursive: true, force: true });
  }
  const up = median(upMs);
  const p99 = percentile(delaysMs, 0.99);
  return [
    {
      what: '`make demo` after install: from the command to ready',
      ours: `${Math.round(up)} ms`,
      against: '',
      result: `${Math.round(up)} ms`,
      target: '≤ 3,000 ms',
      met: up <= 3_000,
    },
    {
      what: `embedded log: from the device's request to another client's socket, ${readings.toLocaleString('en')} readings one by one, plant and host running`,
      ours: `p50 ${percentile(delaysMs, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, most ${percentile(delaysMs, 1).toFixed(1)} ms`,
      against: '',
      result: `${p99.toFixed(1)} ms`,
      target: 'p99 < 50 ms',
      met: p99 < 50,
    },
  ];
}

/** Sends and receives in this process, so that one clock measures both. */
async function delays({ ingest, fanout, token }: Endpoints): Promise<number[]> {
  const sentAt = new Map<number, number>();
  const delaysMs: number[] = [];
  const socket = new WebSocket(`${fanout[0]!.url}/v1/stream?channel=bench.device&token=${token}`);
  await new Promise<void>((resolve) => {
    socket.onmessage = ({ data }) => {
      const now = performance.now();
      const message = JSON.parse(String(data)) as {
        subscribed?: object;
        data?: { reports: { readings: { value: number }[] }[] };
      };
      if (message.subscribed !== undefined) resolve();
      for (const report of message.data?.reports ?? []) delaysMs.push(now - sentAt.get(report.readings[0]!.value)!);
    };
  });
  for (let value = 0; value < readings; value++) {
    sentAt.set(value, performance.now());
    const answer = await fetch(`${ingest[0]!.url}/v1/ingest`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ device: 'bench.device', time: Date.now(), readings: [{ tag: 'n', value }] }),
    });
    await answer.arrayBuffer();
    await sleep(5);
  }
  await eventually(() => delaysMs.length === readings, { deadlineMs: 5_000 });
  socket.close();
  return delaysMs;
}
