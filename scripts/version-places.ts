/**
 * Where the version stands. package.json of the project decides it; npm writes it into the workspaces and the lock
 * file. It stands besides in the chart, in the tags of our images in what is deployed, and in the newest entry of the
 * changelog.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Semantic Versioning 2.0.0, without build metadata, which neither npm nor an image tag keeps. */
export const versionPattern = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

interface Place {
  /** Files below the root. */
  readonly files: readonly string[];
  /** Each match says a version in its group `version`. */
  readonly says: RegExp;
  /** A file of these that says none is a fault. */
  readonly always: boolean;
}

const number = String.raw`(?<version>\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)`;
const workspaces = ['packages/*/package.json', 'services/*/package.json', 'loadtest/package.json', 'test/package.json'];
const deployed = ['deploy/**/*.{yaml,yml,env}', 'helm/**/*.{yaml,yml,md}', 'loadtest/k6/**/*.{yaml,yml,md}'];

const places: readonly Place[] = [
  { files: workspaces, says: new RegExp(`^  "version": "${number}"`, 'gm'), always: true },
  {
    files: ['helm/*/Chart.yaml'],
    says: new RegExp(`^(?:version|appVersion): ["']?${number}`, 'gm'),
    always: true,
  },
  { files: deployed, says: new RegExp(String.raw`\btailrace/[a-z]+:${number}`, 'g'), always: false },
  { files: deployed, says: new RegExp(`TAILRACE_VERSION:?[-=]${number}`, 'g'), always: false },
];

interface Found {
  readonly file: string;
  readonly line: number;
  readonly version: string;
}

/** Each fault as one sentence: a place that says another version than the project, or none. */
export function versionFaults(root: string): string[] {
  const wanted = projectVersion(root);
  const faults: string[] = [];
  if (!versionPattern.test(wanted))
    faults.push(`package.json: version ${wanted}; right is one like 1.2.3 or 1.2.3-rc.1`);
  for (const place of places) {
    for (const file of filesOf(root, place)) {
      const found = versionsIn(root, file, place.says);
      if (found.length === 0 && place.always) faults.push(`${file}: says no version; ${wanted} is right`);
      for (const { line, version } of found)
        if (version !== wanted) faults.push(`${file}:${line}: says ${version}; the project is ${wanted}`);
    }
  }
  for (const [folder, { version }] of workspacesOfLock(root))
    if (version !== wanted)
      faults.push(`package-lock.json: ${folder || 'the project'}: expected ${wanted}, got ${version}`);
  return faults;
}

/** Writes the version of the project into every place that npm does not know. Returns the files that changed. */
export function spreadVersion(root: string): string[] {
  const version = projectVersion(root);
  const changed: string[] = [];
  for (const place of places.filter(({ files }) => files !== workspaces)) {
    for (const file of filesOf(root, place)) {
      const text = readFileSync(join(root, file), 'utf8');
      const wanted = text.replace(place.says, (match: string, old: string) => match.replace(old, version));
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

function versionsIn(root: string, file: string, says: RegExp): Found[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(says)].map((match) => ({
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
