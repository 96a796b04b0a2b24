import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { command, type Kubectl } from './kubectl.ts';
import { releaseLabel, rolloutMs, type Stage } from './stage.ts';

const goneDeadlineMs = 60_000;

export function testLeaving({ kubectl, release, crowd }: Stage): void {
  test('at the end every client has everything that was acknowledged', async () => {
    await crowd.end();
  });

  test('helm uninstall leaves nothing: no object of any kind, no volume', async () => {
    await release.uninstall(rolloutMs);
    await leavesNothing(kubectl, releaseLabel);
  });
}

/** Of every kind that can be listed, in the namespace and in the whole cluster; events are of the past. */
export async function leavesNothing(kubectl: Kubectl, label: string): Promise<void> {
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
        // What Helm itself keeps of a release.
        await kubectl.run(['get', 'secrets,configmaps', '-l', `owner=helm,name=${label.split('=')[1]}`, '-o', 'name']),
      ].join('');
      assert.equal(left, '');
    },
    { deadlineMs: goneDeadlineMs, pollMs: 1_000, describe: 'nothing is left' },
  );
}
