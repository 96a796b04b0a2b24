import { relative } from 'node:path';

/** A package as `npm ls --all --long --json` lists it. */
export interface Listed {
  readonly name?: string;
  readonly version?: string;
  readonly license?: unknown;
  /** Absent: an optional one that is not installed. */
  readonly path?: string;
  readonly dependencies?: Readonly<Record<string, Listed>>;
  /** Of the whole listing. */
  readonly problems?: readonly string[];
}

export interface Installed {
  /** Where its files are, from the root of the repository. */
  readonly folder: string;
  /** The link to them under node_modules, for a package of ours. */
  readonly link?: string;
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  /** Folders of what it needs to run. */
  readonly needs: Set<string>;
}

/**
 * Returns the packages that a listing of npm names, by folder. npm has decided what a service needs to run. Throws if
 * one of them is missing; another build of uWebSockets.js is invalid to npm, and accepted. `realPath`: follows links.
 */
export function installedPackages(
  listing: Listed,
  root: string,
  realPath: (path: string) => string,
): Map<string, Installed> {
  const missing = listing.problems?.filter((problem) => problem.startsWith('missing:')) ?? [];
  if (missing.length > 0) throw new Error(`expected all packages, got ${missing.join('; ')}: run npm ci -w services`);
  const found = new Map<string, Installed>();
  const visit = ({ dependencies = {} }: Listed, needs: Set<string> | undefined): void => {
    for (const listed of Object.values(dependencies)) {
      const { name, version, license, path } = listed;
      if (path === undefined || name === undefined || version === undefined) continue;
      const folder = relative(root, realPath(path));
      needs?.add(folder);
      const known = found.get(folder) ?? {
        ...{ folder, name, version, needs: new Set<string>() },
        ...(realPath(path) !== path && { link: relative(root, path) }),
        ...(typeof license === 'string' && { license }),
      };
      found.set(folder, known);
      visit(listed, known.needs);
    }
  };
  visit(listing, undefined);
  return found;
}
