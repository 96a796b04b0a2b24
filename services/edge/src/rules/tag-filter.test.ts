import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import type { Sample, Value } from '../sample.ts';
import { type FilterOptions, TagFilter } from './tag-filter.ts';

const seeded = fuzzed();
const good = (time: number, value: Value): Sample => ({ tag: 0, time, value, quality: 'good' });
const bad = (time: number, reason = 'no_answer'): Sample => ({
  tag: 0,
  time,
  value: undefined,
  quality: 'bad',
  reason,
});

function sentOf(
  options: Partial<FilterOptions>,
  samples: readonly Sample[],
  end?: (filter: TagFilter) => void,
  /** Monotonic ms at the end. */
  endMs = 0,
): Sample[] {
  const sent: Sample[] = [];
  let nowMs = 0;
  const clock = { monotonic: () => nowMs };
  const filter = new TagFilter({ maxSilenceMs: 60_000, ...options }, (sample) => sent.push(sample), clock);
  for (const sample of samples) filter.take(sample);
  nowMs = endMs;
  end?.(filter);
  return sent;
}

const timesOf = (samples: readonly Sample[]) => samples.map(({ time }) => time);

test('a deadband compares with the last value that was sent, so that a slow drift is seen', () => {
  const drift = Array.from({ length: 10 }, (_, n) => good(n, n * 0.4));
  assert.deepEqual(timesOf(sentOf({ deadband: 1 }, drift)), [0, 3, 6, 9]);
  assert.deepEqual(timesOf(sentOf({ deadband: 0.5 }, [good(0, 1), good(1, 1.5), good(2, 1.6)])), [0, 2]);
});

test('a deadband in percent is of the range', () => {
  const options = { deadbandPercent: 10, range: [-50, 150] } as const;
  assert.deepEqual(timesOf(sentOf(options, [good(0, 0), good(1, 20), good(2, 20.1)])), [0, 2]);
});

test('without a deadband each change is sent, of numbers, texts and booleans', () => {
  assert.deepEqual(timesOf(sentOf({}, [good(0, 1), good(1, 1), good(2, 1.000_1)])), [0, 2]);
  assert.deepEqual(timesOf(sentOf({ deadband: 5 }, [good(0, 'a'), good(1, 'a'), good(2, 'b')])), [0, 2]);
  assert.deepEqual(timesOf(sentOf({ deadband: 5 }, [good(0, true), good(1, true), good(2, false)])), [0, 2]);
});

test('a tag that does not change is sent at least every maxSilenceMs, and one that cannot be read is not', () => {
  const minutes = Array.from({ length: 301 }, (_, n) => good(n * 1_000, 5));
  assert.deepEqual(timesOf(sentOf({ deadband: 1 }, minutes)), [0, 60_000, 120_000, 180_000, 240_000, 300_000]);
  assert.deepEqual(timesOf(sentOf({ swingingDoor: 1 }, minutes)), [0, 60_000, 120_000, 180_000, 240_000, 300_000]);
  const dead = sentOf({ deadband: 1 }, [good(0, 5), bad(1_000)]);
  assert.deepEqual(timesOf(dead), [0, 1_000]);
});

test('a bad reading repeats the last good value, or has the reason where there was none', () => {
  const [first, , second] = sentOf({ deadband: 1 }, [bad(0), good(1, 7), bad(2, 'no_connection')]);
  assert.deepEqual([first!.value, first!.quality], ['no_answer', 'bad']);
  assert.deepEqual([second!.value, second!.quality, second!.reason], [7, 'bad', 'no_connection']);
});

test('a bad reading repeats the newest good value, also one that was not sent', () => {
  assert.equal(sentOf({ deadband: 5 }, [good(0, 1), good(1, 2), bad(2)])[1]!.value, 2);
});

test('each change of the quality and of its reason is sent, once', () => {
  const samples = [good(0, 1), bad(1), bad(2), bad(3, 'no_connection'), good(4, 1)];
  assert.deepEqual(timesOf(sentOf({ deadband: 1 }, samples)), [0, 1, 3, 4]);
});

test('an alarm tag is sent at once, unfiltered', () => {
  const samples = [good(0, 1), good(1, 1), good(2, 1.01)];
  assert.deepEqual(sentOf({ deadband: 5, bypass: true }, samples), samples);
});

test('a late sample is sent, and changes nothing for the next one', () => {
  const samples = [good(10, 1), good(5, 9), good(11, 1.5), good(12, 3)];
  assert.deepEqual(timesOf(sentOf({ deadband: 1 }, samples)), [10, 5, 12]);
});

for (const options of [{ deadband: 1 }, { swingingDoor: 1 }]) {
  test(`after a clock was set back by an hour, samples are unfiltered for ten seconds at most: ${Object.keys(options)[0]}`, async () => {
    const clock = createFakeClock();
    const sent: number[] = [];
    const filter = new TagFilter({ maxSilenceMs: 60_000, ...options }, ({ time }) => sent.push(time), clock);
    const hourMs = 3_600_000;
    filter.take(good(2 * hourMs, 5));
    for (let n = 1; n <= 100; n++) {
      await clock.advance(1_000);
      filter.take(good(hourMs + n * 1_000, 5));
    }
    const from = (n: number) => hourMs + n * 1_000;
    const unfiltered = Array.from({ length: 10 }, (_, n) => from(n + 1));
    // The tenth starts the filter again, and the heartbeat goes on.
    assert.deepEqual(sent, [2 * hourMs, ...unfiltered, from(70)]);
    filter.take(good(from(101), 9));
    assert.equal(sent.at(-1), from(101));
  });
}

test('what a swinging door holds is sent in time, also when the clock of the gateway was set back', async () => {
  const clock = createFakeClock();
  const sent: number[] = [];
  const options = { swingingDoor: 0.1, maxSilenceMs: 60_000 };
  const filter = new TagFilter(options, ({ time }) => sent.push(time), clock);
  // The source is an hour ahead.
  filter.take(good(clock.now() + 3_600_000, 0));
  filter.take(good(clock.now() + 3_601_000, 1));
  await clock.advance(60_000);
  filter.due();
  assert.equal(sent.length, 2);
});

test('two samples of one millisecond are both sent if they differ', () => {
  assert.deepEqual(timesOf(sentOf({ swingingDoor: 1 }, [good(5, 1), good(5, 9)])), [5, 5]);
});

test('a swinging door sends the sample before a break, and the break', () => {
  const ramp = [0, 1, 2, 3, 4].map((n) => good(n, n));
  const jump = [good(5, 50), good(6, 50), good(7, 50)];
  assert.deepEqual(timesOf(sentOf({ swingingDoor: 0.1 }, [...ramp, ...jump])), [0, 4, 5]);
});

test('what a swinging door holds is sent at a change of quality, when it is due, and at the end', () => {
  const line = [good(0, 0), good(1_000, 1), good(2_000, 2)];
  assert.deepEqual(timesOf(sentOf({ swingingDoor: 0.1 }, [...line, bad(3_000)])), [0, 2_000, 3_000]);
  assert.deepEqual(timesOf(sentOf({ swingingDoor: 0.1 }, line, (filter) => filter.due(), 59_999)), [0]);
  assert.deepEqual(timesOf(sentOf({ swingingDoor: 0.1 }, line, (filter) => filter.due(), 60_000)), [0, 2_000]);
  assert.deepEqual(timesOf(sentOf({ swingingDoor: 0.1 }, line, (filter) => filter.flush())), [0, 2_000]);
  const end = (filter: TagFilter) => {
    filter.flush();
    filter.flush();
    filter.due();
  };
  const flushed = sentOf({ swingingDoor: 0.1 }, line, end, 1e9);
  assert.equal(flushed.length, 2);
});

test('what a swinging door holds is sent before a long time without samples', () => {
  const samples = [good(0, 0), good(1_000, 1), good(200_000, 200)];
  assert.deepEqual(timesOf(sentOf({ swingingDoor: 0.1 }, samples)), [0, 1_000, 200_000]);
});

/** A curve: steps of time, and of the value. */
const curve = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 5_000 }), fc.double({ min: -3, max: 3, noNaN: true })), {
    minLength: 2,
    maxLength: 60,
  })
  .map((steps) => {
    let time = 1_700_000_000_000;
    let value = 0;
    return steps.map(([duration, step]) => {
      time += duration;
      value += step;
      return good(time, value);
    });
  });

test('no sample that a swinging door leaves out is further than the deviation from the line of the sent ones', () => {
  fc.assert(
    fc.property(
      curve,
      fc.constantFrom(0.5, 1, 4),
      fc.constantFrom(2_000, 20_000, 60_000),
      (samples, deviation, maxMs) => {
        const options = { swingingDoor: deviation, maxSilenceMs: maxMs };
        const sent = sentOf(options, samples, (filter) => filter.flush());
        assert.deepEqual(
          sent,
          sentOf(options, samples, (filter) => filter.flush()),
          'equal input, equal output',
        );
        assert.deepEqual(
          timesOf(sent),
          timesOf(sent).toSorted((a, b) => a - b),
        );
        assert.equal(sent.at(-1), samples.at(-1));
        let next = 1;
        for (const { time, value } of samples) {
          while (sent[next]!.time < time) next++;
          const [from, to] = [sent[next - 1]!, sent[next]!];
          const share = (time - from.time) / (to.time - from.time);
          const onLine = (from.value as number) + share * ((to.value as number) - (from.value as number));
          assert.ok(
            Math.abs(onLine - (value as number)) <= deviation * (1 + 1e-9) + 1e-9,
            `${time}: ${onLine} ${value}`,
          );
        }
      },
    ),
    fuzzed(10_000),
  );
});

test('no sample that a deadband leaves out differs by more from the one sent before', () => {
  fc.assert(
    fc.property(curve, fc.constantFrom(0, 0.5, 2), (samples, deadband) => {
      const sent = new Set(sentOf({ deadband, maxSilenceMs: 10_000 }, samples));
      let before: Sample | undefined;
      for (const sample of samples) {
        if (sent.has(sample)) before = sample;
        assert.ok(Math.abs((sample.value as number) - (before!.value as number)) <= deadband);
        assert.ok(sample.time - before!.time < 10_000);
      }
    }),
    seeded,
  );
});
