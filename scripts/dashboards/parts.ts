import type { Line, Panel, Variable } from './dashboard.ts';

/** Prometheus sets `job`; the services set `service` and `node` on each series. */
export const jobVariable: Variable = {
  name: 'job',
  label: 'Job',
  query: 'label_values(process_start_time_seconds{service!=""}, job)',
};

export function nodeVariable(metric: string): Variable {
  return { name: 'node', label: 'Node', query: `label_values(${metric}{job=~"$job"}, node)` };
}

export const jobs = 'job=~"$job"';
export const nodes = 'job=~"$job",node=~"$node"';

/** Returns the query of a counter's rate per second. */
export function rate(metric: string, selector: string): string {
  return `rate(${metric}{${selector}}[$__rate_interval])`;
}

export function quantile(q: number, metric: string, selector: string, by = ''): string {
  const labels = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${q}, sum by (${labels}) (${rate(`${metric}_bucket`, selector)}))`;
}

/** Returns the lines of p50 and p99 of a histogram. */
export function quantiles(metric: string, selector: string, by = ''): Line[] {
  const legend = by === '' ? '' : ` {{${by}}}`;
  return [
    { expr: quantile(0.5, metric, selector, by), legend: `p50${legend}` },
    { expr: quantile(0.99, metric, selector, by), legend: `p99${legend}` },
  ];
}

/** Returns the panel of a gauge of each node and its limit: `tailrace_fanout_x` and `tailrace_fanout_limit_x`. */
export function nearLimit(panel: Omit<Panel, 'lines'> & { readonly service: string; readonly gauge: string }): Panel {
  const { service, gauge, ...rest } = panel;
  return {
    ...rest,
    lines: [
      { expr: `tailrace_${service}_${gauge}{${nodes}}`, legend: '{{node}}' },
      { expr: `min(tailrace_${service}_limit_${gauge}{${nodes}})`, legend: 'limit', isLimit: true },
    ],
  };
}

/** Returns the panels of the Node.js processes. */
export function processPanels(selector: string): Panel[] {
  return [
    {
      title: 'CPU',
      unit: 'percentunit',
      description:
        'Of one core. A process uses one: near 1 for minutes, add nodes; with few clients, check their subscriptions.',
      lines: [{ expr: rate('process_cpu_seconds_total', selector), legend: '{{service}} {{node}}' }],
    },
    {
      title: 'Memory',
      unit: 'bytes',
      description:
        'Resident memory. It should level out. If it keeps rising, compare it with the gauges of windows, devices and sockets.',
      lines: [{ expr: `process_resident_memory_bytes{${selector}}`, legend: '{{service}} {{node}}' }],
    },
    {
      title: 'Event loop lag',
      unit: 's',
      description:
        '99 of 100 iterations of the event loop start sooner. Above 0.1 s readings arrive in bursts: the process has too much work, or too few cores.',
      lines: [{ expr: `nodejs_eventloop_lag_p99_seconds{${selector}}`, legend: '{{service}} {{node}}' }],
    },
  ];
}
