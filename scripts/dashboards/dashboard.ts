/** One query of a panel. `legend` may contain labels such as `{{node}}`. */
export interface Line {
  readonly expr: string;
  readonly legend: string;
  /** Whether it is the limit of the others: drawn dashed and red. */
  readonly isLimit?: boolean;
}

export interface Panel {
  readonly title: string;
  /**
   * Grafana's name of a unit:
   * https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
   */
  readonly unit: 'short' | 's' | 'bytes' | 'ops' | 'percentunit';
  /** What it shows, and what to do when it is not normal. */
  readonly description: string;
  readonly lines: readonly Line[];
  /** One number instead of a curve. */
  readonly isNumber?: boolean;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly query: string;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

const columns = 24;
const datasource = { type: 'prometheus', uid: '$datasource' };

/** Returns the JSON that Grafana 10 and later import, or provision from a file. */
export function grafanaJson(dashboard: Dashboard): string {
  const { uid, title, description, variables, rows } = dashboard;
  const made = {
    uid,
    title,
    description,
    tags: ['tailrace'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: [datasourceVariable, ...variables.map(variable)] },
    links: [{ type: 'dashboards', tags: ['tailrace'], title: 'Tailrace', asDropdown: true, keepTime: true }],
    panels: panelsOf(rows),
  };
  // Lists of plain values on one line, as the formatter writes them.
  const json = JSON.stringify(made, undefined, 2).replaceAll(
    /\[\s+([^[\]{}]*?)\s+\]/g,
    (_, list: string) => `[${list.replaceAll(/,\s+/g, ', ')}]`,
  );
  return `${json}\n`;
}

const datasourceVariable = { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' };

function variable({ name, label, query }: Variable) {
  return {
    ...{ name, label, type: 'query', datasource, query: { query, refId: name }, refresh: 2, sort: 1 },
    ...{ multi: true, includeAll: true, allValue: '.*', current: { text: 'All', value: '$__all' } },
  };
}

/** Places panels row by row, from left to right; a number is 4 columns wide, a curve 8. */
function panelsOf(rows: readonly Row[]): object[] {
  const panels: object[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row.title,
      gridPos: { x: 0, y, w: columns, h: 1 },
      panels: [],
    });
    y++;
    let x = 0;
    let tallest = 0;
    for (const panel of row.panels) {
      const [w, h] = panel.isNumber ? [4, 4] : [8, 8];
      if (x + w > columns) {
        x = 0;
        y += tallest;
        tallest = 0;
      }
      panels.push(panelJson(panel, panels.length + 1, { x, y, w, h }));
      x += w;
      tallest = Math.max(tallest, h);
    }
    y += tallest;
  }
  return panels;
}

function panelJson({ title, unit, description, lines, isNumber = false }: Panel, id: number, gridPos: object): object {
  const targets = lines.map(({ expr, legend }, i) => ({
    ...{ refId: String.fromCharCode(65 + i), datasource, expr, legendFormat: legend },
    ...(isNumber ? { instant: true } : {}),
  }));
  const overrides = lines
    .filter(({ isLimit }) => isLimit)
    .map(({ legend }) => ({ matcher: { id: 'byRegexp', options: regexpOf(legend) }, properties: limitStyle }));
  const defaults = { unit, min: 0, ...(isNumber ? {} : { custom: { fillOpacity: 5, showPoints: 'never' } }) };
  return {
    ...{ id, title, description, type: isNumber ? 'stat' : 'timeseries', datasource, gridPos, targets },
    fieldConfig: { defaults, overrides },
    options: isNumber
      ? { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'none' }
      : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
  };
}

const limitStyle = [
  { id: 'color', value: { mode: 'fixed', fixedColor: 'red' } },
  { id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 8] } },
  { id: 'custom.fillOpacity', value: 0 },
];

/** Returns a regular expression that matches a legend with its labels filled in. */
function regexpOf(legend: string): string {
  return `/^${legend.replaceAll(/\{\{\w+\}\}/g, '.*')}$/`;
}
