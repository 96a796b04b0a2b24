import type { Clock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { byLeader, type KafkaClient } from './client.ts';
import { latest } from './metadata.ts';

/**
 * The log end offsets of partitions, for polling. Sends a separate request to each broker: an unresponsive broker, or a
 * partition without a leader, does not delay the others. There is at most one request in flight to each broker, so that
 * requests do not pile up on its connection; a late answer is dropped.
 */
export class KafkaEndOffsets {
  readonly #client: KafkaClient;
  readonly #clock: Clock;
  /** `<topic>/<broker>` of the requests in flight. */
  readonly #open = new Set<string>();

  constructor(client: KafkaClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** See `EventLog.endOffsets`. */
  async endOffsets(topic: string, waitMs: number): Promise<(number | undefined)[]> {
    const { leaders } = this.#client.knownTopic(topic) ?? (await this.#client.topic(topic, waitMs));
    const endOffsets = new Array<number | undefined>(leaders.length).fill(undefined);
    const answers: Promise<void>[] = [];
    for (const [leader, partitions] of byLeader(leaders)) {
      if (!this.#open.has(`${topic}/${leader}`)) answers.push(this.#request(topic, leader, partitions, endOffsets));
    }
    await withinDeadline(this.#clock, waitMs, async () => void (await Promise.all(answers)));
    // A copy: late answers are dropped.
    return [...endOffsets];
  }

  /** Never rejects. */
  async #request(
    topic: string,
    leader: number,
    partitions: readonly number[],
    endOffsets: (number | undefined)[],
  ): Promise<void> {
    const key = `${topic}/${leader}`;
    this.#open.add(key);
    try {
      await this.#client.offsetsAt(leader, topic, partitions, latest, endOffsets);
    } catch {
      // Another broker may lead the partitions. Their fetcher reports the error.
      this.#client.refresh().catch(() => undefined);
    } finally {
      this.#open.delete(key);
    }
  }
}
