import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNode, data, message, metricOf, nodeBirth, nodeDeath, startMs } from '../test/fixture.ts';

test('[tck-id-payloads-nbirth-bdseq-repeat] [tck-id-operational-behavior-data-commands-rebirth-action-3] after a rebirth with the same bdSeq the devices stay online', () => {
  const { node, seen, receive } = createNode();
  receive(nodeBirth(), message('DBIRTH', { device: 'd1', seq: 1, metrics: [] }));
  receive(nodeBirth({ seq: 2, timestamp: startMs + 1 }), message('DBIRTH', { device: 'd1', seq: 3, metrics: [] }));
  assert.equal(node.state, 'online');
  assert.deepEqual(seen.presenceTexts, ['+node', '+d1']);
  assert.equal(seen.synchronizations, 2);
});

test('an NBIRTH with another bdSeq takes the devices offline until their DBIRTH', () => {
  const { seen, receive } = createNode();
  receive(
    nodeBirth(),
    message('DBIRTH', { device: 'd1', seq: 1, metrics: [] }),
    message('DBIRTH', { device: 'd2', seq: 2, metrics: [] }),
    nodeBirth({ bdSeq: 2, timestamp: startMs + 1 }),
    message('DBIRTH', { device: 'd1', seq: 1, timestamp: startMs + 2, metrics: [] }),
  );
  assert.deepEqual(seen.presenceTexts, ['+node', '+d1', '+d2', '+node -d1 -d2', '+d1']);
});

test('an NBIRTH during reordering: held messages from before it come first, the rest by the new sequence', () => {
  const { node, seen, receive } = createNode();
  const born = startMs + 1_000;
  receive(
    nodeBirth({ metrics: [metricOf('old', 0, { alias: 1 })] }),
    message('NDATA', { seq: 2, metrics: [{ alias: 1, doubleValue: 2 }] }),
    message('NDATA', { seq: 11, timestamp: born + 1, metrics: [{ alias: 1, doubleValue: 11 }] }),
    nodeBirth({ bdSeq: 2, seq: 10, timestamp: born, metrics: [metricOf('new', 10, { alias: 1 })] }),
  );
  assert.deepEqual(seen.texts, ['old=0', 'old=2', 'new=10', 'new=11']);
  assert.deepEqual([node.state, node.heldMessages], ['online', 0]);
  assert.deepEqual(seen.gaps, [{ from: 1, to: 1 }]);
});

test('a message of the new session before its NBIRTH is held, and follows it', () => {
  const { node, seen, receive } = createNode();
  const born = startMs + 1_000;
  receive(
    nodeBirth(),
    data(1, 'a', 1),
    data(1, 'a', 3, { timestamp: born + 1 }),
    nodeBirth({ bdSeq: 2, timestamp: born, metrics: [metricOf('a', 2)] }),
  );
  assert.deepEqual(seen.texts, ['a=1', 'a=2', 'a=3']);
  assert.deepEqual([node.state, seen.causes], ['online', []]);
});

test('[tck-id-payloads-nbirth-timestamp] [tck-id-topics-nbirth-timestamp] data older than the birth is kept, and does not move the sequence', () => {
  const { node, seen, counts, receive } = createNode();
  receive(
    nodeBirth({ metrics: [metricOf('a', 0, { alias: 1 })] }),
    data(90, 'a', 1, { timestamp: startMs - 5 }),
    message('DDEATH', { device: 'd1', seq: 91, timestamp: startMs - 4 }),
    message('NDATA', { seq: 92, timestamp: startMs - 3, metrics: [{ alias: 1, doubleValue: 2 }] }),
    data(92, 'a', 3, { timestamp: startMs - 3 }),
    data(1, 'a', 4),
  );
  assert.equal(node.state, 'online');
  assert.deepEqual(seen.texts, ['a=0', 'a=1', 'a=2', 'a=3', 'a=4']);
  assert.deepEqual([counts.late, seen.causes, seen.presenceTexts], [4, [], ['+node']]);
});

test('an alias of a message older than the birth is unreadable if the birth has changed its meaning', () => {
  const { seen, receive } = createNode();
  receive(
    nodeBirth({ metrics: [metricOf('a', 0, { alias: 1 })] }),
    nodeBirth({ bdSeq: 2, timestamp: startMs + 10, metrics: [metricOf('b', 0, { alias: 1 })] }),
    message('NDATA', { seq: 50, timestamp: startMs + 5, metrics: [{ alias: 1, doubleValue: 2 }, metricOf('a', 3)] }),
  );
  assert.deepEqual(seen.texts, ['a=0', 'b=0', 'a=3']);
  assert.deepEqual([seen.letters[0]!.reason, seen.causes], ['unknown_alias', []]);
});

test('the next message in sequence counts although the clock of the node stepped back', () => {
  const { node, seen, counts, receive } = createNode();
  receive(nodeBirth(), data(1, 'a', 1, { timestamp: startMs - 60_000 }));
  receive(message('DBIRTH', { device: 'd1', seq: 2, timestamp: startMs - 60_000, metrics: [] }));
  assert.deepEqual([node.state, counts.late, seen.presenceTexts], ['online', 0, ['+node', '+d1']]);
});

test('after an NBIRTH the aliases of devices are unknown until their DBIRTH', () => {
  const { seen, receive } = createNode();
  const birth = message('DBIRTH', { device: 'd1', seq: 1, metrics: [metricOf('a', 1, { alias: 7 })] });
  const aliased = (seq: number) =>
    message('DDATA', { device: 'd1', seq, timestamp: startMs + seq, metrics: [{ alias: 7, doubleValue: seq }] });
  receive(nodeBirth(), birth, aliased(2), nodeBirth({ bdSeq: 2, timestamp: startMs + 100 }));
  receive(
    message('DDATA', { device: 'd1', seq: 1, timestamp: startMs + 101, metrics: [{ alias: 7, doubleValue: 9 }] }),
  );
  assert.deepEqual(seen.texts, ['d1/a=1', 'd1/a=2']);
  assert.deepEqual(
    seen.letters.map(({ reason }) => reason),
    ['unknown_alias'],
  );
  assert.ok(seen.causes.includes('unknown_device'));
});

test('[tck-id-payloads-nbirth-rebirth-req] a node without the rebirth metric is never asked', () => {
  const { seen, counts, receive } = createNode();
  receive(message('NBIRTH', { seq: 0, metrics: [metricOf('a', 1)] }));
  receive(message('NDATA', { seq: 1, metrics: [{ alias: 4, doubleValue: 1 }] }));
  assert.deepEqual([seen.causes, counts.rebirthsImpossible], [[], 1]);
});

test('the same NBIRTH again is dropped', () => {
  const { seen, counts, receive } = createNode();
  receive(nodeBirth({ metrics: [metricOf('a', 1)] }), data(1, 'a', 2), nodeBirth({ metrics: [metricOf('a', 1)] }));
  assert.deepEqual([seen.texts, counts.duplicates], [['a=1', 'a=2'], 1]);
});

test('[tck-id-payloads-nbirth-retain] [tck-id-payloads-dbirth-retain] a retained birth builds names and aliases; readings only if newer than what is known; presence is unchanged', () => {
  const { node, seen, counts, receive } = createNode();
  const birth = (value: number, timestamp: number) =>
    nodeBirth({
      timestamp,
      isRetained: true,
      metrics: [metricOf('a', value, { alias: 1, timestamp }), metricOf('b', 5, { timestamp: startMs - 9 })],
    });
  receive(birth(1, startMs));
  assert.deepEqual([node.state, seen.texts, seen.presences], ['unknown', ['a=1', 'b=5'], []]);
  receive(birth(1, startMs));
  assert.deepEqual([seen.texts.length, counts.retainedIgnored], [2, 1]);
  receive(birth(2, startMs + 1));
  assert.deepEqual(seen.texts, ['a=1', 'b=5', 'a=2']);
  receive(message('NDATA', { seq: 3, timestamp: startMs + 2, metrics: [{ alias: 1, doubleValue: 3 }] }));
  assert.deepEqual([node.state, seen.texts.at(-1)], ['unsynchronized', 'a=3']);
  receive(message('DBIRTH', { device: 'd1', isRetained: true, timestamp: startMs + 3, metrics: [metricOf('c', 1)] }));
  assert.deepEqual([seen.texts.at(-1), seen.presenceTexts], ['d1/c=1', ['+node']]);
  assert.deepEqual(
    seen.births.map(({ device }) => device),
    [undefined, undefined, 'd1'],
  );
});

test('[tck-id-payloads-ndata-retain] [tck-id-payloads-ddata-retain] a retained NDATA, DDATA or DDEATH is ignored, counted', () => {
  const { node, seen, counts, receive } = createNode();
  receive(
    nodeBirth(),
    data(1, 'a', 1, { isRetained: true }),
    data(1, 'a', 1, { device: 'd1', isRetained: true }),
    message('DDEATH', { device: 'd1', seq: 1, isRetained: true }),
    data(1, 'a', 2),
  );
  assert.deepEqual([node.state, seen.texts, counts.retainedIgnored], ['online', ['a=2'], 3]);
});

test('[tck-id-payloads-ndeath-will-message-retain] a retained NDEATH counts for the known bdSeq alone', () => {
  const { node, counts, receive } = createNode();
  receive(nodeDeath(1, { isRetained: true }), nodeBirth(), nodeDeath(9, { isRetained: true }));
  assert.deepEqual([node.state, counts.retainedIgnored], ['online', 2]);
  receive(nodeDeath(1, { isRetained: true }));
  assert.equal(node.state, 'offline');
});

test('births of an earlier run resolve aliases, and change neither presence nor sequence', () => {
  const before = createNode();
  before.receive(
    nodeBirth({ metrics: [metricOf('a', 1, { alias: 1 })] }),
    message('DBIRTH', { device: 'd1', seq: 1, metrics: [metricOf('b', 1, { alias: 2 })] }),
  );
  const { node, seen, receive } = createNode();
  for (const birth of before.seen.births) node.restore(birth);
  assert.deepEqual([node.state, node.bdSeq, seen.texts, seen.presences, seen.births], ['unknown', 1, [], [], []]);
  receive(
    message('NDATA', { seq: 40, metrics: [{ alias: 1, doubleValue: 2 }] }),
    message('DDATA', { device: 'd1', seq: 41, metrics: [{ alias: 2, doubleValue: 3 }] }),
  );
  assert.deepEqual([seen.texts, seen.letters], [['a=2', 'd1/b=3'], []]);
  assert.deepEqual(seen.presenceTexts, ['+node', '+d1']);
  receive(nodeDeath(0));
  assert.equal(node.state, 'unsynchronized');
  receive(nodeDeath(1));
  assert.equal(node.state, 'offline');
});

test('a restored birth of a device that is older than that of its node is ignored', () => {
  const { node } = createNode();
  node.restore({ device: undefined, bytes: nodeBirth({ timestamp: startMs + 10 }).bytes });
  const old = message('DBIRTH', { device: 'd1', seq: 1, timestamp: startMs, metrics: [metricOf('a', 1)] });
  node.restore({ device: 'd1', bytes: old.bytes });
  assert.equal(node.tableOf('d1'), undefined);
  node.restore({
    device: 'd2',
    bytes: message('DBIRTH', { timestamp: startMs + 10, metrics: [metricOf('a', 1)] }).bytes,
  });
  assert.equal(node.tableOf('d2')?.size, 1);
});

test('a stored birth does not share the bytes of the socket', () => {
  const { seen, receive } = createNode();
  const birth = nodeBirth();
  const copy = new Uint8Array(birth.bytes);
  receive(birth);
  birth.bytes.fill(0);
  assert.deepEqual(seen.births[0]!.bytes, copy);
  assert.notDeepEqual(birth.bytes, copy);
});
