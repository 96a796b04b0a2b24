import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CatchUpRate } from './catch-up-rate.ts';

function startedAt(liveReadingsPerSecond: number, readingsPerSecondMax = 20_000): CatchUpRate {
  return new CatchUpRate({ liveReadingsPerSecond, readingsPerSecondMax, nowMs: 0 });
}

/** Sends batches of 100 readings whenever it may, each 10 ms. Returns the readings of each second. */
function readingsPerSecond(rate: CatchUpRate, seconds: number, each = (_second: number) => {}): number[] {
  const perSecond: number[] = [];
  for (let nowMs = 0; nowMs < seconds * 1_000; nowMs += 10) {
    const second = Math.floor(nowMs / 1_000);
    if (nowMs % 1_000 === 0) each(second);
    while (rate.maySend(nowMs)) {
      rate.sent(100);
      perSecond[second] = (perSecond[second] ?? 0) + 100;
    }
  }
  return perSecond;
}

test('it starts at twice the live rate, within its limits', () => {
  assert.equal(startedAt(3_000).rate, 6_000);
  assert.equal(startedAt(10).rate, 1_000);
  assert.equal(startedAt(1e6).rate, 20_000);
});

test('it grows by a quarter each second up to its limit', () => {
  const perSecond = readingsPerSecond(startedAt(1_000), 20);
  assert.ok(perSecond[0]! >= 2_000 && perSecond[0]! <= 2_700, `${perSecond[0]}`);
  assert.ok(perSecond[19]! >= 19_000 && perSecond[19]! <= 20_200, `${perSecond[19]}`);
  // Ten minutes of 1,000 readings a second.
  const total = readingsPerSecond(startedAt(1_000), 40).reduce((sum, each) => sum + each, 0);
  assert.ok(total >= 600_000, `${total}`);
});

test('it halves after a second in which live readings were late, down to its least', () => {
  for (const late of [
    (rate: CatchUpRate) => rate.liveAcked(501),
    (rate: CatchUpRate) => rate.liveWaited(1_001),
    (rate: CatchUpRate) => rate.slowDown(),
  ]) {
    const rate = startedAt(8_000);
    late(rate);
    rate.maySend(1_000);
    assert.equal(rate.rate, 8_000);
    rate.maySend(2_000);
    assert.equal(rate.rate, 10_000, 'and grows again');
    for (let n = 3; n < 20; n++) {
      late(rate);
      rate.maySend(n * 1_000);
    }
    assert.equal(rate.rate, 1_000);
  }
});

test('one late acknowledgement of a hundred changes nothing', () => {
  const rate = startedAt(8_000);
  rate.liveAcked(5_000);
  for (let n = 0; n < 99; n++) rate.liveAcked(20);
  rate.maySend(1_000);
  assert.equal(rate.rate, 20_000);
});

test('a pause saves up a quarter of a second at most', () => {
  const rate = startedAt(10_000);
  assert.ok(rate.maySend(60_000));
  let sent = 0;
  for (; rate.maySend(60_000); sent += 100) rate.sent(100);
  assert.ok(sent <= 5_100, `${sent}`);
});
