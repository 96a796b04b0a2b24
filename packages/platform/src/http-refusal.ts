import type { ErrorCode } from '@tailrace/protocol/error';

/** 400: invalid HTTP/1.1; 408: the head was not received in time; 431: the head is too large. */
export type RefusedStatus = 400 | 408 | 431;

/**
 * Of the request line and the header fields together. A token of 8,192 characters, the maximum, leaves half of it for
 * others.
 */
export const headBytesMax = 16_384;

/** Returns status, code and message for a `clientError` of Node.js. */
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
      return [400, 'invalid_message', `expected a request of HTTP/1.1 (RFC 9112), got other bytes: ${error.code}`];
  }
}

/**
 * Returns whether a `clientError` is the end of the client's half within a head or a body. The client does not wait for
 * a response then, and thousands of such clients at once must cost no more than their closes.
 */
export function isEndOfClient(error: NodeJS.ErrnoException): boolean {
  return error.code === 'HPE_INVALID_EOF_STATE';
}

/** Returns the body of an error response. */
export function errorBody(code: ErrorCode, message: string): string {
  return JSON.stringify({ error: { code, message } });
}

const reasons = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/** Returns a whole response as text, for a connection without a `ServerResponse`. */
export function rawAnswer(status: keyof typeof reasons, code: ErrorCode, message: string): string {
  const body = errorBody(code, message);
  return `HTTP/1.1 ${status} ${reasons[status]}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
