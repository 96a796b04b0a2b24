import {
  type ClientMessage,
  clientMessageBytes,
  clientMessageJson,
  type Data,
  type ServerMessage,
  serverMessageFromBytes,
  serverMessageFromJson,
} from '../generated/protocol.js';
import type { Channel } from './plant.ts';

/** Receives the content of `data` messages. */
export interface DataSink {
  /** Before the reports of the frame. */
  frame(isSnapshot: boolean, missing: readonly MissingRange[]): void;
  /**
   * `device` is its number in the channel, -1 for one that the channel does not cover; `n` is the number of the first
   * reading; `time` is epoch ms.
   */
  report(device: number, partition: number, seq: number, n: number, time: number): void;
}

/** Positions that are not delivered, or only summarized. */
export interface MissingRange {
  readonly partition: number;
  /** Its number in the channel; undefined: every device of the partition. */
  readonly device?: number | undefined;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
  readonly reason: string;
}

/** One of the two encodings of the protocol's messages. */
export interface Codec {
  /** Offered in the handshake. */
  readonly subprotocol: string;
  encode(message: ClientMessage): string | ArrayBuffer;
  /**
   * Passes a `data` message to the sink, and returns any other; undefined for one that this version does not know.
   * Throws for a frame that is not a message.
   */
  decode(frame: string | ArrayBuffer, channel: Channel, sink: DataSink): ServerMessage | undefined;
}

const json: Codec = {
  subprotocol: 'tailrace.v1.json',
  encode: clientMessageJson,
  decode(frame, channel, sink) {
    if (typeof frame !== 'string') throw new Error('frame: expected text, got bytes');
    return passed(serverMessageFromJson(frame), channel, sink);
  },
};

const proto: Codec = {
  subprotocol: 'tailrace.v1.proto',
  // A buffer of its own: the encoder's is part of a larger one.
  encode: (message) => new Uint8Array(clientMessageBytes(message)).buffer,
  decode(frame, channel, sink) {
    if (typeof frame === 'string') throw new Error('frame: expected bytes, got text');
    return passed(serverMessageFromBytes(new Uint8Array(frame)), channel, sink);
  },
};

export const codecs: Readonly<Record<'proto' | 'json', Codec>> = { proto, json };

function passed(message: ServerMessage | undefined, channel: Channel, sink: DataSink): ServerMessage | undefined {
  if (message === undefined || !('data' in message)) return message;
  const { reports, snapshot, skipped } = message.data;
  sink.frame(snapshot === true, rangesOf(skipped, channel));
  for (const { device, partition, seq, readings, time } of reports) {
    const n = readings.find(({ value }) => typeof value === 'number')?.value;
    sink.report(channel.indexOf(device), partition, seq, Number(n), time);
  }
  return undefined;
}

const noRanges: readonly MissingRange[] = [];

function rangesOf(skipped: Data['skipped'], channel: Channel): readonly MissingRange[] {
  if (skipped === undefined) return noRanges;
  return skipped.map(({ partition, device, from, to, reason }) => {
    const number = device === '' ? undefined : channel.indexOf(device);
    return { partition, device: number, from, to, reason };
  });
}
