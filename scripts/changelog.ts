/**
 * CHANGELOG.md in the format of https://keepachangelog.com/en/1.1.0/: one entry per version, newest first, with the
 * release date.
 */

export interface Entry {
  readonly version: string;
  /** As written, `2026-11-21`; undefined where the heading has none. */
  readonly date: string | undefined;
  readonly text: string;
}

const heading = /^## \[(?<version>[^\]]+)\](?: - (?<date>\S+))?[ \t]*$/gm;

/** Returns the entries in the order of the file, including [Unreleased]. */
export function changelogEntries(markdown: string): Entry[] {
  const found = [...markdown.matchAll(heading)];
  return found.map((match, i) => ({
    version: match.groups!['version']!,
    date: match.groups!['date'],
    text: markdown.slice(match.index + match[0].length, found[i + 1]?.index).trim(),
  }));
}

/** Returns what is wrong with the changelog of a project at `version`, one sentence each. */
export function changelogErrors(markdown: string, version: string): string[] {
  const entries = changelogEntries(markdown);
  const entry = entries.find((one) => one.version === version);
  if (!entry)
    return [
      `CHANGELOG.md has no entry for ${version}: expected a heading like "## [${version}] - 2026-01-31" and the changes below it`,
    ];
  const errors: string[] = [];
  if (entry.date === undefined || !isDay(entry.date)) {
    errors.push(`CHANGELOG.md: ${version} expected a date like 2026-01-31 for ${version}, got ${entry.date ?? 'none'}`);
  }
  if (!/^[-*] \S/m.test(entry.text))
    errors.push(`CHANGELOG.md: expected at least one line with "- " under ${version}, got none`);
  if (entries.find((one) => one.version !== 'Unreleased') !== entry) {
    errors.push(`CHANGELOG.md: expected ${version} as its first version, got an older one`);
  }
  return errors;
}

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
}
