import { betweenNodes } from './between-nodes.ts';
import type { Dashboard } from './dashboard.ts';
import { mqtt } from './mqtt.ts';
import { jobVariable, nearLimit, nodes, nodeVariable, quantile, quantiles, rate } from './parts.ts';

export const devices: Dashboard = {
  uid: 'tailrace-devices',
  title: 'Tailrace / Devices',
  description: 'Devices with a session: their messages from receipt to acknowledgement, and the sessions themselves.',
  variables: [jobVariable, nodeVariable('tailrace_ingest_live_devices')],
  rows: [
    {
      title: 'Messages',
      panels: [
        {
          title: 'Messages',
          unit: 'ops',
          description:
            'By outcome, per second. unavailable: the log has not confirmed them in time; rate_limited: a device or a tenant sends too much.',
          lines: [
            { expr: `sum by (outcome) (${rate('tailrace_ingest_messages_total', nodes)})`, legend: '{{outcome}}' },
          ],
        },
        {
          title: 'Time to acknowledge',
          unit: 's',
          description:
            'From the receipt of a message to its acknowledgement, which is sent when it is in the log. See TailraceDeviceAcksSlow in the runbook.',
          lines: quantiles('tailrace_ingest_ack_duration_seconds', nodes),
        },
        {
          title: 'Pressure',
          unit: 'short',
          description:
            'Whether the log keeps up: 0 it does, 1 it is slow, 2 it confirms nothing. See TailraceIngestPressure in the runbook.',
          lines: [{ expr: `tailrace_ingest_pressure_levels{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Rejected messages',
          unit: 'ops',
          description: 'By code, per second. The answer to each message has what was expected.',
          lines: [
            { expr: `sum by (code) (${rate('tailrace_ingest_rejected_messages_total', nodes)})`, legend: '{{code}}' },
          ],
        },
        {
          title: 'Messages that were sent again',
          unit: 'ops',
          description:
            'By protocol, per second. Each is in the log once. Many: devices lose their connections, or wait too short for an acknowledgement.',
          lines: [
            {
              expr: `sum by (protocol) (${rate('tailrace_ingest_resent_messages_total', nodes)})`,
              legend: '{{protocol}}',
            },
          ],
        },
        nearLimit({
          service: 'ingest',
          gauge: 'unsettled_messages',
          title: 'Messages that wait for the log',
          unit: 'short',
          description: 'Of all sessions. At the limit sessions are not read until it confirms: intakeUnsettledMax.',
        }),
        {
          title: 'Bytes that wait for the log',
          unit: 'bytes',
          description: 'Of the same messages. Memory of the process.',
          lines: [{ expr: `tailrace_ingest_unsettled_bytes{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Messages of one append',
          unit: 'short',
          description: 'Of devices with a session: the more, the less each costs.',
          lines: quantiles('tailrace_ingest_intake_batch_messages', nodes),
        },
        {
          title: 'Size of messages',
          unit: 'bytes',
          description: '99 of 100 are smaller. A larger one than the limit (deviceMessageBytesMax) closes the session.',
          lines: [
            { expr: quantile(0.99, 'tailrace_ingest_device_message_bytes', nodes), legend: 'p99' },
            { expr: `min(tailrace_ingest_limit_device_message_bytes{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
      ],
    },
    {
      title: 'Sessions',
      panels: [
        {
          title: 'Sessions of devices',
          unit: 'short',
          description: 'Open sessions by node. Devices without one send by HTTP.',
          lines: [{ expr: `sum by (node) (tailrace_ingest_live_devices{${nodes}})`, legend: '{{node}}' }],
        },
        {
          title: 'Sessions that are not read',
          unit: 'short',
          description:
            'By cause. window, bytes: the device sends more than the log takes. unavailable: the log does not confirm.',
          lines: [{ expr: `sum by (cause) (tailrace_ingest_paused_sessions{${nodes}})`, legend: '{{cause}}' }],
        },
        {
          title: 'Closed sessions',
          unit: 'ops',
          description: 'By close code, per second. 4409: a newer session of the device; 1006: the connection was lost.',
          lines: [
            { expr: `sum by (code) (${rate('tailrace_ingest_device_closes_total', nodes)})`, legend: '{{code}}' },
          ],
        },
        {
          title: 'Takeovers',
          unit: 'ops',
          description:
            'Sessions replaced by a newer one, per second. fight yes: two senders have the same identity. See TailraceDeviceIdentityConflict.',
          lines: [
            {
              expr: `sum by (where, fight) (${rate('tailrace_ingest_takeovers_total', nodes)})`,
              legend: '{{where}}, fight {{fight}}',
            },
          ],
        },
        {
          title: 'Logins',
          unit: 'ops',
          description:
            'Credentials presented, by outcome, per second, of all protocols. See TailraceDeviceLogins in the runbook.',
          lines: [
            { expr: `sum by (outcome) (${rate('tailrace_ingest_verifications_total', nodes)})`, legend: '{{outcome}}' },
          ],
        },
        {
          title: 'Messages beyond a rate limit',
          unit: 'ops',
          description:
            'Per second, by the limit: of the device, of its events, or of its tenant. Devices wait and send them again.',
          lines: [
            {
              expr: `sum by (scope) (${rate('tailrace_ingest_rate_limited_messages_total', nodes)})`,
              legend: '{{scope}}',
            },
          ],
        },
        {
          title: 'Events of sessions',
          unit: 'ops',
          description: 'Starts, conflicts and closes by reason, per second, as fanout receives them for the presence.',
          lines: [
            { expr: `sum by (event) (${rate('tailrace_ingest_session_events_total', nodes)})`, legend: '{{event}}' },
          ],
        },
        {
          title: 'Sessions that wait for their identity',
          unit: 'short',
          description: 'Two senders use the identity of one device. See TailraceDeviceIdentityConflict in the runbook.',
          lines: [{ expr: `tailrace_ingest_waiting_takeovers{${nodes}}`, legend: '{{node}}' }],
        },
      ],
    },
    {
      title: 'How near the limits of sessions are',
      panels: [
        nearLimit({
          service: 'ingest',
          gauge: 'device_window_messages',
          title: 'Window of one session',
          unit: 'short',
          description: 'Messages that wait for the log, of the session that has most. At the limit it is not read.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'device_window_bytes',
          title: 'Bytes of one session',
          unit: 'bytes',
          description: 'That wait for the log, of the session that has most. At the limit it is not read.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'device_socket_bytes',
          title: 'Unread answers of one session',
          unit: 'bytes',
          description: 'Of the session that has most. At the limit it is closed: deviceSocketBytesMax.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'address_unauthenticated_devices',
          title: 'Logins in progress of one address',
          unit: 'short',
          description: 'Of the address that has most. At the limit the oldest is closed.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'recent_id_bytes',
          title: 'Remembered message IDs',
          unit: 'bytes',
          description: 'At the limit the oldest are forgotten: a message sent again may be in the log twice.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'device_records',
          title: 'Devices without a session',
          unit: 'short',
          description: 'That are remembered. At the limit the oldest is forgotten.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'waiting_session_events',
          title: 'Events that wait for the log',
          unit: 'short',
          description: 'Of sessions. At the limit they are dropped, and fanout learns of a session by its reports.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'rated_devices',
          title: 'Devices with a rate',
          unit: 'short',
          description: 'Remembered for deviceReportsPerSecond. At the limit those that are idle are forgotten.',
        }),
      ],
    },
    mqtt,
    betweenNodes,
  ],
};
