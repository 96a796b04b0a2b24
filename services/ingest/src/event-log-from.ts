import { createEmbeddedLog } from '@tailrace/eventlog/embedded';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { kafkaAccessFrom } from '@tailrace/platform/broker-access';
import { systemClock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import type { IngestConfig } from './config.ts';

/** Returns the log of the settings, which has not started. */
export function eventLogFrom(settings: IngestConfig, node: string, logger: Logger, metrics: Metrics): EventLog {
  const { topicPrefix: prefix, appendDeadlineMs } = settings;
  if (settings.eventLog === 'embedded')
    return createEmbeddedLog({ path: settings.dataPath, clock: systemClock, logger, metrics });
  return new KafkaEventLog({
    ...kafkaAccessFrom(settings, systemClock),
    prefix,
    logger,
    clientId: `tailrace-ingest-${node}`,
    // After it the sender has its answer.
    appendTimeoutMs: appendDeadlineMs,
    requestTimeoutMs: Math.min(5_000, appendDeadlineMs),
    pendingBytesMax: settings.inFlightBytesMax * 2,
  });
}
