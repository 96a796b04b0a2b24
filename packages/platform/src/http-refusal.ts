import type { ErrorCode } from '@tailrace/protocol/error';

/** 400: no HTTP/1.1; 408: a head that did not come in time; 431: a head that is too large. */
export type RefusedStatus = 400 | 408 | 431;

/**
 * Request line and header fields together. A token of 8,192 characters, the most that is taken, fits with room to
 * spare.
 */
export const headBytesMax = 16_384;

/** Status, code and message for what Node.js reports as `clientError`. */
export function refusalOf(error: NodeJS.ErrnoException): readonly [RefusedStatus, ErrorCode, string] {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return [
        431,
        'too_large',
        `the head of the request: expected at most ${headBytesMax} bytes, got more: send a smaller token or fewer headers`,
      ];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'timeout', 'expected a whole request within its deadline, got a part of it'];
    default:
      return [
        400,
        'invalid_message',
        `expected a request of HTTP/1.1 (RFC 9112), got bytes that are none: ${error.code}`,
      ];
  }
}

/**
 * Whether a `clientError` is the end of the client's half within a head or a body. It waits for no answer then, and
 * thousands that leave at once must cost no more than their ends.
 */
export function isEndOfClient(error: NodeJS.ErrnoException): boolean {
  return error.code === 'HPE_INVALID_EOF_STATE';
}

/** What every error answer has as its body. */
export function errorBody(code: ErrorCode, message: string): string {
  return JSON.stringify({ error: { code, message } });
}

const reasons = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/** A whole answer as bytes, for a connection that has no response to answer with. */
export function rawAnswer(status: keyof typeof reasons, code: ErrorCode, message: string): string {
  const body = errorBody(code, message);
  return `HTTP/1.1 ${status} ${reasons[status]}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
