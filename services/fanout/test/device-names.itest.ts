import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import { systemClock as clock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { issueToken } from '@tailrace/platform/token';
import { decodeReport, encodeReport } from '@tailrace/protocol/report-proto';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { nameFlood } from '@tailrace/testkit/name-flood';
import { createTempDir } from '@tailrace/testkit/tempdir';
import type { Answer, Ask } from './embedded-node.ts';
import { tokenSecret } from './node.ts';
import { watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

/** The fraction of 760,000 names and of a heap of 512 MB. `FLOOD=1` is all. */
const scale = Number(process.env['FLOOD'] ?? 0.1);
const names = 760_000 * scale;
const settings = {
  telemetryPartitions: 4,
  windowBytesMax: Math.floor(25_000_000 * scale),
  recoveryRecordsMax: 1_000_000,
  devicesMax: 500_000 * scale,
  devicesPerTenantMax: 200_000 * scale,
};
const heapMegabytes = Math.max(80, Math.ceil(512 * scale));

async function fill(path: string): Promise<void> {
  const eventLog = createEmbeddedLog({ path, clock, logger: silentLogger });
  await eventLog.start();
  const spec = { partitions: settings.telemetryPartitions, retentionMs: 86_400_000, retentionBytes: 2 ** 30 };
  await eventLog.ensureTopic({ name: 'tailrace.telemetry', ...spec });
  const nowMs = clock.now();
  const append = async (reports: readonly { readonly device: string; readonly bytes: Uint8Array }[]) => {
    const records = reports.map(({ device, bytes }) => ({
      key: device,
      value: encodeReport(decodeReport(bytes), nowMs),
    }));
    await eventLog.append('tailrace.telemetry', records);
  };
  const honest = { device: 'honest.press', time: nowMs, readings: [{ tag: 'n', value: 1 }] };
  await append([{ device: honest.device, bytes: encodeReport(honest) }]);
  for (const reports of nameFlood({ names, length: 60, tenant: 'a', timeMs: nowMs })) await append(reports);
  await eventLog.close();
}

async function startNode(
  path: string,
): Promise<{ child: ChildProcess; port: number; ask: (ask: Ask) => Promise<Answer> }> {
  const child = fork(join(import.meta.dirname, 'embedded-node.ts'), [path, JSON.stringify(settings)], {
    execArgv: [`--max-old-space-size=${heapMegabytes}`],
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let trouble = '';
  child.stderr!.on('data', (bytes: Buffer) => {
    trouble = (trouble + bytes.toString()).slice(-2_000);
  });
  const next = async (): Promise<Answer> => {
    const asked = new AbortController();
    const options = { signal: asked.signal };
    try {
      const exited = once(child, 'exit', options).then(([code]) =>
        assert.fail(`the node exited with ${code}: ${trouble}`),
      );
      const answered = once(child, 'message', options).then(([message]) => message as Answer);
      // The other one is aborted; its rejection is ignored.
      for (const either of [answered, exited]) either.catch(() => undefined);
      return await Promise.race([answered, exited]);
    } finally {
      asked.abort();
    }
  };
  const first = await next();
  assert.ok('port' in first);
  return {
    child,
    port: first.port,
    async ask(message) {
      const answer = next();
      child.send(message);
      return await answer;
    },
  };
}

const watched = {
  devices: 'tailrace_fanout_devices',
  tenantDevices: 'tailrace_fanout_tenant_devices',
  refused: 'tailrace_fanout_refused_devices_total',
  written: 'tailrace_fanout_checkpoint_records_total',
} as const;

test('unlimited names in the log neither fill the heap of a node nor prevent its start, and regular devices are served', async (t) => {
  const folder = await createTempDir('device-names');
  t.after(() => folder.remove());
  await fill(folder.path);
  const token = await issueToken({
    secret: tokenSecret,
    subject: 't',
    publish: [],
    subscribe: ['>'],
    expiresInMs: 3_600_000,
  });
  for (const start of ['first', 'second']) {
    const node = await startNode(folder.path);
    t.after(() => node.child.kill('SIGKILL'));
    const metric = async (name: keyof typeof watched) => {
      const answer = await node.ask({ metrics: [watched[name]] });
      return 'metrics' in answer ? answer.metrics[watched[name]]! : assert.fail();
    };
    const [devices, most, refused] = [await metric('devices'), await metric('tenantDevices'), await metric('refused')];
    assert.ok(devices > 1_000 && devices <= settings.devicesMax, `${devices} devices at the ${start} start`);
    assert.ok(most <= settings.devicesPerTenantMax, `${most} of a tenant`);
    assert.ok(refused >= names - settings.devicesPerTenantMax, `${refused} refused`);
    const watcher = await watch({ port: node.port, token });
    const subscribe = async (channel: string) => {
      watcher.send({ subscribe: { id: channel, channel } });
      return (await watcher.next('subscribed')).subscribed.snapshot;
    };
    assert.equal(await subscribe('honest.press'), 1, 'its last value');
    assert.equal(await subscribe('a.new'), 0);
    assert.equal(await subscribe('honest.new'), start === 'first' ? 0 : 1);
    for (const device of ['a.new', 'honest.new', 'honest.press']) await node.ask({ append: device });
    await eventually(() => ['a.new', 'honest.new', 'honest.press'].every((device) => watcher.last(device) === 7));
    assert.equal(
      await metric('devices'),
      start === 'first' ? devices + 1 : devices,
      'a new one of a tenant below its limit',
    );
    // Waits until all of them are written, which takes memory, too.
    await eventually(async () => (await metric('written')) >= devices, { deadlineMs: 60_000 });
    await watcher.end();
    const exited = once(node.child, 'exit');
    node.child.send({ stop: true } satisfies Ask);
    assert.deepEqual((await exited)[0], 0);
  }
});
