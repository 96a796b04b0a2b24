import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { decodeReport, encodeReport } from '@tailrace/protocol/report-proto';
import { fuzzed } from '@tailrace/testkit/fuzz';
import { floodBody } from '@tailrace/testkit/name-flood';
import fc from 'fast-check';
import { parseBody } from '../test/parse-body.ts';
import { DeviceNames } from './admission.ts';
import type { Grant } from './intake/record-from.ts';
import {
  BodyParser,
  type Format,
  type ParsedBody,
  type ParseOptions,
  stepBytesMax,
  stepReportsMax,
} from './reports.ts';

const all: Grant = { allowsDevice: () => true, covers: 'the token of "test" may publish >' };
const onlyA: Grant = { allowsDevice: (path) => path.startsWith('a.'), covers: 'the token of "test" may publish a.>' };
const receivedMs = 1_700_000_000_000;

const reportOf = (device: string, rest: object = {}) => ({
  device,
  time: 1_634_567_890_123.25,
  readings: [{ tag: 'temperature', value: 42.5, unit: 'Cel' }],
  ...rest,
});

function parsedOf(body: string | Uint8Array, format: Format, options: Partial<ParseOptions> = {}): ParsedBody {
  return parseBody(Buffer.from(body), format, {
    ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
    devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
    ...options,
  });
}

const json = (value: unknown, options: Partial<ParseOptions> = {}) => parsedOf(JSON.stringify(value), 'json', options);
const devicesOf = (parsed: ParsedBody) => parsed.records.map(({ key }) => key);

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('a single report becomes one record, with its device as the key and the time of receipt', () => {
  const parsed = json(reportOf('a.b', { id: 'x1' }));
  assert.deepEqual(parsed.rejected, []);
  assert.equal(parsed.readings, 1);
  assert.deepEqual(devicesOf(parsed), ['a.b']);
  assert.deepEqual(decodeReport(parsed.records[0]!.value), { ...reportOf('a.b', { id: 'x1' }), received: receivedMs });
});

test('an array keeps the order of its reports', () => {
  const parsed = json(['a.1', 'a.2', 'a.1', 'a.3'].map((device) => reportOf(device)));
  assert.deepEqual(devicesOf(parsed), ['a.1', 'a.2', 'a.1', 'a.3']);
  assert.equal(parsed.readings, 4);
});

test('the envelope of older gateways is accepted', () => {
  const parsed = json({
    deviceId: 'a.b',
    timestamp: 1_634_567_890_123,
    quality: 'bad',
    values: [{ tag: 't', value: 1 }],
  });
  assert.deepEqual(decodeReport(parsed.records[0]!.value), {
    device: 'a.b',
    time: 1_634_567_890_123,
    readings: [{ tag: 't', value: 1, quality: 'bad' }],
    received: receivedMs,
  });
});

test('an invalid report is rejected with its index and reason, and the others are accepted', () => {
  const parsed = json([
    reportOf('a.1'),
    17,
    reportOf('a..2'),
    reportOf('a.3', { readings: [] }),
    reportOf('a.4', { received: 1 }),
    reportOf('a.5'),
  ]);
  assert.deepEqual(devicesOf(parsed), ['a.1', 'a.5']);
  assert.deepEqual(
    parsed.rejected.map(({ index, code }) => [index, code]),
    [
      [1, 'invalid_report'],
      [2, 'invalid_path'],
      [3, 'invalid_report'],
      [4, 'invalid_report'],
    ],
  );
  assert.match(parsed.rejected[0]!.message, /^report: expected an object .*, got 17$/);
  assert.match(parsed.rejected[1]!.message, /^device path: .*, got "a\.\.2": segment 2 is empty$/);
});

test('a report of a device that the token does not cover is rejected as forbidden', () => {
  const parsed = json([reportOf('a.1'), reportOf('b.1')], { grant: onlyA });
  assert.deepEqual(devicesOf(parsed), ['a.1']);
  assert.equal(parsed.forbidden, 1);
  assert.deepEqual(parsed.rejected, [
    { index: 1, code: 'forbidden', message: '"b.1" is not covered: the token of "test" may publish a.>' },
  ]);
});

test('a report that is too large for the log is rejected, and the others are accepted', () => {
  const readings = Array.from({ length: 100 }, () => ({ tag: 't', value: 'x'.repeat(4_000) }));
  const parsed = json([reportOf('a.1', { readings }), reportOf('a.2')]);
  assert.deepEqual(devicesOf(parsed), ['a.2']);
  assert.deepEqual(
    parsed.rejected.map(({ index, code }) => [index, code]),
    [[0, 'too_large']],
  );
});

test('only the first hundred rejections have a reason, and all are listed', () => {
  const parsed = json(Array.from({ length: 250 }, () => 17));
  assert.equal(parsed.rejected.length, 250);
  assert.match(parsed.rejected[99]!.message, /^report: expected an object .*, got 17$/);
  assert.equal(parsed.rejected[100]!.message, 'no reason: only the first 100 rejections have one');
  assert.equal(parsed.rejected[249]!.index, 249);
});

const decoded = (parsed: ParsedBody) => parsed.records.map(({ value }) => decodeReport(value));

test('a report without a time gets the time of ingest, and clock: ingest', () => {
  const { time: _, ...timeless } = reportOf('a.1');
  for (const parsed of [json(timeless), json(reportOf('a.1', { time: 0 })), json(reportOf('a.1', { time: null }))]) {
    assert.deepEqual(decoded(parsed), [{ ...timeless, time: receivedMs, received: receivedMs, clock: 'ingest' }]);
    assert.equal(parsed.clockAhead, 0);
  }
  const reports = [{ device: 'a.1', readings: [{ tag: 't', number: 1 }] }];
  const [report] = decoded(parsedOf(tailrace.v1.ReportBatch.encode({ reports }).finish(), 'protobuf'));
  assert.deepEqual([report?.time, report?.clock], [receivedMs, 'ingest']);
});

test('a report of a clock that is too far ahead keeps its time, with clock: ahead and readings that are uncertain at best', () => {
  const readings = [
    { tag: 'a', value: 1 },
    { tag: 'b', value: 2, quality: 'bad' },
  ];
  for (const time of [receivedMs + 60_001, receivedMs + 2 * 86_400_000, receivedMs + 2000 * 31_556_952_000]) {
    const parsed = json(reportOf('a.1', { time, readings }));
    assert.deepEqual(decoded(parsed), [
      {
        ...{ device: 'a.1', time, received: receivedMs, clock: 'ahead' },
        readings: [{ ...readings[0]!, quality: 'uncertain' }, readings[1]!],
      },
    ]);
    assert.equal(parsed.clockAhead, 1);
  }
  const tolerated = json(reportOf('a.1', { time: receivedMs + 60_000 }));
  assert.equal(decoded(tolerated)[0]?.clock, undefined);
  assert.equal(tolerated.clockAhead, 0);
});

test('if the time of one reading is ahead, only that reading is uncertain', () => {
  const ahead = receivedMs + 120_000;
  const readings = [
    { tag: 'a', value: 1, time: receivedMs - 5 },
    { tag: 'a', value: 2, time: ahead },
  ];
  const [report] = decoded(json(reportOf('a.1', { readings })));
  assert.deepEqual(report?.readings, [readings[0], { ...readings[1]!, quality: 'uncertain' }]);
  assert.equal(report?.clock, 'ahead');
  const [timeless] = decoded(json({ device: 'a.1', readings }));
  assert.deepEqual([timeless?.time, timeless?.clock], [receivedMs, 'ahead']);
});

test('an integer that a double does not hold is refused, alone or among others, in every JSON form', () => {
  const text = (value: string) =>
    `{"device":"a.1","time":1634567890123,"readings":[{"tag":"t","value":1},{"tag":"u","value":${value}}]}`;
  const refusals: readonly (readonly [string, string])[] = [
    [
      '9007199254740993',
      'readings[1].value: expected a number that a double holds exactly, or text; got 9007199254740993',
    ],
    [
      '-9007199254740993',
      'readings[1].value: expected a number that a double holds exactly, or text; got -9007199254740993',
    ],
    [
      '18446744073709551615',
      'readings[1].value: expected a number that a double holds exactly, or text; got 18446744073709551615',
    ],
  ];
  for (const [value, message] of refusals) {
    for (const parsed of [
      parsedOf(text(value), 'json'),
      parsedOf(`[${text('1')},${text(value)},${text('9007199254740994')}]`, 'json'),
      parsedOf(`${text('1')}\n${text(value)}\n`, 'ndjson'),
    ]) {
      assert.equal(parsed.rejected.length, 1);
      assert.equal(parsed.rejected[0]!.message.replace(/^line 2: /, ''), message);
    }
  }
  const older = '{"deviceId":"a.1","timestamp":1634567890123,"values":[{"tag":"t","value":9007199254740993}]}';
  assert.match(
    parsedOf(older, 'json').rejected[0]!.message,
    /^values\[0\]\.value: expected a number that a double holds/,
  );
  for (const value of [
    '9007199254740992',
    '9007199254740994',
    '1e300',
    '12345678901234567.5',
    '9007199254740993e0',
    '1.7976931348623157e308',
  ]) {
    const parsed = parsedOf(text(value), 'json');
    assert.deepEqual(parsed.rejected, [], value);
    assert.equal(decoded(parsed)[0]!.readings[1]!.value, Number(value));
  }
  // Within a text it is not changed, also after quotes and backslashes.
  const quoted = parsedOf(text('"\\\\\\"9007199254740993"').replace('"value":1}', '"value":1e20}'), 'json');
  assert.equal(decoded(quoted)[0]!.readings[1]!.value, '\\"9007199254740993');
  assert.match(
    parsedOf(text('1'.repeat(400)), 'json').rejected[0]!.message,
    /^readings\[1\]\.value: expected a finite number.*got Infinity$/,
  );
});

test('a new device beyond the limit of its tenant is refused alone, and the known devices are still accepted', () => {
  const devices = new DeviceNames({ devicesMax: 4, devicesPerTenantMax: 2 }, [1, 2]);
  const take = (...names: string[]) =>
    json(
      names.map((name) => reportOf(name)),
      { devices },
    );
  assert.deepEqual(devicesOf(take('a.1', 'a.2', 'a.3', 'a.1', 'b.1')), ['a.1', 'a.2', 'a.1', 'b.1']);
  const parsed = take('a.4', 'b.2', 'c', 'a.2');
  assert.deepEqual(devicesOf(parsed), ['b.2', 'a.2']);
  assert.deepEqual(parsed.rejected, [
    { index: 0, code: 'limit_reached', message: 'device: expected at most 2 devices of tenant a, got one more: "a.4"' },
    { index: 2, code: 'limit_reached', message: 'device: expected at most 4 devices, got one more: "c"' },
  ]);
  assert.deepEqual([devices.size, devices.mostOfOneTenant], [4, 2]);
});

test('malformed JSON is refused as a whole, with the place and the text around it', () => {
  assert.throws(
    () => parsedOf('[{"device":"a.1",}]', 'json'),
    fails('invalid_report', /malformed at line 1, column 18: expected .*, got "}", near/),
  );
  assert.throws(() => parsedOf('', 'json'), fails('invalid_report', /the body: expected a report .*, got nothing/));
  assert.throws(() => parsedOf(' \n', 'json'), fails('invalid_report', /the body: expected a report .*, got nothing/));
  assert.throws(
    () => parsedOf(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), 'json'),
    fails('invalid_report', /byte 2: expected UTF-8, got 0xff/),
  );
});

test('the error of one report per line, sent as JSON, names the content type for it', () => {
  assert.throws(
    () => parsedOf('{"device":"a.1"}\n{"device":"a.2"}', 'json'),
    fails('invalid_report', /line 2, column 1.*application\/x-ndjson/),
  );
});

test('the last value of a duplicate key counts, as in JSON.parse', () => {
  const parsed = parsedOf(
    '{"device":"b.1","device":"a.1","time":1634567890123,"readings":[{"tag":"t","value":1}]}',
    'json',
    {
      grant: onlyA,
    },
  );
  assert.deepEqual(devicesOf(parsed), ['a.1']);
});

test('a body without a report is refused', () => {
  for (const [body, format] of [
    ['[]', 'json'],
    ['', 'ndjson'],
    ['\n \r\n', 'ndjson'],
    ['', 'protobuf'],
  ] as const) {
    assert.throws(
      () => parsedOf(body, format),
      fails('invalid_report', /expected (a message ReportBatch with )?at least one report, got none/),
    );
  }
});

test('more reports than the limit are refused as too large, in every format', () => {
  const reports = Array.from({ length: 4 }, (_, n) => reportOf(`a.${n}`));
  const batch = tailrace.v1.ReportBatch.encode({ reports: reports.map(protoOf) }).finish();
  const lines = reports.map((report) => JSON.stringify(report)).join('\n');
  for (const [body, format] of [
    [JSON.stringify(reports), 'json'],
    [lines, 'ndjson'],
    [batch, 'protobuf'],
  ] as const) {
    assert.throws(() => parsedOf(body, format, { reportsMax: 3 }), fails('too_large', /most 3|3 reports/));
    assert.equal(parsedOf(body, format, { reportsMax: 4 }).records.length, 4);
  }
});

test('an invalid line is rejected with its number, and the other lines are accepted', () => {
  const lines = [
    JSON.stringify(reportOf('a.1')),
    '',
    '{"device":',
    '17',
    `${JSON.stringify(reportOf('a.2'))}\r`,
    '   ',
  ];
  const parsed = parsedOf(lines.join('\n'), 'ndjson');
  assert.deepEqual(devicesOf(parsed), ['a.1', 'a.2']);
  assert.deepEqual(
    parsed.rejected.map(({ index }) => index),
    [1, 2],
  );
  assert.match(
    parsed.rejected[0]!.message,
    /^line 3: the JSON is malformed at column 11: expected .*, got the end of the text/,
  );
  assert.match(parsed.rejected[1]!.message, /^line 4: report: expected an object .*, got 17$/);
});

test('a line that is not UTF-8 does not affect the others', () => {
  const good = Buffer.from(`${JSON.stringify(reportOf('a.1'))}\n`);
  const parsed = parsedOf(Buffer.concat([good, Buffer.from([0xff, 0x0a]), good]), 'ndjson');
  assert.deepEqual(devicesOf(parsed), ['a.1', 'a.1']);
  assert.match(parsed.rejected[0]!.message, /^line 2: byte 0: expected UTF-8, got 0xff/);
});

function protoOf(report: ReturnType<typeof reportOf>) {
  const { device, time, readings } = report;
  return { device, time, readings: readings.map(({ tag, value, unit }) => ({ tag, number: value, unit })) };
}

test('a batch of any Protobuf library is accepted, and its invalid reports are rejected', () => {
  const reports = [protoOf(reportOf('a.1')), protoOf(reportOf('a..2')), protoOf(reportOf('a.3'))];
  const parsed = parsedOf(tailrace.v1.ReportBatch.encode({ reports }).finish(), 'protobuf');
  assert.deepEqual(devicesOf(parsed), ['a.1', 'a.3']);
  assert.deepEqual(
    parsed.rejected.map(({ index, code }) => [index, code]),
    [[1, 'invalid_path']],
  );
  assert.deepEqual(decodeReport(parsed.records[1]!.value), { ...reportOf('a.3'), received: receivedMs });
});

test('a damaged Protobuf batch is refused as a whole', () => {
  assert.throws(
    () => parsedOf(Uint8Array.of(0x0a, 0x7f, 1), 'protobuf'),
    fails('invalid_report', /^Protobuf: expected well-formed bytes, got /),
  );
});

test('garbage of any kind is refused or rejected, with a clear code, and every report is accounted for', () => {
  const formats = fc.constantFrom<Format>('json', 'ndjson', 'protobuf');
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text)),
    fc.json({ maxDepth: 5 }).map((text) => Buffer.from(text)),
    fc.array(fc.json({ maxDepth: 3 }), { maxLength: 8 }).map((texts) => Buffer.from(texts.join('\n'))),
  );
  const codes = new Set(['invalid_report', 'invalid_path', 'forbidden', 'too_large']);
  fc.assert(
    fc.property(bodies, formats, (body, format) => {
      try {
        const parsed = parsedOf(body, format, { grant: onlyA });
        assert.equal(parsed.records.length + parsed.rejected.length, parsed.reports);
        for (const { code, message } of parsed.rejected)
          assert.ok(codes.has(code) && message.length < 600, `${code}: ${message}`);
      } catch (error) {
        assert.ok(error instanceof TailraceError && codes.has(error.code), String(error));
        assert.ok(error.message.length < 600, error.message);
      }
    }),
    fuzzed(2_000),
  );
});

test('a body that waits for the log holds its records, not its text', () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const body = JSON.stringify([reportOf('a.1', { readings: [{ tag: 't', value: 2 ** 53 }] })]) + ' '.repeat(1_000_000);
  parsedOf(body, 'json');
  gc();
  const before = process.memoryUsage().heapUsed;
  const waiting = Array.from({ length: 16 }, () => parsedOf(body, 'json'));
  gc();
  const heldBytes = process.memoryUsage().heapUsed - before;
  assert.ok(heldBytes < 4_000_000, `${heldBytes} bytes for ${waiting.length} bodies of ${body.length}`);
});

for (const format of ['json', 'ndjson', 'protobuf'] as const) {
  test(`a large body is parsed in steps of bounded work: ${format}`, () => {
    const count = 2 * stepReportsMax + 1;
    const reports = Array.from({ length: count }, (_, index) => reportOf(`a.${index}`));
    // A rejected report counts, too.
    reports[7] = reportOf('not a path');
    const bodies = {
      json: () => JSON.stringify(reports),
      ndjson: () => reports.map((report) => JSON.stringify(report)).join('\n'),
      protobuf: () => floodBody(reports.map((report) => ({ device: report.device, bytes: encodeReport(report) }))),
    };
    const options = {
      ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: count },
      devices: new DeviceNames({ devicesMax: 5_000, devicesPerTenantMax: 5_000 }, [1, 2]),
    };
    const body = Buffer.from(bodies[format]());
    const parser = new BodyParser(body, format, options);
    const seen: number[] = [];
    while (!parser.step()) seen.push(parser.parsed.reports);
    assert.deepEqual(seen, [stepReportsMax, 2 * stepReportsMax]);
    const { records, rejected } = parseBody(body, format, options);
    assert.deepEqual([parser.parsed.records, parser.parsed.rejected], [records, rejected]);
    assert.deepEqual([records.length, rejected.length], [count - 1, 1]);
  });
}

test('a body with the reports of one step is parsed in one step', () => {
  const reports = Array.from({ length: stepReportsMax }, (_, index) => reportOf(`a.${index}`));
  const parser = new BodyParser(Buffer.from(JSON.stringify(reports)), 'json', {
    ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
    devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
  });
  assert.equal(parser.step(), true);
});

test('a step has a bounded number of bytes and of blank lines', () => {
  const options = {
    ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
    devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
  };
  const readings = Array.from({ length: 500 }, (_, index) => ({ tag: `t${index}`, value: 1 }));
  const wide = Array.from({ length: 21 }, (_, index) => reportOf(`a.${index}`, { readings }));
  const perStep = Math.ceil(stepBytesMax / JSON.stringify(wide[0]).length);
  for (const [body, format] of [
    [JSON.stringify(wide), 'json'],
    [wide.map((report) => JSON.stringify(report)).join('\n'), 'ndjson'],
  ] as const) {
    const parser = new BodyParser(Buffer.from(body), format, options);
    const seen: number[] = [];
    while (!parser.step()) seen.push(parser.parsed.reports);
    assert.deepEqual(
      seen,
      seen.map((_, step) => perStep * (step + 1)),
    );
    assert.equal(parser.parsed.records.length, wide.length);
  }
  const blank = new BodyParser(Buffer.from(`${'\n'.repeat(700)}${JSON.stringify(reportOf('a.b'))}`), 'ndjson', options);
  assert.deepEqual([blank.step(), blank.step()], [false, true]);
  assert.equal(blank.parsed.line, 701);
});

/** Returns the length of the longest text that is passed to JSON.parse during the call, characters. */
function longestParsed(call: () => void): number {
  const parse = JSON.parse;
  let longest = 0;
  JSON.parse = (text: string) => {
    longest = Math.max(longest, text.length);
    return parse(text);
  };
  try {
    call();
  } finally {
    JSON.parse = parse;
  }
  return longest;
}

test('JSON that is nested without end, or has brackets alone, is refused before it is parsed', () => {
  const bytes = 1_000_000;
  const odd = [
    '['.repeat(bytes),
    '{"a":'.repeat(bytes / 5),
    `${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}`,
    `{"device":"a.x","readings":${'['.repeat(bytes / 4)}${']'.repeat(bytes / 4)}}`,
    `{${'"k":1,'.repeat(bytes / 6)}"k":1}`,
    `[{"device":"a.x","readings":[${'{},'.repeat(bytes / 3)}{}]}]`,
  ];
  const longest = longestParsed(() => {
    for (const text of odd) {
      assert.throws(() => parsedOf(text, 'json'), fails('invalid_report', /report 1: expected at most 20000 brackets/));
      const { rejected } = parsedOf(`${text}\n${JSON.stringify(reportOf('a.1'))}`, 'ndjson');
      assert.equal(rejected.length, 1);
      assert.match(
        rejected[0]!.message,
        /^line 1: report 1: expected at most 20000 brackets, commas and colons, got more/,
      );
    }
  });
  assert.ok(longest < 1_000, `${longest} characters were parsed at once`);
});

test('a line that is a large array is rejected before it is parsed, and does not affect the others', () => {
  const longest = longestParsed(() => {
    const parsed = parsedOf(`[${'[],'.repeat(300_000)}[]]\n${JSON.stringify(reportOf('a.1'))}`, 'ndjson');
    assert.equal(parsed.records.length, 1);
    assert.deepEqual(
      parsed.rejected.map(({ message }) => message),
      ['line 1: the report: expected an object with device and readings, got an array'],
    );
  });
  assert.ok(longest < 1_000, `${longest} characters were parsed at once`);
});

test('a report with the most readings, with all their members, is accepted', () => {
  const reading = (index: number) => ({
    tag: `t${index}`,
    value: index,
    unit: 'Cel',
    quality: 'good',
    time: receivedMs,
  });
  const readings = Array.from({ length: 1_000 }, (_, index) => reading(index));
  const parsed = json([reportOf('a.1', { readings }), reportOf('a.2', { readings })]);
  assert.deepEqual([parsed.records.length, parsed.rejected], [2, []]);
});

test('a malformed array is refused with its place, also at the end of a run', () => {
  const report = JSON.stringify(reportOf('a.1'));
  const many = Array.from({ length: stepReportsMax }, () => report).join(',');
  const at = many.length;
  const refusals: readonly (readonly [string, number, RegExp])[] = [
    [`[${many},]`, at + 3, /expected a value: .*, got "\]"/],
    [`[${many},,${report}]`, at + 3, /expected a value: .*, got ","/],
    [`[,${many}]`, 2, /expected a value: .*, got ","/],
    [`[${many},${report}`, at + report.length + 3, /expected "," or "\]", got the end of the text/],
    [`[${many},${report}}`, at + report.length + 3, /expected "," or "\]", got "}"/],
    [`[${many},${report}] x`, at + report.length + 5, /expected the end of the text, .*, got "x"/],
    [`[${many},${report}]]`, at + report.length + 4, /expected the end of the text, .*, got "\]"/],
    [`[${many},{"device":1]]`, at + 14, /expected "," or "}", got "\]"/],
    [`[${many}`, at + 2, /got the end of the text/],
    ['[', 2, /expected a value: .*, got the end of the text/],
    ['[}', 2, /expected a value: .*, got "}"/],
  ];
  for (const [body, column, found] of refusals) {
    const message = (thrown: unknown) =>
      fails('invalid_report', found)(thrown) && String(thrown).includes(`line 1, column ${column}:`);
    assert.throws(
      () => parsedOf(body, 'json'),
      (thrown) => {
        assert.ok(message(thrown), String(thrown));
        return true;
      },
    );
  }
  for (const body of [`[${many} , ${report} ] \n`, ` [ ${many},${report}]`, `[\n${many}\n]`]) {
    assert.deepEqual(parsedOf(body, 'json').rejected, []);
  }
});

for (const [what, why] of [
  ['that the token does not cover', { grant: onlyA }],
  ['with a wrong reading', {}],
] as const) {
  for (const format of ['json', 'ndjson', 'protobuf'] as const) {
    test(`reports ${what} take as many steps as accepted ones: ${format}`, () => {
      const readings = Array.from({ length: 500 }, (_, index) => ({ tag: `t${index}`, value: 1 }));
      const wrong = [...readings.slice(1), { tag: 'x'.repeat(200), value: 1 }];
      const stepsOf = (options: Partial<ParseOptions>, sent: typeof readings) => {
        const reports = Array.from({ length: 42 }, (_, index) => ({
          device: `b.${index}`,
          time: 1e12,
          readings: sent,
        }));
        const { Report, ReportBatch } = tailrace.v1;
        const bytes = reports.map((report) =>
          Report.encode({ ...report, readings: sent.map(({ tag, value }) => ({ tag, number: value })) }).finish(),
        );
        const bodies = {
          json: () => JSON.stringify(reports),
          ndjson: () => reports.map((report) => JSON.stringify(report)).join('\n'),
          protobuf: () => ReportBatch.encode({ reports: bytes.map((each) => Report.decode(each)) }).finish(),
        };
        const parser = new BodyParser(Buffer.from(bodies[format]()), format, {
          ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
          devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
          ...options,
        });
        let steps = 1;
        while (!parser.step()) steps++;
        return { steps, refused: parser.parsed.rejected.length };
      };
      const accepted = stepsOf({}, readings);
      const refused = stepsOf(why, 'grant' in why ? readings : wrong);
      assert.deepEqual([accepted.refused, refused.refused], [0, 42]);
      assert.ok(accepted.steps >= 5, `${accepted.steps} steps`);
      assert.ok(refused.steps >= accepted.steps, `${refused.steps} steps, ${accepted.steps} of accepted ones`);
    });
  }
}

test('IoTData is accepted without a name, and its batch with one', () => {
  const { IoTData, IoTDataBatch, ReportBatch } = tailrace.v1;
  const messages = ['a.1', 'a b', 'a.2'].map((deviceId) => ({
    deviceId,
    timestamp: 1_634_567_890_123,
    readings: [{ sensorId: 'temperature', value: 42.5, unit: 'Cel' }],
  }));
  const { time: _, ...sent } = reportOf('a.1');
  const expected = { ...sent, time: 1_634_567_890_123, received: receivedMs };
  const single = IoTData.encode(messages[0]!).finish();
  for (const format of ['protobuf', 'iot-data'] as const)
    assert.deepEqual(decoded(parsedOf(single, format)), [expected], format);
  const batch = IoTDataBatch.encode({ messages }).finish();
  const parsed = parsedOf(batch, 'iot-data-batch');
  assert.deepEqual(decoded(parsed), [expected, { ...expected, device: 'a.2' }]);
  assert.deepEqual(
    parsed.rejected.map(({ index, code }) => [index, code]),
    [[1, 'invalid_path']],
  );
  // As a ReportBatch it would lose its times and units.
  for (const format of ['protobuf', 'report-batch'] as const) {
    const refused = parsedOf(batch, format);
    assert.equal(refused.records.length, 0);
    assert.match(refused.rejected[0]!.message, /^time: expected a double, .* proto=tailrace\.v1\.IoTDataBatch/);
  }
  const reports = ReportBatch.encode({ reports: [{ device: 'a.1', readings: [{ tag: 't', number: 1 }] }] }).finish();
  assert.equal(parsedOf(reports, 'report-batch').records.length, 1);
  assert.throws(() => parsedOf('', 'iot-data-batch'), fails('invalid_report', /a message IoTDataBatch with at least/));
});

test('an IoTData without a time gets the time of ingest, and one of a clock ahead is marked', () => {
  const bytesOf = (timestamp: number) =>
    tailrace.v1.IoTData.encode({ deviceId: 'a.1', timestamp, readings: [{ sensorId: 't', value: 1 }] }).finish();
  assert.deepEqual(decoded(parsedOf(bytesOf(0), 'protobuf'))[0]?.clock, 'ingest');
  assert.deepEqual(decoded(parsedOf(bytesOf(receivedMs + 60_001), 'protobuf'))[0]?.clock, 'ahead');
});

test('the steps of lines that are not JSON are bounded by bytes', () => {
  const line = `[${'1,'.repeat(5_000)}`;
  const body = Buffer.from(`${line}\n`.repeat(100));
  const parser = new BodyParser(body, 'ndjson', {
    ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
    devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
  });
  let steps = 1;
  while (!parser.step()) steps++;
  assert.ok(steps >= body.length / (stepBytesMax + line.length), `${steps} steps`);
  assert.equal(parser.parsed.rejected.length, 100);
});

test('a syntax error beyond the first part of a large body has the message of JSON.parse', () => {
  assert.throws(
    () => parsedOf(`{"device":"${'x'.repeat(100_000)}",}`, 'json'),
    fails('invalid_report', /^the JSON is malformed \("/),
  );
  assert.throws(
    () => parsedOf(`{"a":1}\n${'{"a":1}\n'.repeat(100_000)}`, 'json'),
    fails('invalid_report', /line 2, column 1: .* one report on each line is application\/x-ndjson/),
  );
});

test('text that is not UTF-8 is refused with the place of the first invalid byte', () => {
  const refused = (body: Buffer, message: RegExp) =>
    assert.throws(() => parsedOf(body, 'json'), fails('invalid_report', message));
  refused(Buffer.from([0x5b, 0xff, 0x5d]), /byte 1: expected UTF-8, got 0xff5d/);
  // U+FFFD itself is a character like any other.
  refused(Buffer.concat([Buffer.from('ü\ufffd'), Buffer.from([0xc3])]), /byte 5: expected UTF-8, got 0xc3/);
});

test('a BOM is ignored', () => {
  assert.deepEqual(devicesOf(parsedOf(`\ufeff${JSON.stringify(reportOf('a.b'))}`, 'json')), ['a.b']);
});
