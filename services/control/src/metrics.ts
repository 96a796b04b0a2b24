import type { Metrics } from '@tailrace/platform/metrics';
import { type Command, commandProgress } from './commands/command.ts';

/** Seconds from acceptance to the final state. */
const bounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600];

export interface CommandMetrics {
  /** Counts a transition. */
  changed(command: Command): void;
}

export interface CommandGauges {
  open(): number;
  openMax: number;
  followed(): number;
}

export function createCommandMetrics(metrics: Metrics, gauges: CommandGauges): CommandMetrics {
  const transitions = metrics.counters(
    'tailrace_control_command_transitions_total',
    'Transitions of commands that this process has made, by the state afterwards.',
    { values: { state: commandProgress } },
  );
  const handles = Object.fromEntries(commandProgress.map((state) => [state, transitions.with({ state })]));
  const seconds = metrics.histogram(
    'tailrace_control_command_seconds',
    'From the acceptance of a command to its final state.',
    bounds,
  );
  metrics.gauge('tailrace_control_open_commands', 'Commands that are not final, at the last check.', gauges.open);
  metrics.gauge('tailrace_control_limit_open_commands', 'Beyond it new ones are refused.', () => gauges.openMax);
  metrics.gauge('tailrace_control_followed_commands', 'Commands whose outcome this process follows.', gauges.followed);
  return {
    changed({ state, isFinal, accepted, changed }) {
      handles[state]?.add();
      if (isFinal) seconds.observe(Math.max(0, changed - accepted) / 1_000);
    },
  };
}
