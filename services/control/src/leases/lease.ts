import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertPattern, patternCovers } from '@tailrace/protocol/pattern';

/*
 * Exclusive control of a device or a subtree. While a lease is valid, only its holder may command what it covers, with
 * its fencing token: of two leases the later one has the higher token, and ingest refuses a command with a lower one
 * than it has sent to the device before. So a holder that was delayed cannot act after its successor.
 */

export interface Lease {
  /** A device path, or a pattern. */
  readonly scope: string;
  /** Fencing token. */
  readonly token: number;
  /** Subject of the holder's token. */
  readonly holder: string;
  readonly acquired: number;
  /** Epoch ms by the clock of control. */
  readonly until: number;
}

export type LeaseAction = 'acquire' | 'renew' | 'release' | 'take_over';

export const leaseLimits = {
  forMsDefault: 60_000,
  forMsMin: 1_000,
  forMsMax: 8 * 3_600_000,
  /** Leases of one subject. */
  heldMax: 100,
} as const;

/** Returns whether two scopes have a device in common. */
export function overlaps(a: string, b: string): boolean {
  return patternCovers(a, b) || patternCovers(b, a);
}

/** Returns whether a lease is valid at a time. */
export function isValid({ until }: Pick<Lease, 'until'>, nowMs: number): boolean {
  return until > nowMs;
}

/** Returns the scopes that cover a device: `a.b`, `a.>`, `>` for `a.b`. */
export function scopesOver(device: string): readonly string[] {
  const segments = device.split('.');
  const above = segments.slice(1).map((_, index) => `${segments.slice(0, index + 1).join('.')}.>`);
  return [device, ...above, '>'];
}

/** Returns the key of the records of a lease: its scope without `.>`; `>` for all devices. */
export function keyOfScope(scope: string): string {
  return scope.endsWith('.>') ? scope.slice(0, -2) : scope;
}

/** Returns the duration of a lease. Throws `invalid_message`. `forMs` 0: the default. */
export function durationFrom(forMs: number): number {
  const { forMsDefault, forMsMin, forMsMax } = leaseLimits;
  if (forMs === 0) return forMsDefault;
  if (forMs >= forMsMin && forMs <= forMsMax) return forMs;
  throw new TailraceError('invalid_message', `forMs: expected ${forMsMin} to ${forMsMax}, got ${shown(forMs)}`);
}

/** Throws `invalid_pattern`, and `invalid_message` for all devices of all tenants. */
export function assertScope(scope: string): void {
  assertPattern(scope);
  if (scope === '>')
    throw new TailraceError('invalid_message', 'scope: expected a device path or a pattern with a tenant, got ">"');
}

/** The request of a subject about a scope. */
export interface LeaseClaim {
  readonly scope: string;
  readonly action: LeaseAction;
  readonly subject: string;
  /** Of the lease to renew or release; 0: none was sent. */
  readonly token: number;
  readonly forMs: number;
  readonly maySupersede: boolean;
}

/** What a claim does: the new lease, or none; those that it removes. */
export interface LeaseChange {
  /** Undefined: the scope is free. `token` 0: a new one. */
  readonly lease: Lease | undefined;
  readonly removed: readonly Lease[];
}

/**
 * Returns what a claim changes. `overlapping`: all leases that overlap with the scope, also expired ones. Throws
 * `conflict` and `forbidden`.
 */
export function claimed(claim: LeaseClaim, overlapping: readonly Lease[], nowMs: number): LeaseChange {
  const { scope, action, subject, token, forMs } = claim;
  const until = nowMs + forMs;
  const expired = overlapping.filter((lease) => !isValid(lease, nowMs));
  const valid = overlapping.filter((lease) => isValid(lease, nowMs));
  const own = valid.find((lease) => lease.scope === scope && lease.holder === subject);
  const fresh: Lease = { scope, token: 0, holder: subject, acquired: nowMs, until };
  switch (action) {
    case 'acquire': {
      // Repeated by a holder that has not received the reply.
      if (own !== undefined) return { lease: { ...own, until: Math.max(until, own.until) }, removed: [] };
      const [other] = valid;
      if (other !== undefined) throw held(scope, other, nowMs);
      return { lease: fresh, removed: expired };
    }
    case 'take_over': {
      if (!claim.maySupersede)
        throw new TailraceError('forbidden', 'expected a token with the role "supervisor" to take over a lease');
      const covering = valid.find((lease) => lease.scope !== scope && patternCovers(lease.scope, scope));
      if (covering !== undefined)
        throw new TailraceError('conflict', `scope: expected ${covering.scope}, whose lease covers it, got ${scope}`);
      return { lease: fresh, removed: overlapping };
    }
    case 'renew':
    case 'release': {
      if (own === undefined || own.token !== token) throw notHeld(scope, token, valid);
      return action === 'release' ? { lease: undefined, removed: [own] } : { lease: { ...own, until }, removed: [] };
    }
  }
}

/** With the time that is left: readers have other time zones than this process. */
function held(scope: string, { holder, until, scope: other }: Lease, nowMs: number): TailraceError {
  const seconds = Math.ceil((until - nowMs) / 1_000);
  const time = seconds > 180 ? `${Math.ceil(seconds / 60)} min` : `${seconds} s`;
  return new TailraceError(
    'conflict',
    `${scope}: expected no other lease, got ${other} of ${shown(holder)} for ${time} more`,
  );
}

function notHeld(scope: string, token: number, valid: readonly Lease[]): TailraceError {
  const other = valid.find((lease) => lease.scope === scope);
  const state = other === undefined ? 'it has none' : `it has ${other.token} of ${shown(other.holder)}`;
  const got = token === 0 ? 'none' : token;
  return new TailraceError('conflict', `token: expected that of the lease of ${scope}, got ${got}: ${state}`);
}

/**
 * Returns the fence of a command. `covering`: the valid lease that covers its device. `token`: that of the sender's
 * lease; 0: none was sent. `nowMs`: epoch ms. Throws `conflict` if another subject holds the lease, or the token is not
 * that of it.
 */
export function fenceFor(
  { device, sender, token }: { readonly device: string; readonly sender: string; readonly token: number },
  covering: Lease | undefined,
  nowMs: number,
): number {
  if (covering === undefined) {
    if (token === 0) return 0;
    throw new TailraceError('conflict', `lease: expected the token of a valid lease of ${device}, got ${token}`);
  }
  if (covering.holder !== sender) throw held(device, covering, nowMs);
  if (token !== 0 && token !== covering.token)
    throw new TailraceError('conflict', `lease: expected ${covering.token}, got ${token}`);
  return covering.token;
}
