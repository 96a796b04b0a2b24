import type { Row } from './dashboard.ts';
import { nearLimit, nodes, quantile, quantiles, rate } from './parts.ts';

const ofNode = { service: 'fanout' } as const;

export const clientRow: Row = {
  title: 'Clients',
  panels: [
    nearLimit({
      ...ofNode,
      gauge: 'connections',
      title: 'Clients',
      unit: 'short',
      description:
        'At the limit new ones get 503 and connect to another node: add nodes, or raise connectionsMax and the limit of open files.',
    }),
    {
      title: 'Connections opened and closed',
      unit: 'ops',
      description: 'Per second. Both high: clients that reconnect again and again; check the close codes.',
      lines: [
        { expr: rate('tailrace_fanout_opened_connections_total', nodes), legend: '{{node}} opened' },
        {
          expr: `sum by (node) (${rate('tailrace_fanout_closed_connections_total', nodes)})`,
          legend: '{{node}} closed',
        },
      ],
    },
    {
      title: 'Close codes',
      unit: 'ops',
      description:
        'By code, per second. 1012: a restart; 1013: try later; 4001: no pong; 4002: too slow; 4401: token; 4429: too many messages; 1011: an internal error, see the log.',
      lines: [
        { expr: `sum by (code) (${rate('tailrace_fanout_closed_connections_total', nodes)})`, legend: '{{code}}' },
      ],
    },
    {
      title: 'Messages from clients',
      unit: 'ops',
      description:
        'By kind, per second. invalid: a program that violates the protocol. Many subscribe: programs that do not keep their subscriptions.',
      lines: [
        { expr: `sum by (kind) (${rate('tailrace_fanout_received_messages_total', nodes)})`, legend: '{{kind}}' },
      ],
    },
    {
      title: 'Errors sent to clients',
      unit: 'ops',
      description:
        'By code, per second. forbidden, unauthorized: tokens; limit_reached: a limit below; unavailable: partitions without owner; internal: see the log.',
      lines: [{ expr: `sum by (code) (${rate('tailrace_fanout_sent_errors_total', nodes)})`, legend: '{{code}}' }],
    },
    {
      title: 'Time to subscribe',
      unit: 's',
      description:
        'From the request to its reply. Seconds: the log is read for clients that resume, or an owner does not answer.',
      lines: quantiles('tailrace_fanout_subscribe_duration_seconds', nodes),
    },
    {
      title: 'Subscriptions, channels, views',
      unit: 'short',
      description:
        'A view is encoded once for all its clients. As many views as subscriptions: each client has its own options, and its own encoding.',
      lines: [
        { expr: `sum(tailrace_fanout_subscriptions{${nodes}})`, legend: 'subscriptions' },
        { expr: `sum(tailrace_fanout_channels{${nodes}})`, legend: 'channels' },
        { expr: `sum(tailrace_fanout_views{${nodes}})`, legend: 'views' },
      ],
    },
    {
      title: 'HTTP requests',
      unit: 'ops',
      description: 'To /v1/route, /v1/devices, and the endpoints of operators, by result, per second.',
      lines: [
        {
          expr: `sum by (endpoint, code) (${rate('tailrace_fanout_http_requests_total', nodes)})`,
          legend: '{{endpoint}} {{code}}',
        },
      ],
    },
    {
      title: 'Internal errors',
      unit: 'short',
      description:
        'In ten minutes: times that a client could not be served because of an error of this node. Must be 0; the log has the error.',
      lines: [{ expr: `increase(tailrace_fanout_internal_errors_total{${nodes}}[10m])`, legend: '{{node}}' }],
    },
  ],
};

export const catchUpRow: Row = {
  title: 'Catching up, and slow clients',
  panels: [
    {
      title: 'Subscriptions started',
      unit: 'ops',
      description:
        'resume: with the whole backlog; partial_resume: with a part, and the missing ranges were sent: retention is too short, or resumeRecordsMax too small.',
      lines: [
        { expr: `sum by (start) (${rate('tailrace_fanout_started_subscriptions_total', nodes)})`, legend: '{{start}}' },
      ],
    },
    {
      title: 'Source of the backlog',
      unit: 'ops',
      description:
        'Partitions per second: from the window in memory, from the log, or with something missing. Many from the log: a larger windowBytesMax avoids reads.',
      lines: [
        { expr: `sum(${rate('tailrace_fanout_window_resumed_partitions_total', nodes)})`, legend: 'window' },
        { expr: `sum(${rate('tailrace_fanout_log_resumed_partitions_total', nodes)})`, legend: 'log' },
        { expr: `sum(${rate('tailrace_fanout_incomplete_resumed_partitions_total', nodes)})`, legend: 'incomplete' },
      ],
    },
    nearLimit({
      ...ofNode,
      gauge: 'window_bytes',
      title: 'Window',
      unit: 'bytes',
      description:
        'Newest reports, kept for clients that resume. At the limit the oldest are dropped before windowMs, and read from the log when a client needs them.',
    }),
    {
      title: 'Background work',
      unit: 'percentunit',
      description:
        'Share of the event loop for work that clients request beside live data: snapshots, resume, replay, align. While live data needs the loop it is at most backgroundShare.',
      lines: [{ expr: rate('tailrace_fanout_background_seconds_total', nodes), legend: '{{node}}' }],
    },
    {
      title: 'Wait before background work',
      unit: 's',
      description: 'How long such work waits before it starts. Long: a reconnect storm, or users who request much.',
      lines: quantiles('tailrace_fanout_work_wait_seconds', nodes),
    },
    nearLimit({
      ...ofNode,
      gauge: 'queued_tasks',
      title: 'Queued background work',
      unit: 'short',
      description: 'At the limit clients get rate_limited, and retry.',
    }),
    {
      title: 'Slow clients',
      unit: 'short',
      description:
        'Off the topics because their sockets are full. Many: clients with bad networks or too large channels; suggest maxRate, tags or a smaller subtree.',
      lines: [{ expr: `tailrace_fanout_lagging_connections{${nodes}}`, legend: '{{node}}' }],
    },
    {
      title: 'Fullest socket',
      unit: 'bytes',
      description: 'Above high water a client lags and gets conflated reports; at the limit it is disconnected.',
      lines: [
        { expr: `tailrace_fanout_socket_bytes{${nodes}}`, legend: '{{node}}' },
        { expr: `min(tailrace_fanout_limit_socket_high_water_bytes{${nodes}})`, legend: 'high water', isLimit: true },
        { expr: `min(tailrace_fanout_limit_socket_bytes{${nodes}})`, legend: 'limit', isLimit: true },
      ],
    },
    nearLimit({
      ...ofNode,
      gauge: 'client_lag_seconds',
      title: 'Longest lag of a client',
      unit: 's',
      description: 'At the limit (lagMsMax) it is closed with 4002, reconnects, and resumes.',
    }),
    {
      title: 'Slow clients closed',
      unit: 'ops',
      description: 'Per second. They reconnect by themselves. See TailraceSlowClients in the runbook.',
      lines: [{ expr: rate('tailrace_fanout_slow_connections_total', nodes), legend: '{{node}}' }],
    },
    {
      title: 'Reports left out',
      unit: 'ops',
      description:
        'Per second: by maxRate, deadband and tags, as clients requested; slow: conflated because a client did not read fast enough.',
      lines: [
        { expr: `sum(${rate('tailrace_fanout_conflated_reports_total', nodes)})`, legend: 'rate' },
        { expr: `sum(${rate('tailrace_fanout_deadband_reports_total', nodes)})`, legend: 'deadband' },
        { expr: `sum(${rate('tailrace_fanout_unmatched_reports_total', nodes)})`, legend: 'tags' },
        { expr: `sum(${rate('tailrace_fanout_slow_conflated_reports_total', nodes)})`, legend: 'slow' },
      ],
    },
    nearLimit({
      ...ofNode,
      gauge: 'reply_bytes',
      title: 'Replies queued for one client',
      unit: 'bytes',
      description: 'Of the client with most. At the limit (repliesBytesMax) it is closed with 4002.',
    }),
    nearLimit({
      ...ofNode,
      gauge: 'paced_replays',
      title: 'Replays with a speed',
      unit: 'short',
      description: 'At the limit (replaysMax) others get limit_reached.',
    }),
  ],
};

const used = (gauge: string, legend: string) => ({
  expr: `max(tailrace_fanout_${gauge}{${nodes}} / tailrace_fanout_limit_${gauge}{${nodes}})`,
  legend,
});

export const limitRow: Row = {
  title: 'How near the limits',
  panels: [
    {
      title: 'Memory limits',
      unit: 'percentunit',
      description:
        'Share in use, of the node that is nearest to its limit. docs/CONFIG.md has what happens at 1; clients are notified of all that they lose.',
      lines: [
        used('paced_bytes', 'pacedBytesMax'),
        used('last_sent_readings', 'lastSentReadingsMax'),
        used('relay_held_bytes', 'heldBytesMax'),
        used('cut_bytes', 'cutBytesMax'),
        used('catch_up_bytes', 'catchUpBytesMax'),
        used('revocation_entries', 'revocationsMax'),
        used('credentials', 'credentialsMax'),
        used('unfinished_body_bytes', 'bodies of requests'),
        { expr: '1', legend: 'limit', isLimit: true },
      ],
    },
    {
      title: 'Limits of one client, user or address',
      unit: 'percentunit',
      description:
        'Share in use, of the client, user or address that is nearest to its limit. At 1 it is refused, and no other: check whether it is one program, or all behind one address.',
      lines: [
        used('connection_subscriptions', 'subscriptionsMax'),
        used('user_connections', 'userConnectionsMax'),
        used('user_subscriptions', 'userSubscriptionsMax'),
        used('address_connections', 'addressConnectionsMax'),
        used('connection_views', 'viewsPerConnectionMax'),
        used('user_queued_tasks', 'userQueuedTasksMax'),
        used('user_views', 'userViewsMax'),
        { expr: '1', legend: 'limit', isLimit: true },
      ],
    },
    {
      title: 'Rates',
      unit: 'percentunit',
      description:
        'Share of the burst in use, of the node, the address and the client that are nearest to their limits. At 1: Retry-After, or 4429.',
      lines: [
        used('recent_handshakes', 'handshakesPerSecondMax'),
        used('recent_address_handshakes', 'addressHandshakesPerSecondMax'),
        used('recent_connection_messages', 'messagesPerSecondMax'),
        { expr: '1', legend: 'limit', isLimit: true },
      ],
    },
    {
      title: 'Handshakes refused',
      unit: 'ops',
      description:
        'By reason, per second. draining: a restart; connections, rate: too few nodes; address_*: one client, or a balancer that is missing in trustedProxies.',
      lines: [
        { expr: `sum by (reason) (${rate('tailrace_fanout_refused_handshakes_total', nodes)})`, legend: '{{reason}}' },
      ],
    },
    {
      title: 'Requests to owners, p99',
      unit: 's',
      description: 'How long other nodes take to answer the requests of this one. Usually milliseconds.',
      lines: [
        { expr: quantile(0.99, 'tailrace_fanout_relay_request_duration_seconds', nodes, 'node'), legend: '{{node}}' },
      ],
    },
  ],
};
