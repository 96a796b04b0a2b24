import type { Clock } from '@tailrace/platform/clock';
import type { Channel, Channels } from '../channels/channels.ts';
import { SharedMessage } from '../views/shared-message.ts';
import type { View } from '../views/view.ts';
import type { Progress } from './progress.ts';

/**
 * An owner polls the end of its partitions every 500 ms, and then sends a frame to the other nodes: two may be lost.
 */
const staleMs = 1_500;

interface Interruption {
  /** Epoch ms, and the same time by the monotonic clock. */
  readonly since: number;
  readonly sinceMonotonic: number;
  partitions: readonly number[];
  /** The partitions in the last notification of clients; none: not notified yet. */
  notified: readonly number[];
}

export interface InterruptionsOptions {
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly channels: Pick<Channels, 'all'>;
  readonly partitions: readonly { readonly progress: Pick<Progress, 'deliveredThroughMs'> }[];
  readonly publish: (view: View, message: SharedMessage) => void;
  /** Whether all channels have joined the partition: then they are not checked one by one. */
  readonly isSettled: (partition: number) => boolean;
  /** Shorter interruptions, as of an ordinary handover, are not notified. */
  readonly interruptedMs: number;
}

/**
 * Notifies clients when partitions of their channel are not read up to now: then missing reports are due to the server,
 * and not to the devices.
 *
 * A partition of a channel is interrupted if the channel has not joined it, or if it is not known to have been read to
 * its end lately. Clients are sent `interrupted` once that has lasted `interruptedMs`, and again for each further
 * partition. They are sent `restored` when all partitions are back.
 */
export class Interruptions {
  readonly counts = { interrupted: 0 };
  readonly #options: InterruptionsOptions;
  readonly #running = new Map<Channel, Interruption>();

  constructor(options: InterruptionsOptions) {
    this.#options = options;
  }

  /** Number of views whose clients were sent `interrupted`. */
  get size(): number {
    let size = 0;
    for (const [channel, { notified }] of this.#running) if (notified.length > 0) size += channel.views.size;
    return size;
  }

  /** Called every 500 ms. Visits each partition, and each channel only while something is interrupted. */
  check(): void {
    const { clock, channels, partitions, isSettled } = this.#options;
    const nowMs = clock.monotonic();
    let isWell = this.#running.size === 0;
    for (const number of partitions.keys()) isWell &&= !this.#isStale(number, nowMs) && isSettled(number);
    if (isWell) return;
    for (const channel of channels.all()) this.#check(channel, nowMs);
    for (const channel of this.#running.keys()) if (channel.subscriptions === 0) this.#running.delete(channel);
  }

  /** Checks a channel before a client joins its topic, so that the client does not wait for the next check. */
  checkChannel(channel: Channel): void {
    this.#check(channel, this.#options.clock.monotonic());
  }

  #check(channel: Channel, nowMs: number): void {
    const interrupted = channel.partitions.filter(
      (partition) => this.#isStale(partition, nowMs) || channel.slot(partition).state !== 'joined',
    );
    if (interrupted.length > 0) this.#interrupt(channel, interrupted, nowMs);
    else this.#restore(channel);
  }

  /** Returns whether the partition was not read for `staleMs`. An owner that announces itself may not read it. */
  #isStale(partition: number, nowMs: number): boolean {
    return nowMs - this.#options.partitions[partition]!.progress.deliveredThroughMs > staleMs;
  }

  /** Returns the message for a new client of the view, if its channel is interrupted. */
  message(channel: Channel, view: View): SharedMessage | undefined {
    const interruption = this.#running.get(channel);
    return interruption === undefined || interruption.notified.length === 0 ? undefined : messageOf(view, interruption);
  }

  #interrupt(channel: Channel, partitions: readonly number[], nowMs: number): void {
    const { clock, partitions: all, interruptedMs } = this.#options;
    let interruption = this.#running.get(channel);
    if (interruption === undefined) {
      // A partition that the channel has never joined is interrupted from now on.
      const joined = partitions.filter((partition) => channel.slot(partition).next >= 0);
      const through = joined
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
      this.#options.publish(view, messageOf(view, interruption));
    }
  }

  #restore(channel: Channel): void {
    const interruption = this.#running.get(channel);
    if (interruption === undefined) return;
    this.#running.delete(channel);
    if (interruption.notified.length === 0) return;
    for (const view of channel.views.values()) {
      this.#options.publish(view, restored(view));
    }
  }
}

export function restored(view: View): SharedMessage {
  return new SharedMessage({ restored: { view: view.number } });
}

function messageOf(view: View, { since, partitions }: Interruption): SharedMessage {
  return new SharedMessage({ interrupted: { view: view.number, since, partitions } });
}
