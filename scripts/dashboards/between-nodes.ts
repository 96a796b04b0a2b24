import type { Row } from './dashboard.ts';
import { nearLimit, nodes, rate } from './parts.ts';

/** What the nodes of ingest know of each other's sessions, and what follows the loss of one. */
export const betweenNodes: Row = {
  title: 'Between nodes',
  panels: [
    {
      title: 'Other nodes',
      unit: 'short',
      description:
        'Other ingest nodes that this one can reach. Below the number of nodes minus one: the bus, or a node, is away.',
      lines: [{ expr: `tailrace_ingest_peer_nodes{${nodes}}`, legend: '{{node}}' }],
    },
    {
      title: 'Known sessions',
      unit: 'short',
      description: 'Open sessions on all nodes, as each node knows them. The lines should be equal.',
      lines: [{ expr: `tailrace_ingest_known_sessions{${nodes}}`, legend: '{{node}}' }],
    },
    nearLimit({
      service: 'ingest',
      gauge: 'peer_sessions',
      title: 'Devices of other nodes',
      unit: 'short',
      description: 'Remembered, with or without a session. At the limit the oldest are forgotten.',
    }),
    {
      title: 'Sessions moved',
      unit: 'ops',
      description:
        'Devices that came from another node, which was asked for what it had of them, per second. By reason: it did not deliver it, and a message may be in the log twice.',
      lines: [
        { expr: `sum(${rate('tailrace_ingest_hand_over_duration_seconds_count', nodes)})`, legend: 'moved' },
        {
          expr: `sum by (reason) (${rate('tailrace_ingest_hand_over_failures_total', nodes)})`,
          legend: 'without all: {{reason}}',
        },
      ],
    },
    {
      title: 'Looked up in the log',
      unit: 'ops',
      description:
        'Devices of a lost node whose messages were looked up in the log, by outcome, per second. failed: what they have repeated may be in the log twice.',
      lines: [
        { expr: `sum by (outcome) (${rate('tailrace_ingest_lookbacks_total', nodes)})`, legend: '{{outcome}}' },
        { expr: `sum(${rate('tailrace_ingest_shortened_lookbacks_total', nodes)})`, legend: 'partitions, in part' },
      ],
    },
    nearLimit({
      service: 'ingest',
      gauge: 'lookback_ids',
      title: 'Message IDs read back',
      unit: 'short',
      description: 'For two minutes after the loss of a node. At the limit those read first are forgotten.',
    }),
    {
      title: 'Messages between nodes',
      unit: 'ops',
      description:
        'Per second: lists of sessions requested from other nodes, messages that could not be read, and sessions whose numbers are far ahead of the clock.',
      lines: [
        { expr: `sum(${rate('tailrace_ingest_session_lists_total', nodes)})`, legend: 'lists' },
        { expr: `sum(${rate('tailrace_ingest_invalid_session_messages_total', nodes)})`, legend: 'not readable' },
        { expr: `sum(${rate('tailrace_ingest_ahead_claims_total', nodes)})`, legend: 'ahead of the clock' },
      ],
    },
  ],
};
