import { TailraceError } from '@tailrace/protocol/error';
import { endpointUrl } from './endpoint.ts';

/** Where to connect to: one address, several of the same installation, or what finds one, asked before every attempt. */
export type UrlSource = string | readonly string[] | (() => string | Promise<string>);

/**
 * The addresses of a stream, each in its turn. It begins with any of them, as the NATS clients do: a thousand clients with the same list are not
 * to begin with the same node.
 */
export class Addresses {
  readonly #source: UrlSource;
  readonly #urls: readonly string[];
  #index: number;

  /** Throws `invalid_config` for an address that is none, and for no address. */
  constructor(source: UrlSource, random: () => number) {
    this.#source = source;
    const given = typeof source === 'function' ? [] : typeof source === 'string' ? [source] : source;
    this.#urls = given.map((url) => endpointUrl(url, '/v1/stream'));
    if (this.#urls.length === 0 && typeof source !== 'function')
      throw new TailraceError('invalid_config', 'url: expected an address, got an empty list');
    this.#index = Math.floor(random() * this.#urls.length);
  }

  /** The address of the next attempt; what finds one where it is to be found. */
  next(): string | (() => Promise<string>) {
    const source = this.#source;
    if (typeof source === 'function') return async () => endpointUrl(await source(), '/v1/stream');
    const url = this.#urls[this.#index++ % this.#urls.length];
    return url ?? '';
  }
}
