import { test } from 'node:test';
import type { RuleInput } from '@tailrace/rules/rule';
import { seededRandom } from '@tailrace/testkit/random';
import { type AlarmsCluster, withAlarms } from '../test/alarms-cluster.ts';

const devices = Array.from({ length: 8 }, (_, index) => `plant.line${index}`);

const rules: readonly (Partial<RuleInput> & { readonly id: string })[] = [
  { id: 'hot' },
  {
    id: 'delayed',
    condition: {
      kind: 'limits',
      tag: 'temp',
      limits: { L: { value: 20, hysteresis: 5 }, H: { value: 80, hysteresis: 5 }, HH: { value: 95 } },
    },
    onDelayMs: 700,
    offDelayMs: 300,
  },
  { id: 'latched', latched: true, priority: 1 },
  { id: 'idle', condition: { kind: 'stale', afterMs: 4_000 } },
  { id: 'rising', condition: { kind: 'rate', tag: 'temp', overMs: 1_000, rise: { value: 30 } } },
  { id: 'inhibited', inhibition: { alarms: ['delayed'] } },
  { id: 'escalated', escalation: [{ afterMs: 2_000, priority: 1 }] },
  // People act on this one alone: when they do is not in the reports.
  { id: 'acknowledged' },
];

/** One random step: reports, an acknowledgement, or a node that starts, stops or crashes. */
async function step(cluster: AlarmsCluster, random: () => number, names: () => string): Promise<void> {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const dice = random();
  if (dice < 0.75) {
    for (let reports = Math.floor(random() * 6); reports >= 0; reports--) {
      // Some are late, or of a clock that is ahead.
      const skewMs = random() < 0.2 ? Math.floor(random() * 2_000) - 1_500 : 0;
      await cluster.report(pick(devices), Math.floor(random() * 120), cluster.clock.now() + skewMs);
    }
  } else if (dice < 0.85) await cluster.acknowledge(pick(devices), 0, 'acknowledged');
  else if (dice < 0.9 && cluster.nodes.length < 3) await cluster.start(names());
  else if (dice < 0.94 && cluster.nodes.length > 1) await cluster.stop(pick(cluster.nodes));
  else if (dice < 0.98 && cluster.nodes.length > 1) cluster.crash(pick(cluster.nodes));
  else if (cluster.nodes.length > 0) {
    // The answers of some writes are lost.
    const node = pick(cluster.nodes);
    node.failing.add('answer');
    await cluster.settle(300);
    node.failing.clear();
  }
  // Sometimes nothing at all is processed before the next step.
  if (random() < 0.8) await cluster.settle(Math.floor(random() * 400));
}

test('through crashes, restarts and lost answers the transitions are those of one process that reads the log', async () => {
  for (let seed = 1; seed <= 25; seed++) {
    await withAlarms(async (cluster) => {
      const random = seededRandom(seed);
      let started = 0;
      // A name comes back, as that of a pod, once its node has left the group.
      const names = () => `node-${started++ % 9}`;
      for (const rule of rules) await cluster.rule(rule);
      await cluster.start(names());
      for (let steps = 0; steps < 60; steps++) await step(cluster, random, names);
      if (cluster.nodes.length === 0) await cluster.start(names());
      await cluster.settle(30_000);
      await cluster.assertContinuous();
      await cluster.assertAsReference(['acknowledged'], `seed ${seed}`);
      await cluster.assertAnswered(`seed ${seed}`);
    });
  }
});
