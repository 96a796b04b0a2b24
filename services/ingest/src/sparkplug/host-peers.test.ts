import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { announcementSubject, goneMs, HostPeers } from './host-peers.ts';

/** Nodes of ingest that are connected to the broker `b1`, and have announced themselves. */
async function createPeers(...names: readonly string[]) {
  const clock = createFakeClock();
  const network = createMemoryNetwork({ clock });
  const nodes = names.map((node) => {
    const bus = network.createBus({ node, logger: silentLogger });
    const own = { hosts: ['b1'], connected: ['b1'], states: [] as string[] };
    const seen = { changes: 0 };
    const peers = new HostPeers({
      ...{ bus, node, boot: `boot of ${node}`, clock },
      own: () => own,
      onChange: () => void seen.changes++,
    });
    return { node, bus, own, seen, peers };
  });
  await Promise.all(nodes.map(({ bus }) => bus.start()));
  await Promise.all(nodes.map(({ peers }) => peers.subscribe()));
  const started = Promise.all(nodes.map(({ peers }) => peers.start()));
  await clock.advance(2_000);
  await started;
  await clock.advance(1_100);
  return { clock, network, nodes };
}

const namesAt = ({ peers }: { readonly peers: HostPeers }) => [...peers.connectedTo('b1')].sort();

test('nodes of ingest know who is connected to a broker, and who publishes its STATE', async () => {
  const { clock, nodes } = await createPeers('a', 'b');
  for (const node of nodes) assert.deepEqual(namesAt(node), ['a', 'b']);
  const [a, b] = [nodes[0]!, nodes[1]!];
  assert.equal(a.peers.stateHostOf('b1'), undefined);
  b.own.states = ['b1'];
  b.peers.announce();
  await clock.advance(10);
  assert.equal(a.peers.stateHostOf('b1'), 'b');
  assert.equal(b.peers.stateHostOf('b1'), 'b');
  b.own.connected = [];
  b.peers.announce();
  await clock.advance(10);
  assert.deepEqual(namesAt(a), ['a']);
  assert.deepEqual([...a.peers.hostsOf('b1')].sort(), ['a', 'b']);
  for (const { peers } of nodes) peers.stop();
});

test('a node that is gone is noticed after the missing announcements, and one that stops at once', async () => {
  const { clock, network, nodes } = await createPeers('a', 'b', 'c');
  nodes[2]!.peers.stop();
  await clock.advance(10);
  assert.deepEqual(namesAt(nodes[0]!), ['a', 'b']);
  network.partition('b');
  await clock.advance(goneMs - 1_000);
  assert.deepEqual(namesAt(nodes[0]!), ['a', 'b']);
  const { changes } = nodes[0]!.seen;
  await clock.advance(2_100);
  assert.deepEqual(namesAt(nodes[0]!), ['a']);
  assert.ok(nodes[0]!.seen.changes > changes);
  for (const { peers } of nodes) peers.stop();
});

test('while the bus is away the last peers stay, and some time after it', async () => {
  const { clock, network, nodes } = await createPeers('a', 'b');
  network.partition('a');
  await clock.advance(60_000);
  assert.deepEqual(namesAt(nodes[0]!), ['a', 'b']);
  assert.deepEqual(namesAt(nodes[1]!), ['b']);
  network.heal('a');
  await clock.advance(3_000);
  for (const node of nodes) assert.deepEqual(namesAt(node), ['a', 'b']);
  for (const { peers } of nodes) peers.stop();
});

test('bytes that are no announcement are ignored', async () => {
  const { clock, nodes } = await createPeers('a', 'b');
  nodes[1]!.bus.publish(announcementSubject, Uint8Array.of(0x0a, 0x7f));
  nodes[1]!.bus.publish(announcementSubject, new Uint8Array(0));
  await clock.advance(10);
  assert.deepEqual(namesAt(nodes[0]!), ['a', 'b']);
  for (const { peers } of nodes) peers.stop();
});
