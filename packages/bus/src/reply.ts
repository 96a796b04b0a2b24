import { type ErrorCode, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { busLimits } from './limits.ts';

/**
 * A reply of many parts, as single messages to the requester's inbox. Each has the header
 * `Tailrace-Part: <reply> <index> <count>` and a part as its payload. `<reply>` is a text of the responder, the same on
 * all parts; the index starts at 0. A reply of no parts is one message of count 0. An error is one message with the
 * header `Tailrace-Error: <code> <retryable: 0 or 1>` and the text of the error as its payload.
 *
 * NATS keeps the order of one publisher on one subject. Any other than the next index means that a part is lost, or
 * that a second responder replies too. The requester then gets an error, never a reply with a gap.
 */
export const partHeader = 'Tailrace-Part';
export const errorHeader = 'Tailrace-Error';

export function partHeaderOf(reply: string, index: number, count: number): string {
  return `${reply} ${index} ${count}`;
}

const messageCharactersMax = 500;

/** Returns the error as it is sent: code and message of a TailraceError, only `internal` for anything else. */
export function errorReplyFrom(thrown: unknown): { header: string; payload: Uint8Array } {
  const error = tailraceErrorFrom(thrown);
  return {
    header: `${error.code} ${error.retryable ? 1 : 0}`,
    payload: new TextEncoder().encode(error.message.slice(0, messageCharactersMax)),
  };
}

/** Returns the error of a received error reply; an unknown code becomes `internal`. */
export function errorFromReply(header: string, payload: Uint8Array): TailraceError {
  const [code = '', retryable] = header.split(' ');
  const text = new TextDecoder().decode(payload.subarray(0, 4 * messageCharactersMax));
  return new TailraceError(isErrorCode(code) ? code : 'internal', text, { retryable: retryable === '1' });
}

/** Throws `too_large` for a reply beyond what requesters collect, and for a part beyond one message. */
export function assertReply(parts: readonly Uint8Array[], payloadBytesMax: number): void {
  if (parts.length > busLimits.partsPerReplyMax) {
    throw new TailraceError(
      'too_large',
      `reply: expected at most ${busLimits.partsPerReplyMax} parts, got ${parts.length} parts`,
    );
  }
  let bytes = 0;
  for (const part of parts) {
    if (part.length > payloadBytesMax) {
      throw new TailraceError(
        'too_large',
        `part of a reply: expected at most ${payloadBytesMax} bytes, got ${part.length}`,
      );
    }
    bytes += part.length;
  }
  if (bytes > busLimits.bytesPerReplyMax) {
    throw new TailraceError(
      'too_large',
      `reply: expected at most ${busLimits.bytesPerReplyMax} bytes, got ${bytes} bytes`,
    );
  }
}

/** Collects the messages of one reply. */
export class ReplyCollector {
  readonly #subject: string;
  readonly #parts: Uint8Array[] = [];
  #reply: string | undefined;
  #bytes = 0;

  constructor(subject: string) {
    this.#subject = subject;
  }

  /**
   * Takes the next message. Returns all parts with the last one, else undefined. Throws the error for the requester.
   */
  take(header: string, payload: Uint8Array): readonly Uint8Array[] | undefined {
    const subject = this.#subject;
    const parts = this.#parts;
    const match = /^(\S{1,64}) (\d{1,6}) (\d{1,6})$/.exec(header);
    if (match === null) throw incomplete(subject, `the part header ${shown(header)} does not parse`);
    const index = Number(match[2]);
    const count = Number(match[3]);
    this.#reply ??= match[1];
    if (this.#reply !== match[1]) throw incomplete(subject, 'two responders replied at once');
    if (count > busLimits.partsPerReplyMax)
      throw incomplete(subject, `expected at most ${busLimits.partsPerReplyMax} parts, got ${count}`);
    if (count === 0) return parts;
    if (index !== parts.length || index >= count)
      throw incomplete(subject, `expected part ${parts.length}, got part ${index} of ${count}`);
    this.#bytes += payload.length;
    if (this.#bytes > busLimits.bytesPerReplyMax)
      throw incomplete(subject, `expected at most ${busLimits.bytesPerReplyMax} bytes, got more`);
    parts.push(payload);
    return parts.length === count ? parts : undefined;
  }
}

/** `unavailable`, which is retryable: the request may be sent again. */
function incomplete(subject: string, reason: string): TailraceError {
  return new TailraceError('unavailable', `the reply from ${shown(subject)} is incomplete: ${reason}`);
}

// A record, so that the compiler checks that no code is missing.
const errorCodes: Readonly<Record<ErrorCode, true>> = {
  invalid_path: true,
  invalid_pattern: true,
  invalid_report: true,
  invalid_message: true,
  invalid_position: true,
  invalid_config: true,
  invalid_rule: true,
  unauthorized: true,
  forbidden: true,
  not_found: true,
  conflict: true,
  too_large: true,
  rate_limited: true,
  limit_reached: true,
  unavailable: true,
  timeout: true,
  storage_full: true,
  address_in_use: true,
  closed: true,
  canceled: true,
  internal: true,
};

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCodes, text);
}
