import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { byLeader, type KafkaLink } from './link.ts';
import { latest } from './metadata.ts';

/**
 * Where partitions end, for polling. Each broker is asked by itself: one that does not answer, or a partition without a
 * leader, holds up none of the others. A broker that has not answered yet is not asked again meanwhile, so that no
 * requests pile up on its connection; a late answer is dropped.
 */
export class KafkaEnds {
  readonly #link: KafkaLink;
  readonly #clock: Clock;
  /** `<topic>/<broker>` of the open requests. */
  readonly #open = new Set<string>();

  constructor(link: KafkaLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  /** See `EventLog.ends`. */
  async ends(topic: string, waitMs: number): Promise<(number | undefined)[]> {
    const { leaders } = this.#link.knownTopic(topic) ?? (await this.#link.topic(topic, waitMs));
    const ends = new Array<number | undefined>(leaders.length).fill(undefined);
    const answers: Promise<void>[] = [];
    for (const [leader, partitions] of byLeader(leaders)) {
      if (!this.#open.has(`${topic}/${leader}`)) answers.push(this.#ask(topic, leader, partitions, ends));
    }
    await withinDeadline(this.#clock, waitMs, async () => void (await Promise.all(answers)));
    // A copy: what comes later belongs to no call.
    return [...ends];
  }

  /** Never rejects. */
  async #ask(
    topic: string,
    leader: number,
    partitions: readonly number[],
    ends: (number | undefined)[],
  ): Promise<void> {
    const key = `${topic}/${leader}`;
    this.#open.add(key);
    try {
      await this.#link.offsetsAt(leader, topic, partitions, latest, ends);
    } catch {
      // Another broker may lead them by now. The fetcher of the partitions reports the error.
      this.#link.refresh().catch(() => undefined);
    } finally {
      this.#open.delete(key);
    }
  }
}
