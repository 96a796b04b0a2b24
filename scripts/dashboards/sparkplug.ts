import type { Dashboard, Panel } from './dashboard.ts';
import { jobVariable, nearLimit, nodes, nodeVariable, rate } from './parts.ts';

const sum = (name: string, legend: string) => ({
  expr: `sum(tailrace_ingest_sparkplug_${name}{${nodes}})`,
  legend,
});
const total = (name: string, legend: string) => ({
  expr: `sum(${rate(`tailrace_ingest_sparkplug_${name}_total`, nodes)})`,
  legend,
});
const totalBy = (name: string, label: string) => ({
  expr: `sum by (${label}) (${rate(`tailrace_ingest_sparkplug_${name}_total`, nodes)})`,
  legend: `{{${label}}}`,
});

function limited(gauge: string, panel: Pick<Panel, 'title' | 'unit' | 'description'>): Panel {
  return nearLimit({ service: 'ingest', gauge: `sparkplug_${gauge}`, ...panel });
}

export const sparkplug: Dashboard = {
  uid: 'tailrace-sparkplug',
  title: 'Tailrace / Sparkplug',
  description: 'The Sparkplug hosts of ingest: one for each broker, and one for its own MQTT listener.',
  variables: [jobVariable, nodeVariable('tailrace_ingest_sparkplug_hosts')],
  rows: [
    {
      title: 'Edge nodes',
      panels: [
        {
          title: 'Edge nodes',
          unit: 'short',
          description:
            'Online; those of them whose reports this node of ingest appends; and those that have not sent since the host has connected: what they sent before may be missing.',
          lines: [
            sum('online_nodes', 'online'),
            sum('owned_nodes', 'appended here'),
            sum('unconfirmed_nodes', 'not confirmed'),
          ],
        },
        {
          title: 'Hosts connected',
          unit: 'short',
          description: 'Below the number of hosts: see TailraceSparkplugDisconnected in the runbook.',
          lines: [sum('connections', 'connected'), sum('hosts', 'hosts')],
        },
        {
          title: 'Metrics in births',
          unit: 'short',
          description: 'Of all edge nodes. A sudden fall: edge nodes are gone, or births could not be restored.',
          lines: [sum('metrics', 'metrics')],
        },
        {
          title: 'Sparkplug messages',
          unit: 'ops',
          description: 'Received, by type, per second. invalid: the topic is none of Sparkplug.',
          lines: [totalBy('messages', 'type')],
        },
        {
          title: 'Deviations',
          unit: 'ops',
          description:
            'By kind, per second. gap: messages did not come within the reorder window. start_without_birth: what the node sent before may be missing.',
          lines: [totalBy('events', 'event')],
        },
        {
          title: 'Nodes taken over',
          unit: 'ops',
          description:
            'Edge nodes whose owner this node of ingest became, per second; and messages of other clients on the STATE topic of a host: two installations with one hostId.',
          lines: [total('taken_over_nodes', 'taken over'), total('overwritten_states', 'overwritten STATE')],
        },
      ],
    },
    {
      title: 'Births',
      panels: [
        {
          title: 'Requested births',
          unit: 'ops',
          description:
            'By cause, per second. Many for minutes: an edge node does not answer, or its births do not help.',
          lines: [totalBy('rebirths', 'cause'), total('held_back_rebirths', 'waited for a limit')],
        },
        {
          title: 'Nodes whose birth is needed',
          unit: 'short',
          description: 'And was not published yet. Until then their data by alias cannot be read.',
          lines: [sum('waiting_rebirths', 'nodes')],
        },
        {
          title: 'Stored births',
          unit: 'ops',
          description: 'Per second. failed: after a restart the aliases of these nodes are unknown.',
          lines: [total('stored_births', 'stored'), total('failed_births', 'failed')],
        },
        limited('waiting_birth_bytes', {
          title: 'Births that wait to be stored',
          unit: 'bytes',
          description: 'At the limit further ones are not stored.',
        }),
      ],
    },
    {
      title: 'How near the limits',
      panels: [
        limited('nodes', {
          title: 'Edge nodes of one host',
          unit: 'short',
          description: 'Of the host that has most. At the limit the messages of further ones are dead letters.',
        }),
        limited('tenant_nodes', {
          title: 'Edge nodes of one tenant',
          unit: 'short',
          description: 'At the MQTT listener, of the tenant that has most. At the limit as above.',
        }),
        limited('paths', {
          title: 'Nodes and devices of one host',
          unit: 'short',
          description: 'Of the host that has most. At the limit the messages of further ones are dead letters.',
        }),
        limited('tenant_paths', {
          title: 'Nodes and devices of one tenant',
          unit: 'short',
          description: 'At the MQTT listener, of the tenant that has most. At the limit as above.',
        }),
        limited('definition_bytes', {
          title: 'Memory of births',
          unit: 'bytes',
          description: 'Of the host that has most, about. At the limit further births are dead letters.',
        }),
        limited('tenant_definition_bytes', {
          title: 'Memory of births of one tenant',
          unit: 'bytes',
          description: 'At the MQTT listener, of the tenant that has most, about. At the limit as above.',
        }),
        limited('client_nodes', {
          title: 'Edge nodes of one client',
          unit: 'short',
          description: 'Of the MQTT listener. At the limit the client is disconnected with 0x97.',
        }),
        limited('client_devices', {
          title: 'Devices of one client that take commands',
          unit: 'short',
          description: 'Of the MQTT listener. A command for a further device fails with limit_reached.',
        }),
        limited('held_bytes', {
          title: 'Reorder windows',
          unit: 'bytes',
          description: 'Messages that wait for those before them. At the limit a gap is accepted.',
        }),
        {
          title: 'Messages in reorder windows',
          unit: 'short',
          description: 'They wait for those before them. High: a broker delivers out of order, or loses messages.',
          lines: [sum('held_messages', 'messages')],
        },
        limited('unsettled_bytes', {
          title: 'Reports that wait for the log',
          unit: 'bytes',
          description: 'Of the host that has most. At the limit it is not read.',
        }),
        {
          title: 'Clients that are not read',
          unit: 'short',
          description:
            'Of the MQTT listener: the log has not taken what they have sent. Others are read. See also the bytes of the client that has most.',
          lines: [sum('paused_clients', 'clients')],
        },
        {
          title: 'Bytes of one client',
          unit: 'bytes',
          description: 'Reports that wait for the log, of the client of the MQTT listener that has most.',
          lines: [{ expr: `tailrace_ingest_sparkplug_client_bytes{${nodes}}`, legend: '{{node}}' }],
        },
        limited('standby_bytes', {
          title: 'Standby reports',
          unit: 'bytes',
          description: 'Last reports of nodes that another node of ingest owns. At the limit the oldest are dropped.',
        }),
        {
          title: 'Reports again, and dropped',
          unit: 'ops',
          description: 'Per second: appended again after a failure of the log; standby reports dropped at their limit.',
          lines: [total('retried_reports', 'again'), total('dropped_standby_reports', 'dropped')],
        },
      ],
    },
  ],
};
