import { TailraceError } from '@tailrace/protocol/error';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import { type JwksUrlSource, type KeySet, keysTextBytesMax, publicKeysFromText, type TokenKey } from './token-keys.ts';

export interface JwksParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: the platform's. */
  readonly fetch?: typeof fetch;
}

const firstCooldownMsMax = 5_000;

/**
 * Keys by URL: fetched when the first token needs them, again when they are older than `cacheAgeMs`, and when a token names a key that
 * is not among them. Has no timer of its own, so there is nothing to close. Throws `invalid_config` for what is no such URL.
 *
 * When the URL is down the keys fetched last stay in use; whoever needs keys waits for one attempt, not for those that follow.
 */
export function jwksUrlKeys(source: JwksUrlSource, parts: JwksParts): KeySet {
  return new RotatedKeys(source, parts);
}

class RotatedKeys implements KeySet {
  readonly algorithms = ['RS256', 'ES256'] as const;
  readonly #url: URL;
  readonly #cacheAgeMs: number;
  readonly #cooldownMs: number;
  readonly #deadlineMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #fetch: typeof fetch;
  /** Never empty once it was not. */
  #keys: readonly TokenKey[] = [];
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #attemptedAt = Number.NEGATIVE_INFINITY;
  #failing = false;
  #pending: Promise<void> | undefined;

  constructor(source: JwksUrlSource, { clock, logger, fetch: fetchKeys = fetch }: JwksParts) {
    this.#url = checkedUrl(source.jwksUrl);
    this.#cacheAgeMs = source.cacheAgeMs ?? 600_000;
    this.#cooldownMs = source.cooldownMs ?? 30_000;
    this.#deadlineMs = source.deadlineMs ?? 5_000;
    this.#clock = clock;
    // The query may hold a secret.
    this.#logger = logger.child({ url: `${this.#url.origin}${this.#url.pathname}` });
    this.#fetch = fetchKeys;
    if (this.#url.protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(this.#url.hostname))
      this.#logger.warn(
        {},
        'the keys of tokens come over http: whoever sits on the way can put in their own; https is right',
      );
  }

  keys(): readonly TokenKey[] {
    return this.#keys;
  }

  fresh(): boolean {
    return this.#clock.monotonic() - this.#fetchedAt < this.#cacheAgeMs;
  }

  async ready(): Promise<void> {
    if (this.fresh()) return;
    const renewal = this.renew();
    // With keys at hand nobody waits for a server that did not answer last time.
    if (this.#keys.length === 0 || !this.#failing) await renewal;
  }

  renew(): Promise<void> {
    if (this.#pending) return this.#pending;
    const cooldownMs = this.#keys.length > 0 ? this.#cooldownMs : Math.min(this.#cooldownMs, firstCooldownMsMax);
    if (this.#clock.monotonic() - this.#attemptedAt < cooldownMs) return Promise.resolve();
    this.#pending = this.#renewal().finally(() => {
      this.#pending = undefined;
      // Its end counts: an attempt may take as long as the cooldown, and whoever has waited for it shall not start another.
      this.#attemptedAt = this.#clock.monotonic();
    });
    return this.#pending;
  }

  doubt(): string | undefined {
    if (this.#keys.length === 0)
      return 'the keys that tokens are checked with could not be fetched yet; try again in some seconds';
    if (this.#failing)
      return 'the token is signed with a key that is not known here, and newer keys cannot be fetched now; try again in some seconds';
    return undefined;
  }

  async #renewal(): Promise<void> {
    try {
      const { keys, passedOver } = publicKeysFromText(await this.#text());
      this.#adopt(keys, passedOver);
    } catch (error) {
      this.#failing = true;
      const sentence =
        this.#keys.length > 0
          ? 'the keys of tokens cannot be fetched; those fetched last stay in use'
          : 'the keys of tokens cannot be fetched; until they can, tokens are answered with "unavailable"';
      this.#logger.warn({ error, keys: this.#keys.length }, sentence);
    }
  }

  async #text(): Promise<string> {
    const abort = new AbortController();
    const late = () =>
      abort.abort(new TailraceError('timeout', `there was no whole answer within ${this.#deadlineMs} ms`));
    const timer = this.#clock.after(this.#deadlineMs, late);
    try {
      const headers = { accept: 'application/jwk-set+json, application/json' };
      const response = await this.#fetch(this.#url, { headers, redirect: 'error', signal: abort.signal });
      if (response.status === 200) return await boundedText(response);
      await response.body?.cancel();
      throw new TailraceError('unavailable', `the answer has the status ${response.status}; 200 is right`);
    } finally {
      timer.cancel();
    }
  }

  #adopt(fetched: readonly TokenKey[], passedOver: readonly string[]): void {
    const before = new Map(this.#keys.map((key) => [key.fingerprint, key]));
    // A key that stays is the same object: what was verified with it stays known.
    const kept = new Map(fetched.map((key) => [key.fingerprint, before.get(key.fingerprint) ?? key]));
    const keys = [...kept.values()];
    const withdrawn = this.#keys.filter((key) => !kept.has(key.fingerprint));
    for (const key of withdrawn) key.withdrawn = true;
    const changed = withdrawn.length > 0 || keys.length !== before.size;
    if (changed || this.#failing) {
      const facts = {
        keys: keys.map((key) => key.id ?? ''),
        withdrawn: withdrawn.map((key) => key.id ?? ''),
        passedOver,
      };
      this.#logger.info(facts, 'the keys of tokens are fetched');
    }
    this.#keys = keys;
    this.#fetchedAt = this.#clock.monotonic();
    this.#failing = false;
  }
}

function checkedUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url;
  // Not shown: it may hold a password.
  throw new TailraceError(
    'invalid_config',
    'the URL of the keys of tokens is none; right is https://issuer.example/.well-known/jwks.json, without user and password',
  );
}

/** Leaving the loop early ends the connection. */
async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > keysTextBytesMax)
      throw new TailraceError('too_large', `the answer has more than ${keysTextBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
