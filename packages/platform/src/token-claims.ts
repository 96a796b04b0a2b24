import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertPattern, patternCovers } from '@tailrace/protocol/pattern';
import { isPlainText } from '@tailrace/protocol/text';

/** What a token lets its bearer do. */
export interface Claims {
  /** Who it was issued to; `sub`. */
  readonly subject: string;
  /** Who issued it; `iss`. Undefined: the token does not say. */
  readonly issuer?: string;
  /** This one token; `jti`. By it a single token is revoked. */
  readonly tokenId?: string;
  /** First segment of every device that the token is about; `tenant`. All patterns lie in it. Undefined: no such promise. */
  readonly tenant?: string;
  /** What its bearer is in the issuer's eyes; `roles`. Undefined: nothing. At most 32, of 64 characters each. */
  readonly roles?: readonly string[];
  /** Patterns of the devices it may send readings of. */
  readonly publish: readonly string[];
  /** Patterns of the devices it may see. */
  readonly subscribe: readonly string[];
  /** Patterns of the devices it may command. Undefined: none. */
  readonly command?: readonly string[];
  /** Epoch ms; `iat`. */
  readonly issuedAt?: number;
  /** Epoch ms; `exp`. Undefined: never. The verifier takes the token for its clock tolerance longer. */
  readonly expiresAt?: number;
}

/** What the verifier demands of claims beyond their form. */
export interface ClaimRules {
  /** `iss` is this. Undefined: not looked at. */
  readonly issuer?: string | undefined;
  /** `aud` is this, or a list with it. Undefined: not looked at. */
  readonly audience?: string | undefined;
  /** By how much the issuer's clock may differ from this one. */
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
 * as of `nowMs`. Throws `unauthorized` with a sentence that starts with its verb ("expired at …"), so that the caller
 * puts the name of the token before it. A claim that is missing grants nothing.
 */
export function claimsFromPayload(payload: Payload, rules: ClaimRules, nowMs: number): Claims {
  const times = checkedTimes(payload, rules, nowMs);
  const { sub, jti, iss } = payload;
  if (iss !== undefined && !isText(iss, issuerCharactersMax))
    throw refused(
      `has the issuer ${shown(iss)} (iss); expected a text of 1 to ${issuerCharactersMax} characters without control characters`,
    );
  if (!isClaimName(sub)) throw refused(`has ${shown(sub)} as its subject (sub); ${nameForm} is right`);
  if (jti !== undefined && !isClaimName(jti)) throw refused(`has ${shown(jti)} as its ID (jti); ${nameForm} is right`);
  const tenant = tenantFrom(payload);
  const command = payload['command'] === undefined ? undefined : patternsFrom(payload, 'command', tenant);
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
    ...times,
  });
}

/** Whether the token is over. In one place, since the claims of a verified token are asked again and again. */
export function isOver({ expiresAt }: Pick<Claims, 'expiresAt'>, clockToleranceMs: number, nowMs: number): boolean {
  return expiresAt !== undefined && expiresAt + clockToleranceMs <= nowMs;
}

/** What jose reports of a claim that it refuses. */
export interface RefusedClaim {
  readonly claim: string;
  readonly reason: string;
  readonly payload: Payload;
}

/** Returns the sentence for a claim that jose has refused, as `claimsFromPayload` throws them. */
export function claimFault({ claim, reason, payload }: RefusedClaim, rules: ClaimRules, nowMs: number): string {
  const value = payload[claim];
  if (claim === 'iss') return `is from the issuer ${shown(value)} (iss); ${shown(rules.issuer)} is right`;
  if (claim === 'aud') return `is for ${shown(value)} (aud); ${shown(rules.audience)} is right`;
  if (reason === 'missing') return 'has no end (exp); one that expires is right: get a new one';
  if (!isSeconds(value)) return timeFault(claim, value);
  if (claim === 'exp') return expiredFault(value * 1_000, nowMs);
  return `is not valid before ${timeText(value * 1_000)}; it is ${timeText(nowMs)} here: wait, or check the clocks`;
}

/** The times in ms, of claims that jose has compared with its seconds; throws for what it does not check. */
function checkedTimes(payload: Payload, rules: ClaimRules, nowMs: number): Pick<Claims, 'issuedAt' | 'expiresAt'> {
  const [expiresAt, issuedAt] = [timeMs(payload, 'exp'), timeMs(payload, 'iat')];
  timeMs(payload, 'nbf');
  // jose compares with the whole second before now.
  if (isOver(expiresAt === undefined ? {} : { expiresAt }, rules.clockToleranceMs, nowMs))
    throw refused(expiredFault(expiresAt!, nowMs));
  if (issuedAt !== undefined && issuedAt > nowMs + rules.clockToleranceMs)
    throw refused(
      `was issued at ${timeText(issuedAt)} (iat), in the future; it is ${timeText(nowMs)} here: check the clocks`,
    );
  return { ...(issuedAt === undefined ? {} : { issuedAt }), ...(expiresAt === undefined ? {} : { expiresAt }) };
}

function expiredFault(expiresAt: number, nowMs: number): string {
  return `expired at ${timeText(expiresAt)}; it is ${timeText(nowMs)} here: get a new one`;
}

/**
 * The claims' times are below this: the year 5138. A larger number is taken for milliseconds, which are above it since
 * 1973; read as seconds, a token that was to hold for an hour would hold for 50,000 years. This also refuses the end of
 * the year 9999, with which some issuers mean "never".
 */
const claimSecondsMax = 1e11;

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) < claimSecondsMax;
}

function timeMs(payload: Payload, claim: 'exp' | 'nbf' | 'iat'): number | undefined {
  const seconds = payload[claim];
  if (seconds === undefined) return undefined;
  if (isSeconds(seconds)) return seconds * 1_000;
  throw refused(timeFault(claim, seconds));
}

function timeFault(claim: string, value: unknown): string {
  if (typeof value === 'number')
    return `has ${claim} ${value}; expected seconds since 1970 below ${claimSecondsMax} (the year 5138), got what looks like milliseconds`;
  return `has a claim that is not right: ${claim} is ${shown(value)}; seconds since 1970 are right`;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

const nameForm = `a text of 1 to ${claimCharactersMax} characters without control characters`;

/** Whether a token can have it as its subject or ID, and Protobuf can carry it to another node. */
export function isClaimName(value: unknown): value is string {
  return isText(value, claimCharactersMax);
}

function isText(value: unknown, charactersMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= charactersMax && isPlainText(value);
}

function tenantFrom({ tenant }: Payload): string | undefined {
  if (tenant === undefined) return undefined;
  if (typeof tenant === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(tenant)) return tenant;
  throw refused(`has ${shown(tenant)} as its tenant; the first segment of its devices' paths ("plant1") is right`);
}

function rolesFrom({ roles }: Payload): readonly string[] | undefined {
  if (roles === undefined) return undefined;
  const isRole = (role: unknown) => isText(role, roleCharactersMax);
  if (Array.isArray(roles) && roles.length <= rolesMax && roles.every(isRole)) return Object.freeze(roles as string[]);
  throw refused(
    `has ${shown(roles)} as roles; a list of at most ${rolesMax} texts of 1 to ${roleCharactersMax} characters without control characters is right`,
  );
}

type Right = 'publish' | 'subscribe' | 'command';

function patternsFrom(payload: Payload, right: Right, tenant: string | undefined): readonly string[] {
  const value = payload[right] ?? [];
  if (!Array.isArray(value) || value.length > patternsMax)
    throw refused(`has ${shown(value)} as ${right}; a list of at most ${patternsMax} patterns is right`);
  for (const pattern of value) {
    try {
      assertPattern(pattern);
    } catch (error) {
      throw refused(`grants ${right} on what is no pattern: ${(error as Error).message}`, error);
    }
    if (tenant !== undefined && pattern !== tenant && !patternCovers(`${tenant}.>`, pattern))
      throw refused(
        `grants ${right} on ${shown(pattern)}, outside its tenant ${shown(tenant)}; "${tenant}.>" is all of it`,
      );
  }
  return Object.freeze(value as string[]);
}

function refused(fault: string, cause?: unknown): TailraceError {
  return new TailraceError('unauthorized', fault, { cause });
}
