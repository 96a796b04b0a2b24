import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { dashboardFiles } from '../../scripts/dashboards/dashboards.ts';
import { dashboards, ruleFiles, rulesFolder } from './dashboards.ts';

const root = resolve(import.meta.dirname, '../..');

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

async function rulesIn(file: string): Promise<Rule[]> {
  const { groups } = parse(await readFile(join(rulesFolder, file), 'utf8')) as RuleFile;
  return groups.flatMap(({ rules }) => rules);
}

async function alerts(): Promise<(Rule & { readonly alert: string; readonly file: string })[]> {
  const found = [];
  for (const file of await ruleFiles()) {
    for (const rule of await rulesIn(file))
      if (rule.alert !== undefined) found.push({ ...rule, alert: rule.alert, file });
  }
  return found;
}

test('the dashboards are generated from their definitions', async () => {
  for (const [file, text] of Object.entries(dashboardFiles()))
    assert.equal(await readFile(join(root, file), 'utf8'), text, file);
});

test('each panel has a description, a unit, and queries with legends', async () => {
  const all = await dashboards();
  assert.deepEqual(all.map(({ file }) => file).sort(), [
    'alarms.json',
    'brokers.json',
    'control.json',
    'devices.json',
    'fanout-node.json',
    'gateway.json',
    'ingest.json',
    'overview.json',
    'sparkplug.json',
  ]);
  assert.equal(new Set(all.map(({ uid }) => uid)).size, all.length);
  for (const { file, panels, templating } of all) {
    assert.deepEqual(
      templating.list.slice(0, 2).map(({ name }) => name),
      ['datasource', 'job'],
    );
    const titles = panels.filter(({ type }) => type !== 'row').map(({ title }) => title);
    for (const { type, title, description = '', fieldConfig, targets = [] } of panels) {
      if (type === 'row') continue;
      const where = `${file}: ${title}`;
      assert.ok(description.length >= 30 && description.endsWith('.'), `${where} has a description`);
      assert.ok(fieldConfig?.defaults.unit, `${where} has a unit`);
      assert.ok(targets.length > 0, `${where} has queries`);
      assert.equal(titles.filter((other) => other === title).length, 1, `${where} is there once`);
      for (const { expr, legendFormat } of targets) {
        assert.ok(legendFormat !== '', `${where} names its lines`);
        assert.ok(!/\$\w+/.test(expr.replaceAll(/\$(job|node|__rate_interval)\b/g, '')), `${where}: ${expr}`);
      }
    }
  }
});

test('panels do not overlap', async () => {
  for (const { file, panels } of await dashboards()) {
    for (const [i, { gridPos: a, title }] of panels.entries()) {
      assert.ok(a.x + a.w <= 24, `${file}: ${title}`);
      for (const { gridPos: b } of panels.slice(i + 1)) {
        const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
        assert.ok(apart, `${file}: ${title}`);
      }
    }
  }
});

test('each alert has a severity, a summary, a description, and a section in the runbook', async () => {
  const all = await alerts();
  assert.equal(new Set(all.map(({ alert }) => alert)).size, all.length);
  const runbook = (await readFile(join(root, 'docs/OPERATIONS.md'), 'utf8')).split(/^## Runbook$/m)[1];
  assert.ok(runbook, 'docs/OPERATIONS.md has a part "## Runbook"');
  const sections = new Map(
    runbook
      .split(/^### /m)
      .slice(1)
      .map((text) => [text.slice(0, text.indexOf('\n')).trim(), text] as const),
  );
  for (const { alert, labels, annotations } of all) {
    assert.match(alert, /^Tailrace[A-Z]/);
    assert.match(labels?.['severity'] ?? '', /^(critical|warning|info)$/, alert);
    assert.deepEqual(Object.keys(annotations ?? {}).sort(), ['description', 'runbook', 'summary'], alert);
    // GitHub's anchor of a heading of one word.
    assert.equal(annotations!['runbook'], `docs/OPERATIONS.md#${alert.toLowerCase()}`);
    const section = sections.get(alert);
    assert.ok(section, `docs/OPERATIONS.md has no section "### ${alert}"`);
    for (const part of ['**Means**', '**Users notice**', '**Check**', '**Do**'])
      assert.ok(section.includes(part), `the section ${alert} has ${part}`);
  }
  const known = new Set(all.map(({ alert }) => alert));
  assert.deepEqual(
    [...sections.keys()].filter((title) => !known.has(title)),
    [],
    'sections without an alert',
  );
});

test('each alert has a case that fires it and one in which it stays inactive', async () => {
  const cases = new Set<string>();
  for (const file of await ruleFiles()) {
    const text = await readFile(join(import.meta.dirname, 'rules', file.replace(/\.yaml$/, '.test.yaml')), 'utf8');
    const { tests } = parse(text) as {
      tests: { name: string; promql_expr_test: { expr: string; exp_samples: unknown[] }[] }[];
    };
    for (const { name, promql_expr_test: checks } of tests) {
      const [alert, ...rest] = name.split(' ');
      assert.equal(checks.length, 1, name);
      assert.equal(checks[0]!.expr, `count(ALERTS{alertname="${alert}",alertstate="firing"})`, name);
      assert.equal(checks[0]!.exp_samples.length, rest[0] === 'fires' ? 1 : 0, name);
      cases.add(name);
    }
  }
  for (const { alert } of await alerts()) {
    assert.ok(cases.delete(`${alert} fires`), `${alert} has no case that fires it`);
    assert.ok(cases.delete(`${alert} stays inactive`), `${alert} has no case in which it stays inactive`);
    // One more for each further condition of the alert.
    for (const name of cases) if (name.startsWith(`${alert} fires for `)) cases.delete(name);
  }
  assert.deepEqual([...cases], [], 'cases without an alert');
});
