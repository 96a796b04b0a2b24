import {
  type ClientMessage,
  checkedClientMessage,
  clientMessageKinds,
  clientMessageLimits,
} from './client-message-json.ts';
import { eventValueOf, leaseActionNumber, leaseActionWord, paramsProto, seenProto } from './control-event.ts';
import { type ControlMessage, controlMessageFrom, controlMessageKinds } from './control-message-json.ts';
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
export type {
  AlarmReferenceMessage,
  CommandMessage,
  ControlMessage,
  LeaseMessage,
  ShelveMessage,
} from './control-message-json.ts';

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
    const { id, channel, snapshot, after, from, speed, maxRate, deadband, tags, delta, align, alarms, commands } =
      subscribe;
    return checkedClientMessage('subscribe', {
      ...{ id, channel, snapshot, from, speed, maxRate, delta, align, alarms, commands },
      after: after === '' ? undefined : after,
      tags: tags == null || tags.length === 0 ? undefined : tags,
      deadband: deadband == null ? undefined : { ...deadband },
    });
  }
  if (unsubscribe) return checkedClientMessage('unsubscribe', { id: unsubscribe.id });
  if (ping) return checkedClientMessage('ping', { t: ping.t });
  if (pause) return checkedClientMessage('pause', { id: pause.id });
  if (resume) return checkedClientMessage('resume', { id: resume.id, speed: resume.speed });
  const control = controlMessageOf(message);
  if (control !== undefined) return control;
  throw invalidMessage(`message: expected one of ${clientMessageKinds.join(', ')}, got none of them`);
}

function controlMessageOf(message: tailrace.v1.ClientMessage): ControlMessage | undefined {
  for (const kind of controlMessageKinds) {
    const fields = message[kind];
    if (fields == null) continue;
    const plain: Record<string, unknown> = { ...fields };
    if (kind === 'command') {
      const params = Object.entries(message.command?.params ?? {});
      plain['params'] = Object.fromEntries(params.map(([name, value]) => [name, eventValueOf(value)]));
      plain['seen'] = Object.fromEntries((message.command?.seen ?? []).map(({ tag, position }) => [tag, position]));
    }
    if (kind === 'lease') plain['action'] = leaseActionWord(message.lease?.action);
    return controlMessageFrom(kind, plain);
  }
  return undefined;
}

/** The generated types have no readonly arrays. */
type Encodable = Parameters<typeof tailrace.v1.ClientMessage.encode>[0];

export function clientMessageBytes(message: ClientMessage): Uint8Array {
  return tailrace.v1.ClientMessage.encode(encodableOf(message) as Encodable).finish();
}

function encodableOf(message: ClientMessage): object {
  if ('command' in message)
    return {
      command: {
        ...message.command,
        params: paramsProto(message.command.params ?? {}),
        seen: seenProto(message.command.seen),
      },
    };
  if ('lease' in message) return { lease: { ...message.lease, action: leaseActionNumber(message.lease.action) } };
  return message;
}
