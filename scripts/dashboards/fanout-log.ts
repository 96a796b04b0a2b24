import type { Row } from './dashboard.ts';
import { nearLimit, nodes, quantiles, rate } from './parts.ts';

const ofNode = { service: 'fanout' } as const;

export const logRow: Row = {
  title: 'From the log to the sockets',
  panels: [
    {
      title: 'Reports read',
      unit: 'ops',
      description: 'From the log by their owner, a second. Uneven: some devices speak much more than others.',
      lines: [{ expr: rate('tailrace_fanout_reports_total', nodes), legend: '{{node}}' }],
    },
    {
      title: 'Frames and deliveries',
      unit: 'ops',
      description: 'A second: frames encoded, once a view, and reports times the clients they went to.',
      lines: [
        { expr: rate('tailrace_fanout_frames_total', nodes), legend: '{{node}} frames' },
        { expr: rate('tailrace_fanout_deliveries_total', nodes), legend: '{{node}} deliveries' },
      ],
    },
    {
      title: 'Age of reports at the socket',
      unit: 's',
      description:
        'From ingest to the sockets, of the oldest of what came together; source relay came through another node. Points lead to traces where exemplars are stored.',
      lines: quantiles('tailrace_fanout_published_age_seconds', nodes, 'source'),
    },
    {
      title: 'Log lag in reports',
      unit: 'short',
      description:
        'In the log and not worked through. A rising line: the node is too slow for what it owns: more nodes, fewer clients a node.',
      lines: [{ expr: `tailrace_fanout_log_lag_reports{${nodes}}`, legend: '{{node}}' }],
    },
    {
      title: 'Log lag in seconds',
      unit: 's',
      description:
        'For how long at most something has been in the log unread, in the partition that is furthest behind. Below 1 s in calm; rising with 0 reports: the log cannot be asked.',
      lines: [{ expr: `tailrace_fanout_log_lag_seconds{${nodes}}`, legend: '{{node}}' }],
    },
    nearLimit({
      ...ofNode,
      gauge: 'log_queue_records',
      title: 'Records read and not worked through',
      unit: 'short',
      description: 'At the limit reading pauses: the processor is the bottleneck.',
    }),
    {
      title: 'Odd records',
      unit: 'short',
      description:
        'In ten minutes. No report, no state: another program writes to the topics. Unreadable ranges: the log is damaged, or compressed by an unknown codec. Failed: an error of this node. Repeated: senders that retry, which costs nothing.',
      lines: [
        {
          expr: `sum by (node, reason) (increase(tailrace_fanout_unreadable_records_total{${nodes}}[10m])) > 0`,
          legend: '{{node}} no report: {{reason}}',
        },
        {
          expr: `increase(tailrace_fanout_unreadable_state_records_total{${nodes}}[10m])`,
          legend: '{{node}} no state',
        },
        {
          expr: `increase(tailrace_fanout_unreadable_ranges_total{${nodes}}[10m])`,
          legend: '{{node}} unreadable ranges',
        },
        { expr: `increase(tailrace_fanout_failed_records_total{${nodes}}[10m])`, legend: '{{node}} failed' },
        { expr: `increase(tailrace_fanout_repeated_reports_total{${nodes}}[10m])`, legend: '{{node}} repeated' },
      ],
    },
    nearLimit({
      ...ofNode,
      gauge: 'message_ids',
      title: 'Message IDs remembered',
      unit: 'short',
      description:
        'At the limit (idsMax) the oldest are forgotten, and a retry that comes late is delivered twice: TailraceIdWindowShort in the runbook.',
    }),
    {
      title: 'Last values written',
      unit: 'ops',
      description:
        'Devices a second into the state topic, and writes that failed. Failures only make the next owner read more of the log.',
      lines: [
        { expr: rate('tailrace_fanout_checkpoint_records_total', nodes), legend: '{{node}} written' },
        { expr: rate('tailrace_fanout_checkpoint_failures_total', nodes), legend: '{{node}} failed' },
        { expr: rate('tailrace_fanout_truncated_checkpoints_total', nodes), legend: '{{node}} without the oldest' },
        { expr: rate('tailrace_fanout_refused_checkpoints_total', nodes), legend: '{{node}} too large' },
      ],
    },
  ],
};

export const ringRow: Row = {
  title: 'Ring and relay',
  panels: [
    {
      title: 'Partitions',
      unit: 'short',
      description:
        'Owned, being read back, served in another’s place, and stalled. Acting, recovering or stalled for minutes: see the runbook.',
      lines: [
        { expr: `tailrace_fanout_owned_partitions{${nodes}}`, legend: '{{node}} owned' },
        { expr: `tailrace_fanout_recovering_partitions{${nodes}}`, legend: '{{node}} recovering' },
        { expr: `tailrace_fanout_acting_partitions{${nodes}}`, legend: '{{node}} acting' },
        { expr: `tailrace_fanout_stalled_partitions{${nodes}}`, legend: '{{node}} stalled' },
      ],
    },
    {
      title: 'Nodes heard',
      unit: 'short',
      description:
        'By each node, itself included, and those of them that have fallen silent. Nodes that hear different numbers: the network between them, or NATS.',
      lines: [
        { expr: `tailrace_fanout_ring_nodes{${nodes}}`, legend: '{{node}} hears' },
        { expr: `tailrace_fanout_suspect_nodes{${nodes}}`, legend: '{{node}} suspects' },
      ],
    },
    {
      title: 'Changes of owners',
      unit: 'short',
      description: 'In ten minutes: partitions taken over from a silent owner, and handed on.',
      lines: [
        { expr: `increase(tailrace_fanout_taken_over_partitions_total{${nodes}}[10m])`, legend: '{{node}} took over' },
        { expr: `increase(tailrace_fanout_handed_on_partitions_total{${nodes}}[10m])`, legend: '{{node}} handed on' },
      ],
    },
    {
      title: 'Relay',
      unit: 'ops',
      description:
        'Reports sent to other nodes, and frames taken, a second. Much: clients are not where their devices live; set publicUrl.',
      lines: [
        { expr: rate('tailrace_fanout_sent_relay_updates_total', nodes), legend: '{{node}} reports sent' },
        { expr: rate('tailrace_fanout_received_relay_frames_total', nodes), legend: '{{node}} frames taken' },
      ],
    },
    {
      title: 'Relay faults',
      unit: 'ops',
      description:
        'A second: breaks (something was missing, and was asked for again), questions that failed, frames of nobody. 0 in calm.',
      lines: [
        { expr: rate('tailrace_fanout_relay_breaks_total', nodes), legend: '{{node}} breaks' },
        { expr: rate('tailrace_fanout_relay_ask_failures_total', nodes), legend: '{{node}} unanswered' },
        { expr: rate('tailrace_fanout_foreign_relay_frames_total', nodes), legend: '{{node}} foreign' },
      ],
    },
    {
      title: 'Clients sent to their device’s node',
      unit: 'ops',
      description: 'Told moved, a second, and still to be told after a change of owners.',
      lines: [
        { expr: rate('tailrace_fanout_moved_clients_total', nodes), legend: '{{node}} told' },
        { expr: `tailrace_fanout_migrations{${nodes}}`, legend: '{{node}} waiting' },
      ],
    },
  ],
};

export const presenceRow: Row = {
  title: 'Devices',
  panels: [
    {
      title: 'Devices known',
      unit: 'short',
      description:
        'Whose last values this node keeps, and those of them that are silent. All silent at once: it is the way to ingest, not the devices.',
      lines: [
        { expr: `sum(tailrace_fanout_devices{${nodes}})`, legend: 'known' },
        { expr: `sum(tailrace_fanout_stale_devices{${nodes}})`, legend: 'stale' },
        { expr: `sum(tailrace_fanout_offline_devices{${nodes}})`, legend: 'offline' },
      ],
    },
    {
      title: 'Devices refused, tags forgotten, late reports',
      unit: 'ops',
      description:
        'Reports a second of devices beyond the limit (TailraceUnknownDevices in the runbook), last values dropped at the limit of their device, and reports older than the last values, which change none.',
      lines: [
        { expr: `sum(${rate('tailrace_fanout_refused_devices_total', nodes)})`, legend: 'refused' },
        { expr: `sum(${rate('tailrace_fanout_forgotten_tags_total', nodes)})`, legend: 'forgotten tags' },
        { expr: `sum(${rate('tailrace_fanout_late_reports_total', nodes)})`, legend: 'late' },
      ],
    },
    nearLimit({
      service: 'fanout',
      gauge: 'devices',
      title: 'Devices known by a node',
      unit: 'short',
      description: 'At the limit new devices have no last values and no presence. Raise devicesMax, and the memory.',
    }),
    nearLimit({
      service: 'fanout',
      gauge: 'tenant_devices',
      title: 'Devices of the tenant that has most',
      unit: 'short',
      description: 'Its limit is devicesPerTenantMax. Rising without end: a sender that invents names.',
    }),
    nearLimit({
      service: 'fanout',
      gauge: 'last_value_bytes',
      title: 'Memory of last values',
      unit: 'bytes',
      description:
        'At the limit new devices are not known, and a device that grows loses its oldest values. Raise the memory, or lastValuesBytesMax.',
    }),
    nearLimit({
      service: 'fanout',
      gauge: 'device_tags',
      title: 'Tags of one device, the most',
      unit: 'short',
      description: 'Since the start. At the limit the tag reported longest ago is forgotten: tagsPerDeviceMax.',
    }),
    {
      title: 'Views interrupted',
      unit: 'short',
      description:
        'Whose clients were told that this node cannot hear partitions of theirs. Not 0 for minutes: TailraceInterrupted in the runbook.',
      lines: [{ expr: `tailrace_fanout_interrupted_views{${nodes}}`, legend: '{{node}}' }],
    },
    {
      title: 'Cuts',
      unit: 'ops',
      description:
        'A second: sent, and sent without waiting longer for some partition. Many incomplete: raise cutSlackMs or alignWaitMs, or look at the lag.',
      lines: [
        { expr: rate('tailrace_fanout_cuts_total', nodes), legend: '{{node}} sent' },
        { expr: rate('tailrace_fanout_incomplete_cuts_total', nodes), legend: '{{node}} incomplete' },
      ],
    },
  ],
};
