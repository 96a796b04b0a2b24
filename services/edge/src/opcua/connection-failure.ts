import { backoffMs } from '@tailrace/protocol/backoff';
import type { StatusName } from './opcua-port.ts';

/*
 * What follows a failure of a connection, by its status.
 */

/** Returns whether a status is one of the Bad ones. */
export function isBadStatus(status: StatusName): boolean {
  return status.startsWith('Bad');
}

/** Returns whether the server refused this one request, and others may succeed. */
export function isRefusal(status: StatusName): boolean {
  return isBadStatus(status) && lossFrom(status) === 'all';
}

/**
 * What is lost: the `channel`, whose session goes on on the next one; the `session`, whose subscriptions a new one
 * takes over; or `all`: session and subscriptions are closed and made again.
 */
export function lossFrom(status: StatusName): 'channel' | 'session' | 'all' {
  if (status === 'closed' || status === 'timeout' || channelStatus.test(status)) return 'channel';
  return sessionStatuses.has(status) ? 'session' : 'all';
}

const channelStatus = /^Bad(SecureChannel|Connection|Communication|Tcp|ServerHalted|Shutdown|NotConnected|Timeout)/;
const sessionStatuses: ReadonlySet<StatusName> = new Set([
  'BadSessionIdInvalid',
  'BadSessionClosed',
  'BadSessionNotActivated',
]);

const reconnect = { baseMs: 1_000, capMs: 60_000 };
const untrustedMs = 30_000;
const sessionsUsedUpMs = 60_000;
/** A wrong password that is repeated quickly may lock the account. */
const refusedMs = 30_000;
const refusals: ReadonlySet<StatusName> = new Set([
  'BadUserAccessDenied',
  'BadIdentityTokenInvalid',
  'BadIdentityTokenRejected',
]);

export interface NextAttempt {
  readonly waitMs: number;
  readonly state: 'waiting' | 'untrusted';
  /** Only a person can change it. */
  readonly isError: boolean;
}

/** Returns when the next attempt follows. `attempt`: those that failed since values came. */
export function nextAttempt(status: StatusName, attempt: number, random: () => number): NextAttempt {
  if (status === 'untrusted') return { waitMs: untrustedMs, state: 'untrusted', isError: true };
  if (status === 'BadTooManySessions') return { waitMs: sessionsUsedUpMs, state: 'waiting', isError: true };
  if (status === 'no_endpoint' || refusals.has(status)) return { waitMs: refusedMs, state: 'waiting', isError: true };
  return { waitMs: backoffMs(attempt, random, reconnect), state: 'waiting', isError: false };
}
