import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { LinkProbe } from './link-probe.ts';

function start(probe: () => Promise<boolean>) {
  const clock = createFakeClock();
  const reachableMs: number[] = [];
  const link = new LinkProbe({
    probe,
    onReachable: () => reachableMs.push(clock.monotonic()),
    ...{ clock, random: () => 0.5 },
  });
  return { clock, link, reachableMs };
}

test('a server is reachable again by the first probe that connects after one that did not', async () => {
  let isUp = true;
  const { clock, link, reachableMs } = start(async () => isUp);
  link.start();
  link.start();
  await clock.advance(2_000);
  assert.deepEqual(reachableMs, [], 'it was never lost');
  isUp = false;
  await clock.advance(60_000);
  isUp = true;
  await clock.advance(400);
  assert.deepEqual(reachableMs, [62_400]);
  await clock.advance(5_000);
  assert.equal(reachableMs.length, 1);
  link.stop();
  link.stop();
  assert.equal(clock.pending(), 0);
});

test('a probe that started before the link was back does not count, and neither does one from before a stop', async () => {
  const probes: ((isReachable: boolean) => void)[] = [];
  const { clock, link, reachableMs } = start(() => new Promise((resolve) => probes.push(resolve)));
  link.start();
  await clock.advance(400);
  await clock.advance(400);
  assert.equal(probes.length, 3);
  probes[0]!(false);
  await clock.advance(0);
  probes[2]!(true);
  await clock.advance(0);
  assert.equal(reachableMs.length, 1);
  probes[1]!(false);
  await clock.advance(400);
  probes[3]!(true);
  await clock.advance(0);
  assert.equal(reachableMs.length, 1);
  link.stop();
  link.start();
  probes[4]?.(false);
  link.stop();
  await clock.advance(0);
  assert.equal(clock.pending(), 0);
});
