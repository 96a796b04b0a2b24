import { shown, type TailraceError } from '@tailrace/protocol/error';
import { assertPattern, patternCovers } from '@tailrace/protocol/pattern';
import { isPlainText } from '@tailrace/protocol/text';
import { refusal } from './credential-refusal.ts';

/** The claims of a token. */
export interface Claims {
  /** Its subject; `sub`. */
  readonly subject: string;
  /** Its issuer; `iss`. Undefined: the token has none. */
  readonly issuer?: string;
  /** Its ID; `jti`, by which it can be revoked. */
  readonly tokenId?: string;
  /**
   * First segment of all its devices; `tenant`. All patterns are within it. Undefined: there is no such restriction.
   */
  readonly tenant?: string;
  /** Roles of its bearer; `roles`. At most 32, of 64 characters each. Undefined: none. */
  readonly roles?: readonly string[];
  /** Patterns of the devices that its bearer may publish. */
  readonly publish: readonly string[];
  /** Patterns of the devices to which its bearer may subscribe. */
  readonly subscribe: readonly string[];
  /** Patterns of the devices that its bearer may command. Undefined: none. */
  readonly command?: readonly string[];
  /**
   * Patterns of the devices whose commands a session of its bearer receives. Undefined: the device of the session, if
   * `publish` names exactly that path.
   */
  readonly receiveCommands?: readonly string[];
  /** Epoch ms; `iat`. */
  readonly issuedAt?: number;
  /** Epoch ms; `exp`. Undefined: never. The verifier accepts the token for its clock tolerance longer. */
  readonly expiresAt?: number;
}

/** What the verifier requires of claims beyond their form. */
export interface ClaimRules {
  /** The required `iss`. Undefined: any. */
  readonly issuer?: string | undefined;
  /** The required `aud`, or one of its list. Undefined: any. */
  readonly audience?: string | undefined;
  /** Tolerance for differences between the issuer's clock and this one. */
  readonly clockToleranceMs: number;
  /** Whether a token without `exp` is refused. */
  readonly expiryRequired: boolean;
}

export type Payload = Readonly<Record<string, unknown>>;

const patternsMax = 256;
const rolesMax = 32;
const roleCharactersMax = 64;
/** Of `sub` and `jti`. */
export const claimCharactersMax = 200;
/** Of `iss`, which is often a URL. */
const issuerCharactersMax = 1_000;

/**
 * Returns the claims of a token (RFC 7519, section 4.1) whose signature, times, issuer and audience jose has checked,
 * as of `nowMs`. Throws `unauthorized` with a message that starts with its verb ("expired at …"), so that the caller
 * can prepend the token. A missing claim grants nothing.
 */
export function claimsFromPayload(payload: Payload, rules: ClaimRules, nowMs: number): Claims {
  const times = checkedTimes(payload, rules, nowMs);
  const { sub, jti, iss } = payload;
  if (iss !== undefined && !isText(iss, issuerCharactersMax))
    throw refused(
      `has the issuer ${shown(iss)} (iss); expected a text of 1 to ${issuerCharactersMax} characters without control characters`,
    );
  if (!isClaimName(sub)) throw refused(`has ${shown(sub)} as its subject (sub); expected ${nameForm}`);
  if (jti !== undefined && !isClaimName(jti)) throw refused(`has ${shown(jti)} as its ID (jti); expected ${nameForm}`);
  const tenant = tenantFrom(payload);
  const command = payload['command'] === undefined ? undefined : patternsFrom(payload, 'command', tenant);
  const received =
    payload['receiveCommands'] === undefined ? undefined : patternsFrom(payload, 'receiveCommands', tenant);
  const roles = rolesFrom(payload);
  return Object.freeze({
    subject: sub,
    ...(iss === undefined ? {} : { issuer: iss }),
    ...(jti === undefined ? {} : { tokenId: jti }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(roles === undefined ? {} : { roles }),
    publish: patternsFrom(payload, 'publish', tenant),
    subscribe: patternsFrom(payload, 'subscribe', tenant),
    ...(command === undefined ? {} : { command }),
    ...(received === undefined ? {} : { receiveCommands: received }),
    ...times,
  });
}

/** Returns whether the token has expired. */
export function isExpired({ expiresAt }: Pick<Claims, 'expiresAt'>, clockToleranceMs: number, nowMs: number): boolean {
  return expiresAt !== undefined && expiresAt + clockToleranceMs <= nowMs;
}

/** A claim that jose refuses, as jose reports it. */
export interface RefusedClaim {
  readonly claim: string;
  readonly reason: string;
  readonly payload: Payload;
}

/** Returns the reason for a claim that jose has refused, in the form of `claimsFromPayload`. */
export function refusedClaimReason({ claim, reason, payload }: RefusedClaim, rules: ClaimRules, nowMs: number): string {
  const value = payload[claim];
  if (claim === 'iss') return `is from the issuer ${shown(value)} (iss); expected ${shown(rules.issuer)}`;
  if (claim === 'aud') return `is for ${shown(value)} (aud); expected ${shown(rules.audience)}`;
  if (reason === 'missing') return 'has no expiry (exp); expected one: get a new token';
  if (!isSeconds(value)) return timeReason(claim, value);
  if (claim === 'exp') return expiredReason(value * 1_000, nowMs);
  return `is not valid before ${timeText(value * 1_000)}; it is ${timeText(nowMs)} here: wait, or check the clocks`;
}

/** Returns the times in ms, which jose has compared in seconds; throws for what jose does not check. */
function checkedTimes(payload: Payload, rules: ClaimRules, nowMs: number): Pick<Claims, 'issuedAt' | 'expiresAt'> {
  const [expiresAt, issuedAt] = [timeMs(payload, 'exp'), timeMs(payload, 'iat')];
  timeMs(payload, 'nbf');
  // jose compares with the whole second before now.
  if (isExpired(expiresAt === undefined ? {} : { expiresAt }, rules.clockToleranceMs, nowMs))
    throw refusal('expired', expiredReason(expiresAt!, nowMs));
  if (issuedAt !== undefined && issuedAt > nowMs + rules.clockToleranceMs)
    throw refused(
      `was issued at ${timeText(issuedAt)} (iat), in the future; it is ${timeText(nowMs)} here: check the clocks`,
    );
  return { ...(issuedAt === undefined ? {} : { issuedAt }), ...(expiresAt === undefined ? {} : { expiresAt }) };
}

function expiredReason(expiresAt: number, nowMs: number): string {
  return `expired at ${timeText(expiresAt)}; it is ${timeText(nowMs)} here: get a new one`;
}

/**
 * The limit of times in claims: the year 5138. A larger number is probably in milliseconds, which have been above it
 * since 1973: in seconds, a token for one hour would be valid for 50,000 years. This also refuses the end of the year
 * 9999, which some issuers use for "never".
 */
const claimSecondsMax = 1e11;

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) < claimSecondsMax;
}

function timeMs(payload: Payload, claim: 'exp' | 'nbf' | 'iat'): number | undefined {
  const seconds = payload[claim];
  if (seconds === undefined) return undefined;
  if (isSeconds(seconds)) return seconds * 1_000;
  throw refused(timeReason(claim, seconds));
}

function timeReason(claim: string, value: unknown): string {
  if (typeof value === 'number')
    return `has ${claim} ${value}; expected seconds since 1970 below ${claimSecondsMax} (the year 5138); the value is probably in milliseconds`;
  return `has ${claim} ${shown(value)}; expected seconds since 1970`;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

const nameForm = `a text of 1 to ${claimCharactersMax} characters without control characters`;

/** Returns whether the value is valid as subject or ID of a token, and in Protobuf. */
export function isClaimName(value: unknown): value is string {
  return isText(value, claimCharactersMax);
}

function isText(value: unknown, charactersMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= charactersMax && isPlainText(value);
}

function tenantFrom({ tenant }: Payload): string | undefined {
  if (tenant === undefined) return undefined;
  if (typeof tenant === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(tenant)) return tenant;
  throw refused(`has ${shown(tenant)} as its tenant; expected the first segment of its devices' paths ("plant1")`);
}

function rolesFrom({ roles }: Payload): readonly string[] | undefined {
  if (roles === undefined) return undefined;
  const isRole = (role: unknown) => isText(role, roleCharactersMax);
  if (Array.isArray(roles) && roles.length <= rolesMax && roles.every(isRole)) return Object.freeze(roles as string[]);
  throw refused(
    `has ${shown(roles)} as roles; expected a list of at most ${rolesMax} texts of 1 to ${roleCharactersMax} characters without control characters`,
  );
}

type Right = 'publish' | 'subscribe' | 'command' | 'receiveCommands';

function patternsFrom(payload: Payload, right: Right, tenant: string | undefined): readonly string[] {
  const value = payload[right] ?? [];
  if (!Array.isArray(value) || value.length > patternsMax)
    throw refused(`has ${shown(value)} as ${right}; expected a list of at most ${patternsMax} patterns`);
  for (const pattern of value) {
    try {
      assertPattern(pattern);
    } catch (error) {
      throw refused(`grants ${right} on an invalid pattern; ${(error as Error).message}`, error);
    }
    if (tenant !== undefined && pattern !== tenant && !patternCovers(`${tenant}.>`, pattern))
      throw refused(
        `grants ${right} on ${shown(pattern)}, outside its tenant ${shown(tenant)}; expected patterns within "${tenant}.>"`,
      );
  }
  return Object.freeze(value as string[]);
}

function refused(reason: string, cause?: unknown): TailraceError {
  return refusal('invalid', reason, cause);
}
