import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Series } from './series.ts';

const timesOf = (series: Series) => [...series.points().times];
const valuesOf = (series: Series) => [...series.points().values];

test('points are in order of their time, whatever order they arrive in; one of the same time is replaced', () => {
  const series = new Series(1000, 100);
  for (const time of [10, 30, 20, 5, 30, 25]) series.add(time, time * 2, 0);
  series.add(20, 99, 2);
  assert.deepEqual(timesOf(series), [5, 10, 20, 25, 30]);
  assert.deepEqual(valuesOf(series), [10, 20, 99, 50, 60]);
  assert.deepEqual([...series.points().qualities], [0, 0, 2, 0, 0]);
});

test('points beyond the time to keep are dropped, so that the capacity follows the rate and not the time', () => {
  const series = new Series(1000, 1_000_000);
  for (let time = 0; time < 100_000; time += 10) series.add(time, time, 0);
  assert.ok(series.length >= 100 && series.length <= 256, `${series.length}`);
  assert.ok(series.capacity <= 512);
  const times = timesOf(series);
  assert.equal(times.at(-1), 99_990);
  assert.ok(
    times.every((time, index) => index === 0 || time === times[index - 1]! + 10),
    'without a gap',
  );
});

test('there are never more points than the bound', () => {
  const series = new Series(1e9, 300);
  for (let time = 0; time < 5000; time++) series.add(time, time, 0);
  assert.equal(series.length, 300);
  assert.equal(timesOf(series)[0], 4700);
  series.add(1, 1, 0);
  assert.equal(timesOf(series)[0], 4700, 'one older than all is dropped');
  assert.equal(series.length, 300);
});

test('late points find their place in a full buffer, too', () => {
  const series = new Series(1e9, 1_000_000);
  const times = Array.from({ length: 2000 }, (_, index) => (index * 7919) % 2003);
  for (const time of times) series.add(time, -time, 0);
  assert.deepEqual(
    timesOf(series),
    [...new Set(times)].sort((a, b) => a - b),
  );
  assert.deepEqual(
    valuesOf(series),
    timesOf(series).map((time) => -time),
  );
});

test('the point at a time is the last one before it', () => {
  const series = new Series(1000, 100);
  for (const time of [10, 20, 30]) series.add(time, time, 0);
  assert.deepEqual(
    [5, 10, 19, 30, 99].map((time) => series.indexAt(time)),
    [-1, 0, 0, 2, 2],
  );
});
