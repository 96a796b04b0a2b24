import type { Row } from './dashboard.ts';
import { nearLimit, nodes, quantiles, rate } from './parts.ts';

const ofNode = { service: 'fanout' } as const;

export const logRow: Row = {
  title: 'From the log to the sockets',
  panels: [
    {
      title: 'Reports read',
      unit: 'ops',
      description: 'From the log by their owner, per second. Uneven: some devices report much more often than others.',
      lines: [{ expr: rate('tailrace_fanout_reports_total', nodes), legend: '{{node}}' }],
    },
    {
      title: 'Frames and deliveries',
      unit: 'ops',
      description: 'Per second: frames encoded, once per view, and deliveries of a report to a client.',
      lines: [
        { expr: rate('tailrace_fanout_frames_total', nodes), legend: '{{node}} frames' },
        { expr: rate('tailrace_fanout_deliveries_total', nodes), legend: '{{node}} deliveries' },
      ],
    },
    {
      title: 'Age of reports at the socket',
      unit: 's',
      description:
        'From ingest to the sockets, of the oldest report of a batch; source relay: through another node. Exemplars link to traces where they are stored.',
      lines: quantiles('tailrace_fanout_published_age_seconds', nodes, 'source'),
    },
    {
      title: 'Log lag in reports',
      unit: 'short',
      description:
        'Reports in the log that are not processed. Rising: the node is too slow for the partitions it owns; add nodes.',
      lines: [{ expr: `tailrace_fanout_log_lag_reports{${nodes}}`, legend: '{{node}}' }],
    },
    {
      title: 'Log lag in seconds',
      unit: 's',
      description:
        'Upper bound of the age of the oldest unread report, in the partition that is furthest behind. Usually below 1 s; rising with 0 reports: the log is unreachable.',
      lines: [{ expr: `tailrace_fanout_log_lag_seconds{${nodes}}`, legend: '{{node}}' }],
    },
    nearLimit({
      ...ofNode,
      gauge: 'log_queue_records',
      title: 'Records read and not processed',
      unit: 'short',
      description: 'At the limit reading pauses: the processor is the bottleneck.',
    }),
    {
      title: 'Skipped records',
      unit: 'short',
      description:
        'In ten minutes. No report, no state: another program writes to the topics. Unreadable ranges: the log is damaged, or compressed by an unknown codec. Failed: an error of this node. Duplicates: senders that retry, which is normal.',
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
        { expr: `increase(tailrace_fanout_duplicate_reports_total{${nodes}}[10m])`, legend: '{{node}} duplicates' },
      ],
    },
    nearLimit({
      ...ofNode,
      gauge: 'message_ids',
      title: 'Message IDs remembered',
      unit: 'short',
      description:
        'At the limit (idsMax) the oldest are evicted, and a late retry is delivered twice: TailraceIdWindowShort in the runbook.',
    }),
    {
      title: 'Last values written',
      unit: 'ops',
      description:
        'Devices per second into the state topic, and failed writes. After a failure the next owner reads more of the log.',
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
        'Owned, recovering, served as standby for a suspect owner, and stalled. Standby, recovering or stalled for minutes: see the runbook.',
      lines: [
        { expr: `tailrace_fanout_owned_partitions{${nodes}}`, legend: '{{node}} owned' },
        { expr: `tailrace_fanout_recovering_partitions{${nodes}}`, legend: '{{node}} recovering' },
        { expr: `tailrace_fanout_standby_partitions{${nodes}}`, legend: '{{node}} standby' },
        { expr: `tailrace_fanout_stalled_partitions{${nodes}}`, legend: '{{node}} stalled' },
      ],
    },
    {
      title: 'Reachable nodes',
      unit: 'short',
      description:
        'Seen by each node, itself included, and those of them that are suspect. Nodes with different numbers: check the network between them, or NATS.',
      lines: [
        { expr: `tailrace_fanout_ring_nodes{${nodes}}`, legend: '{{node}} reachable' },
        { expr: `tailrace_fanout_suspect_nodes{${nodes}}`, legend: '{{node}} suspect' },
      ],
    },
    {
      title: 'Changes of owners',
      unit: 'short',
      description: 'In ten minutes: partitions taken over from a suspect owner, and released to another node.',
      lines: [
        { expr: `increase(tailrace_fanout_taken_over_partitions_total{${nodes}}[10m])`, legend: '{{node}} took over' },
        { expr: `increase(tailrace_fanout_released_partitions_total{${nodes}}[10m])`, legend: '{{node}} released' },
      ],
    },
    {
      title: 'Relay',
      unit: 'ops',
      description:
        'Reports sent to other nodes, and frames received, per second. Many: clients are not on the owners of their devices; set publicUrl.',
      lines: [
        { expr: rate('tailrace_fanout_sent_relay_updates_total', nodes), legend: '{{node}} reports sent' },
        { expr: rate('tailrace_fanout_received_relay_frames_total', nodes), legend: '{{node}} frames received' },
      ],
    },
    {
      title: 'Relay errors',
      unit: 'ops',
      description:
        'Per second: gaps (a frame was missing, and was requested again), failed requests, and rejected frames. Usually 0.',
      lines: [
        { expr: rate('tailrace_fanout_relay_gaps_total', nodes), legend: '{{node}} gaps' },
        { expr: rate('tailrace_fanout_relay_request_failures_total', nodes), legend: '{{node}} failed requests' },
        { expr: rate('tailrace_fanout_rejected_relay_frames_total', nodes), legend: '{{node}} rejected' },
      ],
    },
    {
      title: 'Clients moved to the owner of their device',
      unit: 'ops',
      description: 'Sent moved, per second, and still waiting for it after a change of owners.',
      lines: [
        { expr: rate('tailrace_fanout_moved_clients_total', nodes), legend: '{{node}} moved' },
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
        'Devices whose last values this node keeps, and those of them that are stale or offline. All stale at once: check the path to ingest, not the devices.',
      lines: [
        { expr: `sum(tailrace_fanout_devices{${nodes}})`, legend: 'known' },
        { expr: `sum(tailrace_fanout_stale_devices{${nodes}})`, legend: 'stale' },
        { expr: `sum(tailrace_fanout_offline_devices{${nodes}})`, legend: 'offline' },
      ],
    },
    {
      title: 'Devices refused, tags evicted, late reports',
      unit: 'ops',
      description:
        'Per second: reports of devices beyond the limit (TailraceUnknownDevices in the runbook), last values evicted at the limit of their device, and reports older than the last values, which change none.',
      lines: [
        { expr: `sum(${rate('tailrace_fanout_refused_devices_total', nodes)})`, legend: 'refused' },
        { expr: `sum(${rate('tailrace_fanout_evicted_tags_total', nodes)})`, legend: 'evicted tags' },
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
      title: 'Devices of the largest tenant',
      unit: 'short',
      description: 'Its limit is devicesPerTenantMax. Always rising: a sender that invents names.',
    }),
    nearLimit({
      service: 'fanout',
      gauge: 'last_value_bytes',
      title: 'Memory of last values',
      unit: 'bytes',
      description:
        'At the limit new devices have no last values, and a device that grows loses its oldest values. Raise the memory, or lastValuesBytesMax.',
    }),
    nearLimit({
      service: 'fanout',
      gauge: 'device_tags',
      title: 'Most tags of one device',
      unit: 'short',
      description: 'Since the start. At the limit (tagsPerDeviceMax) the tag reported longest ago is evicted.',
    }),
    {
      title: 'Interrupted views',
      unit: 'short',
      description:
        'Views whose clients were sent interrupted, because this node receives nothing of some partitions. Not 0 for minutes: TailraceInterrupted in the runbook.',
      lines: [{ expr: `tailrace_fanout_interrupted_views{${nodes}}`, legend: '{{node}}' }],
    },
    {
      title: 'Consistent cuts',
      unit: 'ops',
      description:
        'Per second: sent, and sent without waiting longer for some partition. Many incomplete: raise cutSlackMs or alignWaitMs, or check the lag.',
      lines: [
        { expr: rate('tailrace_fanout_cuts_total', nodes), legend: '{{node}} sent' },
        { expr: rate('tailrace_fanout_incomplete_cuts_total', nodes), legend: '{{node}} incomplete' },
      ],
    },
  ],
};
