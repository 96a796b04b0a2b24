import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { failure } from '../test/contract-bench.ts';
import { assertSubject, assertSubjectPattern, subjectBytesMax, subjectMatches } from './subject.ts';

// Few letters, so that chance finds matches; and tokens that start like wildcards or like other tokens.
const token = fc.constantFrom('a', 'b', 'ab', 'aa', '-', 'x:1');
const subject = fc.array(token, { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 0, maxLength: 4 }), fc.boolean())
  .filter(([tokens, rest]) => rest || tokens.length > 0)
  .map(([tokens, rest]) => [...tokens, ...(rest ? ['>'] : [])].join('.'));

/** The definition, token by token, without regard to speed. */
function matchesByDefinition(patternText: string, text: string): boolean {
  const tokens = text.split('.');
  const parts = patternText.split('.');
  if (parts.at(-1) === '>')
    return tokens.length >= parts.length && parts.slice(0, -1).every((part, i) => part === '*' || part === tokens[i]);
  return tokens.length === parts.length && parts.every((part, i) => part === '*' || part === tokens[i]);
}

describe('bus subjects', () => {
  it('a pattern matches as its definition does', () => {
    fc.assert(
      fc.property(pattern, subject, (p, s) => subjectMatches(p, s) === matchesByDefinition(p, s)),
      { numRuns: 2000 },
    );
  });

  it('a subject as a pattern matches itself and nothing else', () => {
    fc.assert(fc.property(subject, subject, (a, b) => subjectMatches(a, b) === (a === b)));
  });

  it('a pattern made of a subject by wildcards matches the subject', () => {
    fc.assert(
      fc.property(subject, fc.array(fc.boolean()), fc.nat(5), fc.boolean(), (s, stars, length, rest) => {
        const parts = s.split('.').map((part, i) => (stars[i] ? '*' : part));
        const at = Math.min(length, parts.length - 1);
        return subjectMatches((rest ? [...parts.slice(0, at), '>'] : parts).join('.'), s);
      }),
    );
  });

  it('every valid subject and pattern is accepted, a subject as a pattern too', () => {
    fc.assert(
      fc.property(subject, pattern, (s, p) => {
        assertSubject(s);
        assertSubjectPattern(s);
        assertSubjectPattern(p);
      }),
    );
  });

  it('any text is either accepted and safe for the wire, or refused with a bounded message', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 700 }),
          fc.string({ unit: fc.constantFrom('a', '.', '*', '>', ' ', '\r', '\n', '$'), maxLength: 12 }),
        ),
        (text) => {
          for (const assertText of [assertSubject, assertSubjectPattern]) {
            try {
              assertText(text);
            } catch (error) {
              assert.ok((error as Error).message.length < 300);
              continue;
            }
            assert.match(text, /^[!-~]+$/);
            assert.ok(text.length <= subjectBytesMax);
            assert.ok(text.split('.').every((part) => part !== ''));
            if (assertText === assertSubject) assert.ok(!text.includes('*') && !text.includes('>'));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('a long run of tokens is refused as fast as it is long', () => {
    // Patterns by regular expression can take exponential time: this one must not.
    for (const text of [`${'a'.repeat(510)} `, `${'a.'.repeat(250)} `, `${'*.'.repeat(250)}x>`]) {
      assert.throws(() => assertSubject(text), failure('invalid_path'));
      assert.throws(() => assertSubjectPattern(text), failure('invalid_pattern'));
    }
  });

  it('subjects of the server are refused, and similar ones are not', () => {
    for (const text of ['$JS.API.STREAM.DELETE.x', '$SYS.REQ', '_INBOX.abc.1'])
      assert.throws(() => assertSubject(text), failure('invalid_path'));
    for (const text of ['a.$JS', '_INBOXES.a', 'x._INBOX.y']) assertSubject(text);
  });
});
