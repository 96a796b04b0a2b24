import type { Dashboard, Line } from './dashboard.ts';
import { jobVariable, nodes, nodeVariable, quantile, rate } from './parts.ts';

/** The same series of each service that talks to Kafka. */
function ofServices(services: readonly string[], line: (service: string) => string): Line[] {
  return services.map((service) => ({ expr: line(service), legend: `${service} {{node}}` }));
}

const both = ['ingest', 'fanout'] as const;
const gauges = (gauge: string, services: readonly string[] = both): Line[] => [
  ...ofServices(services, (service) => `tailrace_${service}_${gauge}{${nodes}}`),
  ...services.map((service) => {
    const [client, ...rest] = gauge.split('_');
    const expr = `min(tailrace_${service}_${client}_limit_${rest.join('_')}{${nodes}})`;
    return { expr, legend: `limit of ${service}`, isLimit: true };
  }),
];
const rates = (counter: string, services: readonly string[] = both) =>
  ofServices(services, (service) => rate(`tailrace_${service}_${counter}`, nodes));
const p99s = (histogram: string, services: readonly string[] = both) =>
  ofServices(services, (service) => quantile(0.99, `tailrace_${service}_${histogram}`, nodes, 'node'));

export const brokers: Dashboard = {
  uid: 'tailrace-brokers',
  title: 'Tailrace / Brokers',
  description: 'Kafka and NATS as our services meet them. Embedded, there are none, and this stays empty.',
  variables: [jobVariable, nodeVariable('process_start_time_seconds')],
  rows: [
    {
      title: 'Kafka: writing',
      panels: [
        {
          title: 'Produce requests',
          unit: 'ops',
          description:
            'A second, repeated ones included. Ingest writes reports, fanout the last values of devices every five seconds.',
          lines: rates('kafka_produce_requests_total'),
        },
        {
          title: 'Produce duration, p99',
          unit: 's',
          description:
            'Until a broker has answered with acks=all. Rising: a slow disk, a slow or missing replica (under-replicated partitions).',
          lines: p99s('kafka_produce_duration_seconds'),
        },
        {
          title: 'Bytes not yet confirmed',
          unit: 'bytes',
          description: 'At the limit appends are refused, and senders get 503. Rising: Kafka does not keep up.',
          lines: gauges('kafka_pending_bytes'),
        },
        {
          title: 'Produce requests sent again',
          unit: 'ops',
          description:
            'A few at a change of leaders. For minutes: the brokers cannot be reached, or too few replicas are in sync.',
          lines: rates('kafka_retries_total'),
        },
        {
          title: 'Records refused or given up',
          unit: 'ops',
          description:
            'Refused because too much was pending, and given up at their deadline. Their senders were told, and repeat them.',
          lines: [...rates('kafka_refused_records_total'), ...rates('kafka_expired_records_total')],
        },
        {
          title: 'Held back by quotas',
          unit: 'percentunit',
          description:
            'Share of the time that brokers held answers back. Above 0: raise the quotas of our client IDs in Kafka.',
          lines: rates('kafka_throttle_seconds_total'),
        },
      ],
    },
    {
      title: 'Kafka: reading',
      panels: [
        {
          title: 'Fetch duration, p99',
          unit: 's',
          description:
            'With what the broker waits for records: flushMs in a stream, a tenth of a second when idle. Above that: a slow broker.',
          lines: p99s('kafka_fetch_duration_seconds', ['fanout']),
        },
        {
          title: 'Fetches that failed',
          unit: 'ops',
          description:
            'Tried again, also elsewhere. For minutes: look at the brokers, and at the log of the node for what they say.',
          lines: rates('kafka_failed_fetches_total', ['fanout']),
        },
        {
          title: 'Records not yet handed over',
          unit: 'short',
          description:
            'At the limit fetching pauses until the node has worked them through: it is too slow for what it owns.',
          lines: gauges('kafka_queued_records', ['fanout']),
        },
        {
          title: 'Group joins',
          unit: 'short',
          description:
            'In ten minutes: one a node for each node that comes or goes. Without such: a node that pauses too long; look at its event loop and memory.',
          lines: ofServices(
            ['fanout'],
            (service) => `increase(tailrace_${service}_kafka_group_joins_total{${nodes}}[10m])`,
          ),
        },
        {
          title: 'Connections made anew',
          unit: 'short',
          description:
            'In ten minutes, because reading stood still with records there. Not 0: a network that loses connections silently (a firewall, a balancer).',
          lines: ofServices(
            ['fanout'],
            (service) => `increase(tailrace_${service}_kafka_reconnects_total{${nodes}}[10m])`,
          ),
        },
      ],
    },
    {
      title: 'NATS',
      panels: [
        {
          title: 'Connections',
          unit: 'short',
          description:
            '1 a node; 0 during an outage: clients on the owner of their device are served on, the others wait. See TailraceBusDown in the runbook.',
          lines: [{ expr: `tailrace_fanout_bus_connections{${nodes}}`, legend: '{{node}}' }],
        },
        {
          title: 'Connections made',
          unit: 'short',
          description: 'In ten minutes. 0 in calm; each is an interruption of the relay.',
          lines: [
            { expr: `increase(tailrace_fanout_bus_opened_connections_total{${nodes}}[10m])`, legend: '{{node}}' },
          ],
        },
        {
          title: 'Bytes not yet written',
          unit: 'bytes',
          description: 'At the limit messages are dropped. Rising: NATS, or the network to it, does not keep up.',
          lines: gauges('bus_pending_bytes', ['fanout']),
        },
        {
          title: 'Messages dropped',
          unit: 'ops',
          description:
            'At that limit, or during an outage. Nothing is lost to clients: what is missing is asked for again.',
          lines: [{ expr: rate('tailrace_fanout_bus_dropped_messages_total', nodes), legend: '{{node}}' }],
        },
        {
          title: 'Answers of owners, p99',
          unit: 's',
          description: 'A request over NATS and back, with the owner’s work. Milliseconds in calm.',
          lines: [
            { expr: quantile(0.99, 'tailrace_fanout_relay_ask_duration_seconds', nodes, 'node'), legend: '{{node}}' },
          ],
        },
        {
          title: 'Frames between nodes',
          unit: 'ops',
          description:
            'Sent and taken, a second. Much of it: clients are not where their devices live; set publicUrl, so that they can move.',
          lines: [
            { expr: rate('tailrace_fanout_sent_relay_frames_total', nodes), legend: '{{node}} sent' },
            { expr: rate('tailrace_fanout_received_relay_frames_total', nodes), legend: '{{node}} taken' },
          ],
        },
      ],
    },
  ],
};
