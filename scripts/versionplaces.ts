/**
 * Where the version stands besides the package.json of the project, which alone decides it: manifests of the workspaces
 * and what they want of each other, the lock file, the chart, the tags of our images in what is deployed, and the
 * newest entry of the changelog.
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
  { files: workspaces, says: new RegExp(`"@tailrace/[a-z]+": "${number}"`, 'g'), always: false },
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
  for (const [name, version] of lockedVersions(root))
    if (version !== wanted) faults.push(`package-lock.json: ${name} is ${version}; the project is ${wanted}`);
  return faults;
}

/** Writes `version` into every place but the changelog. Returns the files that changed. */
export function setVersion(root: string, version: string): string[] {
  const changed = new Set<string>();
  const write = (file: string, text: string) => {
    if (readFileSync(join(root, file), 'utf8') === text) return;
    writeFileSync(join(root, file), text);
    changed.add(file);
  };
  const project = readFileSync(join(root, 'package.json'), 'utf8');
  write('package.json', project.replace(/^( {2}"version": ")[^"]*/m, `$1${version}`));
  for (const place of places) {
    for (const file of filesOf(root, place)) {
      const text = readFileSync(join(root, file), 'utf8');
      write(
        file,
        text.replace(place.says, (match: string, old: string) => match.replace(old, version)),
      );
    }
  }
  write('package-lock.json', `${JSON.stringify(lockAt(readLock(root), version), null, 2)}\n`);
  return [...changed].sort();
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

interface Locked {
  version?: string;
  link?: boolean;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

interface Lock {
  version: string;
  packages: Record<string, Locked>;
}

function readLock(root: string): Lock {
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
}

/** Our own packages in the lock file, and what they want of each other. */
function lockedVersions(root: string): [name: string, version: string][] {
  const lock = readLock(root);
  const own = ownPackages(lock);
  const wanted = own.flatMap(([folder, one]) =>
    wantedOfOurs(one).flatMap((wants) =>
      Object.entries(wants)
        .filter(([name]) => name.startsWith('@tailrace/'))
        .map(([name, version]): [string, string] => [`${folder} wants of ${name}`, version]),
    ),
  );
  return [
    ['the project', lock.version],
    ...own.map(([folder, one]): [string, string] => [folder || 'the root', one.version ?? 'not said']),
    ...wanted,
  ];
}

function ownPackages(lock: Lock): [folder: string, Locked][] {
  return Object.entries(lock.packages).filter(([folder]) => !/(^|\/)node_modules\//.test(folder));
}

function wantedOfOurs(one: Locked): Record<string, string>[] {
  return [one.dependencies ?? {}, one.devDependencies ?? {}];
}

function lockAt(lock: Lock, version: string): Lock {
  lock.version = version;
  for (const [, one] of ownPackages(lock)) {
    one.version = version;
    for (const wants of wantedOfOurs(one))
      for (const name of Object.keys(wants)) if (name.startsWith('@tailrace/')) wants[name] = version;
  }
  return lock;
}
