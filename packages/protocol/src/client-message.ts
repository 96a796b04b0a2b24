import {
  type ClientMessage,
  checkedClientMessage,
  clientMessageKinds,
  clientMessageLimits,
} from './client-message-json.ts';
import { tailrace } from './generated/tailrace.js';
import { assertSize, invalidMessage } from './message-fields.ts';

// Apart from the JSON form, so that a browser that uses JSON loads no Protobuf.
export {
  type Auth,
  type ClientMessage,
  clientMessageFromJson,
  clientMessageJson,
  clientMessageKinds,
  clientMessageLimits,
  type Deadband,
  type Pause,
  type Ping,
  type ResumeMessage,
  type Subscribe,
  type Unsubscribe,
} from './client-message-json.ts';

/** Parses a binary frame. Throws as `clientMessageFromJson` does. Skips unknown fields, as proto3 does. */
export function clientMessageFromBytes(bytes: Uint8Array): ClientMessage {
  assertSize(bytes.length, clientMessageLimits.messageBytesMax);
  let message: tailrace.v1.ClientMessage;
  try {
    message = tailrace.v1.ClientMessage.decode(bytes);
  } catch (cause) {
    throw invalidMessage(
      `message: expected one Protobuf ClientMessage in a binary frame, got ${bytes.length} invalid bytes`,
      cause,
    );
  }
  const { auth, subscribe, unsubscribe, ping, pause, resume } = message;
  if (auth) return checkedClientMessage('auth', { token: auth.token });
  if (subscribe) {
    // protobufjs decodes an absent optional field as null, which counts as absent here.
    const { id, channel, snapshot, after, from, speed, maxRate, deadband, tags, delta, align } = subscribe;
    return checkedClientMessage('subscribe', {
      ...{ id, channel, snapshot, from, speed, maxRate, delta, align },
      after: after === '' ? undefined : after,
      tags: tags == null || tags.length === 0 ? undefined : tags,
      deadband: deadband == null ? undefined : { ...deadband },
    });
  }
  if (unsubscribe) return checkedClientMessage('unsubscribe', { id: unsubscribe.id });
  if (ping) return checkedClientMessage('ping', { t: ping.t });
  if (pause) return checkedClientMessage('pause', { id: pause.id });
  if (resume) return checkedClientMessage('resume', { id: resume.id, speed: resume.speed });
  throw invalidMessage(`message: expected one of ${clientMessageKinds.join(', ')}, got none of them`);
}

/** The generated types have no readonly arrays. */
type Encodable = Parameters<typeof tailrace.v1.ClientMessage.encode>[0];

export function clientMessageBytes(message: ClientMessage): Uint8Array {
  return tailrace.v1.ClientMessage.encode(message as Encodable).finish();
}
