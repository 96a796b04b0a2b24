import type { Headers } from './web-response.ts';

/** CORS headers of responses (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export interface CorsHeaders {
  /** Of a response. */
  readonly answer: Headers;
  /** Of the response to a preflight, in addition. */
  readonly preflight: Headers;
}

/**
 * How long a browser may cache a preflight, seconds. Chromium's limit is two hours; a changed setting should take
 * effect sooner.
 */
const preflightSeconds = '600';

/** What pages may send: comma-separated names, as in the headers of a preflight. */
export interface CorsRequests {
  readonly methods: string;
  readonly headers: string;
}

const none: CorsHeaders = { answer: [], preflight: [] };

/**
 * Returns a function from a request's Origin to the headers to add: none for an origin that is not allowed, and for a
 * request without one. Responses have only texts of the settings, never those of a request.
 */
export function corsFrom(allowedOrigins: readonly string[], requests: CorsRequests): (origin: string) => CorsHeaders {
  const byOrigin = new Map(allowedOrigins.map((origin) => [origin, headersFor(origin, requests)]));
  const any = byOrigin.get('*');
  return (origin) => (origin === '' ? none : (byOrigin.get(origin) ?? any ?? none));
}

function headersFor(origin: string, { methods, headers }: CorsRequests): CorsHeaders {
  const answer: Headers = [
    ['Access-Control-Allow-Origin', origin],
    ['Access-Control-Expose-Headers', 'Retry-After'],
    ['Vary', 'Origin'],
  ];
  const preflight: Headers = [
    ['Access-Control-Allow-Methods', methods],
    ['Access-Control-Allow-Headers', headers],
    ['Access-Control-Max-Age', preflightSeconds],
  ];
  return { answer, preflight };
}
