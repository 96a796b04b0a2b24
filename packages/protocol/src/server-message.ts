import { cutBytes, cutFromBytes } from './cut.ts';
import { dataFrameBytes, dataFromBytes } from './data-frame.ts';
import { tailrace } from './generated/tailrace.js';
import { assertSize, invalidMessage } from './message-fields.ts';
import { deliveryBytes, encodeReport } from './report-proto.ts';
import {
  checkedServerMessage,
  type ServerMessage,
  serverMessageBytesMax,
  serverMessageKinds,
} from './server-message-json.ts';

export { type Data, dataFrameBytes, dataFrameJson, type FrameFlags, noFlags } from './data-frame.ts';
// Apart from the JSON, so that a browser that speaks JSON loads no Protobuf.
export {
  type Draining,
  type ErrorFields,
  type Expiring,
  type Limits,
  type Live,
  type Missing,
  type MissingReason,
  type Moved,
  type Paused,
  type Pong,
  type ServerMessage,
  type Subscribed,
  serverMessageBytesMax,
  serverMessageFromJson,
  serverMessageJson,
  type Unsubscribed,
  type Welcome,
} from './server-message-json.ts';

/** The generated types know no arrays that are only to be read. */
type Encodable = Parameters<typeof tailrace.v1.ServerMessage.encode>[0];

/** For a binary frame. Data that many sockets get goes by `dataFrameBytes`. */
export function serverMessageBytes(message: ServerMessage): Uint8Array {
  if ('cut' in message) return cutBytes(message.cut);
  if (!('data' in message)) return tailrace.v1.ServerMessage.encode(message as Encodable).finish();
  const { view, reports } = message.data;
  const deliveries = reports.map((report) =>
    deliveryBytes(encodeReport(report), report.partition, report.seq, report.delta),
  );
  return dataFrameBytes(view, deliveries, message.data);
}

/** From a binary frame. As `serverMessageFromJson`. */
export function serverMessageFromBytes(bytes: Uint8Array): ServerMessage | undefined {
  assertSize(bytes.length, serverMessageBytesMax);
  const data = dataFromBytes(bytes);
  if (data !== undefined) return { data };
  const cut = cutFromBytes(bytes);
  if (cut !== undefined) return { cut };
  let message: tailrace.v1.ServerMessage;
  try {
    message = tailrace.v1.ServerMessage.decode(bytes);
  } catch (cause) {
    throw invalidMessage(
      `${bytes.length} bytes are not a Protobuf ServerMessage; right is one message a binary frame`,
      cause,
    );
  }
  for (const kind of serverMessageKinds) {
    const fields = message[kind];
    // No server writes a `data` with anything around it, and the generated code's form of a report is not ours.
    if (fields != null && (kind === 'data' || kind === 'cut'))
      throw invalidMessage(`${kind} is not alone in its message; right is ${kind} and nothing else`);
    if (fields != null) return checkedServerMessage(kind, fields);
  }
  return undefined;
}
