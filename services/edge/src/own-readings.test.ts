import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '@tailrace/protocol/report';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { OwnReadings } from './own-readings.ts';
import type { Source } from './source.ts';
import { Losses } from './store/loss.ts';
import type { LinkState } from './uplink/uplink.ts';

test('the gateway reports itself every 10 s, and within a second of a change of a state', async () => {
  const clock = createFakeClock();
  const reports: Omit<Report, 'id'>[] = [];
  const source = { name: 'plc', state: 'connecting', badTags: 2 } as Source;
  let link: LinkState = 'down';
  const losses = new Losses();
  const own = new OwnReadings({
    ...{ device: 'p.edge1', sources: [source], put: (report) => reports.push(report), clock },
    outbox: { state: 'disk', reports: 7, memoryBytes: 10, storeBytes: 90, losses },
    linkState: () => link,
  });
  own.start();
  assert.equal(reports.length, 1);
  assert.deepEqual(reports[0], {
    device: 'p.edge1',
    time: clock.now(),
    readings: [
      { tag: 'link', value: 'down' },
      { tag: 'store_state', value: 'disk' },
      { tag: 'store_reports', value: 7, unit: '1' },
      { tag: 'store_bytes', value: 100, unit: 'By' },
      { tag: 'lost_reports', value: 0, unit: '1' },
      { tag: 'lost_readings', value: 0, unit: '1' },
      { tag: 'source.plc.state', value: 'connecting' },
      { tag: 'source.plc.bad_tags', value: 2, unit: '1' },
    ],
  });
  await clock.advance(9_000);
  assert.equal(reports.length, 1);
  await clock.advance(1_000);
  assert.equal(reports.length, 2);
  link = 'up';
  await clock.advance(1_000);
  assert.equal(reports.length, 3);
  own.stop();
  assert.equal(clock.pending(), 0);
});
