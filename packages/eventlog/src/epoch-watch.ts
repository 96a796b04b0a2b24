import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';
import type { EventLog, TopicInfo, TopicSpec } from './event-log.ts';

export interface EpochWatchOptions {
  readonly eventLog: Pick<EventLog, 'describeTopic' | 'ensureTopic'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The topic and its epoch at the start of the process. */
  readonly spec: TopicSpec;
  readonly epoch: string;
  /** Called once, after the watch has stopped. */
  onReplaced(error: TailraceError): void;
}

const checkMs = 5_000;
/** A topic that is missing for this time is re-created. */
const missingMs = 30_000;

/**
 * Checks whether a topic still has the epoch with which a process started. A topic that was re-created, because the log
 * lost its data or an operator deleted it, has other records at the same positions: a process that continues at the old
 * positions delivers wrong records, and blocks processes that started with the new topic.
 *
 * A missing topic is not a replacement: a broker that starts may not know it yet. After `missingMs` it is ensured as at
 * a start, which creates it if it does not exist. Only another epoch under the same name is a replacement.
 */
export class EpochWatch {
  readonly #options: EpochWatchOptions;
  readonly #timer: Timer;
  #isChecking = false;
  #missingSinceMs: number | undefined;
  #hasReported = false;
  #isStopped = false;

  constructor(options: EpochWatchOptions) {
    this.#options = options;
    this.#timer = options.clock.every(checkMs, () => this.check());
  }

  /** Checks now, after an error of the log. One check at a time. */
  check(): void {
    if (this.#isChecking || this.#isStopped) return;
    this.#isChecking = true;
    void this.#check().finally(() => {
      this.#isChecking = false;
    });
  }

  /** Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#timer.cancel();
  }

  async #check(): Promise<void> {
    const { logger, spec, epoch } = this.#options;
    try {
      const found = await this.#find();
      if (this.#isStopped || found === undefined || found.epoch === epoch) return;
      if (found.partitions === spec.partitions) this.#replaced(found);
      else this.#reportPartitions(found);
    } catch (error) {
      // Retryable errors are also reported by the readers and writers of the log.
      const write = isTailraceError(error) && error.retryable ? logger.debug : logger.warn;
      write.call(logger, { topic: spec.name, error }, 'cannot check whether the topic is still the same');
    }
  }

  /** Returns the topic; undefined if it is missing. Re-creates it after `missingMs`. */
  async #find(): Promise<TopicInfo | undefined> {
    const { eventLog, clock, logger, spec } = this.#options;
    const sinceMs = this.#missingSinceMs;
    this.#missingSinceMs = undefined;
    try {
      return await eventLog.describeTopic(spec.name);
    } catch (error) {
      if (!isTailraceError(error) || error.code !== 'not_found') throw error;
    }
    const nowMs = clock.monotonic();
    if (sinceMs === undefined) logger.warn({ topic: spec.name }, 'the topic of the log is missing; checking again');
    this.#missingSinceMs = sinceMs ?? nowMs;
    if (nowMs - this.#missingSinceMs < missingMs || this.#isStopped) return undefined;
    this.#missingSinceMs = undefined;
    logger.warn({ topic: spec.name, missingMs }, 'the topic of the log is missing; re-creating it');
    return await eventLog.ensureTopic(spec);
  }

  #replaced({ epoch: found }: TopicInfo): void {
    const { spec, epoch, onReplaced } = this.#options;
    this.stop();
    const what = `topic ${shown(spec.name)} was created again: expected epoch ${epoch}, got ${found}`;
    onReplaced(new TailraceError('conflict', `${what}; restart the process to use the new topic`));
  }

  /** A restart with these settings would fail. Until then all processes continue with the partitions that they know. */
  #reportPartitions({ partitions, epoch: found }: TopicInfo): void {
    if (this.#hasReported) return;
    this.#hasReported = true;
    const { logger, spec, epoch } = this.#options;
    const facts = { topic: spec.name, partitions, expected: spec.partitions, epoch, found };
    logger.error(facts, 'the number of partitions of the topic has changed; set it, and restart all processes at once');
  }
}
