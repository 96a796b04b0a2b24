import { shown, TailraceError } from '@tailrace/protocol/error';

/** Longest subject or pattern in bytes. NATS itself stops at its control line of 4,096 bytes, which carries more than the subject. */
export const subjectBytesMax = 512;

// Printable ASCII without `.`, `*` and `>`: what every NATS server, log and command line takes without quoting.
const token = '[!-)+\\-/-=?-~]+';
const subjectShape = new RegExp(`^(?!\\$|_INBOX\\.)${token}(?:\\.${token})*$`);
const patternShape = new RegExp(`^(?!\\$|_INBOX\\.)(?:>|(?:${token}|\\*)(?:\\.(?:${token}|\\*))*(?:\\.>)?)$`);

const dot = 46;
const star = 42;
const rest = 62;

/**
 * Throws `invalid_path` unless a message can be sent to it: tokens of printable ASCII joined by dots, no wildcard, at most `subjectBytesMax`
 * bytes. Subjects of the server's own (`$SYS`, `$JS`, `_INBOX`) are refused, so that no text from outside can reach them.
 */
export function assertSubject(subject: string): void {
  if (subject.length > subjectBytesMax || !subjectShape.test(subject)) {
    throw new TailraceError(
      'invalid_path',
      `${shown(subject)} is no bus subject: it needs tokens of printable characters joined by dots, no wildcard, at most ${subjectBytesMax} bytes`,
    );
  }
}

/** Throws `invalid_pattern` unless it can be subscribed to: a subject in which `*` may stand for a token and a last `>` for one token or more. */
export function assertSubjectPattern(pattern: string): void {
  if (pattern.length > subjectBytesMax || !patternShape.test(pattern)) {
    throw new TailraceError(
      'invalid_pattern',
      `${shown(pattern)} is no bus pattern: it needs tokens joined by dots, "*" for one token, a last ">" for the rest, at most ${subjectBytesMax} bytes`,
    );
  }
}

/** Whether the subject falls under the pattern. Both must be valid. Walks both texts once and allocates nothing. */
export function subjectMatches(pattern: string, subject: string): boolean {
  let s = 0;
  for (let p = 0; p < pattern.length; p++) {
    const code = pattern.charCodeAt(p);
    const whole = isWholeToken(pattern, p);
    // The dot before it has been matched, and no subject ends in a dot: there is a token left.
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
