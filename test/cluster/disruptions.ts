import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import type { Target } from '../chaos/faults.ts';
import { type ClusterFixture, fanout, fanoutLabel, rolloutMs, runLabel } from './cluster-fixture.ts';
import { killProcesses } from './host-kill.ts';
import { isReady, type Pod } from './kubectl.ts';

/** A planned disruption. */
const planned: Target = { what: 'pause p99', ms: 2_000 };
/** A failure. */
const crash: Target = { what: 'shown again p95', ms: 5_000 };
/** An image that does not exist fails within seconds; then Helm keeps waiting. */
const badUpgradeMs = 25_000;
/** Share of the CPU request of 100m. The load of the clients uses 40 % or more. */
const lowCpuPercent = 15;
/** The SDK does not return within 60 s to an address that it has left. */
const settleDeadlineMs = 90_000;
/** metrics-server scrapes every 15 s, and counts a new pod after 30 s. */
const autoscaleMs = 120_000;

interface Workload {
  readonly spec: { readonly replicas: number };
  readonly status: { readonly readyReplicas?: number };
}

export function testDisruptions(fixture: ClusterFixture): void {
  const { kubectl, release, clients, host, images, step } = fixture;
  // A drain evicts the pods of all namespaces: pods of other users, or the only DNS server, must not be moved.
  const podSelector = `${runLabel}=${fixture.place.namespace}`;
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

  /** Resolves when each node has clients again, and they stay, so that the next disruption affects some of them. */
  async function settled(): Promise<void> {
    let before = '';
    await eventually(
      async () => {
        const places = (await clients.reach()).seen.map(({ nodeNow }) => nodeNow);
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
    await clients.under(
      { name: 'upgrade', words: 'helm upgrade: a setting of fanout changes', target: planned },
      async (print) => {
        await release.upgrade(['fanout.config.flushMs=25'], rolloutMs);
        print('helm upgrade is done');
      },
    );
    assert.equal(await flushMs(), '25');
    assert.equal((await uids()).filter((uid) => before.includes(uid)).length, 0, 'all nodes are new ones');
  });

  test('helm rollback restores the settings', async () => {
    await clients.under({ name: 'rollback', words: 'helm rollback', target: planned }, () =>
      release.rollback(rolloutMs),
    );
    assert.equal(await flushMs(), '');
  });

  test('a rolling restart of fanout and ingest', async () => {
    await clients.under(
      { name: 'restart', words: 'kubectl rollout restart of fanout and ingest', target: planned },
      async () => {
        await kubectl.run(['rollout', 'restart', fanout, 'deployment/tailrace-ingest']);
        await kubectl.rolledOut('deployment/tailrace-ingest', rolloutMs);
        await kubectl.rolledOut(fanout, rolloutMs);
      },
    );
  });

  test('from two to four nodes: clients move to the new ones', async () => {
    const row = await clients.under(
      { name: 'scale up', words: 'kubectl scale from 2 to 4', target: planned },
      async (print) => {
        await kubectl.run(['scale', fanout, '--replicas=4']);
        await allReady(4);
        print('four nodes are ready');
        await settled();
        print('each node has clients');
      },
    );
    assert.ok(row.moves > 0, 'clients moved');
  });

  test('from four to two nodes', async () => {
    await clients.under({ name: 'scale down', words: 'kubectl scale from 4 to 2', target: planned }, async () => {
      await kubectl.run(['scale', fanout, '--replicas=2']);
      await allReady(2);
    });
  });

  test('the HorizontalPodAutoscaler adds a node by real CPU, and the upgrade to it removes none', async () => {
    await settled();
    const hpa = ['enabled=true', 'minReplicas=2', 'maxReplicas=3', `cpuPercent=${lowCpuPercent}`];
    const settings = ['fanout.replicas=null', ...hpa.map((setting) => `fanout.hpa.${setting}`)];
    let fewest = Number.POSITIVE_INFINITY;
    try {
      await clients.under(
        { name: 'autoscaling', words: `HPA at ${lowCpuPercent} % of 100m CPU`, target: planned },
        async (print) => {
          const upgraded = release.upgrade(settings, rolloutMs);
          await eventually(
            async () => {
              const { spec } = await workload();
              fewest = Math.min(fewest, spec.replicas);
              assert.equal(spec.replicas, 3);
            },
            { deadlineMs: autoscaleMs, pollMs: 200, describe: 'the autoscaler sets three replicas' },
          );
          const line = await kubectl.run(['get', 'hpa', 'tailrace-fanout', '--no-headers']);
          print(line.trim().replace(/ +/g, ' '));
          await upgraded;
          await allReady(3);
        },
      );
    } finally {
      await clients.under({ name: 'autoscaling off', words: 'helm upgrade back to two', target: planned }, async () => {
        await release.upgrade([], rolloutMs);
        await allReady(2);
      });
    }
    assert.ok(fewest >= 2, `there were ${fewest} for a while: the upgrade removed nodes before the autoscaler acted`);
  });

  test('kubectl drain of a node moves its pods, and the budget allows no second eviction meanwhile', async () => {
    await settled();
    const kafka = await kubectl.pod('kafka-0');
    const pods = await nodes();
    const leaving = pods.find(({ spec }) => spec.nodeName !== kafka.spec.nodeName)!;
    const staying = pods.find(({ metadata }) => metadata.name !== leaving.metadata.name)!;
    const node = leaving.spec.nodeName!;
    try {
      await clients.under(
        { name: 'drain', words: `kubectl drain of ${node}, with ${leaving.metadata.name} on it`, target: planned },
        async (print) => {
          const drained = kubectl.run(
            ['drain', node, `--pod-selector=${podSelector}`, '--delete-emptydir-data', '--timeout=90s'],
            { deadlineMs: 100_000 },
          );
          await Promise.race([drained, isLeaving(leaving)]);
          const { allowed, words } = await kubectl.tryEviction(staying.metadata.name);
          print(`evicting ${staying.metadata.name} as well: ${words}`);
          assert.equal(allowed, false);
          assert.match(words, /disruption budget/);
          await drained;
          print(`${node} is drained`);
          await allReady(2);
          print('two nodes are ready again');
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
      describe: `${pod.metadata.name} is terminating`,
    });
  }

  test('a pod deleted by force: its successor starts while it may still run', async () => {
    await settled();
    const [first] = await nodes();
    await clients.under(
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
    await clients.under(
      { name: 'kill -9', words: `SIGKILL of the process of ${victim.metadata.name}`, target: crash },
      async (print) => {
        const count = await killProcesses(host, victim, images.clients);
        print(`${count} processes killed`);
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

  test('an upgrade to an image that does not exist: the old nodes serve, and --atomic rolls back', async () => {
    await settled();
    await clients.under(
      { name: 'bad upgrade', words: 'helm upgrade --atomic to an image that does not exist', target: planned },
      async (print) => {
        // Without the Job of the migration: it has the same image, and would stop the upgrade before it touches a node.
        const settings = ['image.tag=none-such', 'database.migrationJob.enabled=false'];
        const upgraded = release.upgrade(settings, badUpgradeMs, ['--atomic']).then(
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
        print(`a node is stuck; ${serving} of the old ones serves`);
        assert.equal(serving, 1);
        const error = await upgraded;
        assert.match(error?.message ?? 'it succeeded', /has been rolled back|rolled back due to atomic/);
        print('helm has rolled back');
        await allReady(2);
      },
    );
    const pods = await nodes();
    assert.ok(pods.every(isReady));
    step(`${pods.length} nodes are ready`);
  });
}
