import type { Clock } from '@tailrace/platform/clock';
import type { Channel, Channels } from '../channels/channels.ts';
import { SharedMessage } from '../views/shared-message.ts';
import type { View } from '../views/view.ts';
import type { Progress } from './progress.ts';

/**
 * An owner looks for the end of its partitions every 500 ms, and then sends a frame to the other nodes: twice may be
 * missed.
 */
const quietMs = 1_500;

interface Interruption {
  /** Epoch ms, and the same moment by the monotonic clock. */
  readonly since: number;
  readonly sinceMonotonic: number;
  partitions: readonly number[];
  /** The partitions that clients were notified of last; none: not yet. */
  notified: readonly number[];
}

export interface InterruptionsParts {
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly channels: Pick<Channels, 'all'>;
  readonly partitions: readonly { readonly progress: Pick<Progress, 'deliveredThroughMs'> }[];
  readonly tell: (view: View, message: SharedMessage) => void;
  /** Whether some channel may not have joined it: else those that have are not looked at. */
  readonly isSettled: (partition: number) => boolean;
  /** Silence that is not told: of an ordinary handover. */
  readonly interruptedMs: number;
}

/**
 * Tells clients when this node cannot hear partitions of theirs: then the silence of a device is the server's, and says nothing of the device.
 *
 * A channel does not hear a partition that it has not joined, or that has been quiet for too long. Its clients are told once that has lasted
 * `interruptedMs`, again when a partition falls silent of which they were not told, and when it hears all of them
 * again.
 */
export class Interruptions {
  readonly counts = { interrupted: 0 };
  readonly #parts: InterruptionsParts;
  readonly #running = new Map<Channel, Interruption>();

  constructor(parts: InterruptionsParts) {
    this.#parts = parts;
  }

  /** Views whose clients know that they are interrupted. */
  get size(): number {
    let size = 0;
    for (const [channel, { notified }] of this.#running) if (notified.length > 0) size += channel.views.size;
    return size;
  }

  /** Every 500 ms. Costs a look at each partition while all is well, and at each channel while it is not. */
  look(): void {
    const { clock, channels, partitions, isSettled } = this.#parts;
    const nowMs = clock.monotonic();
    const quiet: boolean[] = [];
    let isWell = this.#running.size === 0;
    for (const [number, { progress }] of partitions.entries()) {
      // That the owner runs is no sign that the partition is read.
      quiet.push(nowMs - progress.deliveredThroughMs > quietMs);
      isWell &&= !quiet[number] && isSettled(number);
    }
    if (isWell) return;
    for (const channel of channels.all()) {
      const deaf = channel.partitions.filter(
        (partition) => quiet[partition] || channel.slot(partition).state !== 'joined',
      );
      if (deaf.length > 0) this.#deaf(channel, deaf, nowMs);
      else this.#hears(channel);
    }
    for (const channel of this.#running.keys()) if (channel.subscriptions === 0) this.#running.delete(channel);
  }

  /** What a new client of the view is to be told, if it comes during an interruption. */
  message(channel: Channel, view: View): SharedMessage | undefined {
    const interruption = this.#running.get(channel);
    return interruption === undefined || interruption.notified.length === 0 ? undefined : messageOf(view, interruption);
  }

  #deaf(channel: Channel, partitions: readonly number[], nowMs: number): void {
    const { clock, partitions: all, interruptedMs } = this.#parts;
    let interruption = this.#running.get(channel);
    if (interruption === undefined) {
      // What the channel was never given anything of has no such moment: it begins now.
      const given = partitions.filter((partition) => channel.slot(partition).next >= 0);
      const through = given
        .map((number) => all[number]!.progress.deliveredThroughMs)
        .filter((at) => at > Number.NEGATIVE_INFINITY);
      const sinceMonotonic = Math.min(nowMs, ...through);
      const since = Math.round(clock.now() - (nowMs - sinceMonotonic));
      interruption = { since, sinceMonotonic, partitions, notified: [] };
      this.#running.set(channel, interruption);
    }
    interruption.partitions = partitions;
    const { notified } = interruption;
    if (nowMs - interruption.sinceMonotonic < interruptedMs) return;
    if (partitions.every((partition) => notified.includes(partition))) return;
    interruption.notified = partitions;
    for (const view of channel.views.values()) {
      if (view.sockets === 0) continue;
      this.counts.interrupted++;
      this.#parts.tell(view, messageOf(view, interruption));
    }
  }

  #hears(channel: Channel): void {
    const interruption = this.#running.get(channel);
    if (interruption === undefined) return;
    this.#running.delete(channel);
    if (interruption.notified.length === 0) return;
    for (const view of channel.views.values()) {
      this.#parts.tell(view, restored(view));
    }
  }
}

export function restored(view: View): SharedMessage {
  return new SharedMessage({ restored: { view: view.number } });
}

function messageOf(view: View, { since, partitions }: Interruption): SharedMessage {
  return new SharedMessage({ interrupted: { view: view.number, since, partitions } });
}
