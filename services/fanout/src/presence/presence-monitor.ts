import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import type { Channel, Channels } from '../channels/channels.ts';
import type { Partition } from '../ownership/partition.ts';
import type { SharedMessage } from '../views/shared-message.ts';
import type { View, Views } from '../views/view.ts';
import type { Freshness } from './freshness.ts';
import { Interruptions, restored } from './interruptions.ts';
import { LogEndPoller } from './log-end-poller.ts';
import type { Presences } from './presences.ts';

export interface PresenceMonitorOptions {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly views: Pick<Views, 'tell'>;
  readonly eventLog: Pick<EventLog, 'ends'>;
  readonly topic: string;
  readonly presences: Presences;
  readonly freshness: Freshness;
  readonly partitions: readonly Partition[];
  /** Whether all channels have joined the partition, as far as its owner has answered. */
  readonly isSettled: (partition: number) => boolean;
  readonly interruptedMs: number;
}

/** What a client knows already. */
export interface KnownPresences {
  /** The change of `Presences.counts` up to which it knows which devices are silent. Undefined: it knows of none. */
  presencesKnown?: number | undefined;
  /** Whether it believes that this node does not hear partitions. */
  interrupted?: boolean;
}

/** Silent devices that are named in one turn: 20 KB. */
const presencesAtOnce = 256;

/** What a node makes of silence: whether it is a device that does not speak, or this node that does not hear. */
export class PresenceMonitor {
  readonly presences: Presences;
  readonly freshness: Freshness;
  readonly interruptions: Interruptions;
  readonly #ends: LogEndPoller;
  readonly #partitions: readonly Partition[];

  constructor(parts: PresenceMonitorOptions) {
    const { clock, channels, views, eventLog, topic, partitions, isSettled, interruptedMs } = parts;
    this.#partitions = partitions;
    this.presences = parts.presences;
    this.freshness = parts.freshness;
    const tell = views.tell.bind(views);
    this.interruptions = new Interruptions({ clock, channels, partitions, tell, isSettled, interruptedMs });
    this.#ends = new LogEndPoller({ eventLog, topic, clock, partitions });
  }

  /**
   * Every 500 ms, before the owner's frames go out. Resolves once it is known where the partitions end; at once where
   * that is still being looked for. Never rejects.
   */
  look(): Promise<void> {
    const looked = this.#ends.look();
    this.freshness.look(this.#partitions);
    this.interruptions.look();
    return looked;
  }

  /**
   * What a client is told page by page before it joins the topic, where that is more than goes with the joining;
   * undefined: it is not. When all pages have been told, `known` says so, and what has changed since the first is left
   * to be asked for again.
   */
  pages(channel: Channel, view: View, known: KnownPresences): Iterable<(string | Uint8Array)[]> | undefined {
    const { presencesKnown } = known;
    if (presencesKnown !== undefined && this.presences.remembers(presencesKnown)) return undefined;
    if (this.presences.countIn(channel) <= presencesAtOnce) return undefined;
    return this.#pages(channel, view, known);
  }

  /**
   * What a client is told in the turn in which it joins the topic, where there are no `pages`. `known`: what it was
   * told before.
   */
  frames(channel: Channel, view: View, known: Readonly<KnownPresences> = {}): (string | Uint8Array)[] {
    const { presencesKnown, interrupted = false } = known;
    const frames: (string | Uint8Array)[] = [];
    const tell = (message: SharedMessage) => void frames.push(message.frame(view.encoding));
    if (presencesKnown !== undefined && this.presences.remembers(presencesKnown)) {
      this.presences.changed(channel, presencesKnown).forEach(tell);
    } else {
      for (const messages of this.presences.pages(channel)) messages.forEach(tell);
      if (presencesKnown !== undefined) this.presences.back(channel, presencesKnown).forEach(tell);
    }
    const interruption = this.interruptions.message(channel, view) ?? (interrupted ? restored(view) : undefined);
    if (interruption !== undefined) tell(interruption);
    return frames;
  }

  *#pages(channel: Channel, view: View, known: KnownPresences): Iterable<(string | Uint8Array)[]> {
    const { told } = this.presences.counts;
    for (const messages of this.presences.pages(channel, known.presencesKnown)) {
      yield messages.map((message) => message.frame(view.encoding));
    }
    known.presencesKnown = told;
  }
}
