/** Why a server closes a stream. */
export interface CloseCode {
  readonly code: number;
  /** Goes into the close frame. Under 123 bytes (RFC 6455 section 5.5). */
  readonly reason: string;
  /** Whether the client comes back by itself, with backoff. */
  readonly mayReconnect: boolean;
}

/** The closed list. 40xx: come back. 44xx: do not, until something changes. 1012 and 1013 are the WebSocket registry's "service restart" and "try again later". */
export const closeCodes = {
  restarting: { code: 1012, reason: 'the server restarts; come back', mayReconnect: true },
  tryAgain: { code: 1013, reason: 'not now; come back', mayReconnect: true },
  heartbeatTimeout: { code: 4001, reason: 'nothing was heard of you; come back', mayReconnect: true },
  tooSlow: { code: 4002, reason: 'you read too slowly; come back', mayReconnect: true },
  moved: { code: 4003, reason: 'the channel is served elsewhere now; come back', mayReconnect: true },
  protocolError: { code: 4400, reason: 'a message was not understood', mayReconnect: false },
  unauthorized: { code: 4401, reason: 'the token is missing, wrong or expired', mayReconnect: false },
  forbidden: { code: 4403, reason: 'the token does not allow this', mayReconnect: false },
  noAuth: { code: 4408, reason: 'no auth message came in time', mayReconnect: false },
  replaced: { code: 4409, reason: 'a newer session took over', mayReconnect: false },
  messageTooLarge: { code: 4413, reason: 'a message was too large', mayReconnect: false },
  rateExceeded: { code: 4429, reason: 'too many messages', mayReconnect: false },
} as const satisfies Record<string, CloseCode>;

export type CloseName = keyof typeof closeCodes;

/** Codes of RFC 6455 that blame the client, or that it sent itself: the same again would end the same. */
const finalCodes: ReadonlySet<number> = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);

/** The name of one of our codes; undefined for others. */
export function closeNameOf(code: number): CloseName | undefined {
  const names = Object.keys(closeCodes) as CloseName[];
  return names.find((name) => closeCodes[name].code === code);
}

/**
 * Whether a client comes back by itself after a close with this code, ours or not: a code of a later version goes by its hundred, and what
 * the network or a proxy did (1001, 1006, 1011 to 1014 …) is worth another try.
 */
export function mayReconnect(code: number): boolean {
  const name = closeNameOf(code);
  if (name !== undefined) return closeCodes[name].mayReconnect;
  return code >= 4000 ? code < 4400 || code >= 4500 : !finalCodes.has(code);
}
