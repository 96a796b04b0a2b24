import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { Channel } from '../channels/channel.ts';
import type { Channels } from '../channels/channels.ts';
import type { Partition } from '../ownership/partition.ts';
import type { View, Views } from '../views/view.ts';
import { EndLook } from './endlook.ts';
import { Freshness, type FreshnessLimits } from './freshness.ts';
import { Interruptions, restored } from './interruptions.ts';
import { Presences } from './presences.ts';

export interface SilencesParts {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly views: Pick<Views, 'tell'>;
  readonly eventLog: Pick<EventLog, 'bounds'>;
  readonly topic: string;
  readonly partitions: () => readonly Partition[];
  readonly heardAt: (partition: number) => number;
  readonly isSettled: (partition: number) => boolean;
  readonly limits: FreshnessLimits & { readonly interruptedMs: number };
}

/** What a node makes of silence: whether it is a device that does not speak, or this node that does not hear. */
export class Silences {
  readonly presences: Presences;
  readonly freshness: Freshness;
  readonly interruptions: Interruptions;
  readonly #ends: EndLook;
  readonly #partitions: () => readonly Partition[];

  constructor(parts: SilencesParts) {
    const { clock, channels, views, limits } = parts;
    const tell = views.tell.bind(views);
    this.#partitions = parts.partitions;
    this.presences = new Presences(channels, tell);
    this.freshness = new Freshness(clock, this.presences, limits);
    this.interruptions = new Interruptions({ ...parts, ...limits, tell });
    this.#ends = new EndLook(parts);
  }

  /** Every 500 ms, before the owner's frames go out. */
  look(): void {
    void this.#ends.look();
    this.freshness.look(this.#partitions());
    this.interruptions.look();
  }

  /**
   * What a client is told before it joins the topic. `known`: what it was told when it was there before; see `Presences.messages` for `presencesKnown`. Throws
   * `limit_reached` over `bytesMax`.
   */
  frames(
    channel: Channel,
    view: View,
    bytesMax: number,
    known: { readonly presencesKnown?: number | undefined; readonly interrupted?: boolean } = {},
  ): (string | Uint8Array)[] {
    const frames: (string | Uint8Array)[] = [];
    let bytes = 0;
    for (const message of this.presences.messages(channel, known.presencesKnown)) {
      const frame = message.frame(view.encoding);
      bytes += frame.length;
      if (bytes > bytesMax) throw tooManySilent(channel.pattern, bytesMax);
      frames.push(frame);
    }
    const interruption = this.interruptions.message(channel, view) ?? (known.interrupted ? restored(view) : undefined);
    if (interruption !== undefined) frames.push(interruption.frame(view.encoding));
    return frames;
  }
}

function tooManySilent(channel: string, bytesMax: number): TailraceError {
  return new TailraceError(
    'limit_reached',
    `to name the silent devices of ${channel} takes more than ${bytesMax} bytes; subscribe to smaller subtrees`,
  );
}
