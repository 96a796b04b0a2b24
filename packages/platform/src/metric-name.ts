import { shown, TailraceError } from '@tailrace/protocol/error';

const units: ReadonlySet<string> = new Set(['seconds', 'bytes', 'ratio', 'info', 'celsius']);

/**
 * Holds a metric's name to `tailrace_<service>_<thing>_<unit>`, with a last `_total` for counters and for nothing else. The unit is one of
 * seconds, bytes, ratio, info, celsius, or the plural of what is counted: `tailrace_ingest_accepted_reports_total`,
 * `tailrace_fanout_send_delay_seconds`. Another name is a fault of the program: `internal`.
 */
export function assertMetricName(service: string, name: string, kind: 'counter' | 'gauge' | 'histogram'): void {
  const fault = nameFault(service, name, kind);
  if (fault) throw new TailraceError('internal', `the metric name ${shown(name)} ${fault}`);
}

function nameFault(service: string, name: string, kind: string): string | undefined {
  const prefix = `tailrace_${service}_`;
  if (!name.startsWith(prefix)) return `does not begin with ${prefix}`;
  if (!/^[a-z][a-z0-9_]*[a-z0-9]$/.test(name)) return 'is not in lower snake case';
  const total = name.endsWith('_total');
  if ((kind === 'counter') !== total)
    return total ? `ends in _total, but is a ${kind}` : 'is a counter; end it in _total';
  const words = name.slice(prefix.length, total ? -'_total'.length : undefined).split('_');
  const unit = words.at(-1) ?? '';
  if (!units.has(unit) && !/[^s]s$/.test(unit))
    return `ends in no unit; one of ${[...units].join(', ')} or the plural of what is counted is right`;
  return undefined;
}
