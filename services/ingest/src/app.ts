import { randomInt } from 'node:crypto';
import { ControlTopic } from '@tailrace/eventlog/control-topic';
import { EpochWatch } from '@tailrace/eventlog/epoch-watch';
import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import { corsFrom } from '@tailrace/platform/cors';
import { type HttpExchange, HttpServer } from '@tailrace/platform/http-server';
import type { Log } from '@tailrace/platform/log';
import type { Metrics } from '@tailrace/platform/metrics';
import { createRevocationList } from '@tailrace/platform/revocation';
import { tokenVerifierOptionsFrom } from '@tailrace/platform/settings';
import { createTokenVerifier } from '@tailrace/platform/token';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import type { TailraceError } from '@tailrace/protocol/error';
import { Admission } from './admission.ts';
import { Answers } from './answers.ts';
import { Telemetry } from './append.ts';
import type { IngestSettings } from './config.ts';
import { DeviceNames } from './device-names.ts';
import { Endpoint } from './endpoint.ts';
import { createIngestMetrics, registerBounds } from './metrics.ts';

export interface IngestParts {
  /** Started by whoever made it, and closed after `stop`. */
  readonly eventLog: EventLog;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly config: IngestSettings;
  /** Default: none. */
  readonly tracing?: Tracing;
  /** How long requests are still taken once `drain` is called. Default: 0. */
  readonly leaveMs?: number;
  /** The key of the setting that holds the port, for the message where it is taken. Default: `port`. */
  readonly portSetting?: string;
  /** The log was made anew: this node has to end, and may be started again. Called once. Default: nobody looks. */
  readonly onLogReplaced?: (error: TailraceError) => void;
}

/** What pages of `allowedOrigins` may send. */
const corsRequests = {
  methods: 'POST',
  headers: 'Authorization, Content-Type, Content-Encoding, Traceparent',
} as const;

/**
 * - `new`: nothing is open.
 * - `running`: reports are taken.
 * - `leaving`: not ready, so that balancers send elsewhere; what still comes is taken, and every answer closes its connection.
 * - `draining`: no new connection, the idle ones are closed; requests on the others get 503; those under way end.
 * - `stopped`: everything is closed.
 */
type State = 'new' | 'running' | 'leaving' | 'draining' | 'stopped';

export interface Ingest {
  /** Makes sure of the topic, then listens. Rejects as `EventLog.ensureTopic` and `HttpServer.listen` do. */
  start(): Promise<void>;
  /** Takes nothing new after `leaveMs`; resolves when everything that was taken is answered. */
  drain(): Promise<void>;
  /** Cuts what is left. Idempotent. */
  stop(): Promise<void>;
  /**
   * Why it takes no reports, undefined: it does. Does not look at the log: a node that says 503 with Retry-After serves its senders
   * better than one that nobody can reach.
   */
  notReady(): string | undefined;
  /** Where it listens; 0 before `start`. */
  readonly port: number;
}

/** The outcome of a request that the server answers before it reaches the endpoint, by status. */
const refusedOutcomes = { 400: 'malformed', 408: 'head_timeout', 431: 'head_too_large' } as const;

/** The way of reports into the log. Knows no environment and no process. */
export function createIngest(parts: IngestParts): Ingest {
  const { eventLog, clock, log, metrics, config, tracing = noTracing, leaveMs = 0, portSetting = 'port' } = parts;
  const topic = `${config.topicPrefix}.telemetry`;
  const counts = createIngestMetrics(metrics);
  const admission = new Admission(config);
  const devices = new DeviceNames(config, [randomInt(2 ** 32), randomInt(2 ** 32)]);
  const revocations = createRevocationList({ clock, metrics, entriesMax: config.revocationsMax });
  const control = new ControlTopic({
    eventLog,
    topicPrefix: config.topicPrefix,
    clock,
    logger: log,
    metrics,
    onRevocations: (entries) => void revocations.merge(entries),
  });
  const verifier = createTokenVerifier({
    ...tokenVerifierOptionsFrom(config),
    clock,
    log,
    revocations,
  });
  let state: State = 'new';
  let port = 0;
  let server: HttpServer | undefined;
  let endpoint: Endpoint | undefined;
  let epochWatch: EpochWatch | undefined;
  registerBounds(metrics, admission, devices, () => server, config);

  function serverFor(handler: (exchange: HttpExchange) => void): HttpServer {
    const { host, port: wantedPort, bodyDeadlineMs, unfinishedBytesMax, keepAliveMs } = config;
    const { connectionsMax, addressConnectionsMax, trustedProxies } = config;
    return new HttpServer({
      ...{ host, port: wantedPort, portSetting, log, clock },
      ...{ bodyMs: bodyDeadlineMs, unfinishedBytesMax, keepAliveMs },
      ...{ connectionsMax, addressConnectionsMax, trustedProxies },
      handler,
      onRefused: (status) => counts.requests[refusedOutcomes[status]].count.add(),
      isNearLimit: () => admission.isNearLimit,
    });
  }

  return {
    get port() {
      return port;
    },
    notReady: () => (state === 'running' ? undefined : state),
    async start() {
      const { telemetryPartitions: partitions, retentionMs, retentionBytes } = config;
      const spec = { name: topic, partitions, retentionMs, retentionBytes };
      const { epoch } = await eventLog.ensureTopic(spec);
      // Before the first request: a revoked token is refused from the start.
      await control.start();
      // A stop that came meanwhile has nothing to close yet.
      if (state !== 'new') return;
      const opened = new Endpoint({
        verifier,
        admission,
        devices,
        telemetry: new Telemetry({
          eventLog,
          topic,
          deadlineMs: config.appendDeadlineMs,
          clock,
          log,
          appendSeconds: counts.appendSeconds,
          failures: counts.failedAppends,
          tracing,
        }),
        answers: new Answers(config.retryAfterMs),
        cors: corsFrom(config.allowedOrigins, corsRequests),
        metrics: counts,
        tracing,
        clock,
        log,
        settings: config,
      });
      endpoint = opened;
      server = serverFor((exchange) => opened.handle(exchange));
      port = (await server.listen()).port;
      if (state !== 'new') {
        server.close();
        return;
      }
      state = 'running';
      // Not for its positions, which ingest does not keep: Kafka without its data gives the ID by which it knows this process's records from repeated ones to another.
      const { onLogReplaced } = parts;
      if (onLogReplaced) epochWatch = new EpochWatch({ ...parts, spec, epoch, onReplaced: onLogReplaced });
      log.info({ host: config.host, port, topic, partitions }, 'reports are taken at POST /v1/ingest');
    },
    async drain() {
      if (state !== 'running') return;
      if (leaveMs > 0) {
        state = 'leaving';
        endpoint?.leave();
        server?.closeAfterAnswers();
        await clock.sleep(leaveMs);
        if (state !== 'leaving') return;
      }
      state = 'draining';
      endpoint?.drain();
      await server?.drain();
    },
    async stop() {
      state = 'stopped';
      epochWatch?.stop();
      control.stop();
      server?.close();
    },
  };
}
