/**
 * CHANGELOG.md in the form of https://keepachangelog.com/en/1.1.0/: one entry a version, newest first, with the day of
 * its release.
 */

export interface Entry {
  readonly version: string;
  /** As written, `2026-11-21`; undefined where the heading has none. */
  readonly date: string | undefined;
  readonly text: string;
}

const heading = /^## \[(?<version>[^\]]+)\](?: - (?<date>\S+))?[ \t]*$/gm;

/** In the order of the file, [Unreleased] among them. */
export function changelogEntries(markdown: string): Entry[] {
  const found = [...markdown.matchAll(heading)];
  return found.map((match, i) => ({
    version: match.groups!['version']!,
    date: match.groups!['date'],
    text: markdown.slice(match.index + match[0].length, found[i + 1]?.index).trim(),
  }));
}

/** Faults of the changelog for a project at `version`, each as one sentence. */
export function changelogFaults(markdown: string, version: string): string[] {
  const entries = changelogEntries(markdown);
  const entry = entries.find((one) => one.version === version);
  if (!entry)
    return [
      `CHANGELOG.md has no entry for ${version}; right is a heading like "## [${version}] - 2026-01-31" and what is new below it`,
    ];
  const faults: string[] = [];
  if (entry.date === undefined || !isDay(entry.date)) {
    faults.push(`CHANGELOG.md: ${version} is dated ${entry.date ?? 'not at all'}; right is a day like 2026-01-31`);
  }
  if (!/^[-*] \S/m.test(entry.text))
    faults.push(`CHANGELOG.md says nothing of ${version}; right is at least one line beginning with "- "`);
  if (entries.find((one) => one.version !== 'Unreleased') !== entry) {
    faults.push(`CHANGELOG.md: ${version} is not the newest version in it; newest come first`);
  }
  return faults;
}

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
}
