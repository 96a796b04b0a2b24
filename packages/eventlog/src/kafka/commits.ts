import type { Clock, Timer } from '@tailrace/platform/clock';
import type { CommitOf, KafkaMembership } from './membership.ts';

/**
 * What a member has dealt with, written at most every `commitMs`, off the path of the records: a commit after every batch, as
 * kafkajs does, costs more than the batch (measured: p50 of delivery 74 ms instead of 3 ms).
 */
export class KafkaCommits {
  readonly #clock: Clock;
  readonly #commitMs: number;
  readonly #membership: KafkaMembership;
  readonly #report: (thrown: unknown) => void;
  #noted = new Map<string, CommitOf>();
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #ended = false;

  constructor(clock: Clock, commitMs: number, membership: KafkaMembership, report: (thrown: unknown) => void) {
    this.#clock = clock;
    this.#commitMs = commitMs;
    this.#membership = membership;
    this.#report = report;
  }

  note(topic: string, partition: number, next: number): void {
    if (this.#ended) return;
    this.#noted.set(`${topic}/${partition}`, { topic, partition, next });
    this.#timer ??= this.#clock.after(this.#commitMs, () => void this.flush());
  }

  /** Forgets what was noted of partitions that are others' now. */
  keepOnly(partitions: ReadonlySet<number>): void {
    for (const [key, { partition }] of this.#noted) if (!partitions.has(partition)) this.#noted.delete(key);
  }

  /** Resolves when what was noted is written, or the fault is reported and it stays noted for the next time. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#noted.size === 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async #write(): Promise<void> {
    const noted = this.#noted;
    this.#noted = new Map();
    try {
      await this.#membership.commit([...noted.values()]);
    } catch (thrown) {
      // What was noted meanwhile is newer. A rebalance refuses commits: they are written under the next generation.
      this.#noted = new Map([...noted, ...this.#noted]);
      if (!this.#ended) this.#timer ??= this.#clock.after(this.#commitMs, () => void this.flush());
      this.#report(thrown);
    }
  }

  /** Writes what is left. Nothing is noted any more. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.flush();
    this.#timer?.cancel();
  }
}
