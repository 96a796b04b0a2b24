import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Will } from '@tailrace/mqtt/connect-request';
import { createMetrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createDeviceCounts } from '../devices/device-metrics.ts';
import type { IntakeEntry } from '../intake/intake-entry.ts';
import { noMessageTracing } from '../intake/message-tracing.ts';
import { Wills } from './wills.ts';

test('wills that the log refuses are appended again in their order, and count as wills until the log has them', async () => {
  const clock = createFakeClock();
  const counts = createDeviceCounts(createMetrics({ service: 'ingest', node: 'test', processMetrics: false }));
  const entries: IntakeEntry[] = [];
  const wills = new Wills({
    retries: { append: (entry) => void entries.push(entry), clock },
    names: { admit() {} },
    tracing: noMessageTracing,
    letters: { write: () => assert.fail('a dead letter') },
    counts: counts.protocols.mqtt,
    onAccepted: () => {},
    clock,
    clockAheadMs: 60_000,
  });
  const settle = (indexes: readonly number[], error?: TailraceError) => {
    const settled = entries.splice(0);
    for (const index of indexes) {
      settled[index]!.state = 'settled';
      wills.settled(settled[index] as Parameters<Wills['settled']>[0], error);
    }
  };
  const grant = { allowsDevice: () => true, covers: '' };
  for (const device of ['a', 'b']) {
    const payload = Buffer.from('{"readings":[{"tag":"t","value":1}]}');
    const will = { topic: `plant1/${device}/telemetry`, payload, qos: 1, retain: false, delaySeconds: 0 } as Will;
    wills.hold(will);
    wills.due(will, grant, { device: `plant1.${device}`, willPublished() {}, willSettled() {} }).publish();
  }
  assert.ok(wills.bytes > 0);
  settle([1, 0], new TailraceError('unavailable', 'away'));
  await clock.advance(200);
  assert.deepEqual(
    entries.map(({ key }) => key),
    ['plant1.a', 'plant1.b'],
  );
  settle([0, 1]);
  assert.deepEqual([wills.bytes, clock.pending()], [0, 0]);
});
