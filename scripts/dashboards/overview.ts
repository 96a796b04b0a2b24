import type { Dashboard } from './dashboard.ts';
import { jobs, jobVariable, processPanels, quantile, quantiles, rate } from './parts.ts';

export const overview: Dashboard = {
  uid: 'tailrace-overview',
  title: 'Tailrace / Overview',
  description: 'Whether readings get from devices to clients, how old they are there, and how near the limits are.',
  variables: [jobVariable],
  rows: [
    {
      title: 'Health',
      panels: [
        {
          title: 'Alerts',
          unit: 'short',
          isNumber: true,
          description: 'Firing now. Each has a section under Runbook in docs/OPERATIONS.md.',
          lines: [
            { expr: 'count(ALERTS{alertname=~"Tailrace.*",alertstate="firing"}) or vector(0)', legend: 'firing' },
          ],
        },
        {
          title: 'Fanout nodes',
          unit: 'short',
          isNumber: true,
          description:
            'Nodes that reach each other. Fewer than you run: see TailraceTargetDown and TailraceSuspectNode in the runbook.',
          lines: [{ expr: `max(tailrace_fanout_ring_nodes{${jobs}})`, legend: 'nodes' }],
        },
        {
          title: 'Partitions without owner',
          unit: 'short',
          isNumber: true,
          description:
            'Usually 0, except for seconds after a change. Otherwise see TailracePartitionsWithoutOwner in the runbook.',
          lines: [
            {
              expr: `max(tailrace_fanout_partitions{${jobs}}) - max(tailrace_fanout_ring_partitions{${jobs}})`,
              legend: 'partitions',
            },
          ],
        },
        {
          title: 'Clients',
          unit: 'short',
          isNumber: true,
          description: 'Connected to all nodes together.',
          lines: [{ expr: `sum(tailrace_fanout_connections{${jobs}})`, legend: 'clients' }],
        },
        {
          title: 'Log lag',
          unit: 's',
          isNumber: true,
          description:
            'Of the partition that is furthest behind the end of the log. Usually below 1 s; see TailraceLogLag in the runbook.',
          lines: [{ expr: `max(tailrace_fanout_log_lag_seconds{${jobs}})`, legend: 'lag' }],
        },
        {
          title: 'Age at the socket, p99',
          unit: 's',
          isNumber: true,
          description:
            'From ingest to the sockets of clients. Usually flushMs and a few milliseconds; see TailraceOldReports in the runbook.',
          lines: [{ expr: quantile(0.99, 'tailrace_fanout_published_age_seconds', jobs), legend: 'age' }],
        },
      ],
    },
    {
      title: 'From devices to clients',
      panels: [
        {
          title: 'Reports',
          unit: 'ops',
          description:
            'Per second: accepted by ingest, and read by the owners of their partitions. Usually the same; where read is lower, the log lag grows.',
          lines: [
            { expr: `sum(${rate('tailrace_ingest_accepted_reports_total', jobs)})`, legend: 'accepted' },
            { expr: `sum(${rate('tailrace_fanout_reports_total', jobs)})`, legend: 'read' },
          ],
        },
        {
          title: 'Deliveries',
          unit: 'ops',
          description:
            'Deliveries of a report to a client per second, by node. Uneven: check which nodes own the most watched devices.',
          lines: [{ expr: `sum by (node) (${rate('tailrace_fanout_deliveries_total', jobs)})`, legend: '{{node}}' }],
        },
        {
          title: 'Age of reports at the socket',
          unit: 's',
          description:
            'From ingest to the sockets, of the oldest report of a batch; from the log, and relayed by another node. The network to the client is not included.',
          lines: quantiles('tailrace_fanout_published_age_seconds', jobs, 'source'),
        },
        {
          title: 'Ingest requests',
          unit: 'ops',
          description:
            'By result, per second. unavailable: the log does not accept them; overloaded: add replicas; refused, unauthorized: check the senders.',
          lines: [
            { expr: `sum by (outcome) (${rate('tailrace_ingest_requests_total', jobs)}) > 0`, legend: '{{outcome}}' },
          ],
        },
        {
          title: 'Ingest request duration',
          unit: 's',
          description:
            'From the head of an accepted request to its response: mostly the append to the log. Rising: see the dashboard Brokers.',
          lines: quantiles('tailrace_ingest_request_duration_seconds', `${jobs},outcome="accepted"`),
        },
        {
          title: 'Log lag in reports',
          unit: 'short',
          description:
            'Reports in the log that owners have not processed. Spikes: bursts; rising: a node that is too slow, or cannot read.',
          lines: [{ expr: `tailrace_fanout_log_lag_reports{${jobs}}`, legend: '{{node}}' }],
        },
      ],
    },
    {
      title: 'Clients and nodes',
      panels: [
        {
          title: 'Clients by node',
          unit: 'short',
          description:
            'At the limit new clients get 503 and connect to another node: add nodes, or raise connectionsMax and the limit of open files.',
          lines: [
            { expr: `tailrace_fanout_connections{${jobs}}`, legend: '{{node}}' },
            { expr: `min(tailrace_fanout_limit_connections{${jobs}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Connections closed',
          unit: 'ops',
          description:
            'By close code, per second. 1000, 1001, 1005: closed by the client; 1006: the network; 1012: a restart; 4001: no pong; 4002: too slow; 4401: token; 4429: too many messages.',
          lines: [
            { expr: `sum by (code) (${rate('tailrace_fanout_closed_connections_total', jobs)})`, legend: '{{code}}' },
          ],
        },
        {
          title: 'Handshakes refused',
          unit: 'ops',
          description:
            'By reason, per second. draining: a restart; connections, rate: too few nodes; address_*: one client, or a balancer that is missing in trustedProxies; origin: a page that allowedOrigins does not include.',
          lines: [
            {
              expr: `sum by (reason) (${rate('tailrace_fanout_refused_handshakes_total', jobs)})`,
              legend: '{{reason}}',
            },
          ],
        },
        ...processPanels(jobs),
        {
          title: 'Starts',
          unit: 'short',
          description:
            'Starts of a process in the last hour. More than an upgrade explains: read the logs of the previous process (kubectl logs --previous).',
          lines: [
            {
              expr: `changes(process_start_time_seconds{${jobs},service!=""}[1h])`,
              legend: '{{service}} {{node}}',
            },
          ],
        },
      ],
    },
  ],
};
