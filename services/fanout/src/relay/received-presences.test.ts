import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createListeningNode } from '../../test/listening-node.ts';
import { stale } from '../presence/presences.ts';
import { ReceivedPresences } from './relay-subscriber.ts';

const staleDevice = (device: string) => ({ device, state: stale, since: 1, seq: 5 });

test('the loss of a frame with presences only is detected by the count of the next; one twice or late is no loss', () => {
  const node = createListeningNode({ owned: false });
  const [partition] = node.partitions;
  node.watch('p.>');
  for (const path of ['p.a', 'p.b', 'p.c']) partition!.device(path);
  const received = new ReceivedPresences(partition!);
  received.reset(3);
  assert.ok(!received.take([staleDevice('p.a')], 4));
  assert.ok(!received.take([], 4));
  assert.ok(!received.take([staleDevice('p.a')], 4), 'twice');
  assert.ok(!received.take([staleDevice('p.b')], 2), 'from before the reply');
  assert.ok(received.take([staleDevice('p.c')], 6), 'the fifth is missing');
  assert.ok(received.take([], 6), 'until the next reply');
  received.reset(6);
  assert.ok(!received.take([], 6));
  assert.deepEqual(node.takeNotifications(), ['stale p.a', 'stale p.b', 'stale p.c']);
});

test('devices that this node does not know, and states of a later version, are skipped', () => {
  const node = createListeningNode({ owned: false });
  const [partition] = node.partitions;
  node.watch('p.>');
  partition!.device('p.a');
  const received = new ReceivedPresences(partition!);
  received.takeAll([staleDevice('q.a'), { device: 'p.a', state: 9 as typeof stale, since: 1, seq: 5 }]);
  assert.deepEqual(node.takeNotifications(), []);
  assert.equal(partition!.devices.size, 1);
});
