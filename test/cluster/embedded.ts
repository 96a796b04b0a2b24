import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterFixture, rolloutMs } from './cluster-fixture.ts';
import { assertNothingLeft } from './leaving.ts';

const wantedReports = 50;
/** Counts what an SDK subscriber of the whole plant receives through the Service. */
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

export function testEmbedded({ kubectl, embedded, place, step }: ClusterFixture): void {
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
      await kubectl.node('clients', watchCode, [url, token.trim(), String(wantedReports)], 30_000),
    ) as {
      reports: number;
      devices: number;
    };
    step(`ready after ${seconds} s; a subscriber received ${seen.reports} reports of ${seen.devices} devices`);
    assert.ok(seen.devices >= 10);
    await embedded.uninstall(rolloutMs);
    await assertNothingLeft(kubectl, label);
  });
}
