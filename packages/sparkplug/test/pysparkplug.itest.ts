/** Payloads and topics of pysparkplug, an independent implementation, are read by ours, and the reverse. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Reading } from '@tailrace/protocol/report';
import { pythonWith } from '@tailrace/testkit/python';
import { commandMessage, rebirthMessage } from '../src/command.ts';
import { dataTypeName, dataTypes } from '../src/data-type.ts';
import { metricFields } from '../src/metric-fields.ts';
import { encodePayload } from '../src/payload.ts';
import { parseState, stateMessage } from '../src/state-message.ts';
import { type MessageType, topicOf } from '../src/topic.ts';
import { createNode, startMs } from './fixture.ts';

const requirements = ['pysparkplug==0.6.1', 'paho-mqtt==1.6.1', 'protobuf==7.36.2', 'typing-extensions==4.16.0'];

/** A metric as the peer takes it. */
interface PeerMetric {
  readonly name?: string;
  readonly alias?: number;
  readonly datatype: number;
  readonly value?: unknown;
  readonly timestamp?: number;
  readonly isHistorical?: boolean;
  readonly isNull?: boolean;
}

interface PeerRequest {
  readonly encode?: readonly { readonly type: string; readonly fields: object }[];
  readonly decode?: readonly {
    readonly type: string;
    readonly payload: string;
    readonly birth?: { readonly type: string; readonly payload: string };
  }[];
  readonly topics?: readonly string[];
}

interface PeerReply {
  readonly encoded: readonly string[];
  readonly decoded: readonly {
    readonly timestamp: number;
    readonly seq: number | null;
    readonly online?: boolean;
    readonly metrics: readonly { readonly name: string; readonly datatype: number; readonly value: unknown }[];
  }[];
  readonly topics: readonly string[];
}

let python = '';
before(async () => {
  python = await pythonWith(requirements);
});

function peer(request: PeerRequest): PeerReply {
  const { status, stdout, stderr } = spawnSync(python, [join(import.meta.dirname, 'pysparkplug_peer.py')], {
    input: JSON.stringify(request),
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as PeerReply;
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Values of every data type that both sides have, and the readings that they make. */
const values: readonly (readonly [dataType: number, value: unknown, expected?: Reading['value']])[] = [
  [dataTypes.int8, -128],
  [dataTypes.int8, 127],
  [dataTypes.int16, -32_768],
  [dataTypes.int16, -1],
  [dataTypes.int32, -(2 ** 31)],
  [dataTypes.int32, 123_456_789],
  [dataTypes.int64, -1],
  [dataTypes.int64, Number.MIN_SAFE_INTEGER],
  [dataTypes.int64, Number.MAX_SAFE_INTEGER],
  [dataTypes.uint8, 255],
  [dataTypes.uint16, 65_535],
  [dataTypes.uint32, 2 ** 32 - 1],
  [dataTypes.uint64, Number.MAX_SAFE_INTEGER],
  [dataTypes.float, 21.3],
  [dataTypes.double, 21.300000000000004],
  [dataTypes.boolean, true],
  [dataTypes.boolean, false],
  [dataTypes.string, 'größer'],
  [dataTypes.text, ''],
  [dataTypes.uuid, '6f0c1c9e-3d77-4f62-9d3e-0f6b7e1d3a55'],
  [dataTypes.dateTime, 1_656_107_875_000],
  [dataTypes.int8Array, [-128, 0, 127], '[-128,0,127]'],
  [dataTypes.int16Array, [-30_000, 30_000], '[-30000,30000]'],
  [dataTypes.int32Array, [-1, 315_338_746], '[-1,315338746]'],
  [dataTypes.int64Array, [-1, 2 ** 53 - 1], '[-1,9007199254740991]'],
  [dataTypes.uint8Array, [23, 250], '[23,250]'],
  [dataTypes.uint16Array, [30, 52_360], '[30,52360]'],
  [dataTypes.uint32Array, [52, 3_293_969_225], '[52,3293969225]'],
  [dataTypes.uint64Array, [52, 2 ** 53 - 1], '[52,9007199254740991]'],
  [dataTypes.floatArray, [1.23, 89.341], '[1.23,89.341]'],
  [dataTypes.doubleArray, [12.354213, 1_022.9123213], '[12.354213,1022.9123213]'],
  [
    dataTypes.booleanArray,
    [false, true, true, false, true, true, true, true, true],
    '[false,true,true,false,true,true,true,true,true]',
  ],
  [dataTypes.stringArray, ['ABC', 'größer'], '["ABC","größer"]'],
  [dataTypes.dateTimeArray, [1_256_102_875_000, 1_656_107_875_000], '[1256102875000,1656107875000]'],
];

const tagOf = (index: number) => `${dataTypeName(values[index]![0])}/${index}`;

test('an edge node of pysparkplug: births, data by alias, nulls, historical values and deaths are read', () => {
  const bdSeq: PeerMetric = { name: 'bdSeq', datatype: dataTypes.int64, value: 3, timestamp: startMs };
  const metrics: PeerMetric[] = values.map(([datatype, value], index) => ({
    name: tagOf(index),
    alias: index,
    datatype,
    value,
    timestamp: startMs,
  }));
  const rebirth = { name: 'Node Control/Rebirth', datatype: dataTypes.boolean, value: false, timestamp: startMs };
  const { encoded } = peer({
    encode: [
      { type: 'NBIRTH', fields: { timestamp: startMs, seq: 0, metrics: [bdSeq, rebirth, ...metrics] } },
      {
        type: 'DBIRTH',
        fields: { timestamp: startMs, seq: 1, metrics: [{ name: 'a', alias: 900, datatype: 10, value: 1.5 }] },
      },
      {
        type: 'NDATA',
        fields: { timestamp: startMs + 1, seq: 2, metrics: metrics.map(({ name: _, ...rest }) => rest) },
      },
      {
        type: 'DDATA',
        fields: {
          timestamp: startMs + 2,
          seq: 3,
          metrics: [
            { alias: 900, datatype: 10, isNull: true },
            { alias: 900, datatype: 10, value: 0.5, timestamp: startMs - 5_000, isHistorical: true },
          ],
        },
      },
      { type: 'DDEATH', fields: { timestamp: startMs + 3, seq: 4 } },
      { type: 'NDEATH', fields: { timestamp: startMs + 4, bd_seq_metric: bdSeq } },
    ],
  });
  const { node, seen, counts } = createNode();
  const types: readonly MessageType[] = ['NBIRTH', 'DBIRTH', 'NDATA', 'DDATA', 'DDEATH', 'NDEATH'];
  for (const [index, type] of types.entries()) {
    const device = type.startsWith('D') ? { device: 'd1' } : {};
    node.receive({ type, ...device, bytes: Buffer.from(encoded[index]!, 'hex') }, startMs);
  }
  assert.deepEqual([seen.letters, seen.gaps, seen.causes], [[], [], []]);
  const expected = values.map(([, value, reading = value], index) => ({ tag: tagOf(index), value: reading }));
  assert.deepEqual(seen.batches[0]!.readings, expected);
  assert.deepEqual(
    seen.batches[2]!.readings.map(({ tag, value }) => ({ tag, value })),
    expected,
  );
  assert.deepEqual(
    seen.batches.filter(({ device }) => device === 'd1').map(({ isHistorical, readings }) => [isHistorical, readings]),
    [
      [false, [{ tag: 'a', value: 1.5 }]],
      [false, [{ tag: 'a', value: 1.5, quality: 'bad' }]],
      [true, [{ tag: 'a', value: 0.5, time: startMs - 5_000 }]],
    ],
  );
  assert.deepEqual(seen.presenceTexts, ['+node', '+d1', '-d1', '-node']);
  assert.equal(counts.staleDeaths, 0);
});

test('pysparkplug reads commands of ours, by alias', () => {
  const { node } = createNode();
  const scalars = values.filter(([, , array]) => array === undefined);
  const births = scalars.map(([dataType, value], index) => ({
    name: `m${index}`,
    alias: index,
    datatype: dataType,
    timestamp: startMs,
    ...metricFields('m', dataType, value as Reading['value']),
  }));
  const birth = encodePayload({ timestamp: startMs, seq: 0, metrics: births });
  node.receive({ type: 'NBIRTH', bytes: birth }, startMs);
  const command = commandMessage(
    { group: 'g', node: 'n' },
    node.tableOf(undefined)!,
    scalars.map(([, value], index) => ({ name: `m${index}`, value: value as Reading['value'] })),
    startMs,
  );
  const rebirth = rebirthMessage({ group: 'g', node: 'n' }, startMs);
  const { decoded } = peer({
    decode: [
      { type: 'NBIRTH', payload: hexOf(birth) },
      { type: 'NCMD', payload: hexOf(command.payload), birth: { type: 'NBIRTH', payload: hexOf(birth) } },
      { type: 'NCMD', payload: hexOf(rebirth.payload) },
    ],
  });
  for (const { timestamp, metrics } of decoded.slice(0, 2)) {
    assert.equal(timestamp, startMs);
    for (const [index, [dataType, value]] of scalars.entries()) {
      const { name, datatype, value: read } = metrics[index]!;
      assert.deepEqual([name, datatype], [`m${index}`, dataType]);
      assert.equal(
        dataType === dataTypes.float ? Math.fround(read as number) : read,
        dataType === dataTypes.float ? Math.fround(value as number) : value,
      );
    }
  }
  assert.deepEqual([decoded[0]!.seq, decoded[1]!.seq], [0, null]);
  const { name, datatype, value } = decoded[2]!.metrics[0]!;
  assert.deepEqual([name, datatype, value], ['Node Control/Rebirth', dataTypes.boolean, true]);
});

test('the STATE of either side is read by the other', () => {
  const { payload } = stateMessage('scada', { online: true, timestamp: startMs });
  const { decoded, encoded } = peer({
    decode: [{ type: 'STATE', payload: hexOf(payload) }],
    encode: [{ type: 'STATE', fields: { online: false, timestamp: startMs } }],
  });
  assert.deepEqual(decoded, [{ online: true, timestamp: startMs }]);
  assert.deepEqual(parseState(Buffer.from(encoded[0]!, 'hex')), { online: false, timestamp: startMs });
});

test('pysparkplug parses topics of ours', () => {
  const topics = [
    topicOf({ type: 'NCMD', group: 'Line 3', node: 'n' }),
    topicOf({ type: 'DCMD', group: 'Line 3', node: 'n', device: 'd' }),
    stateMessage('scada', { online: true, timestamp: 1 }).topic,
  ];
  assert.deepEqual(peer({ topics }).topics, topics);
});
