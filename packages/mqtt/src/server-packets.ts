import { truncatedReason } from './acks.ts';
import { type ConnackPacket, encodePacket } from './codec.ts';
import type { ConnectRequest } from './connect-request.ts';
import { type MqttVersion, mqttReasons, reasonsOf, returnCodeFrom } from './reason.ts';
import type { ServerLimits } from './server-options.ts';

export interface Granted {
  readonly isSessionPresent: boolean;
  /** Whether the keep-alive of the client is longer than the limit, or 0. */
  readonly isKeepAliveTooLong: boolean;
  readonly sessionExpirySeconds: number;
  /** User properties; left out where the packet would be too large (MQTT-3.2.2-20). */
  readonly userProperties: Readonly<Record<string, string>> | undefined;
}

/** Returns the CONNACK of a client that is accepted, with what differs from its request. */
export function acceptedPacket(request: ConnectRequest, limits: ServerLimits, granted: Granted): Buffer {
  const { isSessionPresent: sessionPresent, isKeepAliveTooLong, sessionExpirySeconds, userProperties } = granted;
  if (request.version === 4) return encodePacket({ cmd: 'connack', returnCode: 0, sessionPresent }, 4);
  const properties: NonNullable<ConnackPacket['properties']> = {
    receiveMaximum: limits.receiveMaximum,
    maximumPacketSize: limits.packetBytesMax,
    topicAliasMaximum: limits.topicAliasMaximum,
    sharedSubscriptionAvailable: false,
    subscriptionIdentifiersAvailable: false,
  };
  if (request.isAssigned) properties.assignedClientIdentifier = request.clientId;
  if (isKeepAliveTooLong) properties.serverKeepAlive = limits.keepAliveSecondsMax;
  if (sessionExpirySeconds !== request.sessionExpirySeconds) properties.sessionExpiryInterval = sessionExpirySeconds;
  const packetWith = (more: Pick<typeof properties, 'userProperties'>) =>
    encodePacket({ cmd: 'connack', reasonCode: 0, sessionPresent, properties: { ...properties, ...more } }, 5);
  if (userProperties === undefined) return packetWith({});
  const packet = packetWith({ userProperties });
  return packet.length <= request.packetBytesMax ? packet : packetWith({});
}

/**
 * Returns the CONNACK of a client that is refused, with session present 0 (MQTT-3.2.2-4 of 3.1.1, MQTT-3.2.2-6 of 5);
 * undefined where MQTT 3.1.1 has no return code for the reason (MQTT-3.2.2-6).
 */
export function refusedPacket(
  version: MqttVersion,
  reason: number,
  message: string,
  packetBytesMax: number,
): Buffer | undefined {
  // CONNACK has no code for a server that shuts down.
  const sent = reason === mqttReasons.serverShuttingDown ? mqttReasons.serverUnavailable : reason;
  if (version === 5) return withReasonString('connack', sent, message, packetBytesMax);
  const returnCode = returnCodeFrom(reason);
  return returnCode === undefined ? undefined : encodePacket({ cmd: 'connack', returnCode, sessionPresent: false }, 4);
}

/** Returns the DISCONNECT of MQTT 5; 3.1.1 has none of a server. */
export function disconnectPacket(reason: number, message: string, packetBytesMax: number): Buffer {
  return withReasonString('disconnect', reason, message, packetBytesMax);
}

/** MQTT-3.2.2-19, MQTT-3.14.2-3: without the Reason String where the packet would be too large. */
function withReasonString(
  cmd: 'connack' | 'disconnect',
  reason: number,
  message: string,
  packetBytesMax: number,
): Buffer {
  // MQTT-3.2.2-8, MQTT-3.14.2-1: a code of the table of the packet alone.
  const reasonCode = reasonsOf[cmd].has(reason) ? reason : mqttReasons.unspecified;
  const packetWith = (properties: { reasonString?: string }) =>
    encodePacket(
      cmd === 'connack' ? { cmd, reasonCode, sessionPresent: false, properties } : { cmd, reasonCode, properties },
      5,
    );
  const packet = packetWith({ reasonString: truncatedReason(message) });
  return packet.length <= packetBytesMax ? packet : packetWith({});
}
