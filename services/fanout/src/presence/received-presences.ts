import type { tailrace } from '@tailrace/protocol/generated';
import type { Partition } from '../ownership/partition.ts';
import type { HeldFrame } from '../relay/held-frames.ts';
import { offline, stale } from './presences.ts';

/**
 * The silences that an owner tells of its partition, in frames and answers. It counts them: a frame that had nothing else covers no positions, and would
 * not be missed by them.
 */
export class ReceivedPresences {
  readonly #partition: Partition;
  /** The owner's count, as far as they came. */
  #told = 0;

  constructor(partition: Partition) {
    this.#partition = partition;
  }

  /** An answer had all until then. */
  begin(told: number): void {
    this.#told = told;
  }

  /** Whether a frame before this one is missing. */
  take(frame: Pick<HeldFrame, 'presences' | 'told'>): boolean {
    this.takeAll(frame.presences);
    if (frame.told - frame.presences.length > this.#told) return true;
    this.#told = Math.max(this.#told, frame.told);
    return false;
  }

  /** In any order, and again: what is not news changes nothing. Others' devices come along. That a device is online its report says. */
  takeAll(presences: readonly tailrace.v1.IPresence[]): void {
    for (const { device: path, state, since, seq } of presences) {
      if (state !== stale && state !== offline) continue;
      const device = this.#partition.devices.get(path ?? '');
      if (device !== undefined) this.#partition.silence(device, { state, sinceMs: since ?? 0, seq: seq ?? 0 });
    }
  }
}
