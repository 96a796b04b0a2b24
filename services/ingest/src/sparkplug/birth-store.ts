import type { EventLog, NewRecord, TopicSpec } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';

/** Shortest time between two writes of one birth, ms: a node may publish its birth without end. */
const writeEveryMs = 1_000;
/** Births that wait for their next write. */
export const waitingBytesMax = 64 * 1024 * 1024;
const warningEveryMs = 60_000;

/** A birth of an earlier run. */
export interface StoredBirth {
  readonly group: string;
  readonly node: string;
  /** undefined: NBIRTH. */
  readonly device: string | undefined;
  readonly bytes: Uint8Array;
}

export interface BirthStoreOptions {
  readonly eventLog: Pick<EventLog, 'ensureTopic' | 'bounds' | 'read' | 'appendEach'>;
  readonly topicPrefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The last births of all edge nodes and devices, in a compacted topic with one partition. A host reads them before it
 * connects, because a message names its metrics by aliases, which only a birth resolves, and a passive host may not
 * request one.
 *
 * The key is `<broker>/<group>/<node>`, with `/<device>` for a device; the value is the payload as it came. A tombstone
 * removes a birth.
 */
export class BirthStore {
  readonly counts = { written: 0, failed: 0, dropped: 0 };
  readonly #options: BirthStoreOptions;
  readonly #topic: string;
  readonly #onFailed: LimitedWarning;
  /** When a birth was written, by key. */
  readonly #writtenMs = new Map<string, number>();
  /** Keys of births that the log has not settled: a newer one waits, or a failure of the older one would undo it. */
  readonly #inFlight = new Set<string>();
  readonly #waiting = new Map<string, Uint8Array>();
  #waitingBytes = 0;
  readonly #loaded = new Map<string, Uint8Array>();
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: BirthStoreOptions) {
    this.#options = options;
    this.#topic = birthTopic(options.topicPrefix);
    const { logger, clock } = options;
    const sentence = 'a Sparkplug birth was not stored: after a restart its aliases are unknown until the next birth';
    this.#onFailed = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /** Bytes of births that wait for their next write. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Creates the topic if it is missing and reads all of it. Rejects as `ensureTopic` and `read` do. */
  async start(): Promise<void> {
    const { eventLog, clock } = this.#options;
    await eventLog.ensureTopic(specOf(this.#topic));
    for await (const records of eventLog.read(this.#topic, 0, { from: 0 })) {
      for (const { key, value, unreadable, emptyUntil } of records) {
        if (unreadable !== undefined || emptyUntil !== undefined) continue;
        if (value.length === 0) this.#loaded.delete(key);
        // A copy: the value may be a part of a large fetch.
        else this.#loaded.set(key, new Uint8Array(value));
      }
    }
    this.#timer = clock.every(writeEveryMs, () => this.#tick());
  }

  /** Writes what waits. The log settles it before it is closed. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isStopped = true;
    const nowMs = this.#options.clock.monotonic();
    for (const [key, bytes] of this.#waiting) this.#write(key, bytes, nowMs);
  }

  /** Removes and returns the births of a broker that `start` has read, those of nodes first. */
  take(broker: string): readonly StoredBirth[] {
    const births: StoredBirth[] = [];
    for (const [key, bytes] of this.#loaded) {
      const [name, group, node, device, ...more] = key.split('/');
      if (name !== broker) continue;
      this.#loaded.delete(key);
      if (group === undefined || node === undefined || more.length > 0) continue;
      births.push({ group, node, device, bytes });
    }
    return births.sort((a, b) => Number(a.device !== undefined) - Number(b.device !== undefined));
  }

  /** Forgets what `start` has read, and no broker of this process has taken. */
  release(): void {
    this.#loaded.clear();
  }

  /** Whether a birth of the key is not stored yet. */
  isPending(key: string): boolean {
    return this.#waiting.has(key) || this.#inFlight.has(key);
  }

  /** Stores a birth, which may not change afterwards. `key`: without a slash at the end. */
  put(key: string, bytes: Uint8Array): void {
    const nowMs = this.#options.clock.monotonic();
    const writtenMs = this.#writtenMs.get(key);
    const isDue = writtenMs === undefined || nowMs - writtenMs >= writeEveryMs;
    if (isDue && !this.#inFlight.has(key)) this.#write(key, bytes, nowMs);
    else this.#wait(key, bytes);
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const [key, writtenMs] of this.#writtenMs) {
      if (nowMs - writtenMs < writeEveryMs) break;
      this.#writtenMs.delete(key);
    }
    for (const [key, bytes] of this.#waiting)
      if (!this.#writtenMs.has(key) && !this.#inFlight.has(key)) this.#write(key, bytes, nowMs);
  }

  #write(key: string, bytes: Uint8Array, nowMs: number): void {
    this.#forget(key);
    // The oldest is first.
    this.#writtenMs.delete(key);
    this.#writtenMs.set(key, nowMs);
    const record: NewRecord = { key, value: bytes };
    this.#inFlight.add(key);
    this.#options.eventLog.appendEach(this.#topic, [record], (_index, error) => {
      this.#inFlight.delete(key);
      if (error === undefined) {
        this.counts.written++;
        return;
      }
      this.counts.failed++;
      this.#onFailed.write(() => ({ birth: key, error }));
      // A newer one may wait already.
      if (error.code !== 'too_large' && !this.#isStopped && !this.#waiting.has(key)) this.#wait(key, bytes);
    });
  }

  #wait(key: string, bytes: Uint8Array): void {
    this.#forget(key);
    if (this.#waitingBytes + bytes.length > waitingBytesMax) {
      this.counts.dropped++;
      return;
    }
    this.#waiting.set(key, bytes);
    this.#waitingBytes += bytes.length;
  }

  #forget(key: string): void {
    const bytes = this.#waiting.get(key);
    if (bytes === undefined) return;
    this.#waiting.delete(key);
    this.#waitingBytes -= bytes.length;
  }
}

/** Returns the name of the topic. */
export function birthTopic(topicPrefix: string): string {
  return `${topicPrefix}.births`;
}

function specOf(name: string): TopicSpec {
  return {
    name,
    partitions: 1,
    retentionMs: Number.POSITIVE_INFINITY,
    retentionBytes: Number.POSITIVE_INFINITY,
    compacted: true,
  };
}
