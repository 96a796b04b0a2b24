import { shown, TailraceError } from '@tailrace/protocol/error';
import { mistakenUnitOf } from '@tailrace/protocol/time-unit';
import type { Clock } from './clock.ts';
import { ExpiryHeap } from './expiry-heap.ts';
import type { Metrics } from './metrics.ts';
import { type Claims, claimCharactersMax, isClaimName } from './token-claims.ts';

/** Plain data, as in the control topic. */
export type RevocationEntry = TokenRevocation | SubjectRevocation;

export interface TokenRevocation {
  /** `jti` of the one token. */
  readonly tokenId: string;
  /** Epoch ms at which the token expires: later the entry has no effect. Undefined: unknown, or never. */
  readonly expiresAt?: number;
}

export interface SubjectRevocation {
  /** `sub`; its tokens that were issued before `issuedBefore`, or have no `iat`, are revoked. */
  readonly subject: string;
  /** Epoch ms. Tokens have whole seconds, so one issued later in the same second may be revoked, too. */
  readonly issuedBefore: number;
  /** Epoch ms at which the last of these tokens expires. Undefined: unknown, or never. */
  readonly expiresAt?: number;
}

export interface Revocations {
  /** Returns whether the token is revoked. Two lookups, no allocation. */
  revoked(claims: Pick<Claims, 'subject' | 'tokenId' | 'issuedAt'>): boolean;
  /** Returns everything that is revoked now. */
  entries(): RevocationEntry[];
  /**
   * Adds entries and returns those that changed something. Entries may be merged in any order and repeatedly: of two
   * entries of the same token or subject, the later times win. An invalid entry is skipped and counted.
   */
  merge(entries: Iterable<RevocationEntry>): RevocationEntry[];
  readonly size: number;
  /** Entries removed because the list was full, so far. Their tokens are valid again. */
  readonly evicted: number;
  /** Entries that `merge` has skipped, so far. */
  readonly illFormed: number;
}

export interface RevocationListOptions {
  readonly clock: Clock;
  /** Default: 100,000, about 20 MB. At the limit the entry that expires first is removed. */
  readonly entriesMax?: number;
  /** Registers size, evictions and invalid entries under the service's name. */
  readonly metrics?: Metrics;
}

/** A verifier accepts a token for its clock tolerance after its expiry: at most this long. */
export const expiryGraceMs = 300_000;

/** Creates a bounded list in memory; an entry is removed when its token has expired. Has no timer. */
export function createRevocationList(options: RevocationListOptions): Revocations {
  const list = new RevocationList(options.clock, options.entriesMax ?? 100_000);
  const { metrics } = options;
  if (metrics) {
    const prefix = `tailrace_${metrics.service}`;
    metrics.gauge(`${prefix}_revocation_entries`, 'Tokens and subjects that are revoked.', () => list.size);
    metrics.gauge(
      `${prefix}_limit_revocation_entries`,
      'Entries at which the one that expires first is removed.',
      () => options.entriesMax ?? 100_000,
    );
    metrics.total(
      `${prefix}_evicted_revocation_entries_total`,
      'Revocations removed because the list was full; their tokens are valid again.',
      () => list.evicted,
    );
    metrics.total(
      `${prefix}_invalid_revocation_entries_total`,
      'Invalid revocations of other processes, skipped.',
      () => list.illFormed,
    );
  }
  return list;
}

class RevocationList implements Revocations {
  evicted = 0;
  illFormed = 0;
  readonly #clock: Clock;
  readonly #entriesMax: number;
  readonly #tokens = new Map<string, TokenRevocation>();
  readonly #subjects = new Map<string, SubjectRevocation>();
  readonly #byExpiry = new ExpiryHeap<RevocationEntry>((entry) => this.#find(entry) === entry);

  constructor(clock: Clock, entriesMax: number) {
    if (!Number.isSafeInteger(entriesMax) || entriesMax < 1)
      throw new TailraceError('invalid_config', `revocationsMax: expected 1 or more entries, got ${shown(entriesMax)}`);
    this.#clock = clock;
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#tokens.size + this.#subjects.size;
  }

  revoked({ subject, tokenId, issuedAt }: Pick<Claims, 'subject' | 'tokenId' | 'issuedAt'>): boolean {
    if (tokenId !== undefined && this.#tokens.has(tokenId)) return true;
    const entry = this.#subjects.get(subject);
    return entry !== undefined && (issuedAt === undefined || issuedAt < entry.issuedBefore);
  }

  entries(): RevocationEntry[] {
    this.#dropExpired();
    return [...this.#tokens.values(), ...this.#subjects.values()];
  }

  merge(entries: Iterable<RevocationEntry>): RevocationEntry[] {
    const taken: RevocationEntry[] = [];
    for (const entry of entries) {
      if (invalidReasonOf(entry) !== undefined) this.illFormed++;
      else if (this.#put(entry)) taken.push(entry);
    }
    return taken;
  }

  /** Returns whether the entry changed anything. */
  #put(entry: RevocationEntry): boolean {
    this.#dropExpired();
    if (revocationEndMs(entry) <= this.#clock.now()) return false;
    const known = this.#find(entry);
    const joined = known === undefined ? copyOf(entry) : joinOf(known, entry);
    if (joined === known) return false;
    if ('tokenId' in joined) this.#tokens.set(joined.tokenId, joined);
    else this.#subjects.set(joined.subject, joined);
    this.#byExpiry.add(revocationEndMs(joined), joined);
    if (this.size > this.#entriesMax) {
      this.#drop(this.#byExpiry.pop()!);
      this.evicted++;
    }
    return true;
  }

  #find(entry: RevocationEntry): RevocationEntry | undefined {
    return 'tokenId' in entry ? this.#tokens.get(entry.tokenId) : this.#subjects.get(entry.subject);
  }

  #dropExpired(): void {
    const now = this.#clock.now();
    while (this.#byExpiry.first() <= now) this.#drop(this.#byExpiry.pop()!);
  }

  #drop(entry: RevocationEntry): void {
    if ('tokenId' in entry) this.#tokens.delete(entry.tokenId);
    else this.#subjects.delete(entry.subject);
  }
}

/**
 * Returns the entry as the list has it. Throws `invalid_message` for a name that no token can have and for a time in
 * another unit: an operator would believe that the token is revoked.
 */
export function revocationFrom(entry: RevocationEntry): RevocationEntry {
  const reason = invalidReasonOf(entry) ?? wrongUnitReasonOf(entry);
  if (reason !== undefined) throw new TailraceError('invalid_message', `the revocation ${reason}`);
  return copyOf(entry);
}

/**
 * Returns when the entry has no effect any more, epoch ms: when the last token that it revokes has expired everywhere.
 */
export function revocationEndMs({ expiresAt }: RevocationEntry): number {
  return (expiresAt ?? Number.POSITIVE_INFINITY) + expiryGraceMs;
}

/** Copies only the fields of an entry. */
function copyOf(entry: RevocationEntry): RevocationEntry {
  const end = entry.expiresAt === undefined ? {} : { expiresAt: entry.expiresAt };
  if ('tokenId' in entry) return Object.freeze({ tokenId: entry.tokenId, ...end });
  return Object.freeze({ subject: entry.subject, issuedBefore: entry.issuedBefore, ...end });
}

/** Returns an entry with the later of each time; the known entry itself if it does not change. */
function joinOf(known: RevocationEntry, entry: RevocationEntry): RevocationEntry {
  const laterEnd = revocationEndMs(entry) > revocationEndMs(known);
  const { expiresAt } = laterEnd ? entry : known;
  const end = expiresAt === undefined ? {} : { expiresAt };
  if ('tokenId' in known) return laterEnd ? Object.freeze({ tokenId: known.tokenId, ...end }) : known;
  const issuedBefore = Math.max(known.issuedBefore, (entry as SubjectRevocation).issuedBefore);
  if (!laterEnd && issuedBefore === known.issuedBefore) return known;
  return Object.freeze({ subject: known.subject, issuedBefore, ...end });
}

function invalidReasonOf(entry: RevocationEntry): string | undefined {
  if (typeof entry !== 'object' || entry === null) return `is ${shown(entry)}; expected an object`;
  const { tokenId, subject, issuedBefore, expiresAt } = entry as Partial<TokenRevocation & SubjectRevocation>;
  const name = 'tokenId' in entry ? tokenId : subject;
  if (!isClaimName(name))
    return `is of ${shown(name)}; expected a text of 1 to ${claimCharactersMax} characters without control characters`;
  if (!('tokenId' in entry) && !Number.isFinite(issuedBefore))
    return `is of tokens issued before ${shown(issuedBefore)}; expected epoch milliseconds`;
  if (expiresAt !== undefined && !Number.isFinite(expiresAt))
    return `expires at ${shown(expiresAt)}; expected epoch milliseconds`;
  return undefined;
}

/**
 * In seconds, `issuedBefore` would revoke nothing, and `expiresAt` would remove the entry at once: the operator would
 * believe that the token is revoked. Not checked in `merge`, where all processes must agree and no operator reads an
 * error.
 */
function wrongUnitReasonOf(entry: RevocationEntry): string | undefined {
  for (const name of ['issuedBefore', 'expiresAt'] as const) {
    const ms = (entry as Partial<SubjectRevocation>)[name];
    const unit = ms === undefined ? undefined : mistakenUnitOf(ms);
    if (unit !== undefined)
      return `has ${name} ${ms}; expected milliseconds since 1970; the value is probably in ${unit}`;
  }
  return undefined;
}
