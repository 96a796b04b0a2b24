import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { type BandReading, bandSeverity, LearntBand, type LearntBandState } from './learnt-band.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const startMs = Date.UTC(2026, 0, 5);

/** Pseudo-random noise from -1 to 1, the same in each run. */
function noise(index: number): number {
  const sine = Math.sin(index * 12.9898 + 4.1414) * 43_758.5453;
  return 2 * (sine - Math.floor(sine)) - 1;
}

/** Observes a value each 5 minutes for some days, and returns the readings outside. */
function observed(
  band: LearntBand,
  days: number,
  valueAt: (index: number, timeMs: number) => number,
  from = 0,
): BandReading[] {
  const outside: BandReading[] = [];
  for (let index = from * 288; index < (from + days) * 288; index++) {
    const timeMs = startMs + index * 5 * minuteMs;
    const reading = band.observe(timeMs, valueAt(index, timeMs));
    if (reading !== undefined && reading.severity >= bandSeverity.raise) outside.push(reading);
  }
  return outside;
}

const steady = (index: number) => 50 + noise(index);
const daily = (index: number, timeMs: number) => 50 + 20 * Math.sin((2 * Math.PI * timeMs) / dayMs) + noise(index);
const atDay = (day: number) => startMs + day * dayMs;

test('a spike is outside, and the reading has what was expected', () => {
  const band = new LearntBand();
  observed(band, 5, steady);
  const reading = band.observe(atDay(5), 60)!;
  assert.ok(reading.severity > 5, `severity ${reading.severity}`);
  assert.equal(reading.quantity, 'value');
  assert.equal(reading.actual, 60);
  assert.ok(Math.abs(reading.expected - 50) < 0.5, `expected ${reading.expected}`);
  assert.ok(reading.low > 48 && reading.high < 52, `${reading.low} to ${reading.high}`);
  const usual = band.observe(atDay(5) + 5 * minuteMs, 50.2)!;
  assert.ok(usual.severity < bandSeverity.clear || usual.quantity === 'mean');
});

test('nothing is compared before a day and 100 readings', () => {
  const frequent = new LearntBand();
  for (let second = 0; second < 86_400; second += 60) {
    assert.equal(frequent.observe(startMs + second * 1000, steady(second)), undefined);
  }
  assert.notEqual(frequent.observe(atDay(1), 50), undefined);
  const rare = new LearntBand();
  for (let index = 0; index < 100; index++) assert.equal(rare.observe(startMs + index * dayMs, 50), undefined);
  assert.notEqual(rare.observe(atDay(100), 50), undefined);
});

test('one outlier does not hide the next', () => {
  const band = new LearntBand();
  observed(band, 5, steady);
  for (let index = 0; index < 5; index++) {
    const timeMs = atDay(5) + index * 12 * hourMs;
    assert.ok(band.observe(timeMs, 120)!.severity > bandSeverity.raise, `outlier ${index}`);
  }
});

test('a peak of each day that does not come is outside, although the value is usual at night', () => {
  const band = new LearntBand();
  const falseAlarms = observed(band, 10, daily).length;
  assert.ok(falseAlarms <= 4, `${falseAlarms} false alarms in 10 days`);
  // The peak of the day is at 6:00.
  const missing = observed(band, 1, (index) => 50 + noise(index), 10);
  assert.ok(missing.length > 0);
  assert.ok(
    missing.every(({ actual }) => actual > 30 && actual < 70),
    'each value is usual at another time',
  );
});

test('the day of the week counts, once two weeks have shown it', () => {
  const weekly = (index: number, timeMs: number) =>
    (new Date(timeMs).getUTCDay() % 6 === 0 ? 20 : 80) + 2 * noise(index);
  const band = new LearntBand();
  observed(band, 42, weekly);
  // A Monday as a Sunday.
  const reading = observed(band, 1, (index) => 20 + 2 * noise(index), 42);
  assert.ok(reading.length > 0);
  assert.ok(reading[0]!.expected > 60, `expected ${reading[0]!.expected}`);
});

test('a shift of the level is outside at first, and usual within a day', () => {
  const band = new LearntBand();
  observed(band, 5, steady);
  const shifted = observed(band, 1, (index) => steady(index) + 8, 5);
  assert.ok(shifted.length >= 3 && shifted.length <= 144, `${shifted.length} outside`);
  assert.deepEqual(observed(band, 5, (index) => steady(index) + 8, 6).length, 0);
});

test('a shift that is smaller than the noise is outside by its mean', () => {
  const switching = (index: number) => (index % 2 === 0 ? 10 : -10) + noise(index);
  const band = new LearntBand();
  observed(band, 7, (index) => 50 + switching(index));
  const shifted = observed(band, 1, (index) => 54 + switching(index) / 2, 7);
  assert.ok(shifted.length > 0 && shifted.every(({ quantity }) => quantity === 'mean'));
});

test('a constant tag is outside when it changes, but not by the accuracy of a sensor', () => {
  const band = new LearntBand();
  assert.equal(observed(band, 3, () => 20).length, 0);
  assert.ok(band.observe(atDay(3), 20.01)!.severity < bandSeverity.raise);
  assert.ok(band.observe(atDay(3) + minuteMs, 25)!.severity > bandSeverity.raise);
  const zero = new LearntBand();
  observed(zero, 3, () => 0);
  const reading = zero.observe(atDay(3), 1)!;
  assert.ok(reading.severity > bandSeverity.raise && Number.isFinite(reading.severity));
});

test('a counter that counts is usual, and its reset is outside', () => {
  const band = new LearntBand();
  assert.equal(observed(band, 10, (index) => index * 3).length, 0);
  assert.ok(band.observe(atDay(10), 0)!.severity > bandSeverity.raise);
});

test('a week without readings is no anomaly', () => {
  const band = new LearntBand();
  observed(band, 10, daily);
  assert.equal(observed(band, 2, daily, 17).length, 0);
});

test('reports each second teach no more than reports each minute', () => {
  const band = new LearntBand();
  for (let second = 0; second < 2 * 86_400; second += 2) band.observe(startMs + second * 1000, 50 + noise(second));
  const before = band.state().level[0];
  for (let second = 0; second < 120; second += 2) band.observe(atDay(2) + second * 1000, 50.5);
  assert.ok(Math.abs(band.state().level[0] - before) < 0.1);
});

test('one side of the band', () => {
  const [above, below] = [new LearntBand('above'), new LearntBand('below')];
  for (const band of [above, below]) observed(band, 5, steady);
  assert.ok(above.observe(atDay(5), 40)!.severity < bandSeverity.clear);
  assert.ok(below.observe(atDay(5), 40)!.severity > bandSeverity.raise);
});

test('a reading that is late is compared, and changes nothing', () => {
  const band = new LearntBand();
  observed(band, 3, steady);
  const before = band.state();
  assert.ok(band.observe(atDay(2), 90)!.severity > bandSeverity.raise);
  assert.equal(band.observe(atDay(3), Number.NaN), undefined);
  assert.deepEqual(band.state(), before);
});

const step = fc.tuple(
  fc.constantFrom(1_000, 5 * minuteMs, 7 * hourMs, -minuteMs),
  fc.oneof(fc.double({ min: -100, max: 100, noNaN: true }), fc.constantFrom(0, 1e9, -1e9)),
);

test('a band that is restored from JSON at any place continues as if it had not been', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 200 }), fc.nat(199), (steps, at) => {
      const kept = new LearntBand();
      let restored = new LearntBand();
      observed(kept, 2, daily);
      observed(restored, 2, daily);
      let timeMs = atDay(2);
      for (const [index, [elapsedMs, value]] of steps.entries()) {
        timeMs += elapsedMs;
        if (index === at)
          restored = new LearntBand('both', JSON.parse(JSON.stringify(restored.state())) as LearntBandState);
        assert.deepEqual(restored.observe(timeMs, value), kept.observe(timeMs, value));
      }
      assert.deepEqual(restored.state(), kept.state());
    }),
    fuzzed(50),
  );
});

test('the state has less than 2 KB as JSON', () => {
  const band = new LearntBand();
  observed(band, 60, (index, timeMs) => daily(index, timeMs) / 3);
  const bytes = JSON.stringify(band.state()).length;
  assert.ok(bytes < 2048, `${bytes} bytes`);
});
