import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leavesNothing } from './leaving.ts';
import { rolloutMs, type Stage } from './stage.ts';

const wantedReports = 50;
/** Counts what a subscriber of the whole plant is shown, by the SDK, through the Service. */
const watchCode = `import('/app/packages/client/src/stream.ts').then(({ createStream }) => {
  const [url, token, wanted] = process.argv.slice(1);
  const stream = createStream({ url, token });
  const devices = new Set();
  let reports = 0;
  stream.subscribe('>', { onReports(batch) {
    for (const { device } of batch) { reports++; devices.add(device); }
    if (reports >= Number(wanted)) { process.stdout.write(JSON.stringify({ reports, devices: devices.size })); process.exit(0); }
  } });
});`;

export function testEmbedded({ kubectl, embedded, place, step }: Stage): void {
  test('values-embedded.yaml: one command, one pod, no broker, live data of the plant through the Service', async () => {
    const startedAt = performance.now();
    await embedded.upgrade([], rolloutMs);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const label = 'app.kubernetes.io/instance=demo';
    const pods = await kubectl.pods(label);
    assert.equal(pods.length, 1);
    const token = await kubectl.run(['exec', pods[0]!.metadata.name, '--', 'cat', '/data/token']);
    const url = `ws://demo-tailrace-standalone.${place.namespace}.svc:8081`;
    const seen = JSON.parse(
      await kubectl.node('crowd', watchCode, [url, token.trim(), String(wantedReports)], 30_000),
    ) as {
      reports: number;
      devices: number;
    };
    step(`ready after ${seconds} s; a subscriber saw ${seen.reports} reports of ${seen.devices} devices`);
    assert.ok(seen.devices >= 10);
    await embedded.uninstall(rolloutMs);
    await leavesNothing(kubectl, label);
  });
}
