import { errorBody } from '@tailrace/platform/http-refusal';
import type { Headers } from '@tailrace/platform/web-response';
import { type ErrorCode, shown, TailraceError } from '@tailrace/protocol/error';
import { ingestResultJson, type Rejection } from '@tailrace/protocol/ingest-result';
import { acceptedEncodings } from './body-encoding.ts';
import { type HandshakeError, webSocketVersion } from './devices/handshake.ts';
import type { ExceededRate } from './intake/report-rates.ts';
import type { ParsedBody } from './reports.ts';

/** The outcome of a request, for metrics. */
export const outcomes = [
  /** Every report is in the log. */
  'accepted',
  /** Some reports are in the log, the others were rejected. */
  'partly_accepted',
  /** Every report was rejected, or the body is invalid. */
  'refused',
  'unauthorized',
  'forbidden',
  'too_large',
  /** An unknown content type or encoding, or no request for a WebSocket where one is expected. */
  'unsupported',
  /** The body took too long. */
  'timeout',
  /** The head of a request did not arrive in time. */
  'head_timeout',
  /** The bytes received are not an HTTP/1.1 request. */
  'malformed',
  /** The head of the request is too large. */
  'head_too_large',
  /** One sender or address is at its limit. */
  'rate_limited',
  /** This process is at a limit. */
  'overloaded',
  'draining',
  /** The log has not confirmed the reports. */
  'unavailable',
  /** The client closed the connection before its answer. */
  'client_gone',
  /** Another path or method. */
  'not_found',
  'preflight',
  /** The connection is a WebSocket from now on. */
  'upgraded',
  /** A health check of a load balancer. */
  'health_check',
  /** An internal error. */
  'internal',
] as const;
export type Outcome = (typeof outcomes)[number];

export interface Answer {
  readonly status: number;
  readonly outcome: Outcome;
  readonly headers: Headers;
  readonly body: string;
}

const contentType = ['Content-Type', 'application/json'] as const;
const jsonHeaders: Headers = [contentType];
const healthHeaders: Headers = [contentType, ['Cache-Control', 'no-store']];
const versionHeader = ['Sec-WebSocket-Version', webSocketVersion] as const;
/** A sender of Upgrade also names it in Connection (RFC 9110, section 7.8). */
const upgradeHeaders: Headers = [
  contentType,
  ['Upgrade', 'websocket'],
  ['Connection', 'close, Upgrade'],
  versionHeader,
];
/** Of a refused encoding alone, so that a sender can distinguish it from a content type (RFC 9110 section 12.5.3). */
const encodingHeaders: Headers = [contentType, ['Accept-Encoding', acceptedEncodings]];
const unauthorizedHeaders: Headers = [contentType, ['WWW-Authenticate', 'Bearer']];

/** A place in a body, unpacked. */
export interface StreamPlace {
  /** Number of a line, from 1. */
  readonly line: number;
  /** Offset of its first byte. */
  readonly byte: number;
}

/** The result of a body that was processed while it was received. */
export interface StreamResult {
  /** Reports in the log. */
  readonly accepted: number;
  readonly rejectedCount: number;
  /** Rejections because the token does not cover the device. */
  readonly forbidden: number;
  /** The first ones. */
  readonly rejected: readonly Rejection[];
  /** Rejections by code. */
  readonly codes: Readonly<Record<string, number>>;
  /** The first line that is neither in the log nor rejected. */
  readonly resume: StreamPlace;
}

/** Status and outcome of a request that failed with a code. The other codes are internal errors. */
const answerKinds: Partial<Record<ErrorCode, readonly [status: number, outcome: Outcome]>> = {
  invalid_report: [400, 'refused'],
  unauthorized: [401, 'unauthorized'],
  forbidden: [403, 'forbidden'],
  timeout: [408, 'timeout'],
  too_large: [413, 'too_large'],
  invalid_message: [415, 'unsupported'],
  rate_limited: [429, 'rate_limited'],
  limit_reached: [503, 'overloaded'],
  unavailable: [503, 'unavailable'],
  storage_full: [503, 'unavailable'],
  closed: [503, 'draining'],
};

/** Creates every answer of ingest. Pure functions. */
export class Answers {
  readonly #retryHeaders: Headers;

  /** `retryAfterMs` becomes Retry-After, in whole seconds (RFC 9110 section 10.2.3), rounded up. */
  constructor(retryAfterMs: number) {
    this.#retryHeaders = [contentType, ['Retry-After', String(Math.ceil(retryAfterMs / 1_000))]];
  }

  /** Returns 202: the records are in the log. */
  accepted({ records, rejected }: ParsedBody): Answer {
    return {
      status: 202,
      outcome: rejected.length === 0 ? 'accepted' : 'partly_accepted',
      headers: jsonHeaders,
      body: ingestResultJson({ accepted: records.length, rejected }),
    };
  }

  /**
   * Returns 400, or 403 if the token covers none of the devices: every report was rejected. Has the list of 202 and an
   * error.
   */
  refused({ rejected, forbidden }: ParsedBody): Answer {
    const allForbidden = forbidden === rejected.length;
    const first = rejected[0]!;
    const isFull = rejected.every(({ code }) => code === 'limit_reached');
    const code: ErrorCode = allForbidden ? 'forbidden' : isFull ? 'limit_reached' : 'invalid_report';
    const message =
      rejected.length === 1
        ? first.message
        : `all ${rejected.length} reports were rejected; the first: ${first.message}`;
    return {
      status: allForbidden ? 403 : 400,
      outcome: allForbidden ? 'forbidden' : 'refused',
      headers: jsonHeaders,
      body: JSON.stringify({ error: { code, message }, accepted: 0, rejected }),
    };
  }

  /**
   * Returns 202 for a stream with a report in the log, else as `refused`. `isLine`: the last line of an answer with the
   * progress.
   */
  streamed(result: StreamResult, isLine: boolean): Answer {
    const { accepted, rejectedCount, forbidden, rejected, codes } = result;
    const body = { accepted, rejectedCount, rejected, codes };
    if (accepted > 0) {
      return {
        status: 202,
        outcome: rejectedCount === 0 ? 'accepted' : 'partly_accepted',
        headers: jsonHeaders,
        body: JSON.stringify(isLine ? { result: body } : body),
      };
    }
    const isForbidden = forbidden > 0 && forbidden === rejectedCount;
    const code: ErrorCode = isForbidden ? 'forbidden' : 'invalid_report';
    const message =
      rejectedCount === 0
        ? 'the body: expected at least one report, got none'
        : `all ${rejectedCount} reports were rejected; the first: ${rejected[0]!.message}`;
    return {
      status: isForbidden ? 403 : 400,
      outcome: isForbidden ? 'forbidden' : 'refused',
      headers: jsonHeaders,
      body: JSON.stringify({ error: { code, message, retryable: false }, ...body }),
    };
  }

  /** Returns an answer with the result of its stream, which failed in the middle, and the line to continue from. */
  streamFailed(failed: Answer, { code, message, retryable }: TailraceError, result: StreamResult): Answer {
    const { accepted, rejectedCount, rejected, codes, resume } = result;
    const error = { code, message, retryable };
    return { ...failed, body: JSON.stringify({ error, accepted, rejectedCount, rejected, codes, resume }) };
  }

  /** Returns the answer to a request that failed as a whole. */
  failed(error: TailraceError): Answer {
    const [status, outcome] = answerKinds[error.code] ?? [500, 'internal'];
    const retry = status === 503 || status === 429;
    const headers = retry ? this.#retryHeaders : status === 401 ? unauthorizedHeaders : jsonHeaders;
    return { status, outcome, headers, body: errorBody(error.code, error.message) };
  }

  /** Returns 429: the reports of a device exceed its rate. Retry-After is when they are accepted. */
  rateLimited({ error, waitMs }: ExceededRate): Answer {
    const headers = [contentType, ['Retry-After', String(Math.ceil(waitMs / 1_000))]] as const;
    const message = `${error.message}: nothing of this request was accepted`;
    return { ...this.failed(new TailraceError(error.code, message)), headers };
  }

  /** Returns 415: the encoding is unknown, or there are several. `text`: the header Content-Encoding. */
  unsupportedEncoding(text: string): Answer {
    const message = `Content-Encoding: expected gzip, deflate or none, got ${shown(text)}`;
    return {
      status: 415,
      outcome: 'unsupported',
      headers: encodingHeaders,
      body: errorBody('invalid_message', message),
    };
  }

  /** Returns 200 or 503, for load balancers, which read the status alone. */
  health(isServing: boolean): Answer {
    return isServing
      ? { status: 200, outcome: 'health_check', headers: healthHeaders, body: '{"status":"ok"}' }
      : { status: 503, outcome: 'health_check', headers: healthHeaders, body: '{"status":"draining"}' };
  }

  /** Returns the answer to a preflight of a browser (CORS). */
  preflight(headers: Headers): Answer {
    return { status: 200, outcome: 'preflight', headers, body: '' };
  }

  /** Returns 400: the framing of the body is invalid (RFC 9112, sections 6 and 7). */
  malformed({ code, message }: TailraceError): Answer {
    return { status: 400, outcome: 'malformed', headers: jsonHeaders, body: errorBody(code, message) };
  }

  /** Returns the answer to a request on the path of a WebSocket that cannot become one. */
  noHandshake({ status, message }: HandshakeError): Answer {
    if (status === 405) {
      const headers: Headers = [contentType, ['Allow', 'GET']];
      return { status, outcome: 'not_found', headers, body: errorBody('not_found', message) };
    }
    const headers = status === 426 ? upgradeHeaders : jsonHeaders;
    return { status, outcome: 'unsupported', headers, body: errorBody('invalid_message', message) };
  }

  /** Returns 404 or 405. `text`: the method and path, shortened. */
  notFound(status: 404 | 405, text: string): Answer {
    const headers: Headers = status === 405 ? [contentType, ['Allow', 'POST, OPTIONS']] : jsonHeaders;
    const message = `expected POST /v1/ingest, got ${text}`;
    return { status, outcome: 'not_found', headers, body: errorBody('not_found', message) };
  }
}
