import type { AlarmTransition } from '@tailrace/protocol/control-event-json';
import type { AuditEntry } from './audit-checker.ts';

/** An entry with its time, epoch ms. */
type TimedEntry = AuditEntry & { readonly time: number };

export interface ScheduleFacts {
  readonly id: string;
  readonly everyMs: number;
  readonly catchUpMs: number;
}

/** A run may start this much later than its window to catch up: it is decided on, and then stored. */
const storeMsMax = 1_000;

/** Each time of a schedule has one run, or was skipped because it was too late. */
export function scheduleViolations(
  entries: readonly TimedEntry[],
  { id, everyMs, catchUpMs }: ScheduleFacts,
): string[] {
  const violations: string[] = [];
  const known = new Map<number, string>();
  const add = (timeMs: number, what: string) => {
    if (known.has(timeMs))
      violations.push(`schedule, ${timeMs}: expected a run or a skip, got ${known.get(timeMs)} and ${what}`);
    known.set(timeMs, what);
  };
  for (const { action, target, time, details } of entries) {
    if (action === 'scene.run_started' && details['schedule'] === id) {
      const at = Number(details['time']);
      add(at, 'a run');
      if (time - at > catchUpMs + storeMsMax)
        violations.push(`schedule, ${at}: expected a start within ${catchUpMs} ms, got one after ${time - at} ms`);
    } else if (action === 'schedule.skipped' && target.endsWith(id)) {
      const [first, last] = [Number(details['firstMs']), Number(details['lastMs'])];
      for (let at = first; at <= last; at += everyMs) add(at, 'a skip');
    }
  }
  const times = [...known.keys()].sort((a, b) => a - b);
  if (times.length === 0) violations.push('schedule: expected runs, got none');
  for (let at = times[0] ?? 0; at < (times.at(-1) ?? 0); at += everyMs)
    if (!known.has(at)) violations.push(`schedule, ${at}: expected a run or a skip, got none`);
  return violations;
}

/** What a route notifies of by default. */
const notifiedCauses = ['raised', 'limit_changed', 'realarmed', 'escalated', 'returned'];

/** The webhook was notified of each transition that its route selects, at least once, and of no other one. */
export function notificationViolations(
  transitions: readonly AlarmTransition[],
  notified: readonly string[],
  priorityMax: number,
): string[] {
  const expected = new Set(
    transitions
      .filter(({ priority = 5, cause = '' }) => priority <= priorityMax && notifiedCauses.includes(cause))
      .map(({ id }) => id),
  );
  const received = new Set(notified);
  const missing = [...expected].filter((id) => !received.has(id));
  const foreign = [...received].filter((id) => !expected.has(id));
  const violations: string[] = [];
  if (missing.length > 0)
    violations.push(
      `notifications: expected ${expected.size}, got all but ${missing.length}: ${missing.slice(0, 3).join()}`,
    );
  if (foreign.length > 0)
    violations.push(
      `notifications: expected those of the route, got ${foreign.length} others: ${foreign.slice(0, 3).join()}`,
    );
  return violations;
}
