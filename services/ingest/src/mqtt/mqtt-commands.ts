import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import type { OutboundMessage } from '@tailrace/mqtt/publish';
import { mqttReasons as reasons } from '@tailrace/mqtt/reason';
import type { ServerConnection } from '@tailrace/mqtt/server-connection';
import { mqttTopicFromPath } from '@tailrace/protocol/path';
import { isObject } from '@tailrace/protocol/reading';
import {
  type CommandReply,
  commandPayload,
  commandReplyFrom,
  type DeliveredCommand,
  exactReplyOf,
} from '../devices/device-command.ts';
import type { DeviceSession } from '../devices/device-session.ts';
import { jsonWithDigits } from '../json-text.ts';
import { parseJson, textFrom } from '../reports.ts';

/** A command in a message: the context of the message. */
interface SentCommand {
  readonly command: string;
}

/** The session to whose device commands are sent. */
type CommandReceiver = Pick<DeviceSession, 'device' | 'commandReceived' | 'commandReplied'>;

/** Returns the topic on which a device receives its commands. */
export function commandTopicOf(device: string): string {
  return `${mqttTopicFromPath(device)}/command`;
}

/**
 * Sends a command on the topic of the device of the session. Returns false if too much waits for the client. A command
 * without PUBACK is not sent again on top: the connection repeats it when the client has resumed its session. At QoS 0,
 * which a subscription may have, there is no PUBACK: a command is received when it is written. `nowMs`: epoch.
 */
export function sendCommand(
  connection: ServerConnection,
  command: DeliveredCommand,
  session: CommandReceiver,
  nowMs: number,
): boolean {
  const { device } = session;
  const { id, qos, expiresInMs } = command;
  // What the wire holds back would reach the client late.
  if (connection.isUnread) return false;
  for (const { message } of connection.session?.window?.unacknowledged() ?? []) {
    if (commandOf(message) === id) return true;
  }
  const behind = command.device === device ? {} : { device: command.device };
  const topic = commandTopicOf(device);
  const outcome = connection.deliver({
    topic,
    payload: Buffer.from(JSON.stringify({ id, ...behind, ...commandPayload(command) })),
    qos: qos === 0 ? 0 : 1,
    expiresAtMs: nowMs + expiresInMs,
    properties: {
      isText: true,
      contentType: 'application/json',
      responseTopic: `${mqttTopicFromPath(device)}/reply`,
      correlationData: Buffer.from(id),
    },
    context: { command: id } satisfies SentCommand,
  });
  if (outcome === 'sent' && qos > 0 && connection.session?.subscriptions?.get(topic)?.qos === 0)
    session.commandReceived(id);
  if (outcome !== 'too_large') return outcome === 'sent';
  const message = 'the command is larger than the Maximum Packet Size of the device';
  session.commandReplied({ id, state: 'failed', code: 'too_large', message });
  return true;
}

/** Passes on the PUBACK of a command. `reason`: from 0x80 on the device has refused it. */
export function commandAcknowledged(message: OutboundMessage, reason: number, session: CommandReceiver): void {
  const id = commandOf(message);
  if (id === undefined) return;
  if (reason < reasons.unspecified) session.commandReceived(id);
  else {
    const text = `the device has refused the message with the reason code 0x${reason.toString(16)}`;
    session.commandReplied({ id, state: 'failed', code: 'unavailable', message: text });
  }
}

/**
 * Returns the reply of a PUBLISH. The Correlation Data of MQTT 5 is the ID of the command if the payload has none.
 * Throws `invalid_message` and `invalid_report`.
 */
export function replyFrom({ payload, properties }: InboundMessage): CommandReply {
  const text = textFrom(payload);
  const value = exactReplyOf(parseJson(text, 1), () => jsonWithDigits(text));
  const correlation = properties?.correlationData;
  if (correlation === undefined || !isObject(value) || 'id' in value || 'command' in value)
    return commandReplyFrom(value);
  return commandReplyFrom({ ...value, command: correlation.toString() });
}

/** A message of a session that another node had has no context: the ID is in its Correlation Data. */
function commandOf({ context, topic, properties }: OutboundMessage): string | undefined {
  if (context !== undefined) return (context as SentCommand).command;
  const { correlationData } = properties ?? {};
  if (correlationData === undefined || !topic.endsWith('/command')) return undefined;
  return Buffer.from(correlationData).toString();
}
