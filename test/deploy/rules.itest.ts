import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { run } from '@tailrace/testkit/run';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import { parse } from 'yaml';
import { ruleFiles, rulesFolder } from './dashboards.ts';

const casesFolder = join(import.meta.dirname, 'rules');
const deadlineMs = 120_000;

let promtool: string;
before(async () => {
  promtool = await findTool('promtool');
});

test('promtool accepts the rules', async () => {
  const files = (await ruleFiles()).map((file) => join(rulesFolder, file));
  await run(promtool, ['check', 'rules', ...files], { deadlineMs });
});

test('each alert fires and stays inactive as its cases expect', async () => {
  const cases = (await readdir(casesFolder)).filter((file) => file.endsWith('.test.yaml'));
  await run(promtool, ['test', 'rules', ...cases], { cwd: casesFolder, deadlineMs });
});

interface Cases {
  readonly tests: readonly {
    readonly name: string;
    readonly interval: string;
    readonly input_series: readonly object[];
    readonly promql_expr_test: readonly { readonly eval_time: string }[];
  }[];
}

test('the description of an alert has its values filled in', async () => {
  const dir = await createTempDir('alerts');
  try {
    for (const file of await ruleFiles()) {
      const { tests } = parse(await readFile(join(casesFolder, file.replace('.yaml', '.test.yaml')), 'utf8')) as Cases;
      const firing = tests.filter(({ name }) => name.split(' ')[1] === 'fires');
      // Expecting none, promtool prints the alerts.
      const checks = firing.map(({ name, interval, input_series, promql_expr_test: [check] }) => ({
        ...{ name, interval, input_series },
        alert_rule_test: [{ eval_time: check!.eval_time, alertname: name.split(' ')[0], exp_alerts: [] }],
      }));
      const path = join(dir.path, file);
      const made = { rule_files: [join(rulesFolder, file)], evaluation_interval: '30s', tests: checks };
      await writeFile(path, JSON.stringify(made));
      const failed = await run(promtool, ['test', 'rules', path], { deadlineMs }).then(
        () => assert.fail('expected promtool to report alerts'),
        (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
      );
      const descriptions = [...failed.matchAll(/description="([^"]*)"/g)].map(([, description]) => description!);
      assert.equal(descriptions.length, firing.length, failed);
      for (const description of descriptions)
        assert.doesNotMatch(description, /\{\{|<no value>|error expanding|NaN| {2}/);
    }
  } finally {
    await dir.remove();
  }
});
