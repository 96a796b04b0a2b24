import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import { isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';
import type { EventLog, TopicInfo, TopicSpec } from './eventlog.ts';

export interface EpochWatchParts {
  readonly eventLog: Pick<EventLog, 'describeTopic' | 'ensureTopic'>;
  readonly clock: Clock;
  readonly log: Log;
  /** As it was ensured at the start, and the epoch that it had. */
  readonly spec: TopicSpec;
  readonly epoch: string;
  /** Called once, then nobody looks any more. */
  onReplaced(error: TailraceError): void;
}

const lookMs = 5_000;
/** Without the topic for so long, it is made again. */
const missingMs = 30_000;

/**
 * Whether a topic is still the one that a process began with. One made anew under its name, because the log lost its data or somebody deleted
 * it, has other records at the same positions: whoever goes on from the old ones shows nonsense, and stands in the way of those who began
 * with the new one.
 *
 * A topic that is not there proves nothing, a broker that is starting may not know it yet. It is asked for as at a start: whether there is one is
 * decided by those who make topics, and if there is none, all that wait for it get one. Only another epoch under the name ends anything.
 */
export class EpochWatch {
  readonly #parts: EpochWatchParts;
  readonly #timer: Timer;
  #looking = false;
  #missingSinceMs: number | undefined;
  #toldOther = false;
  #ended = false;

  constructor(parts: EpochWatchParts) {
    this.#parts = parts;
    this.#timer = parts.clock.every(lookMs, () => this.look());
  }

  /** Now, not at its time: after a fault of the log. One look at a time. */
  look(): void {
    if (this.#looking || this.#ended) return;
    this.#looking = true;
    void this.#look().finally(() => {
      this.#looking = false;
    });
  }

  /** Idempotent. */
  stop(): void {
    this.#ended = true;
    this.#timer.cancel();
  }

  async #look(): Promise<void> {
    const { log, spec, epoch } = this.#parts;
    try {
      const found = await this.#find();
      if (this.#ended || found === undefined || found.epoch === epoch) return;
      if (found.partitions === spec.partitions) this.#replaced(found);
      else this.#tellOther(found);
    } catch (error) {
      // What passes, who reads or writes is told as well, and says so.
      const say = isTailraceError(error) && error.retryable ? log.debug : log.warn;
      say.call(log, { topic: spec.name, error }, 'cannot look whether the topic is still the same');
    }
  }

  /** Undefined: not there, for now. */
  async #find(): Promise<TopicInfo | undefined> {
    const { eventLog, clock, log, spec } = this.#parts;
    const sinceMs = this.#missingSinceMs;
    this.#missingSinceMs = undefined;
    try {
      return await eventLog.describeTopic(spec.name);
    } catch (error) {
      if (!isTailraceError(error) || error.code !== 'not_found') throw error;
    }
    const nowMs = clock.monotonic();
    if (sinceMs === undefined) log.warn({ topic: spec.name }, 'the topic of the log is not there; looking again');
    this.#missingSinceMs = sinceMs ?? nowMs;
    if (nowMs - this.#missingSinceMs < missingMs || this.#ended) return undefined;
    this.#missingSinceMs = undefined;
    log.warn({ topic: spec.name, missingMs }, 'the topic of the log is gone; making it anew');
    return await eventLog.ensureTopic(spec);
  }

  #replaced({ epoch: found }: TopicInfo): void {
    const { spec, epoch, onReplaced } = this.#parts;
    this.stop();
    const what = `topic ${shown(spec.name)} was made anew: its epoch is ${found}, that of this process is ${epoch}`;
    onReplaced(new TailraceError('conflict', `${what}; started again, it works with the new one`));
  }

  /** Started again with these settings it would not start, and as long as nobody is, all go on with the partitions that they know. */
  #tellOther({ partitions, epoch: found }: TopicInfo): void {
    if (this.#toldOther) return;
    this.#toldOther = true;
    const { log, spec, epoch } = this.#parts;
    const facts = { topic: spec.name, partitions, wanted: spec.partitions, epoch, found };
    log.error(
      facts,
      'the topic of the log has another number of partitions now; set it, and start all processes anew at once',
    );
  }
}
