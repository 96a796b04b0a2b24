import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Channel, Channels } from '../channels/channels.ts';
import type { Partition } from '../ownership/partition.ts';
import type { SharedMessage } from '../views/shared-message.ts';
import type { View, Views } from '../views/view.ts';
import type { DeviceSessions } from './device-sessions.ts';
import type { Freshness } from './freshness.ts';
import { Interruptions, restored } from './interruptions.ts';
import { LogEndPoller } from './log-end-poller.ts';
import type { Presences } from './presences.ts';

export interface PresenceMonitorOptions {
  readonly sessions: DeviceSessions;
  readonly clock: Clock;
  readonly channels: Channels;
  readonly views: Pick<Views, 'publishMessage'>;
  readonly eventLog: Pick<EventLog, 'endOffsets'>;
  readonly topic: string;
  readonly presences: Presences;
  readonly freshness: Freshness;
  readonly partitions: readonly Partition[];
  /** Whether all channels have joined the partition, as far as its owner has replied. */
  readonly isSettled: (partition: number) => boolean;
  readonly interruptedMs: number;
}

/** What a client was sent already. */
export interface KnownPresences {
  /** The client was sent all changes of `Presences` up to this number. Undefined: none. */
  presencesKnown: number | undefined;
  /** Whether it was sent `interrupted`, and not `restored`. */
  isInterrupted: boolean;
}

/** Presences that are sent in one turn: 20 KB. */
const presencesAtOnce = 256;

/**
 * Determines why reports are missing, and notifies clients: devices are stale or offline, or their partitions are
 * interrupted.
 */
export class PresenceMonitor {
  readonly presences: Presences;
  readonly freshness: Freshness;
  readonly sessions: DeviceSessions;
  readonly interruptions: Interruptions;
  readonly #logEndPoller: LogEndPoller;
  readonly #partitions: readonly Partition[];

  constructor(options: PresenceMonitorOptions) {
    const { clock, channels, views, eventLog, topic, partitions, isSettled, interruptedMs } = options;
    this.#partitions = partitions;
    this.presences = options.presences;
    this.freshness = options.freshness;
    this.sessions = options.sessions;
    const publish = views.publishMessage.bind(views);
    this.interruptions = new Interruptions({ clock, channels, partitions, publish, isSettled, interruptedMs });
    this.#logEndPoller = new LogEndPoller({ eventLog, topic, clock, partitions });
  }

  /**
   * Called every 500 ms, before the owner's frames are sent. Resolves when the end offsets are known; at once if a poll
   * is in progress. Never rejects.
   */
  poll(): Promise<void> {
    const polled = this.#logEndPoller.poll();
    this.freshness.check(this.#partitions);
    this.interruptions.check();
    void this.sessions.poll();
    return polled;
  }

  /**
   * Returns the presences that a client is sent page by page before it joins the topic; undefined: they are few enough
   * for `frames`. After the last page `known` is updated. Changes since the first page are left for the next call.
   */
  pages(channel: Channel, view: View, known: KnownPresences): Iterable<(string | Uint8Array)[]> | undefined {
    const { presencesKnown } = known;
    if (presencesKnown !== undefined && this.presences.hasChangesSince(presencesKnown)) return undefined;
    if (this.presences.countIn(channel) <= presencesAtOnce) return undefined;
    return this.#pages(channel, view, known);
  }

  /**
   * Returns the presences and interruptions that a client is sent in the turn in which it joins the topic, if there are
   * no `pages`. `known`: what it was sent before.
   */
  frames(channel: Channel, view: View, known: Readonly<KnownPresences>): (string | Uint8Array)[] {
    const { presencesKnown, isInterrupted } = known;
    const frames: (string | Uint8Array)[] = [];
    const add = (message: SharedMessage) => void frames.push(message.frame(view.encoding));
    if (presencesKnown !== undefined && this.presences.hasChangesSince(presencesKnown)) {
      this.presences.changed(channel, presencesKnown).forEach(add);
    } else {
      for (const messages of this.presences.pages(channel)) messages.forEach(add);
      if (presencesKnown !== undefined) this.presences.backOnline(channel, presencesKnown).forEach(add);
    }
    this.interruptions.checkChannel(channel);
    const interruption = this.interruptions.message(channel, view) ?? (isInterrupted ? restored(view) : undefined);
    if (interruption !== undefined) add(interruption);
    return frames;
  }

  *#pages(channel: Channel, view: View, known: KnownPresences): Iterable<(string | Uint8Array)[]> {
    const { changes } = this.presences.counts;
    for (const messages of this.presences.pages(channel, known.presencesKnown)) {
      yield messages.map((message) => message.frame(view.encoding));
    }
    known.presencesKnown = changes;
  }
}
