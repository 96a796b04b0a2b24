import {
  dataFrameBytes,
  dataFrameJson,
  type FrameMarks,
  noMarks,
  type ServerMessage,
  serverMessageBytes,
  serverMessageJson,
} from '@tailrace/protocol/servermessage';
import type { Arrival } from './arrival.ts';

export type Encoding = 'json' | 'proto';

/** Sends one frame to every socket of a topic. The stream server is one; a test passes a literal. */
export interface Broadcast {
  publish(topic: string, frame: string | Uint8Array): void;
}

/**
 * One way of seeing a channel. All sockets of a view are subscribed to one topic and get the same frames, each encoded once.
 * Reports gather while a batch is worked through and leave in one frame when `Views.flush` ends it.
 */
export class View {
  /** The number under which clients know it; unique on this node. */
  readonly number: number;
  readonly topic: string;
  readonly encoding: Encoding;
  sockets = 0;
  readonly pending: Arrival[] = [];

  constructor(number: number, encoding: Encoding) {
    this.number = number;
    this.topic = `v${number}`;
    this.encoding = encoding;
  }

  /** One data frame with these reports. */
  frame(arrivals: readonly Arrival[], marks: FrameMarks): string | Uint8Array {
    return this.encoding === 'json'
      ? dataFrameJson(
          this.number,
          arrivals.map((arrival) => arrival.json),
          marks,
        )
      : dataFrameBytes(
          this.number,
          arrivals.map((arrival) => arrival.delivery),
          marks,
        );
  }
}

/** The views of this node, and those that have something to send. */
export class Views {
  /** Frames published, and reports times sockets they went to. */
  readonly counts = { frames: 0, deliveries: 0 };
  readonly #broadcast: Broadcast;
  #dirty: View[] = [];
  #lastNumber = 0;

  constructor(broadcast: Broadcast) {
    this.#broadcast = broadcast;
  }

  create(encoding: Encoding): View {
    return new View(++this.#lastNumber, encoding);
  }

  add(view: View, arrival: Arrival): void {
    if (view.sockets === 0) return;
    if (view.pending.push(arrival) === 1) this.#dirty.push(view);
  }

  /** Tells everybody who watches the channel that reports of it cannot be had any more: never a silent loss. */
  tellMissing(
    channel: { readonly views: ReadonlyMap<Encoding, View>; readonly pattern: string },
    partition: number,
    from: number,
    until: number,
  ): void {
    const message = `reports ${from} to ${until - 1} of partition ${partition} have left the log before they could be delivered on ${channel.pattern}`;
    const error: ServerMessage = { error: { code: 'not_found', message, retryable: false } };
    this.flush();
    for (const view of channel.views.values()) {
      this.#broadcast.publish(
        view.topic,
        view.encoding === 'json' ? serverMessageJson(error) : serverMessageBytes(error),
      );
    }
  }

  /** Sends what has gathered. Called at the end of every batch, so that between two turns of the loop nothing is pending. */
  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const view of dirty) {
      this.#broadcast.publish(view.topic, view.frame(view.pending, noMarks));
      this.counts.frames++;
      this.counts.deliveries += view.pending.length * view.sockets;
      view.pending.length = 0;
    }
  }
}
