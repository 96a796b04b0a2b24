import { type ErrorCode, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { busLimits } from './limits.ts';

/**
 * An answer of many parts as single messages to the asker's inbox. Each carries the header `Tailrace-Part: <answer> <index> <count>`
 * (answer: a text of the answering side, the same on all parts; index from 0) and a part as its payload. An answer of no parts is
 * one message of count 0. A failure is one message with `Tailrace-Error: <code> <retryable: 0 or 1>` and the message text as its payload.
 *
 * NATS keeps the order of one publisher on one subject, so anything but the next index means that a part is lost, or a
 * second server answers too: the asker gets an error then, never an answer with a hole.
 */
export const partHeader = 'Tailrace-Part';
export const errorHeader = 'Tailrace-Error';

export function partHeaderOf(answer: string, index: number, count: number): string {
  return `${answer} ${index} ${count}`;
}

const messageCharactersMax = 500;

/** What goes over the wire of something thrown: a TailraceError's code and message; of anything else nothing but `internal`. */
export function failureFrom(thrown: unknown): { header: string; payload: Uint8Array } {
  const error = tailraceErrorFrom(thrown);
  return {
    header: `${error.code} ${error.retryable ? 1 : 0}`,
    payload: new TextEncoder().encode(error.message.slice(0, messageCharactersMax)),
  };
}

/** The other way. Trusts nothing: an unknown code is `internal`. */
export function errorFromFailure(header: string, payload: Uint8Array): TailraceError {
  const [code = '', retryable] = header.split(' ');
  const text = new TextDecoder().decode(payload.subarray(0, 4 * messageCharactersMax));
  return new TailraceError(isErrorCode(code) ? code : 'internal', text, { retryable: retryable === '1' });
}

/** Throws `too_large` where an answer is beyond what askers collect, or a part beyond a message. */
export function assertAnswer(parts: readonly Uint8Array[], payloadBytesMax: number): void {
  if (parts.length > busLimits.answerPartsMax) {
    throw new TailraceError(
      'too_large',
      `an answer of ${parts.length} parts is too long: at most ${busLimits.answerPartsMax}`,
    );
  }
  let bytes = 0;
  for (const part of parts) {
    if (part.length > payloadBytesMax) {
      throw new TailraceError('too_large', `a part of ${part.length} bytes is too large: at most ${payloadBytesMax}`);
    }
    bytes += part.length;
  }
  if (bytes > busLimits.answerBytesMax) {
    throw new TailraceError(
      'too_large',
      `an answer of ${bytes} bytes is too large: at most ${busLimits.answerBytesMax}`,
    );
  }
}

export interface AnswerCollector {
  /** Takes the next message. Returns all parts when it was the last, else undefined. Throws what the asker shall get. */
  take(header: string, payload: Uint8Array): readonly Uint8Array[] | undefined;
}

export function createAnswerCollector(subject: string): AnswerCollector {
  const parts: Uint8Array[] = [];
  let answer: string | undefined;
  let bytes = 0;

  return {
    take(header, payload) {
      const match = /^(\S{1,64}) (\d{1,6}) (\d{1,6})$/.exec(header);
      if (match === null) throw broken(subject, `the part header ${shown(header)} does not parse`);
      const index = Number(match[2]);
      const count = Number(match[3]);
      answer ??= match[1];
      if (answer !== match[1]) throw broken(subject, 'two servers answer at once');
      if (count > busLimits.answerPartsMax)
        throw broken(subject, `${count} parts are too many: at most ${busLimits.answerPartsMax}`);
      if (count === 0) return parts;
      if (index !== parts.length || index >= count)
        throw broken(subject, `part ${index} of ${count} came when ${parts.length} was due`);
      bytes += payload.length;
      if (bytes > busLimits.answerBytesMax) throw broken(subject, `it is over ${busLimits.answerBytesMax} bytes`);
      parts.push(payload);
      return parts.length === count ? parts : undefined;
    },
  };
}

/** `unavailable`, and thus retryable: the question may be asked again. */
function broken(subject: string, what: string): TailraceError {
  return new TailraceError('unavailable', `the answer from ${shown(subject)} is incomplete: ${what}`);
}

// The compiler sees to it that the list is whole.
const errorCodes: Readonly<Record<ErrorCode, true>> = {
  invalid_path: true,
  invalid_pattern: true,
  invalid_report: true,
  invalid_message: true,
  invalid_position: true,
  invalid_config: true,
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
  internal: true,
};

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCodes, text);
}
