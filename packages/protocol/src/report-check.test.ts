import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mutatedBytes, report, seeded } from '../test/arbitraries.ts';
import { deliveryFromJson } from './delivery.ts';
import { deliveryText } from './delivery-text.ts';
import { tailrace } from './generated/tailrace.js';
import { isDevicePath } from './path.ts';
import { checkReport, type InvalidReportReason } from './report-check.ts';
import { parseReportHeader } from './report-header.ts';
import { decodeDelivery, decodeReport, deliveryBytes, encodeReport } from './report-proto.ts';

const { Reading, Report } = tailrace.v1;
const device = 'p.d';

/** Returns the bytes of a `Report` as the generated code writes it, which validates nothing. */
function bytesOf(fields: tailrace.v1.IReport): Uint8Array {
  return Report.encode({ device, time: 1, readings: [{ tag: 't', number: 1 }], ...fields }).finish();
}

function reading(fields: tailrace.v1.IReading): Uint8Array {
  return bytesOf({ readings: [{ tag: 't', number: 1, ...fields }] });
}

/** Returns a tag as a varint of two bytes, which readers accept as the tag of one byte. */
function overlong(tag: number): Buffer {
  return Buffer.from([0x80 | tag, 0]);
}

function textField(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
}

/** Returns a report whose only reading has these bytes at its end. */
function bytesWith(end: Buffer): Uint8Array {
  const whole = Buffer.concat([Reading.encode({ tag: 't', number: 1 }).finish(), end]);
  return Buffer.concat([bytesOf({ readings: [] }), Buffer.from([0x1a, whole.length]), whole]);
}

test('a report that ingest accepted is valid, with the header that parseReportHeader reads', () => {
  fc.assert(
    fc.property(report, (sent) => {
      const bytes = encodeReport(sent);
      assert.deepEqual(checkReport(bytes, sent.device), parseReportHeader(bytes));
    }),
    seeded,
  );
});

const cases: readonly (readonly [string, InvalidReportReason, Uint8Array])[] = [
  ['nothing', 'empty', new Uint8Array(0)],
  ['one byte more than a report may have', 'too_large', bytesOf({ id: 'x'.repeat(262_144) })],
  ['text', 'malformed', Buffer.from('no report')],
  ['JSON', 'malformed', Buffer.from('{"device":"p.d","time":1,"readings":[]}')],
  ['a truncated report', 'malformed', bytesOf({}).subarray(0, -1)],
  ['a group, which proto3 lacks', 'malformed', Buffer.concat([bytesOf({}), Buffer.from([0x4b, 0x4c])])],
  ['the position of a delivery', 'malformed', Buffer.concat([bytesOf({}), Buffer.from([0x30, 1])])],
  ['the `delta` of a delivery', 'malformed', Buffer.concat([bytesOf({}), Buffer.from([0x40, 1])])],
  ['another device', 'device', bytesOf({ device: 'p.e' })],
  ['no device', 'device', bytesOf({ device: '' })],
  ['a repeated device, of which the last wins', 'device', Buffer.concat([bytesOf({}), bytesOf({ device: 'p.e' })])],
  [
    'another device under a tag of two bytes',
    'malformed',
    Buffer.concat([bytesOf({}), overlong(0x0a), textField('p.e')]),
  ],
  ['a value under a tag of two bytes', 'malformed', bytesWith(Buffer.concat([overlong(0x22), textField('a\0')]))],
  [
    'an ID that is not UTF-8 before one that is',
    'id',
    Buffer.concat([Buffer.from([0x22, 2, 0xff, 0xfe]), bytesOf({ id: 'x' })]),
  ],
  ['another device before the expected one', 'device', Buffer.concat([bytesOf({ device: 'p.e' }), bytesOf({})])],
  ['no readings', 'readings', bytesOf({ readings: [] })],
  ['too many readings', 'readings', bytesOf({ readings: Array(1_001).fill({ tag: 't', boolean: true }) })],
  ['a time that is NaN', 'time', bytesOf({ time: Number.NaN })],
  ['a time before 1970', 'time', bytesOf({ time: -1 })],
  ['a time that no Date can represent', 'time', bytesOf({ time: 8.64e15 + 2 })],
  ['an infinite `received`', 'time', bytesOf({ received: Number.POSITIVE_INFINITY })],
  ['a reading whose time is NaN', 'time', reading({ time: Number.NaN })],
  ['a reading without tag', 'readings', reading({ tag: '' })],
  ['a tag that is too long', 'readings', reading({ tag: 'x'.repeat(129) })],
  ['a tag that is too long, in characters that take three bytes', 'readings', reading({ tag: '測'.repeat(129) })],
  ['a tag with a line break', 'readings', reading({ tag: 'a\nb' })],
  ['a tag with a control character beyond ASCII', 'readings', reading({ tag: 'a\u0085' })],
  ['a unit that is too long', 'readings', reading({ unit: 'x'.repeat(33) })],
  ['a reading without value', 'readings', bytesOf({ readings: [{ tag: 't' }] })],
  ['NaN', 'readings', reading({ number: Number.NaN })],
  ['an infinite number', 'readings', reading({ number: Number.NEGATIVE_INFINITY })],
  ['a text that is too long', 'readings', bytesOf({ readings: [{ tag: 't', text: 'x'.repeat(4_097) }] })],
  ['a text with NUL', 'readings', bytesOf({ readings: [{ tag: 't', text: 'a\0' }] })],
  ['an ID that is too long', 'id', bytesOf({ id: 'x'.repeat(65) })],
  ['an ID with a control character', 'id', bytesOf({ id: 'a\tb' })],
];

for (const [what, reason, bytes] of cases) {
  test(`${what} is an invalid report: ${reason}`, () => {
    assert.equal(checkReport(bytes, device), reason);
  });
}

test('a report with invalid UTF-8 in any text is invalid', () => {
  for (const field of [
    { id: '\u0001\u0002\u0003' },
    { readings: [{ tag: '\u0001\u0002\u0003', number: 1 }] },
    { readings: [{ tag: 't', unit: '\u0001\u0002\u0003', number: 1 }] },
    { readings: [{ tag: 't', text: '\u0001\u0002\u0003' }] },
  ]) {
    const bytes = Buffer.from(bytesOf(field));
    const at = bytes.indexOf(Buffer.from([1, 2, 3]));
    bytes.set([0xff, 0xfe, 0xc3], at);
    assert.ok(['malformed', 'id'].includes(String(checkReport(bytes, device))), JSON.stringify(field));
  }
});

test('additions of a later version are valid: unknown fields, and a quality', () => {
  const unknown = Buffer.from([0x4a, 2, 1, 2, 0x58, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
  const added = Buffer.concat([bytesOf({ readings: [{ tag: 't', number: 1, quality: 7 as never }] }), unknown]);
  assert.deepEqual(checkReport(added, device), parseReportHeader(added));
  assert.match(deliveryText(added, 0, 1), /"quality":"uncertain"/);
  assert.equal(decodeDelivery(deliveryBytes(added, 0, 1)).readings[0]!.quality, 'uncertain');
});

test('any number is a valid clock, and a malformed one is not', () => {
  const withClock = (...clock: number[]) => Buffer.concat([bytesOf({ time: 5 }), Buffer.from([0x48, ...clock])]);
  for (const clock of [[0], [1], [2], [7], [0x80, 0x02]]) {
    assert.deepEqual(checkReport(withClock(...clock), device), parseReportHeader(withClock(...clock)));
  }
  for (const clock of [[], [0x80], new Array(10).fill(0xff)]) {
    assert.equal(checkReport(withClock(...clock), device), 'malformed');
  }
});

test('every valid report can be encoded for clients in every form, and clients can read it', () => {
  let passed = 0;
  const checked = (bytes: Uint8Array) => {
    const key = deviceIn(bytes);
    if (!isDevicePath(key) || typeof checkReport(bytes, key) === 'string') return;
    passed++;
    const json = JSON.parse(deliveryText(bytes, 3, 9));
    assert.equal(deliveryFromJson(json).device, key);
    const decoded = decodeReport(bytes);
    assert.deepEqual(decodeReport(encodeReport(decoded)), decoded);
    const { partition, seq, delta, ...delivered } = decodeDelivery(deliveryBytes(bytes, 3, 9));
    assert.deepEqual([partition, seq, delta], [3, 9, undefined]);
    assert.deepEqual(delivered, decoded);
  };
  fc.assert(fc.property(report.map((each) => encodeReport(each)).chain(mutatedBytes), checked), {
    ...seeded,
    numRuns: 3_000,
  });
  assert.ok(passed > 100, `${passed} passed`);
});

/** Returns the device of the report, or the default one where its header is malformed. */
function deviceIn(bytes: Uint8Array): string {
  try {
    return parseReportHeader(bytes).device;
  } catch {
    return device;
  }
}
