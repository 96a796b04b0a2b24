import { jsonCodec } from './json-codec.ts';
import type { DataSink, Wish, Word } from './messages.ts';
import type { Channel } from './plant.ts';
import { protoCodec } from './proto-codec.ts';

/** One of the two forms of the protocol's messages. */
export interface Codec {
  /** Offered in the handshake. */
  readonly subprotocol: string;
  frameOf(wish: Wish): string | ArrayBuffer;
  /** Gives what is in a `data` message to the sink; answers with any other message that a load test heeds. Throws on a frame that is no message. */
  read(frame: string | ArrayBuffer, channel: Channel, sink: DataSink): Word | undefined;
}

export const codecs: Readonly<Record<'proto' | 'json', Codec>> = { proto: protoCodec, json: jsonCodec };
