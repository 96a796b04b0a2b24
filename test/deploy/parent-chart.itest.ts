import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { parseAllDocuments, stringify } from 'yaml';
import { at, chartFolder, helmOutput, type KubernetesObject, type Values } from './chart.ts';

const embedded: Values = { standalone: { enabled: true }, fanout: { enabled: false }, ingest: { enabled: false } };

/** Creates a chart with Tailrace as a dependency, and runs `helm dependency update`. */
async function parentChart(t: TestContext, dependency: Values, values: Values) {
  const { path: folder, remove } = await createTempDir('parentchart');
  t.after(remove);
  mkdirSync(join(folder, 'templates'));
  const own = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'own' } };
  const settings = '{{ toYaml .Values.imported | nindent 4 }}';
  writeFileSync(join(folder, 'templates/own.yaml'), `${stringify(own)}data:\n  imported: |${settings}\n`);
  writeFileSync(
    join(folder, 'Chart.yaml'),
    stringify({
      apiVersion: 'v2',
      name: 'plant',
      version: '1.0.0',
      dependencies: [{ name: 'tailrace', version: '*', repository: `file://${chartFolder}`, ...dependency }],
    }),
  );
  writeFileSync(join(folder, 'values.yaml'), stringify(values));
  await helmOutput(['dependency', 'update', folder]);
  return {
    async objects(...args: readonly string[]): Promise<readonly KubernetesObject[]> {
      const text = await helmOutput(['template', 'plant', folder, ...args]);
      return parseAllDocuments(text).flatMap((document) => (document.toJS() as KubernetesObject | null) ?? []);
    },
    lint: () => helmOutput(['lint', '--strict', folder]),
  };
}

const ofTailrace = (objects: readonly KubernetesObject[]) =>
  objects.filter((object) => at(object, 'metadata.labels')?.['app.kubernetes.io/part-of' as never] === 'tailrace');

test('a parent chart switches Tailrace on and off by its condition', async (t) => {
  const dependency = { condition: 'tailrace.enabled' };
  const { objects, lint } = await parentChart(t, dependency, { tailrace: { enabled: true, ...embedded } });
  assert.match(await lint(), /0 chart\(s\) failed/);
  assert.ok(ofTailrace(await objects()).some(({ kind }) => kind === 'StatefulSet'));
  const off = await objects('--set', 'tailrace.enabled=false');
  assert.deepEqual([ofTailrace(off).length, off.length], [0, 1]);
});

test('a parent chart switches Tailrace on and off by a tag, and a condition with a value overrides it', async (t) => {
  const dependency = { tags: ['live'], condition: 'tailrace.enabled' };
  const { objects } = await parentChart(t, dependency, { tags: { live: false }, tailrace: embedded });
  assert.equal(ofTailrace(await objects()).length, 0);
  assert.ok(ofTailrace(await objects('--set', 'tags.live=true')).length > 0);
  assert.ok(ofTailrace(await objects('--set', 'tailrace.enabled=true')).length > 0);
});

test('global values, an alias, and values that the parent imports are accepted', async (t) => {
  const { objects } = await parentChart(
    t,
    { alias: 'live', condition: 'live.enabled', 'import-values': [{ child: 'image', parent: 'imported' }] },
    { global: { imageRegistry: 'registry.example', storageClass: 'fast' }, live: { enabled: true, ...embedded } },
  );
  const all = await objects();
  assert.ok(ofTailrace(all).some(({ kind }) => kind === 'StatefulSet'));
  assert.match(
    String(
      at(
        all.find(({ metadata }) => metadata.name === 'own'),
        'data.imported',
      ),
    ),
    /repository: tailrace/,
  );
});

test('unknown values are refused in a parent chart too, and so is `enabled` without a condition', async (t) => {
  const dependency = { condition: 'tailrace.enabled' };
  const { objects } = await parentChart(t, dependency, { tailrace: embedded });
  await assert.rejects(objects('--set', 'tailrace.enabeld=true'), /enabeld/);
  await assert.rejects(objects('--set', 'tailrace.enabled=never'), /enabled/);
  const without = await parentChart(t, {}, { tailrace: { enabled: false, ...embedded } });
  await assert.rejects(
    without.objects(),
    /enabled is false and the chart is installed; expected the parent chart to name/,
  );
});
