import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Will } from '@tailrace/mqtt/connect-request';
import { createMetrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { noMessageTracing } from '../../test/no-message-tracing.ts';
import { createDeviceCounts } from '../devices/device-metrics.ts';
import type { IntakeEntry } from '../intake/intake-entry.ts';
import { Wills, willBytesMax } from './wills.ts';

test('wills that the log refuses are appended again in their order, and count as wills until the log has them', async () => {
  const clock = createFakeClock();
  const counts = createDeviceCounts(createMetrics({ service: 'ingest', node: 'test', processMetrics: false }));
  const entries: IntakeEntry[] = [];
  const wills = new Wills({
    retries: { append: (entry) => void entries.push(entry), clock },
    names: { admit() {} },
    isWithinRates: () => true,
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
  const grant = { identity: 'me', allowsDevice: () => true, covers: '' };
  for (const device of ['a', 'b']) {
    const payload = Buffer.from('{"readings":[{"tag":"t","value":1}]}');
    const will = { topic: `plant1/${device}/telemetry`, payload, qos: 1, retain: false, delaySeconds: 0 } as Will;
    wills.hold(will, grant);
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

test('one sender holds half of the bytes at most: the will of another one is accepted', () => {
  const wills = new Wills({
    retries: { append() {}, clock: createFakeClock() },
    names: { admit() {} },
    isWithinRates: () => true,
    tracing: noMessageTracing,
    letters: { write() {} },
    counts: createDeviceCounts(createMetrics({ service: 'ingest', node: 'test', processMetrics: false })).protocols
      .mqtt,
    onAccepted: () => {},
    clock: createFakeClock(),
    clockAheadMs: 60_000,
  });
  const will = { payload: Buffer.alloc(4_096) } as unknown as Will;
  const grantOf = (identity: string) => ({ identity, allowsDevice: () => true, covers: '' });
  for (let bytes = 0; bytes < willBytesMax / 2; bytes += 4_096) wills.hold(will, grantOf('hostile'));
  assert.throws(
    () => wills.hold(will, grantOf('hostile')),
    /^TailraceError: wills: expected at most 8388608 bytes of one/,
  );
  wills.hold(will, grantOf('honest'));
  assert.deepEqual([wills.bytes, wills.bytesOfOne], [willBytesMax / 2 + 4_096, willBytesMax / 2]);
  wills.release(will, grantOf('hostile'));
  wills.hold(will, grantOf('hostile'));
});
