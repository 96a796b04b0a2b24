import { hostname } from 'node:os';
import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import type { EventLog } from '@tailrace/eventlog/eventlog';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { systemClock } from '@tailrace/platform/clock';
import { createHealth } from '@tailrace/platform/health';
import { createInternalHttp } from '@tailrace/platform/internalhttp';
import { createLog } from '@tailrace/platform/log';
import { createMetrics } from '@tailrace/platform/metrics';
import { configOrExit, runService } from '@tailrace/platform/runservice';
import { createTracing } from '@tailrace/platform/tracing';
import { createIngest } from './app.ts';
import { configSchema, type IngestConfig, serviceName } from './config.ts';

const config = configOrExit(process, serviceName, configSchema);
const node = config.node || hostname();
const log = createLog({ service: serviceName, node, level: config.logLevel, pretty: config.logPretty });
const health = createHealth();

await runService({
  process,
  name: serviceName,
  log,
  onState: (state) => health.setState(state),
  parts: async () => {
    const metrics = createMetrics({ service: serviceName, node });
    const {
      tracingUrl: url,
      tracingSampleRatio: sampleRatio,
      internalHost: host,
      internalPort: port,
      drainMs,
    } = config;
    const tracing = await createTracing({ service: serviceName, node, url, sampleRatio, log });
    const eventLog = eventLogFrom(config);
    const ingest = createIngest({ eventLog, clock: systemClock, log, metrics, config, tracing });
    const internal = createInternalHttp({ host, port, health, metrics, log });
    health.check('ingest', () => ingest.notReady());
    return [
      {
        name: 'internal port',
        start: async () => {
          const listening = await internal.start();
          log.info(listening, 'the internal port listens');
        },
        stop: async () => {
          health.stop();
          await internal.stop();
        },
      },
      { name: 'tracing', stop: () => tracing.stop() },
      { name: 'event log', start: () => eventLog.start(), stop: () => eventLog.close() },
      {
        name: 'ingest',
        start: () => ingest.start(),
        drain: () => ingest.drain(),
        stop: () => ingest.stop(),
        drainMs,
      },
    ];
  },
});

function eventLogFrom(settings: IngestConfig): EventLog {
  const { kafkaBrokers: brokers, topicPrefix: prefix, appendDeadlineMs, startDeadlineMs } = settings;
  if (settings.eventLog === 'embedded') return createEmbeddedLog({ path: settings.dataPath, clock: systemClock, log });
  return new KafkaEventLog({
    brokers,
    prefix,
    log,
    clientId: `tailrace-ingest-${node}`,
    startTimeoutMs: startDeadlineMs,
    // What nobody waits for any more is given up.
    appendTimeoutMs: appendDeadlineMs,
    requestTimeoutMs: Math.min(5_000, appendDeadlineMs),
    pendingBytesMax: settings.inFlightBytesMax * 2,
  });
}
