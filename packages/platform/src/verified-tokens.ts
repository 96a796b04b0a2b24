/** An entry of a verified token; the cache uses only its identity. */
interface Entry {
  /** By `identityOf`. */
  readonly identity: string;
}

/** One identity may fill 1/16 of the cache. */
const identityShare = 16;

/**
 * The most recently used verified tokens, at most `tokensMax`, and at most a sixteenth of that for one identity: a
 * bearer with thousands of tokens of one subject evicts only their own. A token that is not cached is verified again at
 * its next use.
 */
export class VerifiedTokens<E extends Entry> {
  readonly #tokensMax: number;
  readonly #identityTokensMax: number;
  /** By text, the least recently used first. */
  readonly #entries = new Map<string, E>();
  /** The texts of each identity, the oldest first. */
  readonly #byIdentity = new Map<string, Set<string>>();

  constructor(tokensMax: number) {
    this.#tokensMax = tokensMax;
    this.#identityTokensMax = Math.max(1, Math.floor(tokensMax / identityShare));
  }

  get(token: string): E | undefined {
    const entry = this.#entries.get(token);
    if (entry === undefined) return undefined;
    // A Map keeps the order of insertion: the entry moves to the recently used end.
    this.#entries.delete(token);
    this.#entries.set(token, entry);
    return entry;
  }

  set(token: string, entry: E): void {
    this.delete(token);
    const own = this.#byIdentity.get(entry.identity) ?? new Set<string>();
    if (own.size >= this.#identityTokensMax) this.delete(first(own));
    if (this.#entries.size >= this.#tokensMax) this.delete(first(this.#entries.keys()));
    this.#entries.set(token, entry);
    own.add(token);
    // The deletion of the only other token of the identity has removed its set.
    this.#byIdentity.set(entry.identity, own);
  }

  delete(token: string | undefined): void {
    const entry = token === undefined ? undefined : this.#entries.get(token);
    if (token === undefined || entry === undefined) return;
    this.#entries.delete(token);
    const own = this.#byIdentity.get(entry.identity);
    own?.delete(token);
    if (own?.size === 0) this.#byIdentity.delete(entry.identity);
  }
}

function first(texts: Iterable<string>): string | undefined {
  for (const text of texts) return text;
  return undefined;
}
