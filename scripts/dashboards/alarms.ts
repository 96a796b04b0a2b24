import type { Dashboard } from './dashboard.ts';
import { jobVariable, nearLimit, nodes, nodeVariable, processPanels, quantiles, rate } from './parts.ts';

const ofNode = { service: 'alarms' } as const;

export const alarms: Dashboard = {
  uid: 'tailrace-alarms',
  title: 'Tailrace / Alarms',
  description: 'From reports to transitions of alarms: what is evaluated and written, takeovers, and the limits.',
  variables: [jobVariable, nodeVariable('tailrace_alarms_partitions')],
  rows: [
    {
      title: 'Evaluation',
      panels: [
        {
          title: 'Evaluations',
          unit: 'ops',
          description: 'Per second: reports of devices with rules, and evaluations of a rule at a device.',
          lines: [
            { expr: rate('tailrace_alarms_reports_total', nodes), legend: '{{node}} reports' },
            { expr: rate('tailrace_alarms_evaluations_total', nodes), legend: '{{node}} evaluations' },
          ],
        },
        {
          title: 'Transitions',
          unit: 'ops',
          description: 'Per second. Some a minute in normal operation; a flood: a part of the plant has a problem.',
          lines: [{ expr: rate('tailrace_alarms_transitions_total', nodes), legend: '{{node}}' }],
        },
        {
          title: 'Delay of transitions',
          unit: 's',
          description: 'From the receipt of a report by ingest until the log has the transition that it has caused.',
          lines: quantiles('tailrace_alarms_delay_seconds', nodes),
        },
        {
          title: 'Actions of people',
          unit: 'ops',
          description: 'Per second: actions that were read, and those of them that were refused.',
          lines: [
            { expr: rate('tailrace_alarms_actions_total', nodes), legend: '{{node}} actions' },
            { expr: rate('tailrace_alarms_refusals_total', nodes), legend: '{{node}} refused' },
          ],
        },
        {
          title: 'Lag',
          unit: 'short',
          description: 'Reports in the log that are not evaluated, of the partition with most. Rising: add nodes.',
          lines: [{ expr: `tailrace_alarms_lag_records{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Age of the evaluation',
          unit: 's',
          description:
            'Since a partition was last known to be evaluated to its end. See TailraceAlarmsNotEvaluated in the runbook.',
          lines: [{ expr: `tailrace_alarms_evaluated_age_seconds{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Skipped',
          unit: 'short',
          description: 'In ten minutes: records that are no report or could not be evaluated, and late readings.',
          lines: [
            { expr: `increase(tailrace_alarms_rejected_records_total{${nodes}}[10m]) > 0`, legend: '{{node}} records' },
            {
              expr: `increase(tailrace_alarms_late_readings_total{${nodes}}[10m]) > 0`,
              legend: '{{node}} late readings',
            },
          ],
        },
      ],
    },
    {
      title: 'Rules and limits',
      panels: [
        {
          title: 'Rules',
          unit: 'short',
          description: 'Rules in force. The same on all nodes.',
          lines: [{ expr: `tailrace_alarms_rules{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Rules read',
          unit: 's',
          description: 'Since the topic of rules was read to its end: the most that a change is delayed.',
          lines: [{ expr: `tailrace_alarms_rules_read_age_seconds{${nodes}}`, legend: '{{node}}' }],
        },
        nearLimit({
          ...ofNode,
          gauge: 'pairs',
          title: 'Pairs of a rule and a device',
          unit: 'short',
          description: 'Devices beyond the limit have no alarms. See TailraceAlarmPairsNearLimit in the runbook.',
        }),
        nearLimit({
          ...ofNode,
          gauge: 'unwritten_transitions',
          title: 'Unwritten transitions',
          unit: 'short',
          description: 'At the limit no further report is evaluated, until the log takes them.',
        }),
      ],
    },
    {
      title: 'Floods',
      panels: [
        {
          title: 'Areas with alarms',
          unit: 'short',
          description: 'Areas with more than 10 alarms in 10 minutes, and areas with alarms.',
          lines: [
            { expr: `sum(tailrace_alarms_flood_areas{${nodes}})`, legend: 'above 10 alarms' },
            { expr: `sum(tailrace_alarms_areas{${nodes}})`, legend: 'with alarms' },
          ],
        },
        {
          title: 'Rates of areas',
          unit: 'ops',
          description: 'Per second: rates that were written, attempts that failed, and alarms that were not counted.',
          lines: [
            { expr: rate('tailrace_alarms_area_rates_total', nodes), legend: '{{node}} written' },
            { expr: rate('tailrace_alarms_area_rate_failures_total', nodes), legend: '{{node}} failed' },
            { expr: rate('tailrace_alarms_refused_area_alarms_total', nodes), legend: '{{node}} not counted' },
          ],
        },
        {
          title: 'Age of the rates',
          unit: 's',
          description: 'Since the node that counts has read all alarms. Rising: floods are not found.',
          lines: [{ expr: `max(tailrace_alarms_area_rate_age_seconds{${nodes}})`, legend: 'age' }],
        },
        nearLimit({
          ...ofNode,
          gauge: 'areas',
          title: 'Limit of areas',
          unit: 'short',
          description: 'Alarms of areas beyond the limit do not count for a flood.',
        }),
      ],
    },
    {
      title: 'Partitions',
      panels: [
        {
          title: 'Partitions',
          unit: 'short',
          description: 'Evaluated by each node; together all of the telemetry topic.',
          lines: [{ expr: `tailrace_alarms_partitions{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Takeovers',
          unit: 's',
          description: 'From the assignment of a partition to its next report.',
          lines: quantiles('tailrace_alarms_takeover_seconds', nodes),
        },
        {
          title: 'Age of the checkpoint',
          unit: 's',
          description: 'Of the oldest partition: the most that a takeover evaluates again.',
          lines: [{ expr: `tailrace_alarms_checkpoint_age_seconds{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Checkpoints',
          unit: 'ops',
          description: 'Records written per second, and checkpoints that failed.',
          lines: [
            { expr: rate('tailrace_alarms_checkpoint_records_total', nodes), legend: '{{node}} records' },
            { expr: rate('tailrace_alarms_checkpoint_failures_total', nodes), legend: '{{node}} failed' },
          ],
        },
      ],
    },
    { title: 'Process', panels: processPanels(`${nodes},service=~"alarms|standalone"`) },
  ],
};
