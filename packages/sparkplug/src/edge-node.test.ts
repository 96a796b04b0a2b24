import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bdSeqMetric, createNode, data, message, metricOf, nodeBirth, nodeDeath, startMs } from '../test/fixture.ts';
import { dataTypes } from './data-type.ts';
import { sparkplugLimits } from './limits.ts';
import { defaultReorderLimits } from './reorder-window.ts';

const { reorderMs } = defaultReorderLimits;

test('unknown: an NBIRTH leads to online', () => {
  const { node, seen, receive } = createNode();
  assert.equal(node.state, 'unknown');
  receive(nodeBirth({ bdSeq: 3, metrics: [metricOf('a', 1)] }));
  assert.equal(node.state, 'online');
  assert.equal(node.bdSeq, 3);
  assert.deepEqual(seen.presences, [[{ device: undefined, isOnline: true, time: startMs }]]);
  assert.deepEqual(seen.texts, ['a=1']);
  assert.deepEqual(seen.births.length, 1);
  assert.deepEqual(seen.causes, []);
});

test('[tck-id-payloads-ndata-order] unknown: data by name is kept, an alias is unreadable, and a birth is needed', () => {
  const { node, seen, receive } = createNode();
  receive(message('NDATA', { seq: 7, metrics: [metricOf('a', 1), { alias: 4, doubleValue: 2 }] }));
  assert.equal(node.state, 'unsynchronized');
  assert.deepEqual(seen.texts, ['a=1']);
  assert.deepEqual(
    seen.letters.map(({ reason }) => reason),
    ['unknown_alias'],
  );
  assert.deepEqual(seen.presenceTexts, ['+node']);
  assert.deepEqual(new Set(seen.causes), new Set(['unknown_node', 'unknown_alias']));
});

test('[tck-id-payloads-ddata-order] DDATA before its DBIRTH is kept by name, the device is online, and a birth is needed', () => {
  const { seen, receive } = createNode();
  receive(nodeBirth(), data(1, 'a', 1, { device: 'd1' }));
  assert.deepEqual(seen.texts, ['d1/a=1']);
  assert.deepEqual(seen.presenceTexts, ['+node', '+d1']);
  assert.deepEqual(seen.causes, ['unknown_device']);
});

test('[tck-id-payloads-dbirth-order] a DBIRTH before any NBIRTH is kept, the device is online, and a birth is needed', () => {
  const { node, seen, receive } = createNode();
  receive(message('DBIRTH', { device: 'd1', seq: 1, metrics: [metricOf('a', 1, { alias: 2 })] }));
  receive(message('DDATA', { device: 'd1', seq: 2, metrics: [{ alias: 2, doubleValue: 3 }] }));
  assert.equal(node.state, 'unsynchronized');
  assert.deepEqual(seen.texts, ['d1/a=1', 'd1/a=3']);
  assert.deepEqual(seen.presenceTexts, ['+node', '+d1']);
  assert.deepEqual(seen.causes, ['unknown_node']);
});

test('[tck-id-payloads-sequence-num-incrementing] [tck-id-topics-ndata-seq-num] [tck-id-payloads-ndata-seq-inc] 0 follows 255', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth({ seq: 254 }), data(255, 'a', 1), data(0, 'a', 2), data(1, 'a', 3));
  assert.equal(node.state, 'online');
  assert.deepEqual(seen.texts, ['a=1', 'a=2', 'a=3']);
});

test('[tck-id-payloads-sequence-num-zero-nbirth] [tck-id-payloads-sequence-num-req-nbirth] [tck-id-payloads-nbirth-seq] [tck-id-topics-nbirth-seq-num] an NBIRTH sets the sequence, whatever its number; over 255 it is unreadable', () => {
  for (const seq of [0, 1, 200, 255]) {
    const { node, receive } = createNode();
    receive(nodeBirth({ seq }), data((seq + 1) % 256, 'a', 1));
    assert.equal(node.state, 'online', String(seq));
  }
  const { node, seen, receive } = createNode();
  receive(nodeBirth({ seq: 256 }));
  assert.equal(node.state, 'unknown');
  assert.match(seen.letters[0]!.message, /NBIRTH: expected a seq of 0 to 255, got 256/);
});

test('[tck-id-operational-behavior-host-reordering-start] online: a message ahead leads to reordering', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth());
  node.receive(data(2, 'a', 2), startMs + 10);
  assert.equal(node.state, 'reordering');
  assert.equal(node.dueMs, startMs + 10 + reorderMs);
  assert.deepEqual([node.heldMessages, seen.texts], [1, []]);
});

test('[tck-id-operational-behavior-host-reordering-success] [tck-id-payloads-ddata-seq-inc] [tck-id-topics-ddata-seq-num] reordering: the missing message leads to online, in order, without a rebirth', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth(), data(3, 'a', 3), data(2, 'a', 2, { device: 'd1' }), data(5, 'a', 5));
  receive(data(1, 'a', 1));
  assert.deepEqual(seen.texts, ['a=1', 'd1/a=2', 'a=3']);
  assert.equal(node.state, 'reordering');
  receive(data(4, 'a', 4));
  assert.equal(node.state, 'online');
  assert.equal(node.dueMs, undefined);
  assert.equal(node.heldBytes, 0);
  assert.deepEqual(seen.texts.slice(3), ['a=4', 'a=5']);
  assert.deepEqual([seen.gaps, seen.causes], [[], ['unknown_device']]);
});

test('[tck-id-operational-behavior-host-reordering-rebirth] reordering: the end of the window leads to unsynchronized, with the gaps reported, and one rebirth', () => {
  const { node, seen, counts, receive } = createNode();
  receive(nodeBirth(), data(3, 'a', 3), data(4, 'a', 4), data(7, 'a', 7));
  node.tick(startMs + reorderMs - 1);
  assert.equal(node.state, 'reordering');
  node.tick(startMs + reorderMs);
  assert.equal(node.state, 'unsynchronized');
  assert.deepEqual(seen.texts, ['a=3', 'a=4', 'a=7']);
  assert.deepEqual(seen.gaps, [
    { from: 1, to: 2 },
    { from: 5, to: 6 },
  ]);
  assert.deepEqual(seen.causes, ['gap']);
  assert.equal(counts.gaps, 2);
  assert.equal(node.dueMs, undefined);
});

test('[tck-id-operational-behavior-host-reordering-param] the window has the length of its option', () => {
  const { node, receive } = createNode({ reorderMs: 100 });
  receive(nodeBirth(), data(2, 'a', 2));
  assert.equal(node.dueMs, startMs + 100);
});

test('reordering: a message after the end of the window accepts the gap first', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth(), data(2, 'a', 2));
  node.receive(data(3, 'a', 3), startMs + reorderMs);
  assert.deepEqual(seen.texts, ['a=2', 'a=3']);
  assert.equal(node.state, 'unsynchronized');
});

test('reordering: the gap is accepted at 65 messages, and above the limit of bytes', () => {
  const byMessages = createNode();
  byMessages.receive(nodeBirth());
  for (let seq = 2; seq <= 65; seq++) byMessages.receive(data(seq, 'a', seq));
  assert.deepEqual([byMessages.node.state, byMessages.node.heldMessages], ['reordering', 64]);
  byMessages.receive(data(66, 'a', 66));
  assert.deepEqual([byMessages.node.state, byMessages.node.heldMessages], ['unsynchronized', 0]);
  assert.equal(byMessages.seen.texts.length, 65);

  const byBytes = createNode({ bytesMax: 1_000 });
  byBytes.receive(nodeBirth(), data(2, 'a', 'x'.repeat(400)), data(3, 'a', 'x'.repeat(400)));
  assert.equal(byBytes.node.state, 'reordering');
  byBytes.receive(data(4, 'a', 'x'.repeat(400)));
  assert.deepEqual([byBytes.node.state, byBytes.node.heldBytes, byBytes.seen.texts.length], ['unsynchronized', 0, 3]);
});

test('a held message does not share the bytes of the socket', () => {
  const { seen, receive } = createNode();
  const held = data(2, 'a', 2);
  receive(nodeBirth(), held);
  held.bytes.fill(0xff);
  receive(data(1, 'a', 1));
  assert.deepEqual(seen.texts, ['a=1', 'a=2']);
});

test('the same message again is dropped, counted; one with another timestamp is not', () => {
  const { node, seen, counts, receive } = createNode();
  receive(nodeBirth(), data(1, 'a', 1), data(1, 'a', 1), data(3, 'a', 3), data(3, 'a', 3), data(2, 'a', 2));
  assert.deepEqual(seen.texts, ['a=1', 'a=2', 'a=3']);
  assert.equal(counts.duplicates, 2);
  receive(data(3, 'a', 4, { timestamp: startMs + 5 }));
  assert.equal(node.state, 'reordering');
  node.tick(startMs + reorderMs);
  assert.deepEqual(seen.texts.slice(3), ['a=4']);
});

test('[tck-id-payloads-sequence-num-always-included] [tck-id-payloads-ndata-seq] [tck-id-payloads-ddata-seq] [tck-id-payloads-dbirth-seq] a message without seq is processed, counted, and one rebirth is needed', () => {
  const { seen, counts, receive } = createNode();
  receive(nodeBirth());
  for (const value of [1, 2, 3]) receive(message('NDATA', { metrics: [metricOf('a', value)] }));
  assert.deepEqual(seen.texts, ['a=1', 'a=2', 'a=3']);
  assert.equal(counts.outOfSequence, 3);
  assert.deepEqual(seen.causes, ['no_sequence']);
  // The same for a number that Sparkplug does not have.
  receive(data(256, 'a', 4));
  assert.equal(counts.outOfSequence, 4);
  assert.deepEqual(seen.texts.at(-1), 'a=4');
});

test('an NBIRTH without seq is accepted, and no rebirth is needed for what follows', () => {
  const { node, seen, receive } = createNode();
  receive(message('NBIRTH', { metrics: [bdSeqMetric(1), metricOf('a', 1)] }));
  receive(message('NDATA', { metrics: [metricOf('a', 2)] }));
  assert.equal(node.state, 'unsynchronized');
  assert.deepEqual(seen.texts, ['a=1', 'a=2']);
  assert.deepEqual([seen.causes, seen.presenceTexts], [[], ['+node']]);
});

test('unsynchronized: 32 messages in sequence lead to online without a rebirth', () => {
  const { node, seen, receive } = createNode();
  receive(data(0, 'a', 0));
  for (let seq = 1; seq < 32; seq++) receive(data(seq, 'a', seq));
  assert.equal(node.state, 'unsynchronized');
  receive(data(40, 'a', 40));
  for (let seq = 41; seq < 72; seq++) receive(data(seq, 'a', seq));
  assert.deepEqual([node.state, seen.synchronizations], ['unsynchronized', 0]);
  receive(data(72, 'a', 72));
  assert.deepEqual([node.state, seen.synchronizations], ['online', 1]);
  receive(data(74, 'a', 74));
  assert.equal(node.state, 'reordering');
});

test('[tck-id-payloads-ddeath-seq] [tck-id-payloads-ddeath-seq-inc] [tck-id-topics-ddeath-seq-num] [tck-id-payloads-ddeath-seq-number] [tck-id-payloads-dbirth-seq-inc] [tck-id-topics-dbirth-seq] a DDEATH that comes before its DBIRTH takes the device offline', () => {
  const { seen, receive } = createNode();
  const birth = message('DBIRTH', { device: 'd1', seq: 1, metrics: [metricOf('a', 1)] });
  receive(nodeBirth(), message('DDEATH', { device: 'd1', seq: 2 }), birth);
  assert.deepEqual(seen.presenceTexts, ['+node', '+d1', '-d1']);
});

test('unsynchronized: the timestamps of DBIRTH and DDEATH decide', () => {
  const { seen, receive } = createNode();
  receive(
    data(9, 'a', 1),
    message('DBIRTH', { device: 'd1', seq: 3, timestamp: startMs - 9, metrics: [metricOf('a', 1)] }),
    message('DDEATH', { device: 'd1', seq: 2, timestamp: startMs }),
    message('DBIRTH', { device: 'd1', seq: 1, timestamp: startMs - 5, metrics: [metricOf('a', 1)] }),
  );
  assert.deepEqual(seen.presenceTexts, ['+node', '+d1', '-d1']);
  receive(message('DBIRTH', { device: 'd1', seq: 7, timestamp: startMs + 1, metrics: [] }));
  assert.deepEqual(seen.presenceTexts.at(-1), '+d1');
});

test('[tck-id-operational-behavior-edge-node-termination-host-action-ddeath-devices-offline] [tck-id-operational-behavior-edge-node-termination-host-action-ddeath-devices-tags-stale] a DDEATH takes the one device offline, with its timestamp', () => {
  const { node, seen, receive } = createNode();
  receive(
    nodeBirth(),
    message('DBIRTH', { device: 'd1', seq: 1, metrics: [] }),
    message('DBIRTH', { device: 'd2', seq: 2, metrics: [] }),
    message('DDEATH', { device: 'd1', seq: 3, timestamp: startMs + 7 }),
  );
  assert.equal(node.state, 'online');
  assert.deepEqual(seen.presences.at(-1), [{ device: 'd1', isOnline: false, time: startMs + 7 }]);
});

test('[tck-id-payloads-ddeath-timestamp] a DDEATH without a timestamp has the time of its receipt', () => {
  const { seen, receive } = createNode();
  receive(
    nodeBirth(),
    message('DBIRTH', { device: 'd1', seq: 1, metrics: [] }),
    message('DDEATH', { device: 'd1', seq: 2, timestamp: null }),
  );
  assert.deepEqual(seen.presences.at(-1), [{ device: 'd1', isOnline: false, time: undefined }]);
});

test('[tck-id-operational-behavior-edge-node-termination-host-action-ndeath-node-offline] [tck-id-operational-behavior-edge-node-termination-host-action-ndeath-node-tags-stale] [tck-id-operational-behavior-edge-node-termination-host-action-ndeath-devices-offline] [tck-id-operational-behavior-edge-node-termination-host-action-ndeath-devices-tags-stale] makes 500 devices offline by one NDEATH in one append', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth({ bdSeq: 4 }));
  for (let at = 0; at < 500; at++)
    receive(message('DBIRTH', { device: `d${at}`, seq: (at + 1) % 256, timestamp: startMs + at, metrics: [] }));
  const before = seen.presences.length;
  receive(nodeDeath(4));
  assert.equal(node.state, 'offline');
  assert.equal(seen.presences.length, before + 1);
  const changes = seen.presences.at(-1)!;
  assert.equal(changes.length, 501);
  assert.ok(changes.every(({ isOnline, time }) => !isOnline && time === undefined));
  assert.equal(new Set(changes.map(({ device }) => device)).size, 501);
});

test('[tck-id-payloads-ndeath-bdseq] [tck-id-topics-nbirth-bdseq-matching] ignores the NDEATH of an earlier bdSeq', () => {
  const { node, counts, seen, receive } = createNode();
  receive(nodeBirth({ bdSeq: 5 }), nodeDeath(4));
  assert.equal(node.state, 'online');
  assert.equal(counts.staleDeaths, 1);
  assert.deepEqual(seen.presenceTexts, ['+node']);
});

test('[tck-id-message-flow-edge-node-birth-publish-will-message-payload-bdSeq] bdSeq is any integer of any integer type; equality counts', () => {
  for (const [birth, death] of [
    [
      { datatype: dataTypes.uint64, longValue: 255 },
      { datatype: dataTypes.int64, longValue: 255 },
    ],
    [
      { datatype: dataTypes.int64, longValue: 100_000 },
      { datatype: dataTypes.uint8, intValue: 100_000 },
    ],
    [{ longValue: 2n ** 64n - 1n }, { longValue: 2n ** 64n - 1n }],
  ]) {
    const { node, receive } = createNode();
    receive(
      message('NBIRTH', { seq: 0, metrics: [{ name: 'bdSeq', ...birth }] }),
      message('NDEATH', { metrics: [{ name: 'bdSeq', ...death }] }),
    );
    assert.equal(node.state, 'offline');
  }
});

test('finds bdSeq by alias, or as the only metric', () => {
  for (const metrics of [
    [{ alias: 9, longValue: 6 }],
    [
      { alias: 3, longValue: 1 },
      { alias: 9, longValue: 6 },
    ],
    [{ longValue: 6 }],
    [{ intValue: 6 }],
  ]) {
    const { node, counts, receive } = createNode();
    receive(message('NBIRTH', { seq: 0, metrics: [bdSeqMetric(6, { alias: 9 })] }), message('NDEATH', { metrics }));
    assert.deepEqual([node.state, counts.staleDeaths], ['offline', 0]);
    receive(message('NBIRTH', { seq: 0, timestamp: startMs + 1, metrics: [bdSeqMetric(7, { alias: 9 })] }));
    receive(message('NDEATH', { metrics }));
    assert.deepEqual([node.state, counts.staleDeaths], ['online', 1]);
  }
});

test('[tck-id-payloads-nbirth-bdseq] [tck-id-topics-nbirth-bdseq-included] after an NBIRTH without bdSeq every NDEATH matches', () => {
  const { node, counts, receive } = createNode();
  receive(message('NBIRTH', { seq: 0, metrics: [metricOf('a', 1)] }), nodeDeath(77));
  assert.equal(node.state, 'offline');
  assert.equal(counts.birthsWithoutBdSeq, 1);
});

test('[tck-id-topics-nbirth-bdseq-increment] bdSeq may jump, and 0 may follow 255', () => {
  const { node, receive } = createNode();
  for (const bdSeq of [255, 0, 90, 3]) {
    receive(nodeBirth({ bdSeq, timestamp: startMs + bdSeq }), nodeDeath(bdSeq));
    assert.equal(node.state, 'offline');
  }
});

test('[tck-id-payloads-ndeath-seq] [tck-id-topics-ndeath-seq] [tck-id-topics-ndeath-payload] an NDEATH is outside of the sequence: at once, after what is held; its seq and other metrics are ignored', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth(), data(2, 'a', 2));
  receive(message('NDEATH', { seq: 200, metrics: [bdSeqMetric(1), metricOf('a', 99)] }));
  assert.equal(node.state, 'offline');
  assert.deepEqual(seen.texts, ['a=2']);
  assert.deepEqual(seen.gaps, [{ from: 1, to: 1 }]);
  assert.deepEqual(seen.presenceTexts, ['+node', '-node']);
  assert.equal(node.dueMs, undefined);
});

test('[tck-id-payloads-ndeath-will-message-publisher] [tck-id-operational-behavior-edge-node-intentional-disconnect-ndeath] an NDEATH and the will with the same bdSeq are one change', () => {
  const { seen, receive } = createNode();
  receive(nodeBirth(), nodeDeath(1), nodeDeath(1, { timestamp: startMs + 1 }));
  assert.deepEqual(seen.presenceTexts, ['+node', '-node']);
});

test('unknown: an NDEATH leads to offline', () => {
  const { node, seen, receive } = createNode();
  receive(nodeDeath(1));
  assert.equal(node.state, 'offline');
  assert.deepEqual(seen.presenceTexts, ['-node']);
});

test('offline: data leads to unsynchronized, and needs a rebirth', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth(), nodeDeath(1), data(9, 'a', 1, { timestamp: startMs + 1 }));
  assert.equal(node.state, 'unsynchronized');
  assert.deepEqual(seen.presenceTexts, ['+node', '-node', '+node']);
  assert.deepEqual([seen.texts, seen.causes], [['a=1'], ['unknown_node']]);
});

test('offline: a message of the dead session that comes after its NDEATH is kept, and the node stays offline', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth(), nodeDeath(1), data(1, 'a', 1), data(2, 'a', 2, { device: 'd1' }));
  assert.equal(node.state, 'offline');
  assert.deepEqual(seen.texts, ['a=1', 'd1/a=2']);
  assert.deepEqual(seen.presenceTexts, ['+node', '-node']);
  // Later it is a node whose birth was lost.
  node.receive(data(3, 'a', 3), startMs + reorderMs);
  assert.equal(node.state, 'unsynchronized');
});

test('a message that is malformed is unreadable, and counts as missing', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth(), { type: 'NDATA', bytes: Uint8Array.of(0x12, 9) }, data(2, 'a', 2));
  assert.deepEqual(
    seen.letters.map(({ type, reason, metrics }) => [type, reason, metrics]),
    [['NDATA', 'protobuf', 0]],
  );
  assert.equal(node.state, 'reordering');
});

test('commands of hosts are ignored', () => {
  const { node, seen, receive } = createNode();
  receive(message('NCMD', { metrics: [metricOf('a', 1)] }), message('DCMD', { device: 'd1', metrics: [] }));
  assert.deepEqual([node.state, seen.texts, seen.letters], ['unknown', [], []]);
});

test('the devices and metrics of a node are limited', () => {
  const { devicesMax, metricsMax, definitionsMax } = sparkplugLimits;
  const { node, seen, receive } = createNode();
  receive(nodeBirth());
  for (let at = 0; at <= devicesMax; at++)
    receive(message('DBIRTH', { device: `d${at}`, seq: (at + 1) % 256, timestamp: startMs + at, metrics: [] }));
  assert.deepEqual(
    seen.letters.map(({ device, reason }) => [device, reason]),
    [[`d${devicesMax}`, 'limit_reached']],
  );
  // A new session makes space.
  receive(nodeBirth({ bdSeq: 2, timestamp: startMs + 5_000 }));
  receive(message('DBIRTH', { device: 'new', seq: 1, timestamp: startMs + 5_001, metrics: [] }));
  assert.equal(seen.presenceTexts.at(-1), '+new');

  const metrics = Array.from({ length: metricsMax }, (_, at) => ({ name: `m${at}`, datatype: dataTypes.double }));
  for (let at = 0; at < definitionsMax / metricsMax; at++)
    receive(message('DBIRTH', { device: `m${at}`, seq: at + 2, timestamp: startMs + 5_002 + at, metrics }));
  assert.equal(seen.letters.at(-1)!.reason, 'limit_reached');
  assert.ok(node.definitions <= definitionsMax);
});
