import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createListeningNode } from '../../test/listening-node.ts';
import { stale } from './presences.ts';
import { ReceivedPresences } from '../relay/relay-subscriber.ts';

const silence = (device: string) => ({ device, state: stale, since: 1, seq: 5 });

test('a frame that had silences only is missed by the count of the next one; one that comes twice or late is not', () => {
  const node = createListeningNode({ owned: false });
  const [partition] = node.partitions;
  node.watch('p.>');
  for (const path of ['p.a', 'p.b', 'p.c']) partition!.device(path);
  const silences = new ReceivedPresences(partition!);
  silences.begin(3);
  assert.ok(!silences.take({ presences: [silence('p.a')], told: 4 }));
  assert.ok(!silences.take({ presences: [], told: 4 }));
  assert.ok(!silences.take({ presences: [silence('p.a')], told: 4 }), 'twice');
  assert.ok(!silences.take({ presences: [silence('p.b')], told: 2 }), 'from before the answer');
  assert.ok(silences.take({ presences: [silence('p.c')], told: 6 }), 'the fifth is missing');
  assert.ok(silences.take({ presences: [], told: 6 }), 'as long as nobody has asked');
  silences.begin(6);
  assert.ok(!silences.take({ presences: [], told: 6 }));
  assert.deepEqual(node.news(), ['stale p.a', 'stale p.b', 'stale p.c']);
});

test('devices that nobody here watches, and states that a later owner may know, are passed over', () => {
  const node = createListeningNode({ owned: false });
  const [partition] = node.partitions;
  node.watch('p.>');
  partition!.device('p.a');
  const silences = new ReceivedPresences(partition!);
  silences.takeAll([silence('q.a'), { device: 'p.a', state: 9 as typeof stale, since: 1, seq: 5 }]);
  assert.deepEqual(node.news(), []);
  assert.equal(partition!.devices.size, 1);
});
