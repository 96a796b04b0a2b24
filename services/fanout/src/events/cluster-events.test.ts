import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alarmTransitionProto } from '@tailrace/protocol/control-event';
import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import { alarmEvent, alarmOf, commandEvent } from '../../test/alarm-events.ts';
import type { Cluster, ClusterNode } from '../../test/cluster.ts';
import { settle, withCluster } from '../../test/cluster-load.ts';
import { EventWatcher } from '../../test/event-watcher.ts';

const devices = Array.from({ length: 12 }, (_, i) => `plant.line${i % 3}.m${i}`);

/** The appended transitions, by device. */
class Alarms {
  readonly numbers = new Map<string, number>();
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Appends the next transition of each device, `times` times, `stepMs` apart. */
  async change(times: number, stepMs: number, of: readonly string[] = devices): Promise<void> {
    for (let i = 0; i < times; i++) {
      for (const device of of) {
        const number = (this.numbers.get(device) ?? 0) + 1;
        this.numbers.set(device, number);
        await this.#cluster.appendEvent(device, alarmEvent(alarmOf(device, number)));
      }
      await this.#cluster.clock.advance(stepMs);
    }
  }

  /** Asserts that a client got each transition once, in order: from its snapshot, or from `from` on. */
  assertWhole(watcher: EventWatcher, of: readonly string[] = devices): void {
    assert.deepEqual(watcher.errors, []);
    for (const device of of) {
      const seen = watcher.numbers(device);
      const last = this.numbers.get(device)!;
      const [first] = seen;
      if (first === undefined) {
        // Neither an alarm at its start nor a transition since.
        assert.ok(last % 2 === 0 && watcher.startedAt(device) === last, `${device}: nothing of ${last} transitions`);
        continue;
      }
      const expected = Array.from({ length: last - first + 1 }, (_, i) => first + i);
      assert.deepEqual(seen, expected, `${watcher.name}, ${device}`);
    }
  }
}

const watch = (node: ClusterNode, alarms: Alarms, channel = 'plant.>', after?: string) =>
  new EventWatcher(node, { channel, after, numbers: new Map(alarms.numbers) });

test('every node shows an alarm within 100 ms, whichever node owns the device', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const alarms = new Alarms(cluster);
    const watchers = nodes.map((node) => watch(node, alarms));
    await settle(cluster);
    await alarms.change(1, 100);
    for (const watcher of watchers) assert.equal(watcher.live.length, devices.length);
    await alarms.change(3, 100);
    for (const watcher of watchers) alarms.assertWhole(watcher);
  });
});

test('the snapshot of a node that owns nothing of the channel is that of its owner', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const alarms = new Alarms(cluster);
    await alarms.change(1, 100);
    await alarms.change(1, 100, devices.slice(0, 6));
    await settle(cluster);
    const watchers = nodes.map((node) => watch(node, alarms));
    await cluster.clock.advance(1_000);
    for (const watcher of watchers)
      assert.deepEqual(watcher.snapshot.map(({ device }) => device).sort(), devices.slice(6).sort());
  });
});

test('frames that are lost, doubled and out of order leave no gap and no duplicate', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    await withCluster(
      ['a', 'b', 'c'],
      async (cluster, nodes) => {
        const alarms = new Alarms(cluster);
        await alarms.change(1, 50);
        cluster.setNetworkFaults({
          delayMs: { min: 0, max: 30 },
          loss: 0.1,
          duplication: 0.1,
          reordering: { probability: 0.1, byMs: 50 },
        });
        const watchers = nodes.map((node) => watch(node, alarms));
        await alarms.change(40, 100);
        cluster.setNetworkFaults({});
        await alarms.change(1, 100);
        await settle(cluster);
        const gaps = nodes.reduce((sum, { ownership }) => sum + ownership.events.replicaCounts.gaps, 0);
        assert.ok(gaps > 0, 'no frame was lost: the test tests nothing');
        for (const watcher of watchers) alarms.assertWhole(watcher);
      },
      seed,
    );
  }
});

test('no transition is lost or doubled while a node joins, leaves, is killed and paused', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const alarms = new Alarms(cluster);
    await alarms.change(1, 50);
    const watchers = nodes.map((node) => watch(node, alarms));
    await alarms.change(5, 50);
    const third = await cluster.node('c');
    await alarms.change(20, 200);
    third.crash();
    await alarms.change(60, 200);
    const again = await cluster.node('c');
    await alarms.change(20, 200);
    again.pause();
    await alarms.change(60, 200);
    again.resume();
    await alarms.change(20, 200);
    const stopped = again.stop();
    await alarms.change(20, 200);
    await stopped;
    await settle(cluster);
    for (const watcher of watchers) alarms.assertWhole(watcher);
  });
});

test('a client resumes on another node, which followed nothing before', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const alarms = new Alarms(cluster);
    await alarms.change(1, 50);
    const before = watch(nodes[0]!, alarms);
    await alarms.change(3, 100);
    const token = before.disconnect();
    await alarms.change(4, 100);
    await settle(cluster);
    for (const node of nodes.slice(1)) {
      const resumed = watch(node, alarms, 'plant.>', token);
      await cluster.clock.advance(1_000);
      assert.equal(resumed.start?.recovered, true);
      for (const device of devices)
        assert.deepEqual([...before.numbers(device), ...resumed.numbers(device)], [1, 2, 3, 4, 5, 6, 7, 8], device);
    }
  });
});

test('an alarm that is older than the topic of events is in the snapshot, by the checkpoint of alarms', async () => {
  await withCluster([], async (cluster) => {
    const transition = { ...alarmTransitionProto(alarmOf(devices[0]!, 7)), owner: 3 };
    const value = tailrace.v1.AlarmCheckpoint.encode({ transitions: [transition] }).finish();
    await cluster.appendTo('tailrace.alarms', { key: devices[0]!, value });
    const alarms = new Alarms(cluster);
    alarms.numbers.set(devices[0]!, 7);
    const nodes = [await cluster.node('a'), await cluster.node('b')];
    await settle(cluster);
    const watchers = nodes.map((node) => watch(node, alarms));
    await cluster.clock.advance(1_000);
    for (const { snapshot } of watchers)
      assert.deepEqual(snapshot, [{ device: devices[0]!, number: 7, seq: undefined }]);
    await alarms.change(1, 200, devices.slice(0, 1));
    for (const watcher of watchers) assert.deepEqual(watcher.numbers(devices[0]!), [7, 8]);
  });
});

test('what a process of alarms writes that has lost the partition reaches no client', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const alarms = new Alarms(cluster);
    const [device] = devices as [string];
    const watchers = nodes.map((node) => watch(node, alarms));
    await cluster.clock.advance(1_000);
    await cluster.appendEvent(device, alarmEvent(alarmOf(device, 1)));
    await cluster.appendEvent(device, { alarmOwner: { node: 'new' } });
    await cluster.appendEvent(device, alarmEvent(alarmOf(device, 2, { value: 1 }), 1));
    await cluster.appendEvent(device, alarmEvent(alarmOf(device, 2, { value: 2 }), 0));
    await cluster.appendEvent(device, alarmEvent(alarmOf(device, 3, { value: 3 }), 0));
    await cluster.clock.advance(1_000);
    for (const watcher of watchers) assert.deepEqual(watcher.numbers(device), [1, 2]);
  });
});

test('the states of a command reach a watcher on another node, each once', async () => {
  await withCluster(['a', 'b', 'c'], async (cluster, nodes) => {
    const [device] = devices as [string];
    const watchers = nodes.map((node) => new EventWatcher(node, { channel: device, commands: true }));
    await cluster.clock.advance(1_000);
    const states = ['accepted', 'queued', 'sent', 'delivered', 'done'];
    for (const [i, state] of states.entries()) {
      const transition = { id: 'c', device, number: i + 1, state, time: i };
      for (let times = 0; times < 2; times++) await cluster.appendEvent(device, commandEvent(transition));
      await cluster.clock.advance(50);
    }
    for (const watcher of watchers) assert.deepEqual(watcher.states, states);
  });
});

test('while the events of a partition cannot be read, readings and other partitions are served', async () => {
  await withCluster([], async (cluster) => {
    const [device] = devices as [string];
    const away = partitionOf(device, cluster.partitions);
    cluster.setTopicAway('tailrace.events', away, true);
    const node = await cluster.node('a');
    await settle(cluster);
    const alarms = new Alarms(cluster);
    const readings = node.client(device);
    await cluster.append(device, 1);
    await cluster.clock.advance(1_000);
    assert.equal(readings.live.length, 1);
    const other = devices.find((each) => partitionOf(each, cluster.partitions) !== away)!;
    const watcher = watch(node, alarms, other);
    await alarms.change(1, 100, [other]);
    assert.deepEqual(watcher.numbers(other), [1]);
    const waiting = watch(node, alarms, device);
    await alarms.change(1, 100, [device]);
    assert.deepEqual(waiting.numbers(device), []);
    cluster.setTopicAway('tailrace.events', away, false);
    await settle(cluster);
    assert.deepEqual(waiting.numbers(device), [1]);
  });
});

test('without clients no node follows the events of another one', async () => {
  await withCluster(['a', 'b'], async (cluster, nodes) => {
    const alarms = new Alarms(cluster);
    const watchers = nodes.map((node) => watch(node, alarms));
    await alarms.change(2, 100);
    assert.ok(nodes.every(({ ownership }) => ownership.events.replicas > 0));
    for (const watcher of watchers) watcher.disconnect();
    await cluster.clock.advance(60_000);
    for (const { ownership, eventHub } of nodes) {
      assert.equal(ownership.events.replicas, 0);
      assert.equal(eventHub.views, 0);
      assert.ok(ownership.events.feeds.every((feed) => !feed.isLeased));
    }
  });
});
