import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { floodBody, nameFlood } from '@tailrace/testkit/name-flood';
import { reportOf, startIngest } from './ingest-fixture.ts';

failOnLeaks();

/** A twentieth of 760,000 names and of the limits; `FLOOD=1` is all of it. */
const scale = Number(process.env['FLOOD'] ?? 0.05);
const [names, devicesPerTenantMax] = [760_000 * scale, 200_000 * scale];

test('new names are refused beyond the limit of their tenant, and known devices are still accepted', async (t) => {
  const { post, metric } = await startIngest(t, { settings: { devicesPerTenantMax, devicesMax: 500_000 * scale } });
  const honest = await post(JSON.stringify(reportOf('plant1.honest')));
  assert.equal(honest.status, 202);
  let accepted = 0;
  let refusal: { code: string; message: string } | undefined;
  for (const reports of nameFlood({ names, length: 60, tenant: 'plant1', timeMs: Date.now() })) {
    const response = await post(floodBody(reports), { 'content-type': 'application/x-protobuf' });
    const answer = (await response.json()) as { accepted: number; error?: { code: string; message: string } };
    assert.equal(response.status, answer.accepted > 0 ? 202 : 400);
    accepted += answer.accepted;
    refusal = answer.error;
  }
  assert.equal(accepted, devicesPerTenantMax - 1);
  assert.equal(refusal?.code, 'limit_reached');
  assert.match(
    refusal.message,
    new RegExp(`device: expected at most ${devicesPerTenantMax} devices of tenant plant1, got one more: "plant1`),
  );
  const again = await post(JSON.stringify([reportOf('plant1.honest'), reportOf('plant1.new')]));
  assert.equal(again.status, 202);
  const { rejected } = (await again.json()) as { rejected: { index: number; code: string }[] };
  assert.deepEqual(
    rejected.map(({ index, code }) => [index, code]),
    [[1, 'limit_reached']],
  );
  for (const [name, value] of [
    ['tenant_devices', devicesPerTenantMax],
    ['limit_tenant_devices', devicesPerTenantMax],
    ['devices', devicesPerTenantMax],
    ['limit_devices', 500_000 * scale],
  ] as const)
    assert.equal(await metric(`tailrace_ingest_${name}`), value);
  assert.ok(
    (await metric('tailrace_ingest_rejected_reports_total{code="limit_reached"}')) > names - devicesPerTenantMax,
  );
});
