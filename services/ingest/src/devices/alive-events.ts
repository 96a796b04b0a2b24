import { randomUUID } from 'node:crypto';
import type { NewRecord } from '@tailrace/eventlog/event-log';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';

const { Event } = tailrace.v1;

/** How often a process announces that it runs, ms. An owner misses three before it counts the process as gone. */
export const aliveEveryMs = 20_000;

export interface AliveEventsOptions {
  /** Name of this node. */
  readonly node: string;
  /** Of the topic of events. */
  readonly partitions: number;
  readonly clock: Pick<Clock, 'now' | 'every'>;
  /** Writes records, or drops them while the log takes none: the next ones replace them. */
  readonly write: (records: readonly NewRecord[]) => void;
}

/**
 * Announces in each partition of the events that this process runs. Its sessions are open as long as it does: a process
 * that is killed writes no event of their close. It announces nothing before its first session.
 */
export class AliveEvents {
  /** Of this process, random: a node that has restarted has none of the sessions before. */
  readonly process = randomUUID();
  readonly #options: AliveEventsOptions;
  #keys: readonly string[] | undefined;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: AliveEventsOptions) {
    this.#options = options;
  }

  /** Called for each session that starts; its event is the first announcement. */
  sessionStarted(): void {
    if (this.#timer !== undefined || this.#isStopped) return;
    this.#timer = this.#options.clock.every(aliveEveryMs, () => this.#announce());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #announce(): void {
    const { node, clock, partitions, write } = this.#options;
    this.#keys ??= keysOf(partitions);
    const ingestAlive = { node, process: this.process, atMs: clock.now() };
    const value = Event.encode({ ingestAlive }).finish();
    write(this.#keys.map((key) => ({ key, value })));
  }
}

/** Returns a key for each partition. None is a device path, so that it is the key of no other event. */
function keysOf(partitions: number): readonly string[] {
  const keys: string[] = [];
  let found = 0;
  for (let n = 0; found < partitions; n++) {
    const key = `!alive/${n}`;
    const partition = partitionOf(key, partitions);
    if (keys[partition] !== undefined) continue;
    keys[partition] = key;
    found++;
  }
  return keys;
}
