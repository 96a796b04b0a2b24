import type { Dashboard } from './dashboard.ts';
import { jobVariable, nearLimit, nodes, nodeVariable, processPanels, quantile, quantiles, rate } from './parts.ts';

export const ingest: Dashboard = {
  uid: 'tailrace-ingest',
  title: 'Tailrace / Ingest',
  description: 'From requests to the log: their number, results and durations, and how near the limits are.',
  variables: [jobVariable, nodeVariable('tailrace_ingest_in_flight_requests')],
  rows: [
    {
      title: 'Requests',
      panels: [
        {
          title: 'Requests',
          unit: 'ops',
          description:
            'By result, per second. unavailable: the log does not accept them; overloaded: add replicas; rate_limited: one sender has too much in flight.',
          lines: [
            { expr: `sum by (outcome) (${rate('tailrace_ingest_requests_total', nodes)})`, legend: '{{outcome}}' },
          ],
        },
        {
          title: 'Server errors',
          unit: 'percentunit',
          description:
            'Share of requests that were valid, and not appended to the log. Senders retry them. Above 5 %: TailraceIngestErrors in the runbook.',
          lines: [
            {
              expr: `sum(${rate('tailrace_ingest_requests_total', `${nodes},outcome=~"unavailable|overloaded|internal|timeout"`)}) / sum(${rate('tailrace_ingest_requests_total', `${nodes},outcome!="health_check"`)})`,
              legend: 'errors',
            },
          ],
        },
        {
          title: 'Duration of accepted requests',
          unit: 's',
          description:
            'From the head of a request to its response. Without the append below, it is the network of the sender and this process.',
          lines: quantiles('tailrace_ingest_request_duration_seconds', `${nodes},outcome="accepted"`),
        },
        {
          title: 'Append',
          unit: 's',
          description:
            'Time until the log confirms. Rising: a slow or missing replica of Kafka; see the dashboard Brokers.',
          lines: quantiles('tailrace_ingest_append_duration_seconds', nodes),
        },
        {
          title: 'Failed appends',
          unit: 'ops',
          description: 'The senders got 503 and retry. See TailraceAppendFailures in the runbook.',
          lines: [{ expr: rate('tailrace_ingest_failed_appends_total', nodes), legend: '{{node}}' }],
        },
        {
          title: 'Reports and readings',
          unit: 'ops',
          description: 'In the log, per second. Far more readings than reports: gateways that batch, which costs less.',
          lines: [
            { expr: `sum(${rate('tailrace_ingest_accepted_reports_total', nodes)})`, legend: 'reports' },
            { expr: `sum(${rate('tailrace_ingest_accepted_readings_total', nodes)})`, legend: 'readings' },
          ],
        },
        {
          title: 'Rejected reports',
          unit: 'ops',
          description:
            'By code, per second: the response has each of them with what was expected. forbidden: the token does not cover the device.',
          lines: [
            { expr: `sum by (code) (${rate('tailrace_ingest_rejected_reports_total', nodes)})`, legend: '{{code}}' },
          ],
        },
      ],
    },
    {
      title: 'Devices',
      panels: [
        {
          title: 'Clocks ahead',
          unit: 'ops',
          description:
            'Reports per second with times further ahead than clockAheadMs: their readings are uncertain. See TailraceClocksAhead in the runbook.',
          lines: [{ expr: `sum(${rate('tailrace_ingest_clock_ahead_reports_total', nodes)})`, legend: 'reports' }],
        },
        {
          title: 'Commands',
          unit: 'ops',
          description:
            'By state, per second. unconfirmed: what became of them is unknown; see TailraceCommandsUnconfirmed in the runbook.',
          lines: [{ expr: `sum by (state) (${rate('tailrace_ingest_commands_total', nodes)})`, legend: '{{state}}' }],
        },
        {
          title: 'Commands are off',
          unit: 'short',
          isNumber: true,
          description:
            'Nodes on which each command is refused, by the setting commandsEnabled or the switch of operators. Normally 0; see TailraceCommandsOff in the runbook.',
          lines: [{ expr: `sum(tailrace_ingest_disabled_commands{${nodes}})`, legend: 'nodes' }],
        },
        {
          title: 'Duration of commands',
          unit: 's',
          description: 'From the request to the final outcome: mostly the time that devices take.',
          lines: quantiles('tailrace_ingest_command_duration_seconds', nodes),
        },
        {
          title: 'Refused commands',
          unit: 'ops',
          description: 'By code, per second: they were not accepted, and their requester has the reason.',
          lines: [
            { expr: `sum by (code) (${rate('tailrace_ingest_refused_commands_total', nodes)})`, legend: '{{code}}' },
          ],
        },
        {
          title: 'Commands in other ways',
          unit: 'ops',
          description:
            'Per second: requests that were sent before, canceled in time, sent again to their device, outcomes after unconfirmed, outcomes of commands of other nodes.',
          lines: (['duplicate_commands', 'canceled_commands', 'resent_commands'] as const)
            .map((name) => ({
              expr: `sum(${rate(`tailrace_ingest_${name}_total`, nodes)})`,
              legend: name.split('_')[0]!,
            }))
            .concat([
              { expr: `sum(${rate('tailrace_ingest_corrected_commands_total', nodes)})`, legend: 'corrected' },
              { expr: `sum(${rate('tailrace_ingest_other_command_outcomes_total', nodes)})`, legend: 'of other nodes' },
            ]),
        },
        nearLimit({
          service: 'ingest',
          gauge: 'devices',
          title: 'Device names',
          unit: 'short',
          description: 'Distinct ones since the start. At the limit reports of new ones are refused: devicesMax.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'tenant_devices',
          title: 'Device names of the largest tenant',
          unit: 'short',
          description: 'At the limit reports of its new devices are refused: devicesPerTenantMax.',
        }),
      ],
    },
    {
      title: 'Bridges and dead letters',
      panels: [
        {
          title: 'Messages of bridges',
          unit: 'ops',
          description:
            'Per second, by bridge and outcome. dead_letter: the message cannot be processed; retained: old, and left out.',
          lines: [
            {
              expr: `sum by (bridge, outcome) (${rate('tailrace_ingest_bridge_messages_total', nodes)})`,
              legend: '{{bridge}} {{outcome}}',
            },
          ],
        },
        {
          title: 'Bridges connected',
          unit: 'short',
          description:
            'Nodes that are connected to the broker, by bridge. Below the number of nodes: TailraceBridgeDown.',
          lines: [
            {
              expr: `sum by (bridge) (tailrace_ingest_bridge_connections{${nodes}})`,
              legend: '{{bridge}}',
            },
          ],
        },
        {
          title: 'Oldest message of a bridge',
          unit: 's',
          description: 'How long it has waited for the log. It is not acknowledged, and its broker keeps what follows.',
          lines: [
            {
              expr: `max by (bridge) (tailrace_ingest_bridge_oldest_message_seconds{${nodes}})`,
              legend: '{{bridge}}',
            },
          ],
        },
        {
          title: 'Time to the log',
          unit: 's',
          description: 'From the receipt of a message of a broker until the log has it, by bridge.',
          lines: quantiles('tailrace_ingest_bridge_ack_duration_seconds', nodes, 'bridge'),
        },
        {
          title: 'Lost connections of bridges',
          unit: 'ops',
          description:
            'Per second. taken over: another client has the same client ID. again: reports that the log had not confirmed.',
          lines: [
            ['disconnects', 'lost'],
            ['takeovers', 'taken over'],
            ['retried_appends', 'again'],
          ].map(([name, legend]) => ({
            expr: `sum by (bridge) (${rate(`tailrace_ingest_bridge_${name}_total`, nodes)})`,
            legend: `${legend} {{bridge}}`,
          })),
        },
        {
          title: 'Window of bridges',
          unit: 'short',
          description: 'Messages that wait for the log. At the limit (receiveMaximum) the broker keeps the rest.',
          lines: [
            { expr: `max by (bridge) (tailrace_ingest_bridge_window_messages{${nodes}})`, legend: '{{bridge}}' },
            {
              expr: `min by (bridge) (tailrace_ingest_limit_bridge_window_messages{${nodes}})`,
              legend: 'limit {{bridge}}',
              isLimit: true,
            },
          ],
        },
        {
          title: 'Bytes of bridges',
          unit: 'bytes',
          description: 'Of the same messages. At the limit the broker is not read.',
          lines: [
            { expr: `max by (bridge) (tailrace_ingest_bridge_window_bytes{${nodes}})`, legend: '{{bridge}}' },
            { expr: `min(tailrace_ingest_limit_bridge_window_bytes{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Message IDs of bridges',
          unit: 'short',
          description: 'By which repeated messages are recognized. At the limit the older half is forgotten.',
          lines: [
            { expr: `max by (bridge) (tailrace_ingest_bridge_recent_ids{${nodes}})`, legend: '{{bridge}}' },
            { expr: `min(tailrace_ingest_limit_bridge_recent_ids{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
        nearLimit({
          service: 'ingest',
          gauge: 'pending_dead_letter_bytes',
          title: 'Dead letters that wait',
          unit: 'bytes',
          description: 'For the log. At the limit their messages are not acknowledged yet.',
        }),
        {
          title: 'Dead letters',
          unit: 'ops',
          description:
            'Messages that were accepted and cannot be processed, by protocol and reason. See TailraceDeadLetters in the runbook.',
          lines: [
            {
              expr: `sum by (protocol, reason) (${rate('tailrace_ingest_dead_letters_total', nodes)})`,
              legend: '{{protocol}} {{reason}}',
            },
            {
              expr: `sum(${rate('tailrace_ingest_dropped_dead_letters_total', nodes)})`,
              legend: 'dropped',
            },
          ],
        },
      ],
    },
    {
      title: 'How near the limits',
      panels: [
        nearLimit({
          service: 'ingest',
          gauge: 'in_flight_requests',
          title: 'Requests in flight',
          unit: 'short',
          description:
            'At the limit others get 503. High while the log is slow; otherwise add replicas, or raise inFlightRequestsMax.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'in_flight_bytes',
          title: 'Bodies that wait for the log',
          unit: 'bytes',
          description: 'At the limit others get 503. Costs up to three times as much memory; inFlightBytesMax.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'unfinished_body_bytes',
          title: 'Unfinished bodies',
          unit: 'bytes',
          description:
            'Being received. At the limit others get 503. High: many senders with slow networks; unfinishedBytesMax, bodyDeadlineMs.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'token_requests',
          title: 'Requests of one sender',
          unit: 'short',
          description:
            'In flight, of the sender (iss, tenant and sub) that has most. At the limit it gets 429: let it send batches, or raise requestsPerTokenMax.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'sender_bytes',
          title: 'Bytes of one sender',
          unit: 'bytes',
          description:
            'Bodies that wait for the log, of the sender that has most. At the limit, half of inFlightBytesMax, it gets 429.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'streams',
          title: 'Streams',
          unit: 'short',
          description:
            'Bodies of NDJSON that are processed while they are received. At the limit others get 503: streamsMax.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'token_streams',
          title: 'Streams of one sender',
          unit: 'short',
          description: 'Of the sender that has most. At the limit it gets 429: streamsPerTokenMax.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'unverified_requests',
          title: 'Requests that wait for keys',
          unit: 'short',
          description:
            'The keys of their tokens are being fetched. At the limit 503. High: the key server (tokenJwksUrl) is slow or unreachable.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'address_unverified_requests',
          title: 'Requests of one address that wait for keys',
          unit: 'short',
          description: 'Of the address that has most. At the limit (addressUnverifiedRequestsMax) it gets 429.',
        }),
        {
          title: 'Size of bodies',
          unit: 'bytes',
          description: '99 of 100 are smaller. Beyond the limit (bodyBytesMax): 413.',
          lines: [
            { expr: quantile(0.99, 'tailrace_ingest_request_body_bytes', nodes), legend: 'p99' },
            { expr: `min(tailrace_ingest_limit_request_body_bytes{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Size of streams',
          unit: 'bytes',
          description: 'Unpacked. 99 of 100 are smaller. Beyond the limit (streamBytesMax): 413.',
          lines: [
            { expr: quantile(0.99, 'tailrace_ingest_stream_bytes', nodes), legend: 'p99' },
            { expr: `min(tailrace_ingest_limit_stream_bytes{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Reports of one request',
          unit: 'short',
          description:
            '99 of 100 have fewer. 1 to 5: larger batches would cost less CPU. Beyond the limit (reportsPerRequestMax): 413.',
          lines: [
            { expr: quantile(0.99, 'tailrace_ingest_request_reports', nodes), legend: 'p99' },
            { expr: `min(tailrace_ingest_limit_request_reports{${nodes}})`, legend: 'limit', isLimit: true },
          ],
        },
      ],
    },
    {
      title: 'Connections',
      panels: [
        nearLimit({
          service: 'ingest',
          gauge: 'connections',
          title: 'Connections',
          unit: 'short',
          description:
            'At the limit (connectionsMax) a new one replaces one that has not sent a whole request, or is idle.',
        }),
        nearLimit({
          service: 'ingest',
          gauge: 'address_connections',
          title: 'Connections of one address',
          unit: 'short',
          description:
            'Of the address that has most, except trustedProxies. At the limit a new one replaces another of that address.',
        }),
        {
          title: 'Incomplete connections',
          unit: 'short',
          description:
            'Connections that have sent no head yet, or not all of a body. Many for minutes: a client that holds them open on purpose.',
          lines: [{ expr: `tailrace_ingest_incomplete_connections{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Closed by ingest',
          unit: 'ops',
          description:
            'At a limit, because of unread responses and unfinished requests, and because of slow bodies near a limit. See TailraceIngestConnectionsEvicted in the runbook.',
          lines: [
            { expr: rate('tailrace_ingest_evicted_connections_total', nodes), legend: 'evicted {{node}}' },
            { expr: rate('tailrace_ingest_refused_connections_total', nodes), legend: 'refused {{node}}' },
            { expr: rate('tailrace_ingest_unread_responses_total', nodes), legend: 'unread response {{node}}' },
            { expr: rate('tailrace_ingest_unfinished_requests_total', nodes), legend: 'unfinished request {{node}}' },
            { expr: rate('tailrace_ingest_slow_bodies_total', nodes), legend: 'slow body {{node}}' },
          ],
        },
      ],
    },
    {
      title: 'Credentials',
      panels: [
        {
          title: 'Control topic',
          unit: 'ops',
          description:
            'Credentials, revocations and notices that were read, per second; polls that failed; and records that could not be read. See also TailraceControlTopicStale.',
          lines: [
            ['control_records', 'read'],
            ['control_read_failures', 'failed polls'],
            ['control_unreadable_records', 'not readable'],
            ['invalid_credentials', 'invalid credentials'],
            ['invalid_revocation_entries', 'invalid revocations'],
          ].map(([name, legend]) => ({
            expr: `sum(${rate(`tailrace_ingest_${name}_total`, nodes)})`,
            legend: legend!,
          })),
        },
      ],
    },
    {
      title: 'TLS',
      panels: [
        nearLimit({
          service: 'ingest',
          gauge: 'tls_handshakes',
          title: 'Handshakes in progress',
          unit: 'short',
          description: 'Of the port for HTTP. At the limit the oldest is closed.',
        }),
        {
          title: 'Handshakes of MQTT',
          unit: 'short',
          description: 'In progress. The limit is the same as that of the port for HTTP.',
          lines: [{ expr: `tailrace_ingest_mqtt_tls_handshakes{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Failed handshakes',
          unit: 'ops',
          description:
            'Per second: failed, closed at the limit, closed because the certificate of the client is revoked, and reads of changed TLS files that failed.',
          lines: [
            ['failed_tls_handshakes', 'failed'],
            ['evicted_tls_handshakes', 'closed at the limit'],
            ['revoked_client_certificates', 'revoked'],
            ['failed_tls_reads', 'files not readable'],
          ].map(([name, legend]) => ({
            expr: `sum(${rate(`tailrace_ingest_${name}_total`, nodes)})`,
            legend: legend!,
          })),
        },
        {
          title: 'WebSockets of devices',
          unit: 'short',
          description: 'Connections that were upgraded. Authenticated ones are not among the connections above.',
          lines: [{ expr: `tailrace_ingest_upgraded_connections{${nodes}}`, legend: '{{node}}' }],
        },
      ],
    },
    { title: 'Process', panels: processPanels(`${nodes},service=~"ingest|standalone"`) },
  ],
};
