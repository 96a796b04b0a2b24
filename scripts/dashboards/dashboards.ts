import { alarms } from './alarms.ts';
import { brokers } from './brokers.ts';
import { control } from './control.ts';
import { type Dashboard, grafanaJson } from './dashboard.ts';
import { devices } from './devices.ts';
import { fanoutNode } from './fanout-node.ts';
import { gateway } from './gateway.ts';
import { ingest } from './ingest.ts';
import { overview } from './overview.ts';
import { sparkplug } from './sparkplug.ts';

const dashboards: Readonly<Record<string, Dashboard>> = {
  overview,
  'fanout-node': fanoutNode,
  ingest,
  devices,
  sparkplug,
  gateway,
  alarms,
  control,
  brokers,
};

/** Returns Grafana's dashboards, by path. */
export function dashboardFiles(): Record<string, string> {
  const files = Object.entries(dashboards).map(([name, dashboard]) => [
    `helm/tailrace/dashboards/${name}.json`,
    grafanaJson(dashboard),
  ]);
  return Object.fromEntries(files);
}
