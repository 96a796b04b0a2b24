/** Why a server closes a stream. */
export interface CloseCode {
  readonly code: number;
  /** Goes into the close frame. Under 123 bytes (RFC 6455 section 5.5). */
  readonly reason: string;
}

/** The closed list. 40xx: come back. 44xx: do not, until something changes. 1012 and 1013 are the WebSocket registry's "service restart" and "try again later". */
export const closeCodes = {
  restarting: { code: 1012, reason: 'the server restarts; come back' },
  tryAgain: { code: 1013, reason: 'not now; come back' },
  heartbeatTimeout: { code: 4001, reason: 'nothing was heard of you; come back' },
  tooSlow: { code: 4002, reason: 'you read too slowly; come back' },
  moved: { code: 4003, reason: 'the channel is served elsewhere now; come back' },
  protocolError: { code: 4400, reason: 'a message was not understood' },
  unauthorized: { code: 4401, reason: 'the token is missing, wrong or expired' },
  forbidden: { code: 4403, reason: 'the token does not allow this' },
  noAuth: { code: 4408, reason: 'no auth message came in time' },
  replaced: { code: 4409, reason: 'a newer session took over' },
  messageTooLarge: { code: 4413, reason: 'a message was too large' },
  rateExceeded: { code: 4429, reason: 'too many messages' },
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
 * Whether a client comes back by itself, with backoff, after a close with this code, ours or not: codes of this and of
 * later versions go by their hundred, and what the network or a proxy did (1001, 1006, 1011 to 1014 …) is worth another
 * try.
 */
export function mayReconnect(code: number): boolean {
  return code >= 4000 ? code < 4400 || code >= 4500 : !finalCodes.has(code);
}
