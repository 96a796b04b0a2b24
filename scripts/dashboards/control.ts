import type { Dashboard, Panel } from './dashboard.ts';
import { jobs, jobVariable, nearLimit, nodes, nodeVariable, processPanels, quantiles, rate } from './parts.ts';

const ofControl = { service: 'control' } as const;

/** Acts of an area by their action: those of all processes together. */
function acts(area: string, legend = '{{action}}') {
  const selector = `${jobs},action=~"${area}"`;
  return { expr: `sum by (action) (${rate('tailrace_control_acts_total', selector)})`, legend };
}

/** Rows of the store, which all processes count: one line, with its limit. */
function rows(panel: Omit<Panel, 'lines' | 'unit'> & { readonly gauge: string }): Panel {
  const { gauge, ...rest } = panel;
  return {
    ...{ ...rest, unit: 'short' },
    lines: [
      { expr: `max(tailrace_control_${gauge}{${jobs}})`, legend: 'in the store' },
      { expr: `min(tailrace_control_limit_${gauge}{${jobs}})`, legend: 'limit', isLimit: true },
    ],
  };
}

export const control: Dashboard = {
  uid: 'tailrace-control',
  title: 'Tailrace / Control',
  description: 'What people decide: commands, leases, scenes and schedules, notifications, the audit, and their store.',
  variables: [jobVariable, nodeVariable('tailrace_control_open_commands')],
  rows: [
    {
      title: 'Commands',
      panels: [
        {
          title: 'Commands by state',
          unit: 'ops',
          description: 'Transitions per second, of all processes. Many expired or unconfirmed: devices are away.',
          lines: [acts('command[.].+')],
        },
        {
          title: 'Open commands',
          unit: 'short',
          description: 'At the limit new ones are refused. See TailraceCommandsNearLimit in the runbook.',
          lines: [
            { expr: `max(tailrace_control_open_commands{${jobs}})`, legend: 'not final' },
            { expr: `tailrace_control_followed_commands{${nodes}}`, legend: '{{node}} awaits the outcome' },
            { expr: `min(tailrace_control_limit_open_commands{${jobs}})`, legend: 'limit', isLimit: true },
          ],
        },
        nearLimit({
          ...ofControl,
          gauge: 'open_fleet_commands',
          title: 'Open fleet commands',
          unit: 'short',
          description: 'Commands to many devices that are not final. At the limit new ones are refused.',
        }),
        nearLimit({
          ...ofControl,
          gauge: 'fleet_watchers',
          title: 'Watchers of fleet commands',
          unit: 'short',
          description: 'Requests that follow the progress of a fleet command. At the limit new ones are refused.',
        }),
        {
          title: 'Duration of commands',
          unit: 's',
          description: 'From the acceptance to the final state; of queued ones until their device is back.',
          lines: quantiles('tailrace_control_command_seconds', nodes),
        },
        {
          title: 'Leases, rules, actions on alarms',
          unit: 'ops',
          description: 'Per second, by action, with those that were refused.',
          lines: [acts('(lease|rule|alarm)[.].+')],
        },
        {
          title: 'API requests',
          unit: 'ops',
          description: 'Per second: answered; refused, such as by rights or a limit; failed in control itself.',
          lines: [{ expr: rate('tailrace_control_requests_total', nodes), legend: '{{node}} {{result}}' }],
        },
        nearLimit({
          ...ofControl,
          gauge: 'connections',
          title: 'Connections of the API',
          unit: 'short',
          description:
            'At the limit a new one replaces one that is idle. Many idle ones: clients that do not close theirs.',
        }),
        {
          title: 'Verifications of credentials',
          unit: 'ops',
          description: 'Per second, by kind and outcome. Many invalid ones: a client with an old or a foreign token.',
          lines: [{ expr: rate('tailrace_control_verifications_total', nodes), legend: '{{kind}} {{outcome}}' }],
        },
      ],
    },
    {
      title: 'Store and log',
      panels: [
        {
          title: 'Database',
          unit: 'short',
          description: '1 if PostgreSQL accepts connections, 0 during an outage. See TailraceDatabaseDown.',
          lines: [{ expr: `tailrace_control_database_reachable_servers{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Connections to the database',
          unit: 'short',
          description: 'In use, and open. At the limit calls wait: slow statements, or too few connections.',
          lines: [
            { expr: `tailrace_control_database_connections{${nodes}}`, legend: '{{node}} in use' },
            { expr: `tailrace_control_database_open_connections{${nodes}}`, legend: '{{node}} open' },
            { expr: `min(tailrace_control_database_limit_connections{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Calls that wait for a connection',
          unit: 'short',
          description: 'Usually 0. Beyond the limit, or after databaseAcquireTimeoutMs, a call is refused.',
          lines: [
            { expr: `tailrace_control_database_waiting_calls{${nodes}}`, legend: '{{node}}' },
            { expr: `min(tailrace_control_database_limit_waiting_calls{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Refused calls and lost connections',
          unit: 'short',
          description: 'In ten minutes. A failover of the database loses all connections once.',
          lines: [
            {
              expr: `increase(tailrace_control_database_refused_calls_total{${nodes}}[10m])`,
              legend: '{{node}} refused',
            },
            {
              expr: `increase(tailrace_control_database_lost_connections_total{${nodes}}[10m])`,
              legend: '{{node}} lost',
            },
          ],
        },
        {
          title: 'Outbox',
          unit: 'short',
          description: 'Records that are committed and not in the log. At the limit commands are refused.',
          lines: [
            { expr: `max(tailrace_control_outbox_rows{${jobs}})`, legend: 'rows' },
            { expr: `max(tailrace_control_outbox_device_rows{${jobs}})`, legend: 'of kinds and labels of devices' },
            { expr: `min(tailrace_control_limit_outbox_rows{${jobs}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Age of the outbox',
          unit: 's',
          description: 'Of its oldest record: how late watchers get transitions. See TailraceOutboxNotDraining.',
          lines: [{ expr: `tailrace_control_outbox_age_seconds{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Records moved to the log',
          unit: 'ops',
          description: 'Per second, by the process that moves them, and moves that failed and are repeated.',
          lines: [
            { expr: rate('tailrace_control_outbox_records_total', nodes), legend: '{{node}} records' },
            { expr: rate('tailrace_control_outbox_failures_total', nodes), legend: '{{node}} failed' },
          ],
        },
        {
          title: 'Outbox relays',
          unit: 'short',
          description: 'One process moves the outbox to the log. 0 for more than some seconds: none does.',
          lines: [{ expr: `sum(tailrace_control_outbox_held_relays{${jobs}})`, legend: 'processes' }],
        },
      ],
    },
    {
      title: 'Alarms',
      panels: [
        {
          title: 'Stored transitions',
          unit: 'ops',
          description: 'Of alarms, per second, for their list, for numbers and for notifications; and refused actions.',
          lines: [
            { expr: rate('tailrace_control_alarm_transitions_total', nodes), legend: '{{node}} transitions' },
            { expr: rate('tailrace_control_alarm_refusals_total', nodes), legend: '{{node}} refused actions' },
          ],
        },
        {
          title: 'Events not stored',
          unit: 'short',
          description: 'At the last poll. Screens have alarms from fanout, and do not wait for this.',
          lines: [{ expr: `tailrace_control_alarm_lag_records{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Age of the list of alarms',
          unit: 's',
          description: 'Since a process has stored all that it found. See TailraceAlarmListLate in the runbook.',
          lines: [
            {
              expr: `tailrace_control_alarm_read_age_seconds{${nodes}} and on(node) (tailrace_control_alarm_partitions{${nodes}} > 0)`,
              legend: '{{node}}',
            },
          ],
        },
        {
          title: 'Partitions of events',
          unit: 'short',
          description: 'Read by each process; together all of the topic of events.',
          lines: [{ expr: `tailrace_control_alarm_partitions{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Invalid and missing events of alarms',
          unit: 'short',
          description: 'In ten minutes: gaps, invalid ones, duplicates (usual after a takeover), and failed attempts.',
          lines: ['event_gaps', 'invalid_events', 'duplicate_events', 'read_failures'].map((kind) => ({
            expr: `increase(tailrace_control_alarm_${kind}_total{${nodes}}[10m])`,
            legend: `{{node}} ${kind.replace('_', ' ')}`,
          })),
        },
        {
          title: 'Dry runs of rules',
          unit: 'short',
          description:
            'In progress, and their limit: a further request is refused. In ten minutes, by result; incomplete answers, by the bound that has left something out.',
          lines: [
            { expr: `tailrace_control_active_dry_runs{${nodes}}`, legend: '{{node}} in progress' },
            { expr: `min(tailrace_control_limit_active_dry_runs{${nodes}})`, legend: 'limit' },
            {
              expr: `sum by (result) (increase(tailrace_control_dry_runs_total{${nodes}}[10m]))`,
              legend: '{{result}}',
            },
            {
              expr: `sum by (bound) (increase(tailrace_control_bounded_dry_runs_total{${nodes}}[10m]))`,
              legend: 'bound: {{bound}}',
            },
          ],
        },
        {
          title: 'Duration of dry runs',
          unit: 's',
          description: 'Of rules, up to 20 s. Each takes a core of its process.',
          lines: quantiles('tailrace_control_dry_run_seconds', nodes),
        },
      ],
    },
    {
      title: 'Notifications',
      panels: [
        {
          title: 'Notifications',
          unit: 'ops',
          description: 'Per second, by the kind of the target: sent, to be tried again, and given up (dead).',
          lines: [
            {
              expr: `sum by (kind, outcome) (${rate('tailrace_control_notifications_total', nodes)})`,
              legend: '{{kind}} {{outcome}}',
            },
          ],
        },
        {
          title: 'Delay of notifications',
          unit: 's',
          description: 'From the time at which one is due until its target has it, by the kind of the target.',
          lines: [
            {
              expr: `histogram_quantile(0.99, sum by (le, kind) (increase(tailrace_control_notification_delay_seconds_bucket{${nodes}}[10m])))`,
              legend: 'p99 {{kind}}',
            },
          ],
        },
        {
          title: 'Waiting notifications',
          unit: 'short',
          description: 'Of all targets, and of the one that has most: at its limit the oldest are given up.',
          lines: [
            { expr: `max(tailrace_control_waiting_notifications{${jobs}})`, legend: 'all' },
            { expr: `max(tailrace_control_target_notifications{${jobs}})`, legend: 'of one target' },
            { expr: `min(tailrace_control_limit_target_notifications{${jobs}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Oldest notification',
          unit: 's',
          description: 'How long it is due. See TailraceNotificationsLate in the runbook.',
          lines: [{ expr: `max(tailrace_control_oldest_notification_seconds{${jobs}})`, legend: 'due for' }],
        },
        nearLimit({
          ...ofControl,
          gauge: 'busy_notification_targets',
          title: 'Targets in progress',
          unit: 'short',
          description: 'Targets to which a process sends now. At the limit the others wait.',
        }),
        {
          title: 'Notifications not sent',
          unit: 'short',
          description: 'In ten minutes: returned during quiet hours, a day old when they came, failed statements.',
          lines: ['dropped_notifications', 'late_notifications', 'notification_failures'].map((kind) => ({
            expr: `increase(tailrace_control_${kind}_total{${nodes}}[10m])`,
            legend: `{{node}} ${kind.replace('_', ' ')}`,
          })),
        },
      ],
    },
    {
      title: 'Scenes, schedules, registry',
      panels: [
        {
          title: 'Acts',
          unit: 'ops',
          description: 'Per second, by action: runs of scenes, changes of scenes, schedules and devices.',
          lines: [acts('(scene|schedule|trigger|device|group|registry)[.].+')],
        },
        {
          title: 'Lateness of schedules',
          unit: 's',
          description: 'How late runs start. Its target is 0.25 s. See TailraceSchedulesLate in the runbook.',
          lines: [
            {
              expr: `histogram_quantile(0.99, sum by (le) (increase(tailrace_control_schedule_late_seconds_bucket{${nodes}}[10m])))`,
              legend: 'p99',
            },
          ],
        },
        {
          title: 'Skipped runs',
          unit: 'short',
          description: 'Of schedules, in ten minutes: too late after an outage, or the run before was active.',
          lines: [
            {
              expr: `sum by (reason) (increase(tailrace_control_skipped_runs_total{${nodes}}[10m]))`,
              legend: '{{reason}}',
            },
          ],
        },
        {
          title: 'Alarms of triggers',
          unit: 'short',
          description: 'In ten minutes: runs that an alarm has started, and alarms that started none, by the reason.',
          lines: [
            {
              expr: `sum(increase(tailrace_control_triggered_runs_total{${nodes}}[10m]))`,
              legend: 'started',
            },
            {
              expr: `sum by (reason) (increase(tailrace_control_skipped_triggers_total{${nodes}}[10m]))`,
              legend: 'none: {{reason}}',
            },
          ],
        },
        rows({
          gauge: 'active_runs',
          title: 'Active runs of scenes',
          description: 'Runs that are not final. At the limit none starts.',
        }),
        {
          title: 'Runs in progress',
          unit: 'short',
          description: 'Runs of scenes on which each process works now.',
          lines: [{ expr: `tailrace_control_working_runs{${nodes}}`, legend: '{{node}}' }],
        },
        rows({
          gauge: 'registry_devices',
          title: 'Devices of the registry',
          description: 'Beyond the limit none is created; reports are delivered all the same.',
        }),
        rows({
          gauge: 'device_groups',
          title: 'Groups of devices',
          description: 'Beyond the limit new ones are refused.',
        }),
        rows({ gauge: 'scenes', title: 'Scenes', description: 'Beyond the limit new ones are refused.' }),
        rows({ gauge: 'schedules', title: 'Schedules', description: 'Beyond the limit new ones are refused.' }),
        rows({ gauge: 'triggers', title: 'Triggers', description: 'Beyond the limit new ones are refused.' }),
      ],
    },
    {
      title: 'Tokens and revocations',
      panels: [
        {
          title: 'Age of the control topic',
          unit: 's',
          description: 'Since revocations were last read to their end. See TailraceControlTopicStale.',
          lines: [{ expr: `tailrace_control_control_read_age_seconds{${nodes}}`, legend: '{{node}}' }],
        },
        nearLimit({
          ...ofControl,
          gauge: 'revocation_entries',
          title: 'Revocations',
          unit: 'short',
          description: 'At the limit the one that expires first is removed, and its token is valid again.',
        }),
        nearLimit({
          ...ofControl,
          gauge: 'credentials',
          title: 'Device tokens',
          unit: 'short',
          description: 'At the limit further ones are ignored, and refused.',
        }),
      ],
    },
    { title: 'Process', panels: processPanels(`${nodes},service="control"`) },
  ],
};
