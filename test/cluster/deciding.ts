import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { type ClusterFixture, releaseLabel, rolloutMs } from './cluster-fixture.ts';
import type { CommandsSeen } from './commands-pod.ts';
import { killProcesses } from './host-kill.ts';
import { isReady } from './kubectl.ts';

const controlLabel = `${releaseLabel},app.kubernetes.io/component=control`;
const commands = 200;
const intervalMs = 50;
const runMs = 240_000;

/** Prints whether control has a command, for the run outside. */
const hasCommandCode = `fetch(process.argv[1] + '/v1/commands?limit=1', { headers: { authorization: 'Bearer ' + process.env.TOKEN } })
  .then((answer) => answer.json()).then(({ commands }) => process.stdout.write(String(commands.length)));`;

/** Commands by control: PostgreSQL in the cluster, two processes, one of which is killed. */
export function testDeciding({ kubectl, host, images, place, step }: ClusterFixture): void {
  const url = (service: string, port: number) => `http://${service}.${place.namespace}.svc:${port}`;

  test('the Job has migrated the database before control started, and is gone', async () => {
    assert.equal((await kubectl.pods(controlLabel)).filter(isReady).length, 2);
    assert.equal(await kubectl.run(['get', 'jobs', '-l', releaseLabel, '-o', 'name']), '');
    const count = 'SELECT count(*) FROM control_schema_version';
    const rows = await kubectl.run(['exec', 'postgres-0', '--', 'psql', '-U', 'tailrace', '-tAc', count]);
    assert.ok(Number(rows) >= 10, rows);
  });

  test('a process of control is killed while commands run: each has one final state, and none is executed twice', async () => {
    const addresses = [url('tailrace-ingest', 8082), url('tailrace-control', 8085)];
    const args = ['exec', 'clients', '--', 'node', 'test/cluster/commands-pod.ts', ...addresses];
    const running = kubectl.run([...args, String(commands), String(intervalMs)], { deadlineMs: runMs });
    const killed = (async () => {
      const poll = async () => assert.equal(await kubectl.node('clients', hasCommandCode, [addresses[1]!]), '1');
      await eventually(poll, { deadlineMs: 60_000, pollMs: 200, describe: 'the first command is accepted' });
      const [victim] = await kubectl.pods(controlLabel);
      assert.equal(await killProcesses(host, victim!, images.clients), 1);
      return victim!.metadata.name;
    })();
    const [output, victim] = await Promise.all([running, killed]);
    const seen = JSON.parse(output) as CommandsSeen;
    step(`${victim} was killed; ${seen.repeated} requests repeated; ${JSON.stringify(seen.states)}`);
    assert.equal(seen.commands, commands);
    assert.deepEqual([seen.wrong, seen.twice, seen.isAuditValid], [[], [], true]);
    const states = Object.keys(seen.states).filter((state) => !['done', 'unconfirmed'].includes(state));
    assert.deepEqual(states, []);
    const ready = async () => assert.equal((await kubectl.pods(controlLabel)).filter(isReady).length, 2);
    await eventually(ready, { deadlineMs: rolloutMs, pollMs: 500, describe: 'both are ready again' });
  });
}
