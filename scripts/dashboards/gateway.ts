import type { Dashboard, Line } from './dashboard.ts';
import { jobVariable, nearLimit, nodes, nodeVariable, rate } from './parts.ts';

const gauge = (name: string, legend = '{{node}}'): Line => ({ expr: `tailrace_edge_${name}{${nodes}}`, legend });
const total = (name: string, legend: string): Line => ({
  expr: rate(`tailrace_edge_${name}_total`, nodes),
  legend: `${legend} {{node}}`,
});
const ofSource = '{{node}} {{source}}';

export const gateway: Dashboard = {
  uid: 'tailrace-gateway',
  title: 'Tailrace / Gateway',
  description: 'The edge gateways: what they read from machines, what they keep, and what they have sent.',
  variables: [jobVariable, nodeVariable('tailrace_edge_links')],
  rows: [
    {
      title: 'Link',
      panels: [
        {
          title: 'Link to ingest',
          unit: 'short',
          description:
            '1 for the present state. refused: ingest does not accept the gateway. duplicate: another gateway has its path.',
          lines: [gauge('links', '{{node}} {{state}}')],
        },
        {
          title: 'Sent to ingest',
          unit: 'ops',
          description: 'Per second: reports and readings that are in the log, and batches sent again.',
          lines: [
            total('sent_reports', 'reports'),
            total('sent_readings', 'readings'),
            total('resent_batches', 'batches again'),
          ],
        },
        {
          title: 'Live readings are late by',
          unit: 's',
          description: 'Age of the newest live reading when it was acknowledged. See TailraceEdgeBehind.',
          lines: [gauge('live_lag_seconds')],
        },
        {
          title: 'Reports that wait',
          unit: 'short',
          description: 'All, and those from before the link was back, which fall to 0 during the catch-up.',
          lines: [gauge('waiting_reports', 'all {{node}}'), gauge('backlog_reports', 'backlog {{node}}')],
        },
        {
          title: 'Catch-up',
          unit: 'short',
          description: 'Readings of the backlog that may be sent a second: fewer while live ones are late.',
          lines: [
            gauge('catch_up_readings'),
            { expr: `min(tailrace_edge_limit_catch_up_readings{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Batches without an answer',
          unit: 'short',
          description: 'By queue; at most 8. At 8 for minutes: ingest or the link is slow.',
          lines: [gauge('unanswered_batches', '{{node}} {{queue}}')],
        },
        {
          title: 'Lost reports',
          unit: 'ops',
          description: 'By reason, per second. Each loss is a reading of the gateway, too. See TailraceEdgeLosing.',
          lines: [{ expr: rate('tailrace_edge_lost_reports_total', nodes), legend: '{{node}} {{reason}}' }],
        },
      ],
    },
    {
      title: 'Store',
      panels: [
        nearLimit({
          service: 'edge',
          gauge: 'store_bytes',
          title: 'Reports on disk',
          unit: 'bytes',
          description: 'While there is no link. At the limit (storeBytesMax) reports are lost: storeDrops.',
        }),
        nearLimit({
          service: 'edge',
          gauge: 'memory_bytes',
          title: 'Reports in memory',
          unit: 'bytes',
          description: 'At the limit (memoryBytesMax) they go to the disk.',
        }),
        {
          title: 'The disk refuses reports',
          unit: 'short',
          description:
            '1 while the disk is full or cannot be written. Then reports are kept in memory, and lost at its limit.',
          lines: [gauge('full_stores')],
        },
      ],
    },
    {
      title: 'Sources',
      panels: [
        {
          title: 'Live sources',
          unit: 'short',
          description: '1 while values come. 0: see TailraceEdgeSourceDown in the runbook.',
          lines: [gauge('live_sources', ofSource)],
        },
        {
          title: 'Tags',
          unit: 'short',
          description: 'Of each source, and those whose last value is bad.',
          lines: [gauge('tags', `${ofSource}`), gauge('bad_tags', `bad: ${ofSource}`)],
        },
        {
          title: 'Values read',
          unit: 'ops',
          description: 'Per second, and those that filters have selected to be sent.',
          lines: [total('samples', 'read'), total('selected_samples', 'selected')],
        },
        {
          title: 'Late replies of Modbus',
          unit: 'ops',
          description: 'Per second, after their timeout. They are discarded: raise timeoutMs, or read less often.',
          lines: [total('modbus_late_replies', 'late')],
        },
        {
          title: 'Idle OPC UA servers',
          unit: 's',
          description: 'Since a server last proved that values come, of its most idle subscription.',
          lines: [gauge('opcua_idle_seconds', ofSource)],
        },
        {
          title: 'Clocks of OPC UA servers',
          unit: 's',
          description: 'Clock of the values minus that of the gateway. Minutes: set the clock of the server.',
          lines: [gauge('opcua_clock_offset_seconds', ofSource)],
        },
        {
          title: 'OPC UA subscriptions',
          unit: 'short',
          description: 'At each server. 0: there is no session.',
          lines: [gauge('opcua_subscriptions', ofSource)],
        },
        {
          title: 'OPC UA repairs',
          unit: 'ops',
          description:
            'Per second: sessions made again, subscriptions made again because they reported nothing, notifications lost, changes that only a read has found.',
          lines: [
            total('opcua_rebuilds', 'sessions'),
            total('opcua_idle_subscriptions', 'idle subscriptions'),
            total('opcua_lost_messages', 'lost notifications'),
            total('opcua_unreported_changes', 'unreported changes'),
          ],
        },
        {
          title: 'OPC UA values',
          unit: 'ops',
          description:
            'Per second: values that found no place in the queue of the server, 64-bit integers that were rounded, and reads of unchanged tags as proof of life.',
          lines: [
            total('opcua_overflows', 'no place'),
            total('opcua_inexact_values', 'rounded'),
            total('opcua_heartbeat_reads', 'proof of life'),
          ],
        },
      ],
    },
    {
      title: 'Commands of the gateway',
      panels: [
        {
          title: 'Commands by result',
          unit: 'ops',
          description: 'By state, per second. unconfirmed: written, and the read-back does not show it.',
          lines: [{ expr: rate('tailrace_edge_commands_total', nodes), legend: '{{node}} {{state}}' }],
        },
        nearLimit({
          service: 'edge',
          gauge: 'waiting_commands',
          title: 'Commands that wait or run',
          unit: 'short',
          description: 'At the limit a new one fails with rate_limited.',
        }),
        nearLimit({
          service: 'edge',
          gauge: 'unexpired_commands',
          title: 'Commands before their deadlines',
          unit: 'short',
          description: 'None of them is forgotten. At the limit a new one fails with rate_limited.',
        }),
        {
          title: 'Writes of rules that wait',
          unit: 'short',
          description: 'At most one of each action of the sources file. For minutes: a machine does not answer.',
          lines: [gauge('waiting_rule_writes')],
        },
      ],
    },
  ],
};
