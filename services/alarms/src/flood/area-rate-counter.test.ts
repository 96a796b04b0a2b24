import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import { type AlarmsCluster, partitions, sessionMs, type TestNode, withAlarms } from '../../test/alarms-cluster.ts';
import { floodDeviceOf } from './flood-rule.ts';

const { Event } = tailrace.v1;
const minuteMs = 60_000;
const flood = 'plant1.line3.alarm_flood';
const settings = { areaLevels: 2 };

/** Raises alarms of the presses with these numbers, and waits for the rates. */
async function raise(cluster: AlarmsCluster, from: number, until: number): Promise<void> {
  for (let n = from; n < until; n++) await cluster.report(`plant1.line3.press${n}`, 90);
  await cluster.settle(2_000);
}

const states = (cluster: AlarmsCluster) => cluster.statesOf(flood, 'alarm-flood');

/** Returns the node that counts, and the one that has the flood. */
function rolesOf(cluster: AlarmsCluster): { readonly counting: TestNode; readonly owner: TestNode } {
  const nodeOf = (partition: number) =>
    cluster.nodes.find(({ alarms }) => alarms.node!.ownership.ownerOf(partition) !== undefined)!;
  return { counting: nodeOf(0), owner: nodeOf(partitionOf(flood, partitions)) };
}

/** Returns an area whose flood is in partition 1. */
function lineOfPartition1(): { readonly line: string; readonly flood: string } {
  const lines = Array.from({ length: 50 }, (_, n) => `plant1.line${n}`);
  const line = lines.find((each) => partitionOf(floodDeviceOf(each), partitions) === 1)!;
  return { line, flood: floodDeviceOf(line) };
}

/** Writes a rate of 100, as the process with this `counter` does. */
async function writeRate(cluster: AlarmsCluster, device: string, counter: number): Promise<void> {
  const alarmRate = { device, raised: 100, time: cluster.clock.now(), counter };
  await cluster.append('tailrace.events', [{ key: device, value: Event.encode({ alarmRate }).finish() }]);
}

test('more than 10 alarms of an area in 10 minutes raise one alarm, which returns when there are fewer than 5', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.start('a');
    await cluster.start('b');
    for (let n = 0; n < 12; n++) await cluster.report(`plant1.line4${n}.press`, 90);
    await raise(cluster, 0, 10);
    assert.deepEqual(await states(cluster), [], '10 are no flood');
    await raise(cluster, 10, 11);
    assert.deepEqual(await states(cluster), ['1 unacknowledged']);
    await raise(cluster, 11, 15);
    const [raised] = (await cluster.events()).transitions.filter(({ rule }) => rule === 'alarm-flood');
    assert.equal(raised!.message, '11 alarms in 10 minutes');
    await cluster.acknowledge(flood, 1, 'alarm-flood');
    await cluster.settle(9 * minuteMs);
    assert.equal((await states(cluster)).at(-1), '2 acknowledged');
    await raise(cluster, 15, 20);
    await cluster.settle(minuteMs);
    assert.equal((await states(cluster)).at(-1), '2 acknowledged', '5 are left');
    await cluster.settle(8 * minuteMs);
    await raise(cluster, 20, 24);
    await cluster.settle(minuteMs);
    assert.equal((await states(cluster)).at(-1), '3 normal', '4 are left');
    await cluster.settle(10 * minuteMs);
    const rates = (await cluster.rates()).map((rate) => Number(rate.split(' ')[1]));
    assert.deepEqual([Math.max(...rates), rates.at(-1)], [20, 0]);
    await cluster.assertContinuous();
  }, settings);
});

test('an area with few alarms has no records', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.start('a');
    await cluster.settle(2_000);
    await raise(cluster, 0, 4);
    await cluster.settle(20 * minuteMs);
    assert.deepEqual(await cluster.rates(), []);
  }, settings);
});

test('a flood goes on over a takeover of its counter and of its owner, and is raised once', async () => {
  for (const role of ['counting', 'owner'] as const) {
    await withAlarms(async (cluster) => {
      await cluster.rule({ devices: ['plant1.>'] });
      await cluster.start('a');
      await cluster.start('b');
      await raise(cluster, 0, 10);
      await cluster.kill(rolesOf(cluster)[role]);
      await cluster.settle(3_000);
      assert.deepEqual(await states(cluster), []);
      await raise(cluster, 10, 12);
      assert.deepEqual(await states(cluster), ['1 unacknowledged'], 'those of before count');
      await cluster.start('c');
      await cluster.settle(3_000);
      await cluster.kill(rolesOf(cluster)[role]);
      await cluster.settle(3_000);
      await raise(cluster, 12, 20);
      assert.deepEqual(await states(cluster), ['1 unacknowledged']);
      await cluster.settle(11 * minuteMs);
      assert.deepEqual(await states(cluster), ['1 unacknowledged', '2 returned_unacknowledged']);
      await cluster.assertContinuous();
    }, settings);
  }
});

test('a flood that has gone while no node ran returns, at any time after it', async () => {
  for (const awayMs of [8 * minuteMs, 60 * minuteMs, 30 * 60 * minuteMs]) {
    await withAlarms(async (cluster) => {
      await cluster.rule({ devices: ['plant1.>'] });
      const first = await cluster.start('a');
      await raise(cluster, 0, 12);
      await cluster.stop(first);
      await cluster.settle(awayMs);
      await cluster.start('b');
      await cluster.settle(5_000);
      const expected = awayMs < 10 * minuteMs ? '1 unacknowledged' : '2 returned_unacknowledged';
      assert.equal((await states(cluster)).at(-1), expected, `away for ${awayMs} ms`);
    }, settings);
  }
});

test('rates that are read between the checkpoint of a flood and a takeover neither end it nor raise it again', async () => {
  // The state of the flood is before the record that all other areas have no alarms, or after it.
  for (const checkpointMs of [100, 2_000, 600_000]) {
    await withAlarms(
      async (cluster) => {
        await cluster.rule({ devices: ['plant1.>'] });
        await cluster.start('a');
        await raise(cluster, 0, 12);
        for (const name of ['b', 'c', 'd']) {
          const [before] = cluster.nodes;
          await cluster.start(name);
          await cluster.settle(1_500);
          await cluster.kill(before!);
          await cluster.settle(1_500);
          assert.deepEqual(await states(cluster), ['1 unacknowledged'], `${checkpointMs} ${name}`);
        }
      },
      { ...settings, checkpointMs },
    );
  }
});

test('a rate that is written while the partition of the flood has no owner raises it', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.start('a');
    await cluster.start('b');
    await cluster.settle(3_000);
    const { line, flood: ofLine } = lineOfPartition1();
    const presses = Array.from({ length: 50 }, (_, n) => `${line}.press${n}`);
    const counted = presses.filter((press) => partitionOf(press, partitions) === 0).slice(0, 12);
    const owner = cluster.nodes.find(({ alarms }) => alarms.node!.ownership.ownerOf(1) !== undefined)!;
    assert.equal(owner.alarms.node!.ownership.ownerOf(0), undefined);
    cluster.crash(owner);
    for (const press of counted) await cluster.report(press, 90);
    await cluster.settle(2_000);
    assert.deepEqual((await cluster.rates()).at(-1), `${ofLine} 12`);
    assert.deepEqual(await cluster.statesOf(ofLine, 'alarm-flood'), []);
    await cluster.settle(sessionMs);
    assert.deepEqual(await cluster.statesOf(ofLine, 'alarm-flood'), ['1 unacknowledged']);
  }, settings);
});

test('a process that has lost partition 0, and still writes rates, has no effect', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    const former = await cluster.start('z');
    const counter = rolesOf(cluster).counting.alarms.node!.ownership.ownerOf(0)!;
    await cluster.kill(former);
    await cluster.start('a');
    await raise(cluster, 0, 6);
    await writeRate(cluster, flood, counter);
    await cluster.settle();
    assert.deepEqual(await states(cluster), []);
  }, settings);
});

test('its rate is replaced within two seconds if the owner of the flood does not know who counts', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    const former = await cluster.start('z');
    const counter = rolesOf(cluster).counting.alarms.node!.ownership.ownerOf(0)!;
    await cluster.kill(former);
    // Of these two names the second one has partition 1.
    const counting = await cluster.start('b');
    await cluster.settle(10_000);
    await cluster.start('a');
    await cluster.settle(3_000);
    assert.equal(rolesOf(cluster).counting, counting);
    assert.equal(counting.alarms.node!.ownership.ownerOf(1), undefined);
    const { flood: ofLine } = lineOfPartition1();
    await writeRate(cluster, ofLine, counter);
    await cluster.settle();
    assert.deepEqual(await cluster.statesOf(ofLine, 'alarm-flood'), ['1 unacknowledged']);
    await cluster.settle(2_000);
    assert.deepEqual(await cluster.statesOf(ofLine, 'alarm-flood'), ['1 unacknowledged', '2 returned_unacknowledged']);
    assert.equal((await cluster.rates()).at(-1), `${ofLine} 0`);
  }, settings);
});

test('a clock that is behind that of the process before does not hide a rate', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.start('a');
    await raise(cluster, 0, 12);
    const counter = cluster.nodes[0]!.alarms.node!.ownership.ownerOf(0)!;
    const alarmRate = { device: flood, raised: 3, time: cluster.clock.now() - 5 * minuteMs, counter };
    await cluster.append('tailrace.events', [{ key: flood, value: Event.encode({ alarmRate }).finish() }]);
    await cluster.settle();
    assert.deepEqual(await states(cluster), ['1 unacknowledged', '2 returned_unacknowledged']);
  }, settings);
});

test('while the log takes no rates nothing is lost, and a failure is counted', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['plant1.>'] });
    const node = await cluster.start('a');
    node.failing.add('append');
    await raise(cluster, 0, 12);
    assert.deepEqual(await states(cluster), []);
    node.failing.clear();
    await cluster.settle(5_000);
    assert.deepEqual(await states(cluster), ['1 unacknowledged']);
    node.failing.add('bounds');
    await cluster.settle(5_000);
    const areaRates = node.alarms.node!.areaRates!;
    assert.ok(areaRates.counts.failures > 0);
    assert.ok(areaRates.readAgeMs >= 4_000);
    node.failing.clear();
    await cluster.settle(2_000);
    assert.ok(areaRates.readAgeMs <= 1_000);
  }, settings);
});

test('a rule with the ID of the flood replaces it, and one that is disabled switches it off', async () => {
  await withAlarms(async (cluster) => {
    const condition = { kind: 'limits', tag: 'raised_10min', limits: { H: { value: 2 } } } as const;
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.rule({ id: 'alarm-flood', devices: ['>'], condition });
    await cluster.start('a');
    await raise(cluster, 0, 6);
    assert.deepEqual(await states(cluster), ['1 unacknowledged']);
    await cluster.rule({ id: 'alarm-flood', version: 2, devices: ['>'], condition, enabled: false });
    await cluster.settle(2_000);
    assert.deepEqual(await states(cluster), ['1 unacknowledged', '2 normal']);
  }, settings);
});

test('the first version of such a rule is in force at once, at a flood that stands, and so is the built-in one after it', async () => {
  await withAlarms(async (cluster) => {
    const condition = { kind: 'limits', tag: 'raised_10min', limits: { HH: { value: 30 } } } as const;
    await cluster.rule({ devices: ['plant1.>'] });
    await cluster.start('a');
    await raise(cluster, 0, 12);
    await cluster.rule({ id: 'alarm-flood', devices: ['plant1.>'], condition });
    await cluster.settle(2_000);
    assert.deepEqual(await states(cluster), ['1 unacknowledged', '2 normal']);
    await cluster.deleteRule('alarm-flood');
    await cluster.settle(2_000);
    assert.deepEqual(await states(cluster), ['1 unacknowledged', '2 normal', '3 unacknowledged']);
    await cluster.assertContinuous();
  }, settings);
});

test('reports of the device of a flood are not evaluated', async () => {
  await withAlarms(async (cluster) => {
    await cluster.rule({ devices: ['>'] });
    await cluster.start('a');
    await cluster.report(flood, 90);
    await cluster.settle(2_000);
    assert.deepEqual((await cluster.events()).transitions, []);
  }, settings);
});
