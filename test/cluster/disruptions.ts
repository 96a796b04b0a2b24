import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import type { Target } from '../chaos/faults.ts';
import { killProcesses } from './host-kill.ts';
import { isReady, type Pod } from './kubectl.ts';
import { fanout, fanoutLabel, rolloutMs, runLabel, type Stage } from './stage.ts';

/** What somebody planned. */
const planned: Target = { what: 'pause p99', ms: 2_000 };
/** What nobody planned. */
const crash: Target = { what: 'shown again p95', ms: 5_000 };
/** An image that cannot be had is known within seconds; then Helm goes on waiting. */
const badUpgradeMs = 25_000;
/** Share of the CPU request of 100m. The crowd's load takes about 40 % and more. */
const lowCpuPercent = 15;
/** The SDK does not go back within 60 s to an address that it has left. */
const settleDeadlineMs = 90_000;
/** metrics-server looks every 15 s, and a new pod counts after 30. */
const autoscaleMs = 120_000;

interface Workload {
  readonly spec: { readonly replicas: number };
  readonly status: { readonly readyReplicas?: number };
}

export function testDisruptions(stage: Stage): void {
  const { kubectl, release, crowd, host, images, step } = stage;
  // A drain takes the pods of all namespaces: those of others who use the cluster, or its only DNS server, are not ours
  // to move.
  const ours = `${runLabel}=${stage.place.namespace}`;
  const nodes = () => kubectl.pods(fanoutLabel);
  const uids = async () => (await nodes()).map(({ metadata }) => metadata.uid);
  const workload = () => kubectl.json<Workload>(['get', fanout]);
  const flushMs = async () =>
    await kubectl.node('tailrace-fanout-0', "process.stdout.write(process.env.TAILRACE_FLUSH_MS ?? '')");

  async function allReady(count: number): Promise<void> {
    await eventually(
      async () => {
        const pods = await nodes();
        assert.equal(pods.filter(isReady).length, count);
        assert.equal(pods.length, count);
      },
      { deadlineMs: rolloutMs, pollMs: 500, describe: `${count} nodes are ready` },
    );
  }

  /** Each node has clients again and they stand still, so that the next disruption meets a share of them. */
  async function settled(): Promise<void> {
    let before = '';
    await eventually(
      async () => {
        const places = (await crowd.reach()).seen.map(({ nodeNow }) => nodeNow);
        const stood = before;
        before = places.join();
        for (const { metadata } of await nodes())
          assert.ok(places.includes(metadata.name), `${metadata.name} has none`);
        assert.equal(before, stood, 'clients are moving');
      },
      { deadlineMs: settleDeadlineMs, pollMs: 1_500, describe: 'each node has clients that stay' },
    );
  }

  test('helm upgrade with a changed setting replaces the nodes one by one', async () => {
    const before = await uids();
    await crowd.under(
      { name: 'upgrade', words: 'helm upgrade: a setting of fanout changes', target: planned },
      async (say) => {
        await release.upgrade(['fanout.config.flushMs=25'], rolloutMs);
        say('helm upgrade is done');
      },
    );
    assert.equal(await flushMs(), '25');
    assert.equal((await uids()).filter((uid) => before.includes(uid)).length, 0, 'all nodes are new ones');
  });

  test('helm rollback goes back', async () => {
    await crowd.under({ name: 'rollback', words: 'helm rollback', target: planned }, () => release.rollback(rolloutMs));
    assert.equal(await flushMs(), '');
  });

  test('a rolling restart of fanout and ingest', async () => {
    await crowd.under(
      { name: 'restart', words: 'kubectl rollout restart of fanout and ingest', target: planned },
      async () => {
        await kubectl.run(['rollout', 'restart', fanout, 'deployment/tailrace-ingest']);
        await kubectl.rolledOut('deployment/tailrace-ingest', rolloutMs);
        await kubectl.rolledOut(fanout, rolloutMs);
      },
    );
  });

  test('two nodes become four: clients go to the new ones', async () => {
    const row = await crowd.under(
      { name: 'scale up', words: 'kubectl scale from 2 to 4', target: planned },
      async (say) => {
        await kubectl.run(['scale', fanout, '--replicas=4']);
        await allReady(4);
        say('four nodes are ready');
        await settled();
        say('each node has clients');
      },
    );
    assert.ok(row.moves > 0, 'clients moved');
  });

  test('four nodes become two', async () => {
    await crowd.under({ name: 'scale down', words: 'kubectl scale from 4 to 2', target: planned }, async () => {
      await kubectl.run(['scale', fanout, '--replicas=2']);
      await allReady(2);
    });
  });

  test('the HorizontalPodAutoscaler adds a node by real CPU, and the upgrade to it takes none away', async () => {
    await settled();
    const hpa = ['enabled=true', 'minReplicas=2', 'maxReplicas=3', `cpuPercent=${lowCpuPercent}`];
    const settings = ['fanout.replicas=null', ...hpa.map((setting) => `fanout.hpa.${setting}`)];
    let fewest = Number.POSITIVE_INFINITY;
    try {
      await crowd.under(
        { name: 'autoscaling', words: `HPA at ${lowCpuPercent} % of 100m CPU`, target: planned },
        async (say) => {
          const upgraded = release.upgrade(settings, rolloutMs);
          await eventually(
            async () => {
              const { spec } = await workload();
              fewest = Math.min(fewest, spec.replicas);
              assert.equal(spec.replicas, 3);
            },
            { deadlineMs: autoscaleMs, pollMs: 200, describe: 'the autoscaler asks for three nodes' },
          );
          const line = await kubectl.run(['get', 'hpa', 'tailrace-fanout', '--no-headers']);
          say(line.trim().replace(/ +/g, ' '));
          await upgraded;
          await allReady(3);
        },
      );
    } finally {
      await crowd.under({ name: 'autoscaling off', words: 'helm upgrade back to two', target: planned }, async () => {
        await release.upgrade([], rolloutMs);
        await allReady(2);
      });
    }
    assert.ok(
      fewest >= 2,
      `there were ${fewest} for a while: the upgrade took nodes away before the autoscaler looked`,
    );
  });

  test('kubectl drain of a node moves its pods, and its budget lets no second one go meanwhile', async () => {
    await settled();
    const kafka = await kubectl.pod('kafka-0');
    const pods = await nodes();
    const leaving = pods.find(({ spec }) => spec.nodeName !== kafka.spec.nodeName)!;
    const staying = pods.find(({ metadata }) => metadata.name !== leaving.metadata.name)!;
    const node = leaving.spec.nodeName!;
    try {
      await crowd.under(
        { name: 'drain', words: `kubectl drain of ${node}, with ${leaving.metadata.name} on it`, target: planned },
        async (say) => {
          const drained = kubectl.run(
            ['drain', node, `--pod-selector=${ours}`, '--delete-emptydir-data', '--timeout=90s'],
            { deadlineMs: 100_000 },
          );
          await Promise.race([drained, isLeaving(leaving)]);
          const { allowed, words } = await kubectl.tryEviction(staying.metadata.name);
          say(`evicting ${staying.metadata.name} as well: ${words}`);
          assert.equal(allowed, false);
          assert.match(words, /disruption budget/);
          await drained;
          say(`${node} is drained`);
          await allReady(2);
          say('two nodes are ready again');
        },
      );
      assert.ok((await nodes()).every(({ spec }) => spec.nodeName !== node));
    } finally {
      await kubectl.run(['uncordon', node]);
    }
  });

  function isLeaving(pod: Pod): Promise<unknown> {
    return eventually(async () => assert.ok((await kubectl.pod(pod.metadata.name)).metadata.deletionTimestamp), {
      deadlineMs: 60_000,
      pollMs: 100,
      describe: `${pod.metadata.name} is asked to end`,
    });
  }

  test('a pod deleted by force: its successor comes while it may still live', async () => {
    await settled();
    const [first] = await nodes();
    await crowd.under(
      { name: 'force delete', words: 'kubectl delete pod --grace-period=0 --force', target: crash },
      async () => {
        await kubectl.run(['delete', 'pod', first!.metadata.name, '--grace-period=0', '--force']);
        await eventually(
          async () => assert.notEqual((await kubectl.pod(first!.metadata.name)).metadata.uid, first!.metadata.uid),
          {
            deadlineMs: 60_000,
            pollMs: 200,
          },
        );
        await allReady(2);
      },
    );
  });

  test('a process killed by SIGKILL: the container starts again', async () => {
    await settled();
    const victim = (await nodes())[1]!;
    const restarts = victim.status.containerStatuses?.[0]?.restartCount ?? 0;
    await crowd.under(
      { name: 'kill -9', words: `SIGKILL of the process of ${victim.metadata.name}`, target: crash },
      async (say) => {
        const count = await killProcesses(host, victim, images.crowd);
        say(`${count} processes killed`);
        assert.equal(count, 1);
        await eventually(
          async () => {
            const pod = await kubectl.pod(victim.metadata.name);
            assert.equal(pod.status.containerStatuses?.[0]?.restartCount, restarts + 1);
            assert.ok(isReady(pod));
          },
          { deadlineMs: rolloutMs, pollMs: 200, describe: 'the container is ready again' },
        );
      },
    );
  });

  test('an upgrade to an image that does not exist: the others serve, and --atomic goes back', async () => {
    await settled();
    await crowd.under(
      { name: 'bad upgrade', words: 'helm upgrade --atomic to an image that cannot be had', target: planned },
      async (say) => {
        const upgraded = release.upgrade(['image.tag=none-such'], badUpgradeMs, ['--atomic']).then(
          () => undefined,
          (error: unknown) => error as Error,
        );
        await eventually(
          async () => {
            const stuck = (await nodes()).filter((pod) => !isReady(pod));
            assert.ok(
              stuck.some(
                ({ spec, metadata }) => spec.nodeName !== undefined && metadata.deletionTimestamp === undefined,
              ),
            );
          },
          { deadlineMs: badUpgradeMs, pollMs: 500, describe: 'a node is stuck' },
        );
        const serving = (await nodes()).filter(isReady).length;
        say(`a node is stuck; ${serving} of the old ones serves`);
        assert.equal(serving, 1);
        const error = await upgraded;
        assert.match(error?.message ?? 'it went through', /has been rolled back|rolled back due to atomic/);
        say('helm has gone back');
        await allReady(2);
      },
    );
    const pods = await nodes();
    assert.ok(pods.every(isReady));
    step(`${pods.length} nodes are ready`);
  });
}
