import { type Rights, rightsFrom } from '@tailrace/platform/access';
import type { Claims } from '@tailrace/platform/token-claims';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { tailrace } from '@tailrace/protocol/generated';

/**
 * Roles of tokens that control knows, beside the rights to devices:
 * - `engineer`: changes rules, registry, scenes and schedules;
 * - `supervisor`: takes over leases, and confirms marked commands as the second person;
 * - `auditor`: reads the audit.
 */
export type Role = 'engineer' | 'supervisor' | 'auditor';

/** Who requests something of control: a person or program with a verified token. */
export interface Requester {
  readonly subject: string;
  /** '' for a token without one. */
  readonly tokenId: string;
  /** Of the client, for the audit; '' for work of control itself. */
  readonly address: string;
  /** '' for a token without one. */
  readonly tenant: string;
  readonly roles: readonly string[];
  /** Patterns of the devices that they may command. */
  readonly command: readonly string[];
  /** Patterns of the devices that they may see. */
  readonly subscribe: readonly string[];
  /** W3C Trace Context; '' for none. */
  readonly traceparent: string;
}

const rights = new WeakMap<Requester, { readonly command: Rights; readonly subscribe: Rights }>();

function rightsOf(requester: Requester): { readonly command: Rights; readonly subscribe: Rights } {
  let known = rights.get(requester);
  if (known === undefined) {
    known = { command: rightsFrom(requester.command), subscribe: rightsFrom(requester.subscribe) };
    rights.set(requester, known);
  }
  return known;
}

/** Returns whether the requester may command all devices of a path or pattern. */
export function mayCommand(requester: Requester, scope: string): boolean {
  return rightsOf(requester).command.allowsChannel(scope);
}

/** Returns whether the requester may see all devices of a path or pattern. What they may command they may see. */
export function maySee(requester: Requester, scope: string): boolean {
  return rightsOf(requester).subscribe.allowsChannel(scope) || mayCommand(requester, scope);
}

/** Throws `forbidden` if the requester may not command all devices of a path or pattern. */
export function assertMayCommand(requester: Requester, scope: string): void {
  if (mayCommand(requester, scope)) return;
  throw new TailraceError('forbidden', `expected a token that may command ${scope}, got ${shown(requester.command)}`);
}

/** Throws `forbidden` if the requester may not see all devices of a path or pattern. */
export function assertMaySee(requester: Requester, scope: string): void {
  if (maySee(requester, scope)) return;
  throw new TailraceError('forbidden', `expected a token that may see ${scope}, got ${shown(requester.subscribe)}`);
}

/** Throws `forbidden` if the requester has none of the roles. */
export function assertRole(requester: Requester, ...roles: readonly Role[]): void {
  if (roles.some((role) => requester.roles.includes(role))) return;
  throw new TailraceError(
    'forbidden',
    `expected a token with the role ${roles.map(shown).join(' or ')}, got the roles ${shown(requester.roles)}`,
  );
}

/** Throws `forbidden` for a token of one tenant: what follows concerns all of them. */
export function assertAllTenants({ tenant }: Requester): void {
  if (tenant === '') return;
  throw new TailraceError('forbidden', `expected a token without a tenant, got the tenant ${shown(tenant)}`);
}

/** Returns the requester of an HTTP request with verified claims. */
export function requesterFromClaims(claims: Claims, address: string, traceparent: string): Requester {
  const { subject, tokenId = '', tenant = '', roles = [], command = [], subscribe } = claims;
  return { subject, tokenId, address, tenant, roles, command, subscribe, traceparent };
}

/** Returns the requester of a request over the bus, whose sender has verified the claims. Throws `invalid_message`. */
export function requesterFromMessage(
  message: tailrace.v1.IRequester | null | undefined,
  traceparent: string,
): Requester {
  const { subject, tokenId, address, tenant, roles, command, subscribe } = message ?? {};
  if (!subject) throw new TailraceError('invalid_message', 'requester: expected a subject, got none');
  return {
    ...{ subject, tokenId: tokenId ?? '', address: address ?? '', tenant: tenant ?? '' },
    ...{ roles: roles ?? [], command: command ?? [], subscribe: subscribe ?? [], traceparent },
  };
}
