import { shown, TailraceError } from '@tailrace/protocol/error';

const units: ReadonlySet<string> = new Set(['seconds', 'bytes', 'ratio', 'info', 'celsius']);

/**
 * Throws `internal` for a metric name that is not `tailrace_<service>_<thing>_<unit>`, with the suffix `_total` for
 * counters only. The unit is one of seconds, bytes, ratio, info, celsius, or the plural of what is counted:
 * `tailrace_ingest_accepted_reports_total`, `tailrace_fanout_send_delay_seconds`.
 */
export function assertMetricName(service: string, name: string, kind: 'counter' | 'gauge' | 'histogram'): void {
  const expected = expectedIfInvalid(service, name, kind);
  if (expected) throw new TailraceError('internal', `metric name: expected ${expected}, got ${shown(name)}`);
}

/** Returns what is expected instead of an invalid name; undefined for a valid one. */
function expectedIfInvalid(service: string, name: string, kind: string): string | undefined {
  const prefix = `tailrace_${service}_`;
  if (!name.startsWith(prefix)) return `the prefix ${prefix}`;
  if (!/^[a-z][a-z0-9_]*[a-z0-9]$/.test(name)) return 'lower snake case';
  const total = name.endsWith('_total');
  if ((kind === 'counter') !== total)
    return total ? `no suffix _total for a ${kind}` : 'the suffix _total for a counter';
  const words = name.slice(prefix.length, total ? -'_total'.length : undefined).split('_');
  const unit = words.at(-1) ?? '';
  if (!units.has(unit) && !/[^s]s$/.test(unit))
    return `a unit as its last word (${[...units].join(', ')} or the plural of what is counted)`;
  return undefined;
}
