import { TailraceError } from '@tailrace/protocol/error';
import { endpointUrl } from './endpoint.ts';

/** One URL, several URLs of the same installation, or a function that returns one, called before every attempt. */
export type UrlSource = string | readonly string[] | (() => string | Promise<string>);

/**
 * The URLs of a stream, in rotation. The first one is random, as in the NATS clients: a thousand clients with the same
 * list must not all start with the same node.
 */
export class Addresses {
  readonly #source: UrlSource;
  readonly #urls: readonly string[];
  #index: number;

  /** Throws `invalid_config` for an invalid URL, and for an empty list. */
  constructor(source: UrlSource, random: () => number) {
    this.#source = source;
    const urls = typeof source === 'function' ? [] : typeof source === 'string' ? [source] : source;
    this.#urls = urls.map((url) => endpointUrl(url, '/v1/stream'));
    if (this.#urls.length === 0 && typeof source !== 'function')
      throw new TailraceError('invalid_config', 'url: expected a URL, got an empty list');
    this.#index = Math.floor(random() * this.#urls.length);
  }

  /** Returns the URL of the next attempt, or a function that resolves it. */
  next(): string | (() => Promise<string>) {
    const source = this.#source;
    if (typeof source === 'function') return async () => endpointUrl(await source(), '/v1/stream');
    const url = this.#urls[this.#index++ % this.#urls.length];
    return url ?? '';
  }
}
