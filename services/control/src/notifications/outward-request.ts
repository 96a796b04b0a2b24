import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { OutwardAddresses } from './outward-address.ts';

/** From the start of a request to the end of its answer, ms. */
const requestMs = 10_000;
/** Of an answer that is kept for a dead letter; the rest is not read. */
const answerBytesMax = 1_024;

export interface OutwardRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface OutwardAnswer {
  readonly status: number;
  /** The first kilobyte. */
  readonly body: string;
  /** The header Retry-After; '' for none. */
  readonly retryAfter: string;
}

export interface OutwardOptions {
  readonly addresses: OutwardAddresses;
  /** PEM of authorities besides those of Node.js; undefined: none. */
  readonly ca?: string | undefined;
  /** Default: 10,000 ms. */
  readonly requestMs?: number;
  /** Default: that of the system. For tests. */
  readonly lookup?: typeof systemLookup;
}

/** Sends one POST. */
export type PostOutward = (request: OutwardRequest, signal?: AbortSignal) => Promise<OutwardAnswer>;

/**
 * Returns what sends requests to targets. A redirect is an answer as any other, so that it leads nowhere else. The
 * address is checked where the connection is made, after its name was resolved: a name that has another address a
 * moment later gains nothing. Each request has a connection of its own. Rejects with `forbidden` for an address that is
 * refused, with `timeout` after `requestMs`, with `canceled` by the signal, and with `unavailable` for a connection
 * that fails.
 */
export function createPost(options: OutwardOptions): PostOutward {
  return ({ url, headers, body }, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<OutwardAnswer>();
    const timeoutMs = options.requestMs ?? requestMs;
    let request: ClientRequest;
    try {
      request = open(new URL(url), headers, Buffer.byteLength(body), options);
    } catch (thrown) {
      return Promise.reject(tailraceErrorFrom(thrown));
    }
    const stop = (error: TailraceError) => {
      reject(error);
      request.destroy();
    };
    const timer = setTimeout(
      () => stop(new TailraceError('timeout', `target: expected an answer within ${timeoutMs} ms, got none`)),
      timeoutMs,
    );
    const onAbort = () => stop(new TailraceError('canceled', 'the request was canceled'));
    signal?.addEventListener('abort', onAbort, { once: true });
    request.on('error', (error: NodeJS.ErrnoException) => reject(failureOf(error)));
    request.on('response', (response) => {
      readStart(response).then((text) => {
        const { statusCode: status = 0 } = response;
        resolve({ status, body: text, retryAfter: response.headers['retry-after'] ?? '' });
        request.destroy();
      }, reject);
    });
    request.end(body);
    if (signal?.aborted === true) onAbort();
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
  };
}

function open(
  url: URL,
  headers: Readonly<Record<string, string>>,
  bytes: number,
  { addresses, ca, lookup = systemLookup }: OutwardOptions,
): ClientRequest {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // Without a name nothing is looked up.
  if (isIP(host) !== 0) addresses.assert(host);
  return (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method: 'POST',
    headers: { 'user-agent': 'tailrace', ...headers, 'content-length': bytes },
    agent: false,
    lookup: checkedLookup(addresses, lookup),
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
  });
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/** Returns a lookup that fails for a name with a refused address. */
function checkedLookup(addresses: OutwardAddresses, lookup: typeof systemLookup) {
  return (name: string, options: LookupOptions, callback: LookupCallback): void => {
    lookup(name, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      try {
        // All of them: the connection may be made to any.
        for (const { address } of found) addresses.assert(address);
      } catch (thrown) {
        callback(thrown as NodeJS.ErrnoException, []);
        return;
      }
      if (options.all === true) callback(null, found);
      else callback(null, found[0]!.address, found[0]!.family);
    });
  };
}

function failureOf(error: NodeJS.ErrnoException): TailraceError {
  if (error instanceof TailraceError) return error;
  const reason = error.code ?? error.message;
  return new TailraceError('unavailable', `target: expected a connection, got ${reason}`, { cause: error });
}

/** Resolves with the first kilobyte of an answer, and does not read the rest. */
async function readStart(response: IncomingMessage): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const textOf = () => Buffer.concat(chunks).subarray(0, answerBytesMax).toString('utf8');
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= answerBytesMax) resolve(textOf());
  });
  response.on('end', () => resolve(textOf()));
  response.on('error', (error) => reject(failureOf(error)));
  return await promise;
}
