import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { reportOf, startIngest } from './ingest-fixture.ts';

failOnLeaks();

const dayMs = 86_400_000;

test('a report without a time, and one of a clock that is ahead, are in the log with the state of their clocks', async (t) => {
  const { post, logged, metric } = await startIngest(t);
  const { time: _, ...timeless } = reportOf('plant1.none');
  const ahead = [2 * dayMs, 2000 * 365 * dayMs].map((ms, n) => reportOf(`plant1.ahead${n}`, { time: Date.now() + ms }));
  const response = await post(JSON.stringify([timeless, ...ahead, reportOf('plant1.right')]));
  assert.equal(response.status, 202);
  const reports = Object.fromEntries((await logged()).map((report) => [report.device, report]));
  const none = reports['plant1.none']!;
  assert.deepEqual([none.clock, none.time], ['ingest', none.received]);
  for (const sent of ahead) {
    const { clock, time, readings } = reports[sent.device]!;
    assert.deepEqual([clock, time, readings[0]?.quality], ['ahead', sent.time, 'uncertain']);
  }
  assert.equal(reports['plant1.right']?.clock, undefined);
  assert.equal(await metric('tailrace_ingest_clock_ahead_reports_total'), 2);
});

test('times in another unit, integers that JSON.parse changes, and NaN are refused, each with its reason', async (t) => {
  const { post } = await startIngest(t);
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['"time":1634567890', /^time: .*which would be 1970-01-19; probably in seconds$/],
    ['"time":1634567890123456', /^time: .*probably in microseconds$/],
    ['"time":1634567890123456789', /^time: .*probably in nanoseconds$/],
    [
      '"value":9007199254740993',
      /^readings\[0\]\.value: expected a number that a double holds exactly, or text; got 9007199254740993$/,
    ],
    ['"value":null', /^readings\[0\]\.value: .*got null; NaN and Infinity are written as null by JSON\.stringify$/],
    ['"value":NaN', /expected a value: .*, got "NaN"/],
  ];
  const whole = '{"device":"plant1.a","time":1634567890123,"readings":[{"tag":"t","value":1}]}';
  for (const [wrong, message] of refusals) {
    const key = wrong.slice(0, wrong.indexOf(':'));
    const response = await post(whole.replace(new RegExp(`${key}:[0-9]+`), wrong));
    assert.equal(response.status, 400, wrong);
    assert.match(((await response.json()) as { error: { message: string } }).error.message, message);
  }
});
