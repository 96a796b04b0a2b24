import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { type AlarmsCluster, partitions, stateName, withAlarms } from '../test/alarms-cluster.ts';
import { type PausableLog, pausable } from '../test/pausable-log.ts';
import { partitionKeys } from './ownership/partition-keys.ts';

const press = 'plant.press';
const oven = 'plant.oven';

test('an alarm is raised, acknowledged and returned, and each transition is in the events once', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    await cluster.start('a');
    await cluster.report(press, 70);
    await cluster.report(press, 90);
    await cluster.report(press, 91);
    await cluster.settle();
    const action = await cluster.acknowledge(press);
    await cluster.settle();
    await cluster.report(press, 70);
    await cluster.settle();
    const { transitions, refusals } = await cluster.events();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 acknowledged', '3 normal']);
    assert.equal(transitions[1]!.action, action);
    assert.equal(refusals.length, 0);
    assert.deepEqual(
      transitions.map(({ seq }) => seq ?? null),
      [1, null, 3],
    );
  });
});

test('devices without rules, and late readings of devices, raise nothing', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: [press] });
    await cluster.start('a');
    await cluster.report(oven, 90);
    await cluster.settle();
    assert.deepEqual((await cluster.events()).transitions, []);
  });
});

test('an action for an alarm that has changed meanwhile is refused, and the refusal has its ID', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    await cluster.start('a');
    await cluster.report(press, 90);
    await cluster.report(press, 70);
    await cluster.settle();
    const action = await cluster.acknowledge(press, 1);
    const other = await cluster.acknowledge('elsewhere.pump');
    await cluster.settle();
    const { refusals } = await cluster.events();
    assert.deepEqual(refusals.map((refused) => [refused.action, refused.code]).sort(), [
      [action, 'conflict'],
      [other, 'not_found'],
    ]);
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 returned_unacknowledged']);
  });
});

/** Reports and actions with every kind of transition, one step at a time. */
const story: ((cluster: AlarmsCluster) => Promise<unknown>)[] = [
  (cluster) => cluster.report(press, 90),
  (cluster) => cluster.report(oven, 90),
  (cluster) => cluster.acknowledge(press),
  (cluster) => cluster.report(press, 70),
  (cluster) => cluster.report(press, 95),
  (cluster) => cluster.acknowledge(press, 1),
  (cluster) => cluster.report(press, 60),
  (cluster) => cluster.acknowledge(press),
  (cluster) => cluster.report(oven, 60),
  (cluster) => cluster.report(press, 99),
];
const pressStates = [
  ...['1 unacknowledged', '2 acknowledged', '3 normal', '4 unacknowledged', '5 returned_unacknowledged'],
  ...['6 normal', '7 unacknowledged'],
];
const ovenStates = ['1 unacknowledged', '2 returned_unacknowledged'];

async function assertStory(cluster: AlarmsCluster): Promise<void> {
  assert.deepEqual(await cluster.statesOf(press), pressStates);
  assert.deepEqual(await cluster.statesOf(oven), ovenStates);
  assert.equal((await cluster.events()).refusals.length, 1);
  await cluster.assertContinuous();
}

test('a takeover at any place raises nothing twice, and loses nothing', async () => {
  for (let place = 0; place <= story.length; place++) {
    for (const end of ['kill', 'stop'] as const) {
      await withAlarms(async (cluster) => {
        await cluster.rule();
        const first = await cluster.start('a');
        for (const step of story.slice(0, place)) {
          await step(cluster);
          await cluster.settle(20);
        }
        // With a checkpoint before some places, and without one before the others.
        if (place % 2 === 0) await cluster.settle(6_000);
        await cluster[end](first);
        await cluster.start('b');
        for (const step of story.slice(place)) {
          await step(cluster);
          await cluster.settle(20);
        }
        await cluster.settle();
        await assertStory(cluster);
      });
    }
  }
});

test('a node that is killed with reports and actions unread loses none of them', async () => {
  for (let place = 0; place <= story.length; place++) {
    await withAlarms(async (cluster) => {
      await cluster.rule();
      const first = await cluster.start('a');
      for (const [index, step] of story.entries()) {
        await step(cluster);
        if (index < place) await cluster.settle(20);
      }
      cluster.crash(first);
      await cluster.settle(4_000);
      await cluster.start('b');
      await cluster.settle();
      await cluster.assertContinuous();
      const states = await cluster.statesOf(oven);
      assert.deepEqual(states, ovenStates);
    });
  }
});

test('a transition whose write has no answer is in the log twice, and counts once', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const node = await cluster.start('a');
    node.failing.add('answer');
    await cluster.report(press, 90);
    await cluster.settle(200);
    node.failing.clear();
    await cluster.settle(3_000);
    await cluster.report(press, 70);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 returned_unacknowledged']);
    assert.ok((await cluster.events()).dropped.length > 0, 'no transition was written twice: the test tests nothing');
  });
});

test('a node that is killed after its write, and before the answer, raises nothing twice', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const node = await cluster.start('a');
    await cluster.report(press, 70);
    await cluster.settle(6_000);
    node.failing.add('answer');
    await cluster.report(press, 90);
    await cluster.settle(20);
    await cluster.kill(node);
    await cluster.start('b');
    await cluster.report(press, 70);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 returned_unacknowledged']);
  });
});

/** A shelved alarm whose condition has gone; then the condition rises, and the shelf is removed, without a node. */
async function unshelveAfterCrash(cluster: AlarmsCluster): Promise<void> {
  await cluster.rule();
  const first = await cluster.start('a');
  await cluster.report(press, 90);
  await cluster.settle();
  await cluster.act(press, 'SHELVE', { until: cluster.clock.now() + 600_000 });
  await cluster.settle();
  await cluster.report(press, 70);
  await cluster.settle(6_000);
  cluster.crash(first);
  await cluster.report(press, 90);
  await cluster.act(press, 'UNSHELVE');
  await cluster.settle(4_000);
}
const unshelvedStates = ['1 unacknowledged', '2 shelved', '3 acknowledged'];

test('at a takeover an action comes after the reports from before it: a removed shelf has hidden what they raise', async () => {
  await withAlarms(async (cluster) => {
    await unshelveAfterCrash(cluster);
    await cluster.start('b');
    await cluster.settle(2_000);
    assert.deepEqual(await cluster.statesOf(press), unshelvedStates);
    await cluster.assertAnswered('one answer each');
  });
});

test('at a takeover an action comes after the delays that have expired before it', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ onDelayMs: 1_000 });
    const first = await cluster.start('a');
    await cluster.act(press, 'SHELVE', { until: cluster.clock.now() + 600_000 });
    await cluster.report(press, 70);
    await cluster.settle(6_000);
    await cluster.report(press, 90);
    cluster.crash(first);
    await cluster.settle(4_000);
    await cluster.act(press, 'UNSHELVE');
    await cluster.start('b');
    await cluster.settle(2_000);
    assert.deepEqual(await cluster.statesOf(press), ['1 shelved', '2 acknowledged']);
  });
});

test('actions wait for the reports from before a takeover, in their order, and a further takeover loses none', async () => {
  for (const isKilled of [false, true]) {
    await withAlarms(async (cluster) => {
      await unshelveAfterCrash(cluster);
      const second = await startPausable(cluster, 'b', (paused) => paused.holdReports());
      // Behind the one that waits, although it is delivered to a running node.
      const acknowledged = await cluster.acknowledge(press);
      // Checkpoints are written meanwhile.
      await cluster.settle(12_000);
      assert.deepEqual(await cluster.statesOf(press), unshelvedStates.slice(0, 2));
      if (isKilled) {
        await cluster.kill(second.node);
        await cluster.start('c');
      } else await second.paused.releaseReports();
      await cluster.settle(2_000);
      assert.deepEqual(await cluster.statesOf(press), unshelvedStates);
      const { refusals } = await cluster.events();
      assert.deepEqual(
        refusals.map(({ action }) => action),
        [acknowledged],
      );
      await cluster.assertAnswered('one answer each');
    });
  }
});

test('a takeover goes on while the reports before an action of the former owner are evaluated in several batches', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const first = await cluster.start('a');
    await cluster.report(press, 90);
    await cluster.settle(6_000);
    await cluster.report(press, 91);
    await cluster.report(press, 92);
    await cluster.settle();
    await cluster.acknowledge(press);
    await cluster.settle();
    cluster.crash(first);
    await cluster.settle(4_000);
    await startPausable(cluster, 'b');
    await cluster.report(press, 70);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 acknowledged', '3 normal']);
  });
});

test('a delay that is pending at a takeover expires when it would have, and not before', async () => {
  for (const end of ['kill', 'stop'] as const) {
    await withAlarms(async (cluster) => {
      await cluster.rule({ onDelayMs: 10_000 });
      const first = await cluster.start('a');
      const raisedMs = cluster.clock.now();
      await cluster.report(press, 90);
      await cluster.settle(2_000);
      await cluster[end](first);
      await cluster.start('b');
      await cluster.settle(raisedMs + 9_900 - cluster.clock.now());
      assert.deepEqual(await cluster.statesOf(press), []);
      await cluster.settle(2_000);
      assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
      assert.equal((await cluster.events()).transitions[0]!.time, raisedMs + 10_000);
    });
  }
});

test('an expired delay is repeated between the reports where it has expired', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ onDelayMs: 2_000 });
    const first = await cluster.start('a');
    const startMs = cluster.clock.now();
    await cluster.report(press, 90);
    // Before the first checkpoint after the report.
    await cluster.settle(3_500);
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
    // Late: before the expiry, by the clock of the device.
    await cluster.report(press, 70, startMs + 1_000);
    await cluster.settle();
    cluster.crash(first);
    await cluster.settle(4_000);
    await cluster.start('b');
    await cluster.settle(2_000);
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 returned_unacknowledged']);
  });
});

test('a changed rule raises nothing twice; a removed one has no alarm; one that comes back continues its numbers', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    await cluster.start('a');
    await cluster.report(press, 90);
    await cluster.settle();
    await cluster.rule({ version: 2, limit: 85 });
    await cluster.settle(1_000);
    await cluster.report(press, 91);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
    await cluster.deleteRule('hot');
    await cluster.settle(1_000);
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 normal']);
    await cluster.rule({ version: 3 });
    await cluster.settle(1_000);
    await cluster.report(press, 92);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 normal', '3 unacknowledged']);
  });
});

test('a rule that has changed since the checkpoint raises nothing twice at a takeover', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const first = await cluster.start('a');
    await cluster.report(press, 70);
    await cluster.settle(6_000);
    await cluster.report(press, 82);
    await cluster.settle(20);
    cluster.crash(first);
    await cluster.rule({ version: 2, limit: 85 });
    await cluster.settle(4_000);
    const second = await cluster.start('b');
    await cluster.report(press, 86);
    await cluster.settle();
    // By version 2, 82 is no alarm: the one of the log counts.
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
    assert.equal(second.alarms.node!.recovery.counts.adopted, 1);
  });
});

test('a rule that changes while the change before it is applied reaches all devices without their reports', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const { counts } = (await cluster.start('a')).alarms.node!;
    const devices = Array.from({ length: 1_200 }, (_, index) => `plant.device${index}`);
    for (const device of devices) await cluster.report(device, 90);
    await cluster.settle();
    assert.equal(counts.transitions, devices.length, 'raised');
    // 500 devices in each turn: the next version is read after the first one.
    cluster.turnMs = 400;
    await cluster.rule({ version: 2, limit: 95 });
    while (counts.transitions === devices.length) await cluster.settle(50);
    await cluster.rule({ version: 3 });
    await cluster.settle(10_000);
    // It is long: the log reads it in several turns.
    const [{ transitions }] = await Promise.all([cluster.events(), cluster.settle()]);
    const states = new Map(transitions.map(({ device, state }) => [device, stateName(state)]));
    const changed = new Set(transitions.filter(({ number }) => number === 2).map(({ device }) => device));
    assert.ok(changed.size > 0 && changed.size < devices.length, `${changed.size} had the version before`);
    assert.deepEqual(new Set(states.values()), new Set(['unacknowledged']));
  });
});

test('an invalid rule is skipped, and its version before stays in force', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const node = await cluster.start('a');
    await cluster.append('tailrace.rules', [{ key: 'hot', value: Buffer.from('{"id":"hot"}') }]);
    await cluster.settle(1_000);
    assert.equal(node.alarms.node!.reader.counts.invalid, 1);
    await cluster.report(press, 90);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
  });
});

/** Starts a node whose log can be paused. */
async function startPausable(cluster: AlarmsCluster, name: string, prepare?: (paused: PausableLog) => void) {
  let paused: PausableLog | undefined;
  const node = await cluster.start(name, (log) => {
    paused = pausable(log);
    prepare?.(paused);
    return paused.log;
  });
  return { node, paused: paused! };
}

test('what a process writes that has lost its partitions, and does not know it yet, has no effect', async () => {
  for (const isKilled of [false, true]) {
    await withAlarms(async (cluster) => {
      await cluster.rule();
      const zombie = await startPausable(cluster, 'a');
      await cluster.report(press, 90);
      await cluster.settle();
      // It has applied the acknowledgement, and its append is on its way.
      zombie.paused.pause('events');
      await cluster.acknowledge(press);
      await cluster.settle();
      zombie.node.log.disconnect(3_000);
      // Its successor evaluates the return first.
      await cluster.report(press, 70);
      await cluster.settle(4_000);
      const next = await startPausable(cluster, 'b', (paused) => paused.pause('events'));
      zombie.node.log.reconnect();
      zombie.paused.resume();
      await cluster.settle();
      const { dropped } = await cluster.events();
      assert.deepEqual(
        dropped.map(({ number, state }) => `${number} ${stateName(state)}`),
        ['2 acknowledged'],
        'the append of the zombie is in the log',
      );
      if (isKilled) {
        await cluster.stop(zombie.node);
        await cluster.kill(next.node);
        await cluster.start('c');
      }
      next.paused.resume();
      await cluster.settle(2_000);
      assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 returned_unacknowledged', '3 normal']);
      await cluster.assertContinuous();
    });
  }
});

test('a state is in no checkpoint before its transitions are in the log', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const { node, paused } = await startPausable(cluster, 'a');
    await cluster.report(press, 70);
    await cluster.settle(6_000);
    paused.pause('events');
    await cluster.report(press, 90);
    await cluster.settle(12_000);
    await cluster.kill(node);
    await cluster.start('b');
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
  });
});

test('a late checkpoint of a process that has lost the partition hides no later transition', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const zombie = await startPausable(cluster, 'a');
    await cluster.report(press, 70);
    await cluster.settle(6_000);
    zombie.paused.pause('checkpoints');
    await cluster.report(press, 90);
    await cluster.settle(6_000);
    zombie.node.log.disconnect(3_000);
    await cluster.settle(4_000);
    const next = await cluster.start('b');
    await cluster.report(press, 70);
    await cluster.settle(6_000);
    zombie.node.log.reconnect();
    zombie.paused.resume();
    await cluster.settle();
    await cluster.stop(zombie.node);
    cluster.crash(next);
    await cluster.settle(4_000);
    await cluster.start('c');
    await cluster.report(press, 91);
    await cluster.settle();
    const expected = ['1 unacknowledged', '2 returned_unacknowledged', '3 unacknowledged'];
    assert.deepEqual(await cluster.statesOf(press), expected);
  });
});

/** Appends the record with which a process takes over, to both partitions. */
async function takeOver(cluster: AlarmsCluster, generation: number): Promise<void> {
  const value = tailrace.v1.Event.encode({ alarmOwner: { node: 'late', process: 'late', generation } }).finish();
  await cluster.append(
    'tailrace.events',
    partitionKeys(partitions).map((key) => ({ key, value })),
  );
}

test('a takeover of a process that has lost the partition meanwhile takes it from its owner for a moment only', async () => {
  for (const generation of [0, 1_000]) {
    await withAlarms(async (cluster) => {
      await cluster.rule();
      const { node, paused } = await startPausable(cluster, 'a');
      await cluster.report(press, 90);
      await cluster.settle();
      paused.pause('owner');
      await takeOver(cluster, generation);
      await cluster.settle(20);
      assert.equal(node.alarms.node!.ownership.counts.fenced, partitions);
      // One report before the partition is taken back, and one meanwhile.
      await cluster.report(press, 70);
      await cluster.settle(generation === 0 ? 600 : 11_000);
      await cluster.report(press, 91);
      await cluster.settle();
      assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
      paused.resume();
      await cluster.settle(2_000);
      const expected = ['1 unacknowledged', '2 returned_unacknowledged', '3 unacknowledged'];
      assert.deepEqual(await cluster.statesOf(press), expected);
    });
  }
});

test('no device is stale because the log was away, and devices have a grace to report again', async () => {
  await withAlarms(
    async (cluster) => {
      await cluster.rule({ condition: { kind: 'stale', afterMs: 20_000 } });
      const node = await cluster.start('a');
      await cluster.report(press, 70);
      await cluster.settle(5_000);
      node.log.disconnect(3_600_000);
      await cluster.settle(60_000);
      // What is read first after the interruption is no proof that the others do not report.
      await cluster.report(oven, 70);
      node.log.reconnect();
      // The grace, and the time without reports, which counts from its end.
      await cluster.settle(34_000);
      assert.deepEqual(await cluster.statesOf(press), []);
      await cluster.settle(10_000);
      assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
      await cluster.report(press, 70);
      await cluster.settle();
      assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged', '2 returned_unacknowledged']);
    },
    { graceMs: 15_000 },
  );
});

test('no device is stale because alarms was away, and one that does not report is stale after the grace', async () => {
  await withAlarms(
    async (cluster) => {
      await cluster.rule({ condition: { kind: 'stale', afterMs: 20_000 } });
      const first = await cluster.start('a');
      await cluster.report(press, 70);
      await cluster.report(oven, 70);
      await cluster.settle(6_000);
      await cluster.kill(first);
      await cluster.settle(120_000);
      await cluster.start('b');
      await cluster.settle(10_000);
      await cluster.report(oven, 70);
      await cluster.settle(4_000);
      assert.deepEqual((await cluster.events()).transitions, []);
      await cluster.settle(16_000);
      assert.deepEqual(await cluster.statesOf(oven), []);
      await cluster.settle(8_000);
      assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
    },
    { graceMs: 15_000 },
  );
});

/** Devices are stale after 10 s, and have a grace of 15 s. */
async function withGrace(run: (cluster: AlarmsCluster) => Promise<void>): Promise<void> {
  await withAlarms(
    async (cluster) => {
      await cluster.rule({ condition: { kind: 'stale', afterMs: 10_000 } });
      await run(cluster);
    },
    { graceMs: 15_000 },
  );
}

/** The log is away from all nodes. */
async function interrupt(cluster: AlarmsCluster, ms: number): Promise<void> {
  for (const { log } of cluster.nodes) log.disconnect(3_600_000);
  await cluster.settle(ms);
  for (const { log } of cluster.nodes) log.reconnect();
}

/** Asserts that the device is stale after its grace, which has started now, and not before. */
async function assertGrace(cluster: AlarmsCluster, message: string): Promise<void> {
  await cluster.settle(24_000);
  assert.deepEqual(await cluster.statesOf(press), [], message);
  await cluster.settle(7_000);
  assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged'], message);
}

test('devices have a grace if the log was away, and another node has their partition afterwards', async () => {
  for (const next of ['one that was away from the log', 'one that has started later']) {
    await withGrace(async (cluster) => {
      await cluster.start('a');
      if (next.includes('away')) await cluster.start('b');
      await cluster.settle(6_000);
      await cluster.report(press, 70);
      await cluster.settle(1_000);
      cluster.crash(cluster.ownerOf(press));
      await interrupt(cluster, 8_000);
      if (next.includes('later')) await cluster.start('c');
      await assertGrace(cluster, next);
    });
  }
});

test('a grace is in force after a takeover, whenever its owner is killed', async () => {
  for (const killedAfterMs of [50, 600, 1_200, 6_000]) {
    await withGrace(async (cluster) => {
      await cluster.start('a');
      await cluster.start('b');
      await cluster.report(press, 70);
      await cluster.settle(1_000);
      await interrupt(cluster, 8_000);
      await cluster.settle(killedAfterMs);
      cluster.crash(cluster.ownerOf(press));
      await cluster.settle(24_000 - killedAfterMs);
      assert.deepEqual(await cluster.statesOf(press), [], `killed after ${killedAfterMs} ms`);
      // Without a checkpoint that has this one, the next owner starts another one.
      await cluster.settle(8_000);
      assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged'], `killed after ${killedAfterMs} ms`);
    });
  }
});

test('a checkpoint that was on its way while the log was away does not hide that from the next owner', async () => {
  await withGrace(async (cluster) => {
    const nodes = [await startPausable(cluster, 'a'), await startPausable(cluster, 'b')];
    await cluster.settle(4_000);
    await cluster.report(press, 70);
    await cluster.settle(500);
    for (const { paused } of nodes) paused.pause('checkpoints');
    await cluster.settle(1_000);
    await interrupt(cluster, 8_000);
    for (const { paused } of nodes) paused.resume();
    await cluster.settle(10);
    await cluster.kill(cluster.ownerOf(press));
    await assertGrace(cluster, 'killed after its checkpoint');
  });
});

test('a device that has first reported after the last checkpoint has a grace, too', async () => {
  await withGrace(async (cluster) => {
    cluster.crash(await cluster.start('a'));
    await cluster.report(press, 70);
    await cluster.settle(60_000);
    // The watermark follows them, before the end of the log is evaluated.
    for (let line = 0; line < 20; line++) await cluster.report(`plant.line${line}`, 70);
    await cluster.start('b');
    await assertGrace(cluster, 'new');
  });
});

test('a takeover delays no stale device if the log was there for the next owner, however long it takes', async () => {
  await withGrace(async (cluster) => {
    await cluster.start('a');
    await cluster.start('b');
    await cluster.settle(4_000);
    await cluster.report(press, 70);
    await cluster.settle(500);
    cluster.crash(cluster.ownerOf(press));
    await cluster.settle(11_000);
    assert.deepEqual(await cluster.statesOf(press), ['1 unacknowledged']);
  });
});

test('while the log takes no transitions, no further reports are evaluated than the limit, and all follow later', async () => {
  await withAlarms(
    async (cluster) => {
      await cluster.rule();
      const node = await cluster.start('a');
      node.failing.add('append');
      for (let index = 0; index < 20; index++) {
        await cluster.report(press, index % 2 === 0 ? 90 : 70);
        await cluster.settle(20);
      }
      const { counts, writers } = node.alarms.node!;
      assert.equal(writers.unwritten, 5);
      assert.equal(counts.reports, 5);
      node.failing.clear();
      await cluster.settle(10_000);
      assert.equal((await cluster.statesOf(press)).length, 20);
      await cluster.assertContinuous();
    },
    { unwrittenMax: 5 },
  );
});

test('devices beyond the limit of pairs are not evaluated, and counted', async () => {
  await withAlarms(
    async (cluster) => {
      await cluster.rule();
      const node = await cluster.start('a');
      await cluster.report(press, 90);
      await cluster.report(oven, 90);
      await cluster.settle();
      assert.equal((await cluster.events()).transitions.length, 1);
      assert.equal(node.alarms.node!.counts.unevaluated, 1);
    },
    { pairsMax: 1 },
  );
});

test('two nodes share the partitions, and a node that joins or leaves raises nothing twice', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule();
    const devices = Array.from({ length: 10 }, (_, index) => `plant.line${index}`);
    const reportAll = async (temp: number) => {
      for (const device of devices) await cluster.report(device, temp);
      await cluster.settle(30);
    };
    await cluster.start('a');
    await reportAll(90);
    const joined = await cluster.start('b');
    const owned = cluster.nodes.map(({ alarms }) => [...alarms.node!.ownership.owned()].length);
    assert.deepEqual(owned, [1, 1]);
    await reportAll(91);
    await reportAll(70);
    await cluster.stop(joined);
    await reportAll(71);
    await cluster.settle();
    for (const device of devices)
      assert.deepEqual(await cluster.statesOf(device), ['1 unacknowledged', '2 returned_unacknowledged'], device);
  });
});
