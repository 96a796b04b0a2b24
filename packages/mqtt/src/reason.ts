import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';

/** Reason codes of MQTT 5, section 2.4, by the names of the specification. Codes from 0x80 on are failures. */
export const mqttReasons = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedVersion: 0x84,
  clientIdInvalid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdInUse: 0x91,
  packetIdNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrative: 0x98,
  payloadFormatInvalid: 0x99,
  sharedSubscriptions: 0x9e,
  connectionRateExceeded: 0x9f,
  subscriptionIdentifiers: 0xa1,
} as const;

export type MqttVersion = 4 | 5;

export interface MqttErrorOptions {
  /** The version of the answer, where the packet with the error is the CONNECT that should have had one. */
  readonly version?: MqttVersion;
  readonly cause?: unknown;
}

const codeOfReason: Readonly<Record<number, ErrorCode>> = {
  [mqttReasons.badUserNameOrPassword]: 'unauthorized',
  [mqttReasons.notAuthorized]: 'forbidden',
  [mqttReasons.serverUnavailable]: 'unavailable',
  [mqttReasons.serverBusy]: 'unavailable',
  [mqttReasons.serverShuttingDown]: 'closed',
  [mqttReasons.keepAliveTimeout]: 'timeout',
  [mqttReasons.sessionTakenOver]: 'conflict',
  [mqttReasons.packetTooLarge]: 'too_large',
  [mqttReasons.messageRateTooHigh]: 'rate_limited',
  [mqttReasons.quotaExceeded]: 'limit_reached',
};

/** The reason for which one side closes a connection, or refuses a packet. The message may be sent to the peer. */
export class MqttError extends TailraceError {
  /** A reason code of MQTT 5. `returnCodeFrom` has its counterpart in MQTT 3.1.1. */
  readonly reason: number;
  readonly version: MqttVersion | undefined;

  constructor(reason: number, message: string, options: MqttErrorOptions = {}) {
    super(codeOfReason[reason] ?? 'invalid_message', message, options.cause === undefined ? {} : options);
    this.reason = reason;
    this.version = options.version;
  }
}

export function malformed(message: string): MqttError {
  return new MqttError(mqttReasons.malformedPacket, message);
}

export function protocolError(message: string): MqttError {
  return new MqttError(mqttReasons.protocolError, message);
}

/** Return codes of CONNACK in MQTT 3.1.1, table 3.1. A reason that is not listed closes the connection without one. */
const returnCodes: Readonly<Record<number, number>> = {
  [mqttReasons.success]: 0,
  [mqttReasons.unsupportedVersion]: 1,
  [mqttReasons.clientIdInvalid]: 2,
  [mqttReasons.serverUnavailable]: 3,
  [mqttReasons.serverBusy]: 3,
  [mqttReasons.serverShuttingDown]: 3,
  [mqttReasons.quotaExceeded]: 3,
  [mqttReasons.connectionRateExceeded]: 3,
  [mqttReasons.badUserNameOrPassword]: 4,
  [mqttReasons.notAuthorized]: 5,
};

/** Returns the return code of CONNACK in MQTT 3.1.1; undefined where the connection is closed without CONNACK. */
export function returnCodeFrom(reason: number): number | undefined {
  return returnCodes[reason];
}

const reasonOfReturnCode = [
  mqttReasons.success,
  mqttReasons.unsupportedVersion,
  mqttReasons.clientIdInvalid,
  mqttReasons.serverUnavailable,
  mqttReasons.badUserNameOrPassword,
  mqttReasons.notAuthorized,
] as const;

/** Returns the reason code for a return code of a CONNACK of MQTT 3.1.1; undefined for a code that it has not. */
export function reasonFromReturnCode(returnCode: number): number | undefined {
  return reasonOfReturnCode[returnCode];
}

const reasonOfCode: Readonly<Partial<Record<ErrorCode, number>>> = {
  invalid_path: mqttReasons.topicNameInvalid,
  unauthorized: mqttReasons.notAuthorized,
  forbidden: mqttReasons.notAuthorized,
  limit_reached: mqttReasons.quotaExceeded,
  rate_limited: mqttReasons.quotaExceeded,
  internal: mqttReasons.unspecified,
};

/**
 * Returns the reason code of PUBACK or PUBREC for a message that was finally refused. Never pass a retryable error: the
 * sender must not send the message again after a negative acknowledgment (MQTT-4.4.0-2).
 */
export function reasonFrom(error: TailraceError): number {
  if (error instanceof MqttError) return error.reason;
  return reasonOfCode[error.code] ?? mqttReasons.implementationSpecific;
}

/** Reasons with which a server refuses a CONNECT in a way that another attempt does not change. */
const permanent: ReadonlySet<number> = new Set([
  ...[0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x90, 0x95, 0x99, 0x9a, 0x9b, 0x9c, 0x9d],
]);

/** Returns whether the reason of a CONNACK stays until somebody changes the settings of the client or of the server. */
export function isPermanent(reason: number): boolean {
  return permanent.has(reason);
}

/** The codes that MQTT 5 allows in each packet (sections 3.2.2.2, 3.4.2.1, 3.6.2.1, 3.9.3, 3.11.3, 3.14.2.1). */
export const reasonsOf = {
  connack: setOf(
    [0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90],
    [0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f],
  ),
  publishAck: setOf([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  release: setOf([0, 0x92]),
  suback: setOf([0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
  unsuback: setOf([0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
  disconnect: setOf(
    [0, 4, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96],
    [0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
  ),
} as const;

function setOf(...codes: readonly (readonly number[])[]): ReadonlySet<number> {
  return new Set(codes.flat());
}
