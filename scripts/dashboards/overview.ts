import type { Dashboard } from './dashboard.ts';
import { jobs, jobVariable, processPanels, quantile, quantiles, rate } from './parts.ts';

export const overview: Dashboard = {
  uid: 'tailrace-overview',
  title: 'Tailrace / Overview',
  description: 'Whether readings get from devices to screens, how old they are there, and what is about to run out.',
  variables: [jobVariable],
  rows: [
    {
      title: 'Is it well?',
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
            'Nodes that hear each other. Fewer than you run: see TailraceTargetDown and TailraceSuspectNode in the runbook.',
          lines: [{ expr: `max(tailrace_fanout_ring_nodes{${jobs}})`, legend: 'nodes' }],
        },
        {
          title: 'Partitions without owner',
          unit: 'short',
          isNumber: true,
          description: '0 but for seconds after a change. Else see TailracePartitionsWithoutOwner in the runbook.',
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
            'Of the partition that is furthest behind the end of the log. Below 1 s in calm; see TailraceLogLag in the runbook.',
          lines: [{ expr: `max(tailrace_fanout_log_lag_seconds{${jobs}})`, legend: 'lag' }],
        },
        {
          title: 'Age at the socket, p99',
          unit: 's',
          isNumber: true,
          description:
            'From ingest to the clients’ sockets. About flushMs and a few milliseconds in calm; see TailraceOldReports in the runbook.',
          lines: [{ expr: quantile(0.99, 'tailrace_fanout_published_age_seconds', jobs), legend: 'age' }],
        },
      ],
    },
    {
      title: 'From devices to screens',
      panels: [
        {
          title: 'Reports',
          unit: 'ops',
          description:
            'A second: taken by ingest, and read by the owners of their partitions. The two lie on each other; where read stays below, the log lag grows.',
          lines: [
            { expr: `sum(${rate('tailrace_ingest_accepted_reports_total', jobs)})`, legend: 'accepted' },
            { expr: `sum(${rate('tailrace_fanout_reports_total', jobs)})`, legend: 'read' },
          ],
        },
        {
          title: 'Deliveries',
          unit: 'ops',
          description:
            'Reports times the clients they went to, a second, by node. Uneven: see where the devices live that most people watch.',
          lines: [{ expr: `sum by (node) (${rate('tailrace_fanout_deliveries_total', jobs)})`, legend: '{{node}}' }],
        },
        {
          title: 'Age of reports at the socket',
          unit: 's',
          description:
            'From ingest to the sockets, of the oldest report of what came together; from the log, and relayed by another node. What a client perceives adds the network.',
          lines: quantiles('tailrace_fanout_published_age_seconds', jobs, 'source'),
        },
        {
          title: 'Ingest requests',
          unit: 'ops',
          description:
            'By how they ended. unavailable: the log does not take them; overloaded: raise replicas; refused, unauthorized: look at the senders.',
          lines: [
            { expr: `sum by (outcome) (${rate('tailrace_ingest_requests_total', jobs)}) > 0`, legend: '{{outcome}}' },
          ],
        },
        {
          title: 'Ingest request duration',
          unit: 's',
          description:
            'From the head of a request to its answer, of those that were accepted: mostly the log’s confirmation. Rising: see the dashboard Brokers.',
          lines: quantiles('tailrace_ingest_request_duration_seconds', `${jobs},outcome="accepted"`),
        },
        {
          title: 'Log lag in reports',
          unit: 'short',
          description:
            'Reports in the log that owners have not worked through. Spikes are bursts; a rising line: a node is too slow, or cannot read.',
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
            'Near the limit, new clients get 503 and go elsewhere: add nodes, or raise connectionsMax and the limit of open files.',
          lines: [
            { expr: `tailrace_fanout_connections{${jobs}}`, legend: '{{node}}' },
            { expr: `min(tailrace_fanout_limit_connections{${jobs}})`, legend: 'limit', isLimit: true },
          ],
        },
        {
          title: 'Clients that went',
          unit: 'ops',
          description:
            'By close code, a second. 1000, 1001, 1005: they left; 1006: the network; 1012: a restart; 4001: silent; 4002: too slow; 4401: token; 4429: too many messages.',
          lines: [
            { expr: `sum by (code) (${rate('tailrace_fanout_closed_connections_total', jobs)})`, legend: '{{code}}' },
          ],
        },
        {
          title: 'Handshakes refused',
          unit: 'ops',
          description:
            'By why, a second. draining is a restart; connections, rate: too few nodes; address_*: one client or a balancer that trustedProxies lacks; origin: a page that may not.',
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
            'Times that a process began in the last hour. More than an upgrade explains: read the logs of the one before (kubectl logs --previous).',
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
