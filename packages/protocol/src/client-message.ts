import {
  type ClientMessage,
  checkedClientMessage,
  clientMessageKinds,
  clientMessageLimits,
} from './client-message-json.ts';
import { tailrace } from './generated/tailrace.js';
import { assertSize, invalidMessage } from './message-fields.ts';

// Apart from the JSON, so that a browser that speaks JSON loads no Protobuf.
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

/** From a binary frame. Throws as `clientMessageFromJson` does. Fields and kinds unknown here are skipped, as Protobuf has it. */
export function clientMessageFromBytes(bytes: Uint8Array): ClientMessage {
  assertSize(bytes.length, clientMessageLimits.messageBytesMax);
  let message: tailrace.v1.ClientMessage;
  try {
    message = tailrace.v1.ClientMessage.decode(bytes);
  } catch (cause) {
    throw invalidMessage(
      `${bytes.length} bytes are not a Protobuf ClientMessage; right is one message a binary frame`,
      cause,
    );
  }
  const { auth, subscribe, unsubscribe, ping, pause, resume } = message;
  if (auth) return checkedClientMessage('auth', { token: auth.token });
  if (subscribe) {
    // An absent optional field is null in what protobufjs decodes, and null is absent here.
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
  throw invalidMessage(`the message is none of those known here; right is one of ${clientMessageKinds.join(', ')}`);
}

/** The generated types know no arrays that are only to be read. */
type Encodable = Parameters<typeof tailrace.v1.ClientMessage.encode>[0];

export function clientMessageBytes(message: ClientMessage): Uint8Array {
  return tailrace.v1.ClientMessage.encode(message as Encodable).finish();
}
