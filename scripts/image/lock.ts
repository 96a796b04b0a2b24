/**
 * What we read of package-lock.json, version 3: a package by its folder, as `node_modules/zod`, `packages/bus`,
 * `node_modules/a/node_modules/b`.
 */
export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  /** A folder of ours, under node_modules as a link to `resolved`. */
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/**
 * Folders of all that runs with the package in folder `root`, itself among them, and for each what it needs, found as
 * Node.js finds it: in the nearest node_modules, going up. What serves development only is not followed: `npm ci
 * --omit=dev -w` keeps it where another workspace needs it to run. What is optional counts where `isInstalled` says
 * that it is there: npm has decided that by platform.
 */
export function neededFolders(
  lock: Lock,
  root: string,
  isInstalled: (folder: string) => boolean,
): Map<string, readonly string[]> {
  const needed = new Map<string, readonly string[]>();
  const queue = [root];
  for (const folder of queue) {
    if (needed.has(folder)) continue;
    const wanted = namesNeeded(lock, folder).map(({ name, isOptional }) => {
      const found = folderOf(lock, folder, name);
      if (found !== undefined && isInstalled(found)) return found;
      if (isOptional) return undefined;
      throw new Error(`${folder} needs ${name}, which is not installed: run npm ci -w services`);
    });
    const there = wanted.filter((each) => each !== undefined);
    needed.set(folder, there);
    queue.push(...there);
  }
  return needed;
}

function namesNeeded(lock: Lock, folder: string): { name: string; isOptional: boolean }[] {
  const locked = lock.packages[folder];
  if (locked === undefined) throw new Error(`package-lock.json has no ${folder}`);
  // A link needs what it points to.
  if (locked.link) return [{ name: locked.resolved ?? '', isOptional: false }];
  const optional = Object.keys(locked.optionalDependencies ?? {});
  const peers = Object.keys(locked.peerDependencies ?? {});
  return [
    ...Object.keys(locked.dependencies ?? {})
      .filter((name) => !optional.includes(name))
      .map((name) => ({ name, isOptional: false })),
    ...optional.map((name) => ({ name, isOptional: true })),
    ...peers
      .filter((name) => !locked.peerDependenciesMeta?.[name]?.optional)
      .map((name) => ({ name, isOptional: false })),
  ];
}

function folderOf(lock: Lock, from: string, name: string): string | undefined {
  if (lock.packages[from]?.link) return name;
  const parts = from.split('/');
  for (let length = parts.length; length >= 0; length--) {
    if (parts[length - 1] === 'node_modules') continue;
    const folder = [...parts.slice(0, length), 'node_modules', name].join('/');
    if (lock.packages[folder] !== undefined) return folder;
  }
  return undefined;
}
