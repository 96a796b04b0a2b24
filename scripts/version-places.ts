/**
 * Where the version is written. package.json of the project decides it; npm writes it into the workspaces and the lock
 * file. The chart, the image tags of the deployments, and the newest entry of the changelog have it too.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Semantic Versioning 2.0.0, without build metadata, which neither npm nor an image tag keeps. */
export const versionPattern = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

interface Place {
  /** Globs from the root. */
  readonly files: readonly string[];
  /** Each match has a version in its group `version`. */
  readonly pattern: RegExp;
  /** Whether a file without a version is an error. */
  readonly isRequired: boolean;
}

const number = String.raw`(?<version>\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)`;
const workspaces = ['packages/*/package.json', 'services/*/package.json', 'loadtest/package.json', 'test/package.json'];
const deployed = ['deploy/**/*.{yaml,yml,env}', 'helm/**/*.{yaml,yml,md}', 'loadtest/k6/**/*.{yaml,yml,md}'];

const places: readonly Place[] = [
  { files: workspaces, pattern: new RegExp(`^  "version": "${number}"`, 'gm'), isRequired: true },
  {
    files: ['helm/*/Chart.yaml'],
    pattern: new RegExp(`^(?:version|appVersion): ["']?${number}`, 'gm'),
    isRequired: true,
  },
  { files: deployed, pattern: new RegExp(String.raw`\btailrace/[a-z]+:${number}`, 'g'), isRequired: false },
  { files: deployed, pattern: new RegExp(`TAILRACE_VERSION:?[-=]${number}`, 'g'), isRequired: false },
];

interface Found {
  readonly file: string;
  readonly line: number;
  readonly version: string;
}

/** Returns the places that have another version than the project, or none, one sentence each. */
export function versionErrors(root: string): string[] {
  const wanted = projectVersion(root);
  const errors: string[] = [];
  if (!versionPattern.test(wanted))
    errors.push(`package.json: expected a version like 1.2.3 or 1.2.3-rc.1, got ${wanted}`);
  for (const place of places) {
    for (const file of filesOf(root, place)) {
      const found = versionsIn(root, file, place.pattern);
      if (found.length === 0 && place.isRequired) errors.push(`${file}: expected ${wanted}, got no version`);
      for (const { line, version } of found)
        if (version !== wanted) errors.push(`${file}:${line}: expected ${wanted}, got ${version}`);
    }
  }
  for (const [folder, { version }] of workspacesOfLock(root))
    if (version !== wanted)
      errors.push(`package-lock.json: ${folder || 'the project'}: expected ${wanted}, got ${version}`);
  return errors;
}

/** Writes the version of the project into every place that npm does not write. Returns the files that changed. */
export function spreadVersion(root: string): string[] {
  const version = projectVersion(root);
  const changed: string[] = [];
  for (const place of places.filter(({ files }) => files !== workspaces)) {
    for (const file of filesOf(root, place)) {
      const text = readFileSync(join(root, file), 'utf8');
      const wanted = text.replace(place.pattern, (match: string, old: string) => match.replace(old, version));
      if (wanted === text) continue;
      writeFileSync(join(root, file), wanted);
      changed.push(file);
    }
  }
  return [...new Set(changed)].sort();
}

export function projectVersion(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

function filesOf(root: string, place: Place): string[] {
  return globSync([...place.files], { cwd: root, exclude: ['**/node_modules/**'] }).sort();
}

function versionsIn(root: string, file: string, pattern: RegExp): Found[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(pattern)].map((match) => ({
    file,
    line: text.slice(0, match.index).split('\n').length,
    version: match.groups!['version']!,
  }));
}

function workspacesOfLock(root: string): [folder: string, { version?: string }][] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string }>;
  };
  return Object.entries(packages).filter(([folder]) => !/(^|\/)node_modules\//.test(folder));
}
