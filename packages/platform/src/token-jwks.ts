import { TailraceError } from '@tailrace/protocol/error';
import type { Clock } from './clock.ts';
import { withinDeadline } from './deadline.ts';
import type { Logger } from './logger.ts';
import { type JwksUrlSource, type KeySet, keysTextBytesMax, publicKeysFromText, type TokenKey } from './token-keys.ts';

export interface JwksOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: the platform's. */
  readonly fetch?: typeof fetch;
}

const firstCooldownMsMax = 5_000;

/**
 * Returns keys by URL. They are fetched when the first token needs them, again when they are older than `cacheAgeMs`,
 * and when a token names a key that is not among them. There is no timer, so there is nothing to close. Throws
 * `invalid_config` for an invalid URL.
 *
 * While the URL is down the last keys stay in use; a token that needs keys waits for one attempt only.
 */
export function jwksUrlKeys(source: JwksUrlSource, options: JwksOptions): KeySet {
  return new RotatedKeys(source, options);
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
  /** Empty only before the first successful fetch. */
  #keys: readonly TokenKey[] = [];
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #attemptedAt = Number.NEGATIVE_INFINITY;
  #failing = false;
  #pending: Promise<void> | undefined;

  constructor(source: JwksUrlSource, { clock, logger, fetch: fetchKeys = fetch }: JwksOptions) {
    this.#url = checkedUrl(source.jwksUrl);
    this.#cacheAgeMs = source.cacheAgeMs ?? 600_000;
    this.#cooldownMs = source.cooldownMs ?? 30_000;
    this.#deadlineMs = source.deadlineMs ?? 5_000;
    this.#clock = clock;
    // The query may have a secret.
    this.#logger = logger.child({ url: `${this.#url.origin}${this.#url.pathname}` });
    this.#fetch = fetchKeys;
    if (this.#url.protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(this.#url.hostname))
      this.#logger.warn({}, 'the keys of tokens are fetched over http, where an attacker can replace them: use https');
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
    // With keys available, no token waits for a server that did not respond last time.
    if (this.#keys.length === 0 || !this.#failing) await renewal;
  }

  renew(): Promise<void> {
    if (this.#pending) return this.#pending;
    const cooldownMs = this.#keys.length > 0 ? this.#cooldownMs : Math.min(this.#cooldownMs, firstCooldownMsMax);
    if (this.#clock.monotonic() - this.#attemptedAt < cooldownMs) return Promise.resolve();
    this.#pending = this.#renewal().finally(() => {
      this.#pending = undefined;
      // The end of the attempt counts: it may take as long as the cooldown, and a token that waited must not start
      // another.
      this.#attemptedAt = this.#clock.monotonic();
    });
    return this.#pending;
  }

  unavailableReason(): string | undefined {
    if (this.#keys.length === 0) return 'the keys of tokens could not be fetched yet; try again in some seconds';
    if (this.#failing)
      return 'the token is signed with a key that is not known here, and newer keys cannot be fetched now; try again in some seconds';
    return undefined;
  }

  async #renewal(): Promise<void> {
    try {
      const { keys, skipped } = publicKeysFromText(await this.#text());
      this.#adopt(keys, skipped);
    } catch (error) {
      this.#failing = true;
      const sentence =
        this.#keys.length > 0
          ? 'the keys of tokens cannot be fetched; the last ones stay in use'
          : 'the keys of tokens cannot be fetched; until they can, tokens are refused with "unavailable"';
      this.#logger.warn({ error, keys: this.#keys.length }, sentence);
    }
  }

  async #text(): Promise<string> {
    const abort = new AbortController();
    let text = '';
    const outcome = await withinDeadline(this.#clock, this.#deadlineMs, async () => {
      text = await this.#request(abort.signal);
    });
    if (outcome === 'done') return text;
    // Closes the connection.
    abort.abort();
    throw new TailraceError('timeout', `expected a complete response within ${this.#deadlineMs} ms, got none`);
  }

  async #request(signal: AbortSignal): Promise<string> {
    const headers = { accept: 'application/jwk-set+json, application/json' };
    const response = await this.#fetch(this.#url, { headers, redirect: 'error', signal });
    if (response.status === 200) return await boundedText(response);
    await response.body?.cancel();
    throw new TailraceError('unavailable', `expected status 200, got ${response.status}`);
  }

  #adopt(fetched: readonly TokenKey[], skipped: readonly string[]): void {
    const before = new Map(this.#keys.map((key) => [key.fingerprint, key]));
    // A key that stays is the same object: tokens verified with it stay cached.
    const kept = new Map(fetched.map((key) => [key.fingerprint, before.get(key.fingerprint) ?? key]));
    const keys = [...kept.values()];
    const withdrawn = this.#keys.filter((key) => !kept.has(key.fingerprint));
    for (const key of withdrawn) key.withdrawn = true;
    const changed = withdrawn.length > 0 || keys.length !== before.size;
    if (changed || this.#failing) {
      const facts = {
        keys: keys.map((key) => key.id ?? ''),
        withdrawn: withdrawn.map((key) => key.id ?? ''),
        skipped,
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
  // Without the URL, which may have a password.
  throw new TailraceError(
    'invalid_config',
    'URL of the keys of tokens: expected https://issuer.example/.well-known/jwks.json or similar, without user and password',
  );
}

/** Reads the text. Throws `too_large`, which closes the connection. */
async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > keysTextBytesMax)
      throw new TailraceError('too_large', `expected a response of at most ${keysTextBytesMax} bytes, got more`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
