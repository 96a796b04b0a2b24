import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { type ClusterFixture, releaseLabel, rolloutMs } from './cluster-fixture.ts';
import { command, type Kubectl } from './kubectl.ts';

const goneDeadlineMs = 60_000;

export function testLeaving({ kubectl, release, clients }: ClusterFixture): void {
  test('at the end every client has all acknowledged reports', async () => {
    await clients.end();
  });

  test('helm uninstall leaves nothing: no object of any kind, no volume', async () => {
    await release.uninstall(rolloutMs);
    await assertNothingLeft(kubectl, releaseLabel);
  });
}

/** Asserts that no object with the label is left, of any kind, in the namespace and in the cluster; except events. */
export async function assertNothingLeft(kubectl: Kubectl, label: string): Promise<void> {
  const kinds = async (namespaced: boolean) =>
    (await command('kubectl', ['api-resources', '--verbs=list', `--namespaced=${namespaced}`, '-o', 'name']))
      .split('\n')
      .filter((kind) => kind !== '' && !/^events|metrics\.k8s\.io$/.test(kind))
      .join(',');
  const [inside, outside] = [await kinds(true), await kinds(false)];
  await eventually(
    async () => {
      const left = [
        await kubectl.run(['get', inside, '-l', label, '-o', 'name']),
        await command('kubectl', ['get', outside, '-l', label, '-o', 'name']),
        // The release objects of Helm.
        await kubectl.run(['get', 'secrets,configmaps', '-l', `owner=helm,name=${label.split('=')[1]}`, '-o', 'name']),
      ].join('');
      assert.equal(left, '');
    },
    { deadlineMs: goneDeadlineMs, pollMs: 1_000, describe: 'nothing is left' },
  );
}
