import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { decodeReport, encodeReport } from '@tailrace/protocol/reportproto';
import { floodBody } from '@tailrace/testkit/name-flood';
import fc from 'fast-check';
import { DeviceNames } from './device-names.ts';
import {
  BodyReader,
  type Grant,
  type Intake,
  type IntakeOptions,
  intakeFrom,
  stepBytesMax,
  stepReportsMax,
} from './reports.ts';
import type { Format } from './request.ts';

const all: Grant = { allowsDevice: () => true, covers: 'the token of "test" may publish >' };
const onlyA: Grant = { allowsDevice: (path) => path.startsWith('a.'), covers: 'the token of "test" may publish a.>' };
const receivedMs = 1_700_000_000_000;

const reportOf = (device: string, rest: object = {}) => ({
  device,
  time: 1_634_567_890_123.25,
  readings: [{ tag: 'temperature', value: 42.5, unit: 'Cel' }],
  ...rest,
});

function intakeOf(body: string | Uint8Array, format: Format, options: Partial<IntakeOptions> = {}): Intake {
  return intakeFrom(Buffer.from(body), format, {
    ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
    devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
    ...options,
  });
}

const json = (value: unknown, options: Partial<IntakeOptions> = {}) => intakeOf(JSON.stringify(value), 'json', options);
const devicesOf = (intake: Intake) => intake.records.map(({ key }) => key);

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('a single report becomes one record with its device as the key and the time it was received', () => {
  const intake = json(reportOf('a.b', { id: 'x1' }));
  assert.deepEqual(intake.rejected, []);
  assert.equal(intake.readings, 1);
  assert.deepEqual(devicesOf(intake), ['a.b']);
  assert.deepEqual(decodeReport(intake.records[0]!.value), { ...reportOf('a.b', { id: 'x1' }), received: receivedMs });
});

test('an array keeps the order of its reports', () => {
  const intake = json(['a.1', 'a.2', 'a.1', 'a.3'].map((device) => reportOf(device)));
  assert.deepEqual(devicesOf(intake), ['a.1', 'a.2', 'a.1', 'a.3']);
  assert.equal(intake.readings, 4);
});

test('the envelope of older gateways is taken', () => {
  const intake = json({
    deviceId: 'a.b',
    timestamp: 1_634_567_890_123,
    quality: 'bad',
    values: [{ tag: 't', value: 1 }],
  });
  assert.deepEqual(decodeReport(intake.records[0]!.value), {
    device: 'a.b',
    time: 1_634_567_890_123,
    readings: [{ tag: 't', value: 1, quality: 'bad' }],
    received: receivedMs,
  });
});

test('a bad report is rejected with its index and reason, and the others are taken', () => {
  const intake = json([
    reportOf('a.1'),
    17,
    reportOf('a..2'),
    reportOf('a.3', { readings: [] }),
    reportOf('a.4', { received: 1 }),
    reportOf('a.5'),
  ]);
  assert.deepEqual(devicesOf(intake), ['a.1', 'a.5']);
  assert.deepEqual(
    intake.rejected.map(({ index, code }) => [index, code]),
    [
      [1, 'invalid_report'],
      [2, 'invalid_path'],
      [3, 'invalid_report'],
      [4, 'invalid_report'],
    ],
  );
  assert.match(intake.rejected[0]!.message, /the report is 17; right is an object/);
  assert.match(intake.rejected[1]!.message, /"a..2" is not a device path/);
});

test('a report of a device that the token does not cover is rejected as forbidden', () => {
  const intake = json([reportOf('a.1'), reportOf('b.1')], { grant: onlyA });
  assert.deepEqual(devicesOf(intake), ['a.1']);
  assert.equal(intake.forbidden, 1);
  assert.deepEqual(intake.rejected, [
    { index: 1, code: 'forbidden', message: '"b.1" is not covered: the token of "test" may publish a.>' },
  ]);
});

test('a report that would be too large in the log is rejected by itself', () => {
  const readings = Array.from({ length: 100 }, () => ({ tag: 't', value: 'x'.repeat(4_000) }));
  const intake = json([reportOf('a.1', { readings }), reportOf('a.2')]);
  assert.deepEqual(devicesOf(intake), ['a.2']);
  assert.deepEqual(
    intake.rejected.map(({ index, code }) => [index, code]),
    [[0, 'too_large']],
  );
});

test('only the first hundred rejections tell why, and none is left out', () => {
  const intake = json(Array.from({ length: 250 }, () => 17));
  assert.equal(intake.rejected.length, 250);
  assert.match(intake.rejected[99]!.message, /the report is 17/);
  assert.equal(intake.rejected[100]!.message, 'see the first 100: only they tell why');
  assert.equal(intake.rejected[249]!.index, 249);
});

const decoded = (intake: Intake) => intake.records.map(({ value }) => decodeReport(value, true));

test('a report without a time gets the time of ingest, and is marked so', () => {
  const { time: _, ...timeless } = reportOf('a.1');
  for (const intake of [json(timeless), json(reportOf('a.1', { time: 0 })), json(reportOf('a.1', { time: null }))]) {
    assert.deepEqual(decoded(intake), [{ ...timeless, time: receivedMs, received: receivedMs, clock: 'ingest' }]);
    assert.equal(intake.clockAhead, 0);
  }
  const reports = [{ device: 'a.1', readings: [{ tag: 't', number: 1 }] }];
  const [report] = decoded(intakeOf(tailrace.v1.ReportBatch.encode({ reports }).finish(), 'protobuf'));
  assert.deepEqual([report?.time, report?.clock], [receivedMs, 'ingest']);
});

test('a report of a clock that is too far ahead keeps its time, is marked, and its readings are uncertain at best', () => {
  const readings = [
    { tag: 'a', value: 1 },
    { tag: 'b', value: 2, quality: 'bad' },
  ];
  for (const time of [receivedMs + 60_001, receivedMs + 2 * 86_400_000, receivedMs + 2000 * 31_556_952_000]) {
    const intake = json(reportOf('a.1', { time, readings }));
    assert.deepEqual(decoded(intake), [
      {
        ...{ device: 'a.1', time, received: receivedMs, clock: 'ahead' },
        readings: [{ ...readings[0]!, quality: 'uncertain' }, readings[1]!],
      },
    ]);
    assert.equal(intake.clockAhead, 1);
  }
  const tolerated = json(reportOf('a.1', { time: receivedMs + 60_000 }));
  assert.equal(decoded(tolerated)[0]?.clock, undefined);
  assert.equal(tolerated.clockAhead, 0);
});

test('of a reading whose own time is ahead only that reading is uncertain', () => {
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
    for (const intake of [
      intakeOf(text(value), 'json'),
      intakeOf(`[${text('1')},${text(value)},${text('9007199254740994')}]`, 'json'),
      intakeOf(`${text('1')}\n${text(value)}\n`, 'ndjson'),
    ]) {
      assert.equal(intake.rejected.length, 1);
      assert.equal(intake.rejected[0]!.message.replace(/^line 2: /, ''), message);
    }
  }
  const older = '{"deviceId":"a.1","timestamp":1634567890123,"values":[{"tag":"t","value":9007199254740993}]}';
  assert.match(
    intakeOf(older, 'json').rejected[0]!.message,
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
    const intake = intakeOf(text(value), 'json');
    assert.deepEqual(intake.rejected, [], value);
    assert.equal(decoded(intake)[0]!.readings[1]!.value, Number(value));
  }
  // In a text it is what the sender wrote, quotes and backslashes before it or not.
  const quoted = intakeOf(text('"\\\\\\"9007199254740993"').replace('"value":1}', '"value":1e20}'), 'json');
  assert.equal(decoded(quoted)[0]!.readings[1]!.value, '\\"9007199254740993');
  assert.match(
    intakeOf(text('1'.repeat(400)), 'json').rejected[0]!.message,
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
  const intake = take('a.4', 'b.2', 'c', 'a.2');
  assert.deepEqual(devicesOf(intake), ['b.2', 'a.2']);
  assert.deepEqual(intake.rejected, [
    { index: 0, code: 'limit_reached', message: 'device: expected at most 2 devices of tenant a, got one more: "a.4"' },
    { index: 2, code: 'limit_reached', message: 'device: expected at most 4 devices, got one more: "c"' },
  ]);
  assert.deepEqual([devices.size, devices.mostOfOneTenant], [4, 2]);
});

test('malformed JSON is refused as a whole, with the place and the text around it', () => {
  assert.throws(
    () => intakeOf('[{"device":"a.1",}]', 'json'),
    fails('invalid_report', /malformed at line 1, column 18: "}" stands where .*near/),
  );
  assert.throws(() => intakeOf('', 'json'), fails('invalid_report', /the body is empty/));
  assert.throws(() => intakeOf(' \n', 'json'), fails('invalid_report', /the body is empty/));
  assert.throws(
    () => intakeOf(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), 'json'),
    fails('invalid_report', /at 2 are not UTF-8/),
  );
});

test('reports one a line that are sent as JSON get the hint', () => {
  assert.throws(
    () => intakeOf('{"device":"a.1"}\n{"device":"a.2"}', 'json'),
    fails('invalid_report', /line 2, column 1.*application\/x-ndjson/),
  );
});

test('of a key that stands twice the last one counts, as in JSON.parse', () => {
  const intake = intakeOf(
    '{"device":"b.1","device":"a.1","time":1634567890123,"readings":[{"tag":"t","value":1}]}',
    'json',
    {
      grant: onlyA,
    },
  );
  assert.deepEqual(devicesOf(intake), ['a.1']);
});

test('no report at all is refused', () => {
  for (const [body, format] of [
    ['[]', 'json'],
    ['', 'ndjson'],
    ['\n \r\n', 'ndjson'],
    ['', 'protobuf'],
  ] as const) {
    assert.throws(() => intakeOf(body, format), fails('invalid_report', /no report/));
  }
});

test('more reports than the limit are refused as too many, in every format', () => {
  const reports = Array.from({ length: 4 }, (_, n) => reportOf(`a.${n}`));
  const batch = tailrace.v1.ReportBatch.encode({ reports: reports.map(protoOf) }).finish();
  const lines = reports.map((report) => JSON.stringify(report)).join('\n');
  for (const [body, format] of [
    [JSON.stringify(reports), 'json'],
    [lines, 'ndjson'],
    [batch, 'protobuf'],
  ] as const) {
    assert.throws(() => intakeOf(body, format, { reportsMax: 3 }), fails('too_large', /3 reports|most 3/));
    assert.equal(intakeOf(body, format, { reportsMax: 4 }).records.length, 4);
  }
});

test('a line that is wrong is rejected by number, and the other lines are taken', () => {
  const lines = [
    JSON.stringify(reportOf('a.1')),
    '',
    '{"device":',
    '17',
    `${JSON.stringify(reportOf('a.2'))}\r`,
    '   ',
  ];
  const intake = intakeOf(lines.join('\n'), 'ndjson');
  assert.deepEqual(devicesOf(intake), ['a.1', 'a.2']);
  assert.deepEqual(
    intake.rejected.map(({ index }) => index),
    [1, 2],
  );
  assert.match(intake.rejected[0]!.message, /^line 3: the JSON is malformed at column 11: the text ends/);
  assert.match(intake.rejected[1]!.message, /^line 4: the report is 17/);
});

test('a line that is not UTF-8 spoils no other line', () => {
  const good = Buffer.from(`${JSON.stringify(reportOf('a.1'))}\n`);
  const intake = intakeOf(Buffer.concat([good, Buffer.from([0xff, 0x0a]), good]), 'ndjson');
  assert.deepEqual(devicesOf(intake), ['a.1', 'a.1']);
  assert.match(intake.rejected[0]!.message, /^line 2: the bytes 0xff at 0 are not UTF-8/);
});

function protoOf(report: ReturnType<typeof reportOf>) {
  const { device, time, readings } = report;
  return { device, time, readings: readings.map(({ tag, value, unit }) => ({ tag, number: value, unit })) };
}

test('a Protobuf batch of any Protobuf library is taken, its bad reports rejected one by one', () => {
  const reports = [protoOf(reportOf('a.1')), protoOf(reportOf('a..2')), protoOf(reportOf('a.3'))];
  const intake = intakeOf(tailrace.v1.ReportBatch.encode({ reports }).finish(), 'protobuf');
  assert.deepEqual(devicesOf(intake), ['a.1', 'a.3']);
  assert.deepEqual(
    intake.rejected.map(({ index, code }) => [index, code]),
    [[1, 'invalid_path']],
  );
  assert.deepEqual(decodeReport(intake.records[1]!.value), { ...reportOf('a.3'), received: receivedMs });
});

test('a damaged Protobuf batch is refused as a whole', () => {
  assert.throws(
    () => intakeOf(Uint8Array.of(0x0a, 0x7f, 1), 'protobuf'),
    fails('invalid_report', /Protobuf bytes are damaged/),
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
        const intake = intakeOf(body, format, { grant: onlyA });
        assert.equal(intake.records.length + intake.rejected.length, intake.reports);
        for (const { code, message } of intake.rejected)
          assert.ok(codes.has(code) && message.length < 600, `${code}: ${message}`);
      } catch (error) {
        assert.ok(error instanceof TailraceError && codes.has(error.code), String(error));
        assert.ok(error.message.length < 600, error.message);
      }
    }),
    { seed: 20_241_121, numRuns: 2_000 },
  );
});

test('what waits for the log keeps its records, not the text of its body', () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const body = JSON.stringify([reportOf('a.1', { readings: [{ tag: 't', value: 2 ** 53 }] })]) + ' '.repeat(1_000_000);
  intakeOf(body, 'json');
  gc();
  const before = process.memoryUsage().heapUsed;
  const waiting = Array.from({ length: 16 }, () => intakeOf(body, 'json'));
  gc();
  const keptBytes = process.memoryUsage().heapUsed - before;
  assert.ok(keptBytes < 4_000_000, `${keptBytes} bytes for ${waiting.length} bodies of ${body.length}`);
});

for (const format of ['json', 'ndjson', 'protobuf'] as const) {
  test(`a large body is taken apart in steps of bounded work: ${format}`, () => {
    const count = 2 * stepReportsMax + 1;
    const reports = Array.from({ length: count }, (_, index) => reportOf(`a.${index}`));
    // One that is refused: it counts as much.
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
    const reader = new BodyReader(body, format, options);
    const seen: number[] = [];
    while (!reader.step()) seen.push(reader.intake.reports);
    assert.deepEqual(seen, [stepReportsMax, 2 * stepReportsMax]);
    const { records, rejected } = intakeFrom(body, format, options);
    assert.deepEqual([reader.intake.records, reader.intake.rejected], [records, rejected]);
    assert.deepEqual([records.length, rejected.length], [count - 1, 1]);
  });
}

test('a body of as many reports as one step takes is taken in one', () => {
  const reports = Array.from({ length: stepReportsMax }, (_, index) => reportOf(`a.${index}`));
  const reader = new BodyReader(Buffer.from(JSON.stringify(reports)), 'json', {
    ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
    devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
  });
  assert.equal(reader.step(), true);
});

test('a step has a bounded number of bytes and of lines without a report', () => {
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
    const reader = new BodyReader(Buffer.from(body), format, options);
    const seen: number[] = [];
    while (!reader.step()) seen.push(reader.intake.reports);
    assert.deepEqual(
      seen,
      seen.map((_, step) => perStep * (step + 1)),
    );
    assert.equal(reader.intake.records.length, wide.length);
  }
  const blank = new BodyReader(Buffer.from(`${'\n'.repeat(700)}${JSON.stringify(reportOf('a.b'))}`), 'ndjson', options);
  assert.deepEqual([blank.step(), blank.step()], [false, true]);
  assert.equal(blank.intake.line, 701);
});

/** Returns how long the longest text is that JSON.parse is given meanwhile, characters. */
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

test('JSON that is nested without end, or of nothing but brackets, is refused before it is parsed', () => {
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
      assert.throws(() => intakeOf(text, 'json'), fails('invalid_report', /report 1: expected at most 20000 brackets/));
      const { rejected } = intakeOf(`${text}\n${JSON.stringify(reportOf('a.1'))}`, 'ndjson');
      assert.equal(rejected.length, 1);
      assert.match(
        rejected[0]!.message,
        /^line 1: report 1: expected at most 20000 brackets, commas and colons, got more/,
      );
    }
  });
  assert.ok(longest < 1_000, `${longest} characters were parsed at once`);
});

test('a line that is a large array is refused before it is parsed, and spoils no other', () => {
  const longest = longestParsed(() => {
    const intake = intakeOf(`[${'[],'.repeat(300_000)}[]]\n${JSON.stringify(reportOf('a.1'))}`, 'ndjson');
    assert.equal(intake.records.length, 1);
    assert.deepEqual(
      intake.rejected.map(({ message }) => message),
      ['line 1: the report: expected an object with device and readings, got an array'],
    );
  });
  assert.ok(longest < 1_000, `${longest} characters were parsed at once`);
});

test('a report of as many readings as there may be, with all their members, is taken', () => {
  const reading = (index: number) => ({
    tag: `t${index}`,
    value: index,
    unit: 'Cel',
    quality: 'good',
    time: receivedMs,
  });
  const readings = Array.from({ length: 1_000 }, (_, index) => reading(index));
  const intake = json([reportOf('a.1', { readings }), reportOf('a.2', { readings })]);
  assert.deepEqual([intake.records.length, intake.rejected], [2, []]);
});

test('a malformed array is refused with its place wherever a run ends', () => {
  const report = JSON.stringify(reportOf('a.1'));
  const many = Array.from({ length: stepReportsMax }, () => report).join(',');
  const at = many.length;
  const refusals: readonly (readonly [string, number, RegExp])[] = [
    [`[${many},]`, at + 3, /"\]" stands where a value: .* is right/],
    [`[${many},,${report}]`, at + 3, /"," stands where a value: .* is right/],
    [`[,${many}]`, 2, /"," stands where a value: .* is right/],
    [`[${many},${report}`, at + report.length + 3, /the text ends where "," or "\]" is right/],
    [`[${many},${report}}`, at + report.length + 3, /"}" stands where "," or "\]" is right/],
    [`[${many},${report}] x`, at + report.length + 5, /"x" stands where nothing more/],
    [`[${many},${report}]]`, at + report.length + 4, /"\]" stands where nothing more/],
    [`[${many},{"device":1]]`, at + 14, /"\]" stands where "," or "}" is right/],
    [`[${many}`, at + 2, /the text ends/],
    ['[', 2, /the text ends where a value/],
    ['[}', 2, /"}" stands where a value/],
  ];
  for (const [body, column, found] of refusals) {
    const message = (thrown: unknown) =>
      fails('invalid_report', found)(thrown) && String(thrown).includes(`line 1, column ${column}:`);
    assert.throws(
      () => intakeOf(body, 'json'),
      (thrown) => {
        assert.ok(message(thrown), String(thrown));
        return true;
      },
    );
  }
  for (const body of [`[${many} , ${report} ] \n`, ` [ ${many},${report}]`, `[\n${many}\n]`]) {
    assert.deepEqual(intakeOf(body, 'json').rejected, []);
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
      const stepsOf = (options: Partial<IntakeOptions>, sent: typeof readings) => {
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
        const reader = new BodyReader(Buffer.from(bodies[format]()), format, {
          ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
          devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
          ...options,
        });
        let steps = 1;
        while (!reader.step()) steps++;
        return { steps, refused: reader.intake.rejected.length };
      };
      const accepted = stepsOf({}, readings);
      const refused = stepsOf(why, 'grant' in why ? readings : wrong);
      assert.deepEqual([accepted.refused, refused.refused], [0, 42]);
      assert.ok(accepted.steps >= 5, `${accepted.steps} steps`);
      assert.ok(refused.steps >= accepted.steps, `${refused.steps} steps, ${accepted.steps} of accepted ones`);
    });
  }
}

test('lines that are no JSON are read by bytes', () => {
  const line = `[${'1,'.repeat(5_000)}`;
  const body = Buffer.from(`${line}\n`.repeat(100));
  const reader = new BodyReader(body, 'ndjson', {
    ...{ grant: all, receivedMs, clockAheadMs: 60_000, reportsMax: 1_000 },
    devices: new DeviceNames({ devicesMax: 1_000, devicesPerTenantMax: 1_000 }, [1, 2]),
  });
  let steps = 1;
  while (!reader.step()) steps++;
  assert.ok(steps >= body.length / (stepBytesMax + line.length), `${steps} steps`);
  assert.equal(reader.intake.rejected.length, 100);
});

test('what is wrong far behind in a large body is told in the words of JSON.parse', () => {
  assert.throws(
    () => intakeOf(`{"device":"${'x'.repeat(100_000)}",}`, 'json'),
    fails('invalid_report', /^the JSON is malformed \("/),
  );
  assert.throws(
    () => intakeOf(`{"a":1}\n${'{"a":1}\n'.repeat(100_000)}`, 'json'),
    fails('invalid_report', /line 2, column 1: .* reports one a line are application\/x-ndjson/),
  );
});
