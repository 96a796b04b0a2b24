/** What is kept of a verified token; the cache needs to know only whose it is. */
interface Entry {
  /** By `identityOf`. */
  readonly identity: string;
}

/** The part of the cache that one identity may fill: 1 of so many. */
const identityShare = 16;

/**
 * The verified tokens used most recently, at most `tokensMax`, and at most a sixteenth of that for one identity: a
 * bearer with thousands of tokens of one subject replaces their own and no other bearer's. A token that is not kept is
 * verified again at its next use, which is slower and nothing else.
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
    // Deleting the only other token of the identity has taken its set away.
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
