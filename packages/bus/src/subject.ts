import { shown, TailraceError } from '@tailrace/protocol/error';

/**
 * Maximum bytes of a subject or pattern. The limit of NATS is its control line of 4,096 bytes, which has further
 * fields.
 */
export const subjectBytesMax = 512;

// Printable ASCII without `.`, `*` and `>`: every NATS server, log and command line takes it without quoting.
const token = '[!-)+\\-/-=?-~]+';
const subjectShape = new RegExp(`^(?!\\$|_INBOX\\.)${token}(?:\\.${token})*$`);
const patternShape = new RegExp(`^(?!\\$|_INBOX\\.)(?:>|(?:${token}|\\*)(?:\\.(?:${token}|\\*))*(?:\\.>)?)$`);

const dot = 46;
const star = 42;
const rest = 62;

/**
 * Throws `invalid_path` unless a message can be sent to the subject: tokens of printable ASCII joined by dots, without
 * wildcards, at most `subjectBytesMax` bytes. The server's own subjects (`$SYS`, `$JS`, `_INBOX`) are refused, so that
 * no text from outside can reach them.
 */
export function assertSubject(subject: string): void {
  if (subject.length > subjectBytesMax || !subjectShape.test(subject)) {
    throw new TailraceError(
      'invalid_path',
      `bus subject: expected tokens of printable characters joined by dots, without wildcards, at most ${subjectBytesMax} bytes, got ${shown(subject)}`,
    );
  }
}

/**
 * Throws `invalid_pattern` unless the pattern can be subscribed to: a subject in which `*` may stand for a token and a
 * last `>` for one token or more.
 */
export function assertSubjectPattern(pattern: string): void {
  if (pattern.length > subjectBytesMax || !patternShape.test(pattern)) {
    throw new TailraceError(
      'invalid_pattern',
      `bus pattern: expected tokens joined by dots, "*" for one token, a last ">" for the rest, at most ${subjectBytesMax} bytes, got ${shown(pattern)}`,
    );
  }
}

/** Returns whether the pattern matches the subject. Both must be valid. Reads both texts once and allocates nothing. */
export function subjectMatches(pattern: string, subject: string): boolean {
  let s = 0;
  for (let p = 0; p < pattern.length; p++) {
    const code = pattern.charCodeAt(p);
    const whole = isWholeToken(pattern, p);
    // The dot before it is matched, and no subject has a dot as its last character: there is a token left.
    if (code === rest && whole) return true;
    if (code === star && whole) {
      if (s >= subject.length) return false;
      while (s < subject.length && subject.charCodeAt(s) !== dot) s++;
    } else if (s < subject.length && subject.charCodeAt(s) === code) {
      s++;
    } else {
      return false;
    }
  }
  return s === subject.length;
}

function isWholeToken(pattern: string, at: number): boolean {
  return (
    (at === 0 || pattern.charCodeAt(at - 1) === dot) &&
    (at === pattern.length - 1 || pattern.charCodeAt(at + 1) === dot)
  );
}
