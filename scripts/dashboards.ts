/** Writes Grafana's dashboards. `--check` writes nothing and fails where a file differs from what it would write. */
import process from 'node:process';
import { brokers } from './dashboards/brokers.ts';
import { type Dashboard, grafanaJson } from './dashboards/dashboard.ts';
import { fanoutNode } from './dashboards/fanoutnode.ts';
import { ingest } from './dashboards/ingest.ts';
import { overview } from './dashboards/overview.ts';
import { writeOrCheck } from './written.ts';

const dashboards: Readonly<Record<string, Dashboard>> = { overview, 'fanout-node': fanoutNode, ingest, brokers };

writeOrCheck(
  process,
  'dashboards',
  Object.fromEntries(
    Object.entries(dashboards).map(([name, dashboard]) => [
      `helm/tailrace/dashboards/${name}.json`,
      grafanaJson(dashboard),
    ]),
  ),
);
