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
        'At the limit new ones get 503 and go elsewhere: add nodes, or raise connectionsMax and the limit of open files.',
    }),
    {
      title: 'Coming and going',
      unit: 'ops',
      description:
        'Connections opened and ended, a second. Both high: clients that come and go; see by which close codes.',
      lines: [
        { expr: rate('tailrace_fanout_opened_connections_total', nodes), legend: '{{node}} opened' },
        {
          expr: `sum by (node) (${rate('tailrace_fanout_closed_connections_total', nodes)})`,
          legend: '{{node}} ended',
        },
      ],
    },
    {
      title: 'Close codes',
      unit: 'ops',
      description:
        'By code, a second. 1012: a restart; 1013: not now; 4001: silent; 4002: too slow; 4401: token; 4429: too many messages; 1011: a fault of ours, see the log.',
      lines: [
        { expr: `sum by (code) (${rate('tailrace_fanout_closed_connections_total', nodes)})`, legend: '{{code}}' },
      ],
    },
    {
      title: 'Messages of clients',
      unit: 'ops',
      description:
        'By kind, a second. invalid: a program that does not speak the protocol. Many subscribe: programs that do not keep their subscriptions.',
      lines: [
        { expr: `sum by (kind) (${rate('tailrace_fanout_received_messages_total', nodes)})`, legend: '{{kind}}' },
      ],
    },
    {
      title: 'Errors told to clients',
      unit: 'ops',
      description:
        'By code, a second. forbidden, unauthorized: tokens; limit_reached: a limit below; unavailable: partitions without owner; internal: see the log.',
      lines: [{ expr: `sum by (code) (${rate('tailrace_fanout_sent_errors_total', nodes)})`, legend: '{{code}}' }],
    },
    {
      title: 'Time to subscribe',
      unit: 's',
      description:
        'From the wish to its answer. Seconds: the log is read for those who come back, or an owner does not answer.',
      lines: quantiles('tailrace_fanout_subscribe_duration_seconds', nodes),
    },
    {
      title: 'Subscriptions, channels, views',
      unit: 'short',
      description:
        'A view is encoded once for all its clients. As many views as subscriptions: clients with options of their own cost as much as alone.',
      lines: [
        { expr: `sum(tailrace_fanout_subscriptions{${nodes}})`, legend: 'subscriptions' },
        { expr: `sum(tailrace_fanout_channels{${nodes}})`, legend: 'channels' },
        { expr: `sum(tailrace_fanout_views{${nodes}})`, legend: 'views' },
      ],
    },
    {
      title: 'HTTP requests',
      unit: 'ops',
      description: 'To /v1/route, /v1/devices, /v1/revocations and /v1/notice, by how they ended, a second.',
      lines: [
        {
          expr: `sum by (endpoint, code) (${rate('tailrace_fanout_http_requests_total', nodes)})`,
          legend: '{{endpoint}} {{code}}',
        },
      ],
    },
    {
      title: 'Faults',
      unit: 'short',
      description:
        'In ten minutes: times that a client could not be served because of a fault of this node. Must be 0; the log has the error.',
      lines: [{ expr: `increase(tailrace_fanout_faults_total{${nodes}}[10m])`, legend: '{{node}}' }],
    },
  ],
};

export const catchUpRow: Row = {
  title: 'Coming back, and reading slowly',
  panels: [
    {
      title: 'Subscriptions that began',
      unit: 'ops',
      description:
        'resume: all that was missed is there; partial_resume: something is not, and was named: retention is too short, or resumeRecordsMax too small.',
      lines: [
        { expr: `sum by (start) (${rate('tailrace_fanout_begun_subscriptions_total', nodes)})`, legend: '{{start}}' },
      ],
    },
    {
      title: 'Where the missed came from',
      unit: 'ops',
      description:
        'Partitions a second: from the window in memory, from the log, or with something missing. Much from the log: a larger windowBytesMax saves reading.',
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
        'Newest reports kept for those who come back. At the limit the oldest go before windowMs: those who were away longer are read from the log.',
    }),
    {
      title: 'Background work',
      unit: 'percentunit',
      description:
        'Share of the event loop for what clients ask for beside live data: snapshots, resuming, replay, cuts. While live data needs the loop it is at most backgroundShare.',
      lines: [{ expr: rate('tailrace_fanout_background_seconds_total', nodes), legend: '{{node}}' }],
    },
    {
      title: 'Background work: wait before it starts',
      unit: 's',
      description:
        'How long a snapshot or the like waits before it starts. Long: a reconnect storm, or users who ask for much.',
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
        'Off the topics because their sockets are full. Many: clients on bad networks or too large channels; suggest maxRate, tags or a smaller subtree.',
      lines: [{ expr: `tailrace_fanout_lagging_connections{${nodes}}`, legend: '{{node}}' }],
    },
    {
      title: 'Fullest socket',
      unit: 'bytes',
      description: 'Above the mark a client lags and is told in sums; at the limit it is cut.',
      lines: [
        { expr: `tailrace_fanout_socket_bytes{${nodes}}`, legend: '{{node}}' },
        { expr: `min(tailrace_fanout_limit_socket_mark_bytes{${nodes}})`, legend: 'mark', isLimit: true },
        { expr: `min(tailrace_fanout_limit_socket_bytes{${nodes}})`, legend: 'limit', isLimit: true },
      ],
    },
    nearLimit({
      ...ofNode,
      gauge: 'client_lag_seconds',
      title: 'Longest lag of a client',
      unit: 's',
      description: 'At the limit (lagMsMax) it is let go with 4002 and comes back with its position.',
    }),
    {
      title: 'Clients let go because they were slow',
      unit: 'ops',
      description: 'A second. They come back by themselves. See TailraceSlowClients in the runbook.',
      lines: [{ expr: rate('tailrace_fanout_slow_connections_total', nodes), legend: '{{node}}' }],
    },
    {
      title: 'Reports left out',
      unit: 'ops',
      description:
        'A second: for a rate, for a deadband or for tags, as clients asked; and slow, which nobody asked for: told in sum because a client did not read.',
      lines: [
        { expr: `sum(${rate('tailrace_fanout_conflated_reports_total', nodes)})`, legend: 'rate' },
        { expr: `sum(${rate('tailrace_fanout_held_back_reports_total', nodes)})`, legend: 'deadband' },
        { expr: `sum(${rate('tailrace_fanout_untagged_reports_total', nodes)})`, legend: 'tags' },
        { expr: `sum(${rate('tailrace_fanout_slow_conflated_reports_total', nodes)})`, legend: 'slow' },
      ],
    },
    nearLimit({
      ...ofNode,
      gauge: 'reply_bytes',
      title: 'Replies that wait for one client',
      unit: 'bytes',
      description: 'Of the client for whom most wait. At the limit (repliesBytesMax) it is let go with 4002.',
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
        'Share in use of the node that is nearest. At 1 each does what docs/CONFIG.md says of it; none loses anything unsaid.',
      lines: [
        used('paced_bytes', 'pacedBytesMax'),
        used('told_readings', 'toldReadingsMax'),
        used('relay_held_bytes', 'heldBytesMax'),
        used('cut_bytes', 'cutBytesMax'),
        used('catch_up_bytes', 'catchUpBytesMax'),
        used('revocation_entries', 'revocationsMax'),
        used('unfinished_body_bytes', 'bodies of requests'),
        { expr: '1', legend: 'limit', isLimit: true },
      ],
    },
    {
      title: 'Limits of one client, user or address',
      unit: 'percentunit',
      description:
        'Share in use by whoever is nearest. At 1 he is refused, and nobody else: see whether he is one program, or all behind one address.',
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
        'Share in use of what may come at once, by the node, the address and the client that are nearest. At 1: Retry-After, or 4429.',
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
        'By why, a second. draining is a restart; connections, rate: too few nodes; address_*: one client, or a balancer that trustedProxies lacks.',
      lines: [
        { expr: `sum by (reason) (${rate('tailrace_fanout_refused_handshakes_total', nodes)})`, legend: '{{reason}}' },
      ],
    },
    {
      title: 'Owners’ answers, p99',
      unit: 's',
      description: 'How long other nodes take to answer what this one asks for its clients. Milliseconds in calm.',
      lines: [
        { expr: quantile(0.99, 'tailrace_fanout_relay_ask_duration_seconds', nodes, 'node'), legend: '{{node}}' },
      ],
    },
  ],
};
