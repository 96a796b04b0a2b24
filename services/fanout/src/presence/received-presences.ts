import type { tailrace } from '@tailrace/protocol/generated';
import type { Partition } from '../ownership/partition.ts';
import type { HeldFrame } from '../relay/held-frames.ts';
import { offline, stale } from './presences.ts';

/**
 * Takes the presences that the owner of a partition sends in frames and replies. The owner counts them, because the
 * loss of a frame with presences only shows in no gap of positions.
 */
export class ReceivedPresences {
  readonly #partition: Partition;
  /** The owner's count of the presences received so far. */
  #received = 0;

  constructor(partition: Partition) {
    this.#partition = partition;
  }

  /** Takes the count of a reply, which has all presences up to it. */
  reset(count: number): void {
    this.#received = count;
  }

  /** Takes the presences of a frame. Returns whether a frame before this one is missing. */
  take(frame: Pick<HeldFrame, 'presences' | 'told'>): boolean {
    this.takeAll(frame.presences);
    if (frame.told - frame.presences.length > this.#received) return true;
    this.#received = Math.max(this.#received, frame.told);
    return false;
  }

  /**
   * Takes presences in any order, also repeated ones. Devices that this node does not know are skipped. That a device
   * is online follows from its report.
   */
  takeAll(presences: readonly tailrace.v1.IPresence[]): void {
    for (const { device: path, state, since, seq } of presences) {
      if (state !== stale && state !== offline) continue;
      const device = this.#partition.devices.get(path ?? '');
      if (device !== undefined) this.#partition.silence(device, { state, sinceMs: since ?? 0, seq: seq ?? 0 });
    }
  }
}
