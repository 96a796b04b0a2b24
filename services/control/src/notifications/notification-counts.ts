import type { Counter, Histogram } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { TargetKind } from './target.ts';

const kinds = ['webhook', 'alertmanager', 'email'] as const satisfies readonly TargetKind[];
/** `retried`: an attempt has failed, and another one follows. `dropped`: held back by quiet hours until the return. */
const outcomes = ['sent', 'retried', 'dead'] as const;
export type CountedOutcome = (typeof outcomes)[number];

const delayBoundsSeconds = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400];

export interface NotificationCounts {
  readonly outcomes: Readonly<Record<TargetKind, Readonly<Record<CountedOutcome, Counter>>>>;
  /** From the time at which a notification was due until its target has it. */
  readonly delaySeconds: Readonly<Record<TargetKind, Histogram>>;
  readonly dropped: Counter;
  readonly late: Counter;
  readonly failures: Counter;
}

/** What the gauges read, as of the last count. */
export interface NotificationUsage {
  readonly rows: number;
  readonly ofOne: number;
  readonly oldestSeconds: number;
  readonly busy: number;
}

export function createNotificationCounts(
  metrics: Metrics,
  usage: () => NotificationUsage,
  limits: { readonly waitingMax: number; readonly targetsMax: number },
): NotificationCounts {
  const counted = metrics.counters(
    'tailrace_control_notifications_total',
    'Notifications of alarms by the kind of their target: sent; attempts that failed; given up.',
    { values: { kind: kinds, outcome: outcomes } },
  );
  const delays = metrics.histograms(
    'tailrace_control_notification_delay_seconds',
    'From the time at which a notification is due until its target has it.',
    delayBoundsSeconds,
    { values: { kind: kinds } },
  );
  const gauges = [
    ['waiting_notifications', 'Notifications that wait, every 5 s.', () => usage().rows],
    ['target_notifications', 'The same, of the target that has most.', () => usage().ofOne],
    [
      'limit_target_notifications',
      'Notifications that wait for one target: beyond the limit the oldest are given up.',
      () => limits.waitingMax,
    ],
    ['oldest_notification_seconds', 'How long the oldest of them is due.', () => usage().oldestSeconds],
    ['busy_notification_targets', 'Targets to which this process sends now.', () => usage().busy],
    ['limit_busy_notification_targets', 'The same: the limit, of all targets.', () => limits.targetsMax],
  ] as const;
  for (const [name, help, read] of gauges) metrics.gauge(`tailrace_control_${name}`, help, read);
  const of = <Key extends string, Value>(keys: readonly Key[], value: (key: Key) => Value) =>
    Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<Key, Value>;
  return {
    outcomes: of(kinds, (kind) => of(outcomes, (outcome) => counted.with({ kind, outcome }))),
    delaySeconds: of(kinds, (kind) => delays.with({ kind })),
    dropped: metrics.counter(
      'tailrace_control_dropped_notifications_total',
      'Notifications that quiet hours have held back until their alarms had returned.',
    ),
    late: metrics.counter(
      'tailrace_control_late_notifications_total',
      'Transitions of alarms that were a day old when they came, and of which no target is notified.',
    ),
    failures: metrics.counter(
      'tailrace_control_notification_failures_total',
      'Statements of notifications that failed, and are repeated.',
    ),
  };
}
