import {
  type ClientMessage,
  clientMessageBytes,
  clientMessageJson,
  type ServerMessage,
  serverMessageFromBytes,
  serverMessageFromJson,
} from '../generated/protocol.js';
import { type DataSink, missingRanges, passDataFrame, passReport } from './data-frame.ts';
import type { Channel } from './plant.ts';

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
    const message = serverMessageFromJson(frame);
    if (message === undefined || !('data' in message)) return message;
    const { reports, snapshot, skipped } = message.data;
    sink.frame(snapshot === true, missingRanges(skipped, channel));
    for (const report of reports) passReport(report, channel, sink);
    return undefined;
  },
};

const proto: Codec = {
  subprotocol: 'tailrace.v1.proto',
  // A buffer of its own: the encoder's is part of a larger one.
  encode: (message) => new Uint8Array(clientMessageBytes(message)).buffer,
  decode(frame, channel, sink) {
    if (typeof frame === 'string') throw new Error('frame: expected bytes, got text');
    const bytes = new Uint8Array(frame);
    return passDataFrame(bytes, channel, sink) ? undefined : serverMessageFromBytes(bytes);
  },
};

export const codecs: Readonly<Record<'proto' | 'json', Codec>> = { proto, json };
