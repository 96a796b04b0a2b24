import type { Metrics } from '@tailrace/platform/metrics';
import type { Command } from './commands/command.ts';
import type { Act } from './journal.ts';

/** Seconds from acceptance to the final state. */
const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600];
/** Of the actions of all parts, some 50. */
const actionsMax = 200;

/** Returns a function that counts acts by action and result: what people and control itself have done. */
export function createActMetrics(metrics: Metrics): (acts: readonly Act[]) => void {
  const family = metrics.counters(
    'tailrace_control_acts_total',
    'Acts of this process with an audit entry, by action and result; also of the few transactions that were not committed.',
    { names: ['action', 'result'], seriesMax: actionsMax },
  );
  return (acts) => {
    for (const { entry } of acts) family.with({ action: entry.action, result: entry.result }).add();
  };
}

export interface CommandGauges {
  open(): number;
  openMax: number;
  followed(): number;
  /** Submissions that wait for a transaction. */
  waiting(): number;
  waitingMax: number;
}

/** Returns a function that takes each command after its transitions by this process. */
export function createCommandMetrics(metrics: Metrics, gauges: CommandGauges): (command: Command) => void {
  const seconds = metrics.histogram(
    'tailrace_control_command_seconds',
    'From the acceptance of a command to its final state.',
    bounds,
  );
  metrics.gauge('tailrace_control_open_commands', 'Commands that are not final, at the last check.', gauges.open);
  metrics.gauge('tailrace_control_limit_open_commands', 'Beyond it new ones are refused.', () => gauges.openMax);
  metrics.gauge('tailrace_control_followed_commands', 'Commands whose outcome this process follows.', gauges.followed);
  metrics.gauge('tailrace_control_waiting_submissions', 'Submissions that wait for a transaction.', gauges.waiting);
  metrics.gauge(
    'tailrace_control_limit_waiting_submissions',
    'Beyond it new ones are refused.',
    () => gauges.waitingMax,
  );
  return ({ isFinal, accepted, changed, traceparent }) => {
    if (isFinal) seconds.observe(Math.max(0, changed - accepted) / 1_000, traceparent);
  };
}
