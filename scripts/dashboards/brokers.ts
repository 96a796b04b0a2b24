import type { Dashboard, Line } from './dashboard.ts';
import { jobVariable, nodes, nodeVariable, quantile, rate } from './parts.ts';

/** The same series of each service that talks to Kafka. */
function ofServices(services: readonly string[], line: (service: string) => string): Line[] {
  return services.map((service) => ({ expr: line(service), legend: `${service} {{node}}` }));
}

const all = ['ingest', 'fanout', 'control'] as const;
const gauges = (gauge: string, services: readonly string[] = all): Line[] => [
  ...ofServices(services, (service) => `tailrace_${service}_${gauge}{${nodes}}`),
  ...services.map((service) => {
    const [client, ...rest] = gauge.split('_');
    const expr = `min(tailrace_${service}_${client}_limit_${rest.join('_')}{${nodes}})`;
    return { expr, legend: `limit of ${service}`, isLimit: true };
  }),
];
const rates = (counter: string, services: readonly string[] = all) =>
  ofServices(services, (service) => rate(`tailrace_${service}_${counter}`, nodes));
const p99s = (histogram: string, services: readonly string[] = all) =>
  ofServices(services, (service) => quantile(0.99, `tailrace_${service}_${histogram}`, nodes, 'node'));

export const brokers: Dashboard = {
  uid: 'tailrace-brokers',
  title: 'Tailrace / Brokers',
  description:
    'Kafka and NATS as the services see them. With the embedded adapters there are none, and the panels stay empty.',
  variables: [jobVariable, nodeVariable('process_start_time_seconds')],
  rows: [
    {
      title: 'Kafka: writing',
      panels: [
        {
          title: 'Produce requests',
          unit: 'ops',
          description:
            'Per second, retries included. Ingest writes reports, fanout the last values of devices every five seconds, control what people decide.',
          lines: rates('kafka_produce_requests_total'),
        },
        {
          title: 'Produce duration, p99',
          unit: 's',
          description:
            'Time until a broker answers with acks=all. Rising: a slow disk, or a slow or missing replica (under-replicated partitions).',
          lines: p99s('kafka_produce_duration_seconds'),
        },
        {
          title: 'Bytes not yet confirmed',
          unit: 'bytes',
          description: 'At the limit appends are refused, and senders get 503. Rising: Kafka is too slow.',
          lines: gauges('kafka_pending_bytes'),
        },
        {
          title: 'Produce retries',
          unit: 'ops',
          description:
            'A few at a change of leaders. For minutes: the brokers cannot be reached, or too few replicas are in sync.',
          lines: rates('kafka_retries_total'),
        },
        {
          title: 'Records refused or expired',
          unit: 'ops',
          description:
            'Refused because too many bytes were pending, or expired at their deadline. Their senders received an error, and retry.',
          lines: [...rates('kafka_refused_records_total'), ...rates('kafka_expired_records_total')],
        },
        {
          title: 'Throttled by quotas',
          unit: 'percentunit',
          description:
            'Share of the time that brokers delayed responses. Above 0: raise the quotas of the client IDs in Kafka.',
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
            'Includes the time that the broker waits for records: flushMs in a stream, 0.1 s when idle. Above that: a slow broker.',
          lines: p99s('kafka_fetch_duration_seconds', ['fanout']),
        },
        {
          title: 'Failed fetches',
          unit: 'ops',
          description:
            'They are retried, also at other brokers. For minutes: check the brokers, and the errors in the log of the node.',
          lines: rates('kafka_failed_fetches_total', ['fanout']),
        },
        {
          title: 'Records fetched and not processed',
          unit: 'short',
          description:
            'At the limit fetching pauses until the node has processed them: it is too slow for the partitions it owns.',
          lines: gauges('kafka_queued_records', ['fanout']),
        },
        {
          title: 'Group joins',
          unit: 'short',
          description:
            'In ten minutes: one per node for each node that joins or leaves. Without such: a node that pauses too long; check its event loop and memory.',
          lines: ofServices(
            ['fanout'],
            (service) => `increase(tailrace_${service}_kafka_group_joins_total{${nodes}}[10m])`,
          ),
        },
        {
          title: 'Reconnects',
          unit: 'short',
          description:
            'In ten minutes, because reading stalled although there were records. Not 0: a firewall or balancer that drops idle connections without closing them.',
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
            '1 per node; 0 during an outage: clients on the owner of their device are still served, the others wait. See TailraceBusDown in the runbook.',
          lines: ofServices(all, (service) => `tailrace_${service}_bus_connections{${nodes}}`),
        },
        {
          title: 'Connections opened',
          unit: 'short',
          description: 'In ten minutes. Usually 0; each interrupts the relay.',
          lines: ofServices(
            all,
            (service) => `increase(tailrace_${service}_bus_opened_connections_total{${nodes}}[10m])`,
          ),
        },
        {
          title: 'Bytes not yet written',
          unit: 'bytes',
          description: 'At the limit messages are dropped. Rising: NATS, or the network to it, is too slow.',
          lines: gauges('bus_pending_bytes'),
        },
        {
          title: 'Dropped messages',
          unit: 'ops',
          description: 'At that limit, or during an outage. Clients lose nothing: nodes request what is missing again.',
          lines: rates('bus_dropped_messages_total'),
        },
        {
          title: 'Requests to owners, p99',
          unit: 's',
          description: 'Duration of a request over NATS, including the work of the owner. Usually milliseconds.',
          lines: [
            {
              expr: quantile(0.99, 'tailrace_fanout_relay_request_duration_seconds', nodes, 'node'),
              legend: '{{node}}',
            },
          ],
        },
        {
          title: 'Frames between nodes',
          unit: 'ops',
          description:
            'Sent and received, per second. Many: clients are not on the owners of their devices; set publicUrl, so that they can move.',
          lines: [
            { expr: rate('tailrace_fanout_sent_relay_frames_total', nodes), legend: '{{node}} sent' },
            { expr: rate('tailrace_fanout_received_relay_frames_total', nodes), legend: '{{node}} received' },
          ],
        },
      ],
    },
  ],
};
