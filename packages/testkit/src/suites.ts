/** A suite of the file's own, or of the contract that it imports. */
const pattern = /\bdescribe\b.*'node:test'|\/contract[\w-]*\.ts'/;

/** Returns whether the text of a test file has suites, which `untracked-tests.ts` does not have. */
export function hasSuites(text: string): boolean {
  return pattern.test(text);
}
