import type { LeaseTransition } from '@tailrace/client/control';
import { matchesOne } from './token-claims.ts';

/** Leases over a device: the last transition of each scope. */
export type Leases = ReadonlyMap<string, LeaseTransition>;

/** Returns the leases with one more transition. One of an earlier holder, and one that comes twice, change nothing. */
export function withLease(leases: Leases, transition: LeaseTransition): Leases {
  const known = leases.get(transition.scope);
  if (known !== undefined && (known.token > transition.token || known.time > transition.time)) return leases;
  return new Map(leases).set(transition.scope, transition);
}

/** Returns the lease that covers the device at a time; undefined: none. */
export function leaseOver(device: string, leases: Leases, nowMs: number): LeaseTransition | undefined {
  for (const lease of leases.values()) {
    const { scope, holder, until = 0 } = lease;
    if (matchesOne([scope], device) && holder !== undefined && until > nowMs) return lease;
  }
  return undefined;
}
