import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyJson, delivery, mutated, mutatedBytes, seeded } from '../test/arbitraries.ts';
import { errorOf, resultOrError } from '../test/errors.ts';
import type { Cut } from './cut.ts';
import { tailrace } from './generated/tailrace.js';
import { deliveryJson } from './report-json.ts';
import { deliveryBytes, encodeReport } from './report-proto.ts';
import {
  type Data,
  dataFrameBytes,
  dataFrameJson,
  noFlags,
  type ServerMessage,
  serverMessageBytes,
  serverMessageFromBytes,
  serverMessageFromJson,
  serverMessageJson,
} from './server-message.ts';
import type { Skipped, TagSummary } from './skipped.ts';

const text = fc.string({ maxLength: 20 });
const count = fc.nat({ max: 2 ** 31 - 1 });
const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
const texts = fc.array(text, { minLength: 1, maxLength: 3 });
const counts = fc.array(count, { minLength: 1, maxLength: 3 });
/** Records whose flags are absent where false, and whose lists are absent where empty. */
const optional = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }, requiredKeys: (keyof T)[]) =>
  fc.record(model, { noNullPrototype: true, requiredKeys: requiredKeys as never[] });
const summary = optional({ tag: text, count, first: finite, min: finite, max: finite, last: finite }, [
  'tag',
  'count',
]) as fc.Arbitrary<TagSummary>;
const skipped = optional(
  {
    partition: count,
    device: text,
    from: count,
    to: count,
    count,
    reason: text,
    tags: fc.array(summary, { minLength: 1, maxLength: 2 }),
  },
  ['partition', 'device', 'from', 'to', 'count', 'reason'],
) as fc.Arbitrary<Skipped>;
const sent = fc.oneof(
  delivery,
  delivery.map((each) => ({ ...each, delta: true })),
);
const reports = fc.array(sent, { maxLength: 4 });
const data = optional(
  {
    view: count,
    reports,
    snapshot: fc.constant(true),
    snapshotComplete: fc.constant(true),
    replay: fc.constant(true),
    skipped: fc.array(skipped, { minLength: 1, maxLength: 3 }),
  },
  ['view', 'reports'],
).map((fields) => ({ data: fields as Data }));
const since = record({ device: text, since: finite });
const message: fc.Arbitrary<ServerMessage> = fc.oneof(
  record({
    session: text,
    node: text,
    version: text,
    heartbeatMs: count,
    limits: record({ messageBytesMax: count, subscriptionsMax: count }),
  }).map((welcome) => ({ welcome })),
  record({ id: text, view: count, channel: text, epoch: text, position: text, snapshot: count }).map((subscribed) => ({
    subscribed,
  })),
  data,
  text.map((id) => ({ unsubscribed: { id } })),
  record({ t: finite, time: finite }).map((pong) => ({ pong })),
  count.map((afterMs) => ({ draining: { afterMs } })),
  record({ channel: text, url: text }).map((moved) => ({ moved })),
  record({ id: text, position: text }).map((live) => ({ live })),
  record({ id: text, position: text }).map((paused) => ({ paused })),
  since.map((stale) => ({ stale })),
  since.map((offline) => ({ offline })),
  text.map((device) => ({ online: { device } })),
  record({ view: count, since: finite, partitions: counts }).map((interrupted) => ({ interrupted })),
  count.map((view) => ({ restored: { view } })),
  fc.tuple(count, fc.string()).map(([view, position]) => ({ progress: { view, position } })),
  optional(
    {
      view: count,
      at: finite,
      reports,
      late: texts,
      missing: counts,
      page: fc.integer({ min: 1, max: 9 }),
      more: fc.constant(true),
    },
    ['view', 'at', 'reports'],
  ).map((cut) => ({
    cut: cut as Cut,
  })),
  finite.map((inMs) => ({ expiring: { inMs } })),
  record({ severity: text, message: text, time: finite }).map((notice) => ({ notice })),
  record({ code: text, message: text, retryable: fc.boolean() }).map((error) => ({ error })),
  record({ id: text.filter((id) => id !== ''), code: text, message: text, retryable: fc.boolean() }).map((error) => ({
    error,
  })),
);

test('a message survives a round trip through JSON and through Protobuf', () => {
  fc.assert(
    fc.property(message, (sent) => {
      assert.deepEqual(serverMessageFromJson(serverMessageJson(sent)), sent);
      assert.deepEqual(serverMessageFromBytes(serverMessageBytes(sent)), sent);
    }),
    { ...seeded, numRuns: 300 },
  );
});

test('the generated code decodes a data frame around encoded deliveries', () => {
  fc.assert(
    fc.property(data, ({ data: { view, reports: list, ...flags } }) => {
      const deliveries = list.map((each) => deliveryBytes(encodeReport(each), each.partition, each.seq, each.delta));
      const frame = dataFrameBytes(view, deliveries, flags);
      const { ServerMessage: generated, Delivery, Skipped: Left } = tailrace.v1;
      const decoded = generated.decode(frame);
      assert.equal(decoded.message, 'data');
      const expected = {
        view,
        reports: deliveries.map((bytes) => Delivery.decode(bytes)),
        snapshot: flags.snapshot === true,
        snapshotComplete: flags.snapshotComplete === true,
        replay: flags.replay === true,
        skipped: (flags.skipped ?? [])
          .map((each) => Left.encode(each as tailrace.v1.ISkipped).finish())
          .map((bytes) => Left.decode(bytes)),
      };
      assert.deepEqual(generated.encode(decoded).finish(), generated.encode({ data: expected }).finish());
    }),
    { ...seeded, numRuns: 200 },
  );
});

test('a data frame in JSON has the view, its flags and the deliveries', () => {
  const report = { device: 'p.d', time: 5, received: 6, readings: [{ tag: 't', value: 1 }] };
  const json = deliveryJson(report, 1, 2);
  assert.equal(dataFrameJson(3, [json, json], noFlags), `{"data":{"view":3,"reports":[${json},${json}]}}`);
  assert.deepEqual(JSON.parse(dataFrameJson(3, [], { snapshot: true })), {
    data: { view: 3, snapshot: true, reports: [] },
  });
  assert.deepEqual(JSON.parse(dataFrameJson(3, [], { snapshot: true, snapshotComplete: true })), {
    data: { view: 3, snapshot: true, snapshotComplete: true, reports: [] },
  });
});

test('frames with lengths around the sizes of a varint survive', () => {
  for (const count of [0, 1, 2, 3, 4, 127, 128, 129, 500]) {
    const reports = Array.from({ length: count }, (_, seq) => {
      const readings = [{ tag: 't', value: 'x'.repeat(seq) }];
      return { device: 'p.d', time: 5, readings, partition: seq % 12, seq };
    });
    const sent: ServerMessage = { data: { view: 1, reports } };
    assert.deepEqual(serverMessageFromBytes(serverMessageBytes(sent)), sent);
  }
});

test('of several kinds in one Protobuf message the last wins, and data and cuts are rejected beside others', () => {
  const dataBytes = serverMessageBytes({ data: { view: 1, reports: [] } });
  const pongBytes = serverMessageBytes({ pong: { t: 1, time: 2 } });
  assert.deepEqual(serverMessageFromBytes(Buffer.concat([dataBytes, pongBytes])), { pong: { t: 1, time: 2 } });
  errorOf(() => serverMessageFromBytes(Buffer.concat([pongBytes, dataBytes])), 'invalid_message');
  const cutBytes = serverMessageBytes({ cut: { view: 1, at: 5, reports: [] } });
  assert.deepEqual(serverMessageFromBytes(Buffer.concat([cutBytes, pongBytes])), { pong: { t: 1, time: 2 } });
  errorOf(() => serverMessageFromBytes(Buffer.concat([pongBytes, cutBytes])), 'invalid_message');
});

test('kinds and fields of a later server are ignored', () => {
  assert.equal(serverMessageFromJson('{"weather":{"view":1}}'), undefined);
  assert.equal(serverMessageFromBytes(Uint8Array.of(0xfa, 0x07, 0)), undefined);
  assert.deepEqual(serverMessageFromJson('{"draining":{"afterMs":5,"why":"x"}}'), { draining: { afterMs: 5 } });
  const json =
    '{"data":{"view":1,"reports":[{"device":"p","partition":0,"seq":1,"time":2,"readings":[{"tag":"t","value":1,"x":1}],"y":2}],"z":3}}';
  assert.deepEqual(serverMessageFromJson(json), JSON.parse(json.replace(',"z":3', '')));
});

test('the fields that a client relies on are validated', () => {
  const report = { device: 'p', partition: 0, seq: 1, time: 2, readings: [{ tag: 't', value: 1 }] };
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ data: 5 }, /^data: expected an object, got 5$/],
    [{ data: { view: -1 } }, /^data\.view: .*, got -1$/],
    [{ data: { reports: 5 } }, /^data\.reports: expected an array, got 5$/],
    [{ data: { reports: [5] } }, /expected a valid device, got undefined/],
    [{ data: { reports: [null] } }, /expected a valid device, got undefined/],
    [{ data: { reports: [{ ...report, delta: 1 }] } }, /delivery: expected a valid delta, got 1/],
    [{ data: { skipped: {} } }, /^data\.skipped: expected an array, got \{\}$/],
    [{ data: { skipped: [{ from: -1 }] } }, /^data\.skipped\.from: .*, got -1$/],
    [{ data: { skipped: [{ tags: [{ tag: 't', min: 'x' }] }] } }, /^data\.skipped\.tags\.min: .*, got "x"$/],
    [{ cut: { late: [5] } }, /^cut\.late\.device: expected a text, got 5$/],
    [{ cut: { missing: ['0'] } }, /^cut\.missing\.partition: .*, got "0"$/],
    [{ moved: { channel: 'p' } }, /^moved\.url: .*, got undefined$/],
    [{ data: { reports: [{ ...report, seq: 2 ** 53 }] } }, /delivery: expected a valid seq, got 9007199254740992/],
    [
      { data: { reports: [{ ...report, seq: Number.MAX_SAFE_INTEGER }] } },
      /expected a valid seq, got 9007199254740991/,
    ],
    [{ data: { reports: [{ ...report, seq: '1' }] } }, /expected a valid seq, got "1"/],
    [{ data: { reports: [{ ...report, partition: 4096 }] } }, /expected a valid partition, got 4096/],
    [{ data: { reports: [{ ...report, device: '' }] } }, /expected a valid device, got ""/],
    [{ data: { reports: [{ ...report, readings: {} }] } }, /expected a valid readings, got \{\}/],
    [{ data: { reports: [{ ...report, readings: [{ tag: 't' }] }] } }, /expected a valid value, got undefined/],
    [{ data: { reports: [{ ...report, readings: [{ tag: '', value: 1 }] }] } }, /expected a valid tag, got ""/],
    [
      { data: { reports: [{ ...report, readings: [{ tag: 't', value: 1, unit: 5 }] }] } },
      /expected a valid unit, got 5/,
    ],
    [{ data: { reports: [{ ...report, readings: [null] }] } }, /expected a valid tag, got undefined/],
    [{ data: { reports: [{ ...report, time: -1 }] } }, /expected a valid time, got -1/],
    [{ subscribed: { id: 'a' } }, /^subscribed\.channel: .*, got undefined$/],
    [{ error: { code: 7 } }, /^error\.code: expected a text, got 7$/],
    [{ pong: { t: 'x' } }, /^pong\.t: .*, got "x"$/],
  ];
  for (const [value, expected] of cases) {
    const codes = ['invalid_message', 'invalid_report', 'invalid_path'] as const;
    assert.match(errorOf(() => serverMessageFromJson(JSON.stringify(value)), ...codes).message, expected);
  }
});

test('with a listener, deliveries that cannot be read are left out, and the rest of the message is accepted', () => {
  const report = (seq: unknown) => ({ device: 'p', partition: 0, seq, time: 2, readings: [{ tag: 't', value: 1 }] });
  for (const kind of ['data', 'cut']) {
    const left: unknown[] = [];
    const text = JSON.stringify({ [kind]: { view: 1, at: 5, reports: [report(1), report('x'), 5, report(2)] } });
    const message = serverMessageFromJson(text, (delivery, error) => left.push(delivery, error.code));
    assert.deepEqual(Object.values(message ?? {})[0].reports, [report(1), report(2)]);
    assert.deepEqual(left, [report('x'), 'invalid_report', 5, 'invalid_report']);
    assert.throws(() => serverMessageFromJson(text), { code: 'invalid_report' });
  }
});

test('garbage and mutated frames never crash', () => {
  const codes = ['invalid_message', 'invalid_report', 'invalid_path', 'too_large'] as const;
  const json = fc.oneof(
    anyJson.map((value) => JSON.stringify(value) ?? ''),
    message.chain((sent) => mutated(sent)).map((value) => JSON.stringify(value) ?? ''),
  );
  fc.assert(
    fc.property(json, (sent) => {
      resultOrError(() => serverMessageFromJson(sent), ...codes);
    }),
    { ...seeded, numRuns: 700 },
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    message.chain((sent) => mutatedBytes(serverMessageBytes(sent))),
  );
  fc.assert(
    fc.property(bytes, (sent) => {
      resultOrError(() => serverMessageFromBytes(sent), ...codes);
    }),
    { ...seeded, numRuns: 1000 },
  );
});
