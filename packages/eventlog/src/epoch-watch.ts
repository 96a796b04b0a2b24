import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';
import type { EventLog, TopicInfo, TopicSpec } from './event-log.ts';

export interface EpochWatchParts {
  readonly eventLog: Pick<EventLog, 'describeTopic' | 'ensureTopic'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As it was ensured at the start, and the epoch that it had. */
  readonly spec: TopicSpec;
  readonly epoch: string;
  /** Called once. The watch has stopped by then. */
  onReplaced(error: TailraceError): void;
}

const checkMs = 5_000;
/** A topic that is missing for so long is created again. */
const missingMs = 30_000;

/**
 * Checks whether a topic is still the one that a process started with. A topic that was created again under its name,
 * because the log lost its data or an operator deleted it, has other records at the same positions: a process that goes
 * on from the old ones delivers nonsense, and blocks those that started with the new one.
 *
 * A missing topic proves nothing: a broker that is starting may not know it yet. After `missingMs` it is ensured, as at
 * a start, which creates it if it does not exist. Only another epoch under the name is a replacement.
 */
export class EpochWatch {
  readonly #parts: EpochWatchParts;
  readonly #timer: Timer;
  #isChecking = false;
  #missingSinceMs: number | undefined;
  #hasReported = false;
  #isStopped = false;

  constructor(parts: EpochWatchParts) {
    this.#parts = parts;
    this.#timer = parts.clock.every(checkMs, () => this.look());
  }

  /** Checks now: after an error of the log. One check at a time. */
  look(): void {
    if (this.#isChecking || this.#isStopped) return;
    this.#isChecking = true;
    void this.#look().finally(() => {
      this.#isChecking = false;
    });
  }

  /** Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#timer.cancel();
  }

  async #look(): Promise<void> {
    const { logger, spec, epoch } = this.#parts;
    try {
      const found = await this.#find();
      if (this.#isStopped || found === undefined || found.epoch === epoch) return;
      if (found.partitions === spec.partitions) this.#replaced(found);
      else this.#reportPartitions(found);
    } catch (error) {
      // A passing error is reported by the readers and writers of the log too.
      const write = isTailraceError(error) && error.retryable ? logger.debug : logger.warn;
      write.call(logger, { topic: spec.name, error }, 'cannot check whether the topic is still the same');
    }
  }

  /** Returns undefined where the topic is missing for now. */
  async #find(): Promise<TopicInfo | undefined> {
    const { eventLog, clock, logger, spec } = this.#parts;
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
    logger.warn({ topic: spec.name, missingMs }, 'the topic of the log is missing; creating it again');
    return await eventLog.ensureTopic(spec);
  }

  #replaced({ epoch: found }: TopicInfo): void {
    const { spec, epoch, onReplaced } = this.#parts;
    this.stop();
    const what = `topic ${shown(spec.name)} was created again: its epoch is ${found}, that of this process is ${epoch}`;
    onReplaced(new TailraceError('conflict', `${what}; started again, it works with the new one`));
  }

  /** A restart with these settings would fail. Until one, all processes go on with the partitions that they know. */
  #reportPartitions({ partitions, epoch: found }: TopicInfo): void {
    if (this.#hasReported) return;
    this.#hasReported = true;
    const { logger, spec, epoch } = this.#parts;
    const facts = { topic: spec.name, partitions, wanted: spec.partitions, epoch, found };
    logger.error(
      facts,
      'the topic of the log has another number of partitions now; set it, and restart all processes at once',
    );
  }
}
