import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { brokers } from './dashboards/brokers.ts';
import { type Dashboard, grafanaJson } from './dashboards/dashboard.ts';
import { fanoutNode } from './dashboards/fanoutnode.ts';
import { ingest } from './dashboards/ingest.ts';
import { overview } from './dashboards/overview.ts';

/** Writes Grafana's dashboards; with `--check`, says which are out of date, and exits with 1. */
const root = resolve(import.meta.dirname, '..');
const folder = join(root, 'helm/tailrace/dashboards');

const dashboards: Readonly<Record<string, Dashboard>> = { overview, 'fanout-node': fanoutNode, ingest, brokers };

const stale: string[] = [];
await mkdir(folder, { recursive: true });
for (const [name, dashboard] of Object.entries(dashboards)) {
  const file = join(folder, `${name}.json`);
  const json = grafanaJson(dashboard);
  if ((await readFile(file, 'utf8').catch(() => '')) === json) continue;
  if (process.argv.includes('--check')) stale.push(relative(root, file));
  else await writeFile(file, json);
}
if (stale.length > 0) {
  process.stderr.write(`out of date: ${stale.join(', ')}; run: node scripts/dashboards.ts\n`);
  process.exitCode = 1;
}
