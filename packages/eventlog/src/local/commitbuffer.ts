import type { Timer } from '@tailrace/platform/clock';
import type { DeliveryContext } from './deliverycontext.ts';
import type { Commit } from './store.ts';

/** How long a noted position may wait to be written, ms. A crash repeats at most so much. */
const commitMs = 200;

/** The positions that a member has dealt with, written in the background. */
export class CommitBuffer {
  readonly #context: DeliveryContext;
  readonly #group: string;
  readonly #blocked: () => Error | undefined;
  readonly #report: (thrown: unknown) => void;
  #noted = new Map<string, Commit>();
  #timer: Timer | undefined;

  constructor(
    context: DeliveryContext,
    group: string,
    blocked: () => Error | undefined,
    report: (thrown: unknown) => void,
  ) {
    this.#context = context;
    this.#group = group;
    this.#blocked = blocked;
    this.#report = report;
  }

  note(topic: string, partition: number, next: number): void {
    this.#noted.set(`${topic}/${partition}`, { topic, partition, next });
    this.#timer ??= this.#context.clock.after(commitMs, () => void this.flush());
  }

  /** Resolves when what was noted is written, or the fault is reported and it stays noted for the next time. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#noted.size === 0) return;
    const noted = this.#noted;
    this.#noted = new Map();
    try {
      const blocked = this.#blocked();
      if (blocked !== undefined) throw blocked;
      await this.#context.store.commit(this.#group, [...noted.values()]);
    } catch (thrown) {
      this.#report(thrown);
      // What was noted meanwhile is newer.
      this.#noted = new Map([...noted, ...this.#noted]);
      this.#timer ??= this.#context.clock.after(commitMs, () => void this.flush());
    }
  }

  /** Forgets what was noted of these partitions. */
  drop(partitions: readonly number[]): void {
    for (const [key, commit] of this.#noted) if (partitions.includes(commit.partition)) this.#noted.delete(key);
  }

  discard(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#noted.clear();
  }
}
