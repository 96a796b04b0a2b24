/** Why a server closes a stream. */
export interface CloseCode {
  readonly code: number;
  /** Sent in the close frame. At most 123 bytes (RFC 6455 section 5.5). */
  readonly reason: string;
}

/**
 * All close codes of the protocol. 40xx: reconnect. 44xx: do not reconnect until something changes. 1012 and 1013 are
 * the WebSocket registry's "service restart" and "try again later".
 */
export const closeCodes = {
  restarting: { code: 1012, reason: 'the server restarts' },
  tryAgain: { code: 1013, reason: 'try again later' },
  heartbeatTimeout: { code: 4001, reason: 'heartbeat timeout' },
  tooSlow: { code: 4002, reason: 'too slow' },
  moved: { code: 4003, reason: 'another node serves the channel' },
  protocolError: { code: 4400, reason: 'invalid message' },
  unauthorized: { code: 4401, reason: 'the token is missing, invalid or expired' },
  forbidden: { code: 4403, reason: 'the token does not cover the request' },
  noAuth: { code: 4408, reason: 'no auth message in time' },
  replaced: { code: 4409, reason: 'a newer session replaced this one' },
  messageTooLarge: { code: 4413, reason: 'message too large' },
  rateExceeded: { code: 4429, reason: 'too many messages' },
} as const satisfies Record<string, CloseCode>;

export type CloseName = keyof typeof closeCodes;

/** Codes of RFC 6455 for errors of the client, or sent by the client: a reconnect would fail in the same way. */
const finalCodes: ReadonlySet<number> = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);

/** Returns the name of a code of `closeCodes`; undefined for others. */
export function closeNameOf(code: number): CloseName | undefined {
  const names = Object.keys(closeCodes) as CloseName[];
  return names.find((name) => closeCodes[name].code === code);
}

/**
 * Returns whether a client reconnects by itself, with backoff, after a close with this code. Codes of this protocol, of
 * later versions too, go by their hundred. After codes of the network or a proxy (1001, 1006, 1011 to 1014 …) a client
 * reconnects.
 */
export function mayReconnect(code: number): boolean {
  return code >= 4000 ? code < 4400 || code >= 4500 : !finalCodes.has(code);
}
