import type { EventLog } from '@tailrace/eventlog/event-log';
import { DelayCounts, type DelayCountsJson } from '../devices/delay-counts.ts';

/** Where the time of messages goes within ingest. */
export interface AckTimes {
  /** From the receipt of its bytes to the call of the log: parsing, checks, and the turn of the event loop. */
  readonly toLog: DelayCountsJson;
  /** From the call of the log until it is in Kafka: the linger, the request before it, and Kafka itself. */
  readonly inLog: DelayCountsJson;
}

/** Measures the calls of `appendEach` of a log. */
export class AckTimeRecorder {
  #toLog = new DelayCounts();
  #inLog = new DelayCounts();

  constructor(eventLog: Pick<EventLog, 'appendEach'>) {
    const append = eventLog.appendEach.bind(eventLog);
    eventLog.appendEach = (topic, records, settled) => {
      const startMs = performance.now();
      // Messages are their own records, with the time of their receipt.
      for (const record of records as readonly { startedMs?: number }[])
        if (record.startedMs !== undefined) this.#toLog.add(startMs - record.startedMs);
      append(topic, records, (...facts) => {
        this.#inLog.add(performance.now() - startMs);
        settled(...facts);
      });
    };
  }

  /** Returns the counts, and starts again. */
  take(): AckTimes {
    const ackTimes = { toLog: this.#toLog.toJson(), inLog: this.#inLog.toJson() };
    this.#toLog = new DelayCounts();
    this.#inLog = new DelayCounts();
    return ackTimes;
  }
}
