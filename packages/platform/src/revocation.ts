import { shown, TailraceError } from '@tailrace/protocol/error';
import { mistakenUnitOf } from '@tailrace/protocol/time-unit';
import type { Clock } from './clock.ts';
import type { Metrics } from './metrics.ts';
import { RevocationHeap } from './revocation-heap.ts';
import { type Claims, claimCharactersMax, isClaimName } from './token-claims.ts';

/** Plain data, as the control topic carries it. */
export type RevocationEntry = TokenRevocation | SubjectRevocation;

export interface TokenRevocation {
  /** `jti` of the one token. */
  readonly tokenId: string;
  /** Epoch ms at which the token ends by itself: the entry is of no use later. Undefined: not known, or never. */
  readonly expiresAt?: number;
}

export interface SubjectRevocation {
  /** `sub`; tokens of it that were issued before `issuedBefore`, or do not say when. */
  readonly subject: string;
  /** Epoch ms. Tokens hold whole seconds, so one issued in the same second, but later, may be meant, too. */
  readonly issuedBefore: number;
  /** Epoch ms at which the last token that is meant ends by itself. Undefined: not known, or never. */
  readonly expiresAt?: number;
}

export interface Revocations {
  /** Two look-ups, nothing allocated. */
  revoked(claims: Pick<Claims, 'subject' | 'tokenId' | 'issuedAt'>): boolean;
  /** Returns everything that is revoked now. */
  entries(): RevocationEntry[];
  /**
   * Adds entries and returns those that changed something. In any order and any number of times the outcome is the
   * same: of two entries about the same token or subject, the later times count. An invalid entry is skipped and counted.
   */
  merge(entries: Iterable<RevocationEntry>): RevocationEntry[];
  readonly size: number;
  /** Entries removed because the list was full, so far. The tokens they were about are valid again. */
  readonly evicted: number;
  /** Entries that `merge` has skipped, so far. */
  readonly illFormed: number;
}

export interface RevocationListOptions {
  readonly clock: Clock;
  /** Default: 100,000, about 20 MB. At the bound the entry that ends first goes. */
  readonly entriesMax?: number;
  /** Shows size, evictions and ill-formed entries under the service's name. */
  readonly metrics?: Metrics;
}

/** A verifier may take a token for its clock tolerance longer than it says: at most this long. */
const graceMs = 300_000;

/** What is revoked, bounded, in memory; an entry goes when the token that it is about has ended by itself. Has no timer. */
export function createRevocationList(options: RevocationListOptions): Revocations {
  const list = new RevocationList(options.clock, options.entriesMax ?? 100_000);
  const { metrics } = options;
  if (metrics) {
    const prefix = `tailrace_${metrics.service}`;
    metrics.gauge(`${prefix}_revocation_entries`, 'Tokens and subjects that are revoked.', () => list.size);
    metrics.gauge(
      `${prefix}_limit_revocation_entries`,
      'Entries at which the one that ends first goes.',
      () => options.entriesMax ?? 100_000,
    );
    metrics.total(
      `${prefix}_evicted_revocation_entries_total`,
      'Revocations that went because the list was full; what they revoked holds again.',
      () => list.evicted,
    );
    metrics.total(
      `${prefix}_ill_formed_revocation_entries_total`,
      'Revocations from elsewhere that were passed over.',
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
  readonly #byExpiry = new RevocationHeap<RevocationEntry>((entry) => this.#find(entry) === entry);

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
    this.#dropEnded();
    return [...this.#tokens.values(), ...this.#subjects.values()];
  }

  merge(entries: Iterable<RevocationEntry>): RevocationEntry[] {
    const taken: RevocationEntry[] = [];
    for (const entry of entries) {
      if (faultOf(entry) !== undefined) this.illFormed++;
      else if (this.#put(entry)) taken.push(entry);
    }
    return taken;
  }

  /** Returns whether the entry changed anything. */
  #put(entry: RevocationEntry): boolean {
    this.#dropEnded();
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

  #dropEnded(): void {
    const now = this.#clock.now();
    while (this.#byExpiry.first() <= now) this.#drop(this.#byExpiry.pop()!);
  }

  #drop(entry: RevocationEntry): void {
    if ('tokenId' in entry) this.#tokens.delete(entry.tokenId);
    else this.#subjects.delete(entry.subject);
  }
}

/**
 * Returns the entry as the list holds it. Throws `invalid_message` for a name that no token can have and for a time in
 * another unit: an operator would believe that the token is revoked.
 */
export function revocationFrom(entry: RevocationEntry): RevocationEntry {
  const fault = faultOf(entry) ?? unitFaultOf(entry);
  if (fault !== undefined) throw new TailraceError('invalid_message', `the revocation ${fault}`);
  return copyOf(entry);
}

/** Returns when the entry has no effect any more, epoch ms: when the last token that it revokes has expired everywhere. */
export function revocationEndMs({ expiresAt }: RevocationEntry): number {
  return (expiresAt ?? Number.POSITIVE_INFINITY) + graceMs;
}

/** Without whatever else the object of someone else may carry. */
function copyOf(entry: RevocationEntry): RevocationEntry {
  const end = entry.expiresAt === undefined ? {} : { expiresAt: entry.expiresAt };
  if ('tokenId' in entry) return Object.freeze({ tokenId: entry.tokenId, ...end });
  return Object.freeze({ subject: entry.subject, issuedBefore: entry.issuedBefore, ...end });
}

/** Of each time the later one. The known one itself where the other says nothing new. */
function joinOf(known: RevocationEntry, entry: RevocationEntry): RevocationEntry {
  const laterEnd = revocationEndMs(entry) > revocationEndMs(known);
  const { expiresAt } = laterEnd ? entry : known;
  const end = expiresAt === undefined ? {} : { expiresAt };
  if ('tokenId' in known) return laterEnd ? Object.freeze({ tokenId: known.tokenId, ...end }) : known;
  const issuedBefore = Math.max(known.issuedBefore, (entry as SubjectRevocation).issuedBefore);
  if (!laterEnd && issuedBefore === known.issuedBefore) return known;
  return Object.freeze({ subject: known.subject, issuedBefore, ...end });
}

function faultOf(entry: RevocationEntry): string | undefined {
  if (typeof entry !== 'object' || entry === null) return `is ${shown(entry)}; expected an object`;
  const { tokenId, subject, issuedBefore, expiresAt } = entry as Partial<TokenRevocation & SubjectRevocation>;
  const name = 'tokenId' in entry ? tokenId : subject;
  if (!isClaimName(name))
    return `is of ${shown(name)}; expected a text of 1 to ${claimCharactersMax} characters without control characters`;
  if (!('tokenId' in entry) && !Number.isFinite(issuedBefore))
    return `is of tokens issued before ${shown(issuedBefore)}; expected epoch milliseconds`;
  if (expiresAt !== undefined && !Number.isFinite(expiresAt))
    return `ends at ${shown(expiresAt)}; expected epoch milliseconds`;
  return undefined;
}

/**
 * In seconds, `issuedBefore` would revoke nothing, and `expiresAt` would remove the entry at once: the operator would
 * believe that the token is revoked. Not checked in `merge`: there no operator can be asked, and all processes must
 * agree.
 */
function unitFaultOf(entry: RevocationEntry): string | undefined {
  for (const name of ['issuedBefore', 'expiresAt'] as const) {
    const ms = (entry as Partial<SubjectRevocation>)[name];
    const unit = ms === undefined ? undefined : mistakenUnitOf(ms);
    if (unit !== undefined) return `has ${name} ${ms}; expected milliseconds since 1970, got what looks like ${unit}`;
  }
  return undefined;
}
