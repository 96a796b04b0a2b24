import { mqttReasons as reasons } from '@tailrace/mqtt/reason';
import { type CloseName, closeCodes } from '@tailrace/protocol/close';
import { lostCode } from '../devices/device-socket.ts';

type Reasons = Readonly<Record<CloseName, number>>;

/** Reason codes of DISCONNECT for the closes of a session. */
export const disconnectReasons: Reasons = {
  restarting: reasons.serverShuttingDown,
  tryAgain: reasons.serverBusy,
  heartbeatTimeout: reasons.keepAliveTimeout,
  tooSlow: reasons.quotaExceeded,
  moved: reasons.serverShuttingDown,
  protocolError: reasons.protocolError,
  unauthorized: reasons.notAuthorized,
  forbidden: reasons.notAuthorized,
  noAuth: reasons.notAuthorized,
  replaced: reasons.sessionTakenOver,
  messageTooLarge: reasons.packetTooLarge,
  rateExceeded: reasons.messageRateTooHigh,
};

/**
 * Reason codes of CONNACK, where the session is not open yet. 0x88 for a server that stops: clients treat codes that
 * name another server as final.
 */
export const connackReasons: Reasons = {
  ...disconnectReasons,
  restarting: reasons.serverUnavailable,
  moved: reasons.serverUnavailable,
  tryAgain: reasons.serverUnavailable,
  unauthorized: reasons.badUserNameOrPassword,
  noAuth: reasons.serverUnavailable,
  replaced: reasons.serverBusy,
  rateExceeded: reasons.connectionRateExceeded,
};

const orderlyCode = 1000;

const closeOfReason: Readonly<Record<number, CloseName>> = {
  [reasons.serverShuttingDown]: 'restarting',
  [reasons.serverUnavailable]: 'tryAgain',
  [reasons.serverBusy]: 'tryAgain',
  [reasons.keepAliveTimeout]: 'heartbeatTimeout',
  [reasons.badUserNameOrPassword]: 'unauthorized',
  [reasons.notAuthorized]: 'forbidden',
  [reasons.sessionTakenOver]: 'replaced',
  [reasons.packetTooLarge]: 'messageTooLarge',
  [reasons.messageRateTooHigh]: 'rateExceeded',
  [reasons.connectionRateExceeded]: 'rateExceeded',
  [reasons.quotaExceeded]: 'tooSlow',
};

/** Returns the close code by which all protocols count the close of a connection. */
export function closeCodeOf(by: 'client' | 'server' | 'network', reason: number): number {
  if (by === 'network') return lostCode;
  if (by === 'client') return orderlyCode;
  // `MqttServer.unsupportedVersions` counts them.
  if (reason === reasons.unsupportedVersion) return orderlyCode;
  return closeCodes[closeOfReason[reason] ?? 'protocolError'].code;
}
