import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
export const dashboardsFolder = join(root, 'helm/tailrace/dashboards');
export const rulesFolder = join(root, 'helm/tailrace/rules');

/** The fields of a dashboard that the tests read. */
export interface DashboardFile {
  readonly file: string;
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly {
    readonly type: string;
    readonly title: string;
    readonly description?: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
    readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  }[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly query: string | { readonly query: string };
    }[];
  };
}

export async function dashboards(): Promise<DashboardFile[]> {
  const files = (await readdir(dashboardsFolder)).filter((file) => file.endsWith('.json'));
  return await Promise.all(
    files.map(async (file) => ({ ...JSON.parse(await readFile(join(dashboardsFolder, file), 'utf8')), file })),
  );
}

export async function ruleFiles(): Promise<string[]> {
  return (await readdir(rulesFolder)).sort();
}

/** Returns the queries of a dashboard as Grafana sends them, for all jobs and nodes, over the last `seconds`. */
export function queriesOf({ panels, file }: DashboardFile, seconds: number): { panel: string; expr: string }[] {
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      panel: `${file}: ${title}`,
      expr: expr.replaceAll('$__rate_interval', `${seconds}s`).replaceAll(/\$(job|node)\b/g, '.*'),
    })),
  );
}
