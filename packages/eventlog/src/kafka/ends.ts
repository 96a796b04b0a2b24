import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { byLeader, type KafkaLink } from './link.ts';
import { latest, listOffsetsRequest } from './metadata.ts';
import { sendTo } from './wire.ts';

/**
 * Where partitions end, each by the broker that leads it, and each broker asked by itself: one that stands still, or
 * a partition without a leader, holds up none of the others. A broker that has not answered yet is not asked again
 * meanwhile, so that nothing gathers on its connection; what it answers late is not used.
 */
export class KafkaEnds {
  readonly #link: KafkaLink;
  readonly #clock: Clock;
  /** `<topic>/<broker>` of the requests under way. */
  readonly #asked = new Set<string>();

  constructor(link: KafkaLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  /** See `EventLog.ends`. */
  async ends(topic: string, waitMs: number): Promise<(number | undefined)[]> {
    const { leaders } = await this.#link.topic(topic, waitMs);
    const ends = new Array<number | undefined>(leaders.length).fill(undefined);
    const answers: Promise<void>[] = [];
    for (const [leader, partitions] of byLeader(leaders)) {
      if (leader < 0) this.#refresh();
      else if (!this.#asked.has(`${topic}/${leader}`)) answers.push(this.#ask(topic, leader, partitions, ends));
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
    this.#asked.add(key);
    try {
      const broker = await this.#link.broker(leader);
      const answer = await sendTo(broker, listOffsetsRequest(topic, partitions, latest));
      for (const { partition, errorCode, seq } of answer.partitions) {
        if (errorCode === 0) ends[partition] = seq;
        else this.#refresh();
      }
    } catch {
      // Another broker may lead them by now. The fetcher of the partitions reports the error.
      this.#refresh();
    } finally {
      this.#asked.delete(key);
    }
  }

  #refresh(): void {
    this.#link.refresh().catch(() => undefined);
  }
}
