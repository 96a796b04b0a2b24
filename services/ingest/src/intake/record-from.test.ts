import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { type RecordContext, recordFrom } from './record-from.ts';

const receivedMs = 1_700_000_000_000;
const reportOf = (time: number, rest: Partial<Report> = {}): Report => ({
  device: 'plant1.a',
  time,
  readings: [{ tag: 'temperature', value: 42.5 }],
  ...rest,
});

function contextOf(rest: Partial<RecordContext> = {}): RecordContext & { readonly admitted: string[] } {
  const admitted: string[] = [];
  return {
    grant: { allowsDevice: (path) => path.startsWith('plant1.'), covers: 'the token of "x" may publish plant1.>' },
    receivedMs,
    clockAheadMs: 5_000,
    devices: { admit: (path) => void admitted.push(path) },
    admitted,
    ...rest,
  };
}

test('the record of a report has its device as key, and the time of receipt', () => {
  const context = contextOf();
  const { key, value, clockAhead } = recordFrom(reportOf(receivedMs - 1_000, { id: 'x1' }), context);
  assert.deepEqual([key, clockAhead], ['plant1.a', false]);
  assert.deepEqual(decodeReport(value), { ...reportOf(receivedMs - 1_000, { id: 'x1' }), received: receivedMs });
  assert.deepEqual(context.admitted, ['plant1.a']);
});

test('a report without a time gets that of ingest', () => {
  const { value, clockAhead } = recordFrom(reportOf(0), contextOf());
  const { time, clock } = decodeReport(value);
  assert.deepEqual([time, clock, clockAhead], [receivedMs, 'ingest', false]);
});

test('a report whose time is ahead keeps it, and its readings are uncertain', () => {
  const { value, clockAhead } = recordFrom(reportOf(receivedMs + 5_001), contextOf());
  const { time, clock, readings } = decodeReport(value);
  assert.deepEqual([time, clock, readings[0]!.quality, clockAhead], [receivedMs + 5_001, 'ahead', 'uncertain', true]);
  assert.equal(recordFrom(reportOf(receivedMs + 5_000), contextOf()).clockAhead, false);
});

test('a device that the grant does not cover is forbidden, and is not counted', () => {
  const context = contextOf();
  assert.throws(() => recordFrom(reportOf(0, { device: 'plant2.a' }), context), {
    code: 'forbidden',
    message: '"plant2.a" is not covered: the token of "x" may publish plant1.>',
  });
  assert.deepEqual(context.admitted, []);
});

test('a new device at the limit of devices is refused', () => {
  const devices = {
    admit() {
      throw new TailraceError('limit_reached', 'device: expected at most 1 devices, got one more');
    },
  };
  assert.throws(() => recordFrom(reportOf(0), contextOf({ devices })), { code: 'limit_reached' });
});
