import { controlServerMessageFromProto, controlServerMessageProto } from './control-event.ts';
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

export type {
  Accepted,
  AlarmEvent,
  AlarmEvents,
  AlarmTransition,
  CommandEvent,
  CommandEvents,
  CommandTransition,
  LeaseEvent,
  LeaseEvents,
  LeaseTransition,
} from './control-event-json.ts';
export { type Data, dataFrameBytes, dataFrameJson, type FrameFlags, noFlags } from './data-frame.ts';
// Apart from the JSON form, so that a browser that uses JSON loads no Protobuf.
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
  type Progress,
  type ServerMessage,
  type Subscribed,
  serverMessageBytesMax,
  serverMessageFromJson,
  serverMessageJson,
  type Unsubscribed,
  type Welcome,
} from './server-message-json.ts';

/** The generated types have no readonly arrays. */
type Encodable = Parameters<typeof tailrace.v1.ServerMessage.encode>[0];

/** Encodes a binary frame. For data to many sockets, use `dataFrameBytes`. */
export function serverMessageBytes(message: ServerMessage): Uint8Array {
  if ('cut' in message) return cutBytes(message.cut);
  if (!('data' in message))
    return tailrace.v1.ServerMessage.encode((controlServerMessageProto(message) ?? message) as Encodable).finish();
  const { view, reports } = message.data;
  const deliveries = reports.map((report) =>
    deliveryBytes(encodeReport(report), report.partition, report.seq, report.delta),
  );
  return dataFrameBytes(view, deliveries, message.data);
}

/** Parses a binary frame, as `serverMessageFromJson` does a text frame. */
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
      `message: expected one Protobuf ServerMessage in a binary frame, got ${bytes.length} invalid bytes`,
      cause,
    );
  }
  for (const kind of serverMessageKinds) {
    const fields = message[kind];
    // No server combines `data` or `cut` with other fields, and the generated code has another form of a report.
    if (fields != null && (kind === 'data' || kind === 'cut'))
      throw invalidMessage(`message: expected ${kind} and no other field, got more`);
    if (fields != null) return controlServerMessageFromProto(kind, fields) ?? checkedServerMessage(kind, fields);
  }
  return undefined;
}
