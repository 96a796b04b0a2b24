import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import { TopicPoller, type TopicPollerOptions } from '@tailrace/eventlog/topic-poller';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';

/** A change is in force at the latest after this time and one read, ms. */
const pollMs = 500;
const warningEveryMs = 60_000;

/** What a reader of a topic of control needs. */
export interface TopicReaderOptions {
  readonly eventLog: Pick<EventLog, 'ensureTopic' | 'describeTopic' | 'read' | 'bounds'>;
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What becomes of the records of the topic. */
export interface TopicTarget extends Required<Pick<TopicPollerOptions, 'spec' | 'what' | 'onRestart' | 'onEnd'>> {
  /** What the key of a record names, for the warning: `rule`. */
  readonly keyName: string;
  /** Logged for a record that cannot be parsed. */
  readonly invalid: string;
  /** Takes a record. Throws if it cannot be parsed: then it is skipped. */
  readonly onRecord: (key: string, value: Uint8Array) => void;
  readonly onTombstone: (key: string) => void;
}

/**
 * Follows a compacted topic that control writes. The service starts with what the topic has, and goes on with it while
 * the store of control is away. A record that cannot be parsed is counted, and what was there before it stays.
 */
export class TopicReader {
  readonly counts = { read: 0, invalid: 0 };
  readonly poller: TopicPoller;
  readonly #target: TopicTarget;
  readonly #onInvalid: LimitedWarning;

  constructor({ eventLog, clock, logger }: Omit<TopicReaderOptions, 'topic'>, target: TopicTarget) {
    this.#target = target;
    const { spec, what, invalid, onRestart, onEnd } = target;
    this.#onInvalid = new LimitedWarning(logger.warn.bind(logger), invalid, warningEveryMs, () => clock.monotonic());
    this.poller = new TopicPoller({
      ...{ eventLog, spec, what, clock, logger, pollMs },
      onRecords: (records) => {
        for (const record of records) this.#take(record);
      },
      ...{ onRestart, onEnd },
    });
  }

  /** Reads all of it. Rejects as `TopicPoller.start` does. */
  start(): Promise<void> {
    return this.poller.start();
  }

  stop(): void {
    this.poller.stop();
  }

  #take({ key, value, seq, unreadable, emptyUntil }: LogRecord): void {
    if (emptyUntil !== undefined) return;
    const { onRecord, onTombstone, keyName } = this.#target;
    if (unreadable === undefined && value.length === 0) {
      onTombstone(key);
      return;
    }
    try {
      if (unreadable !== undefined) throw unreadable;
      onRecord(key, value);
      this.counts.read++;
    } catch (thrown) {
      this.counts.invalid++;
      const { message } = tailraceErrorFrom(thrown);
      this.#onInvalid.write(() => ({ seq, [keyName]: key, reason: message }));
    }
  }
}
