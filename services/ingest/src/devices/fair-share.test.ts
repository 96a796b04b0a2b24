import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { nextTurn, startDevices, statusOf, type TestDevice } from '../../test/device-fixture.ts';

/** Messages as one chunk. */
function sendMany(device: TestDevice, count: number, from = 0): void {
  device.send(...Array.from({ length: count }, (_, n) => statusOf(`m${from + n}`)));
}

test('while the log is slow, a device waits for one window of a noisy one at most, however much that has sent', async (t) => {
  const window = 16;
  const { login, held, metric } = await startDevices(t, { settings: { deviceWindowMax: window } });
  const noisy = await login();
  const quiet = await login({ device: 'plant1.quiet' });
  sendMany(noisy, 400);
  await nextTurn();
  for (let pass = 0; pass < 5; pass++) {
    quiet.status(`q${pass}`);
    await nextTurn();
    // The log takes one message after the other, in their order.
    let taken = 0;
    for (let acks: string[] = []; acks.length === 0; acks = quiet.acks()) {
      held.shift()!.confirm();
      taken++;
      await nextTurn();
    }
    assert.ok(taken <= window + 1, `${taken} messages`);
  }
  assert.ok(noisy.take('ack').length > 0);
  assert.equal(await metric('tailrace_ingest_paused_sessions{cause="window"}'), 1, 'it is not read');
});

test('while the log is away, the devices of one sender hold half of the memory, and those of another are read', async (t) => {
  const settings = { inFlightBytesMax: 1_048_576, deviceMessageBytesMax: 65_536, deviceWindowMax: 64 };
  const { login, held, confirmAll, metric, tokenFor } = await startDevices(t, { settings });
  const large = [{ tag: 't', value: 'x'.repeat(4_000) }];
  const noisy = await Promise.all(Array.from({ length: 4 }, (_, n) => login({ device: `plant1.noisy${n}` })));
  for (const device of noisy)
    device.send(...Array.from({ length: 60 }, (_, n) => statusOf(`m${n}`, { payload: { readings: large } })));
  await nextTurn();
  const bytes = await metric('tailrace_ingest_in_flight_bytes');
  assert.ok(bytes > 400_000 && bytes <= 524_288, `${bytes}`);
  const quiet = await login({ device: 'plant1.quiet', token: await tokenFor(['plant1.quiet'], { subject: 'quiet' }) });
  quiet.status('q');
  await nextTurn();
  assert.equal(decodeReport(held.at(-1)!.value).device, 'plant1.quiet');
  await confirmAll();
  assert.deepEqual(quiet.acks(), ['q accepted']);
});
