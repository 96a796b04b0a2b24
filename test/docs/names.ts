/** The answer of a row of "Where to find": a file, and `function` or `Class.method` in it. */
export interface Answer {
  readonly file: string;
  readonly name: string;
}

/** Returns the answers of the rows whose last two columns are a file and a function. */
export function answersOf(text: string): Answer[] {
  const row = /\| `([\w./-]+\.ts)` \| `([\w.#]+)` \|$/gm;
  return [...text.matchAll(row)].map(([, file, name]) => ({ file: file!, name: name! }));
}

/** Returns whether TypeScript source defines `function` or `Class.method`. */
export function defines(source: string, name: string): boolean {
  const [outer, method] = name.split('.') as [string, string | undefined];
  if (method === undefined) return new RegExp(`^export (async )?function\\*? ${outer}\\b`, 'm').test(source);
  const body = new RegExp(`^(export )?class ${outer}\\b.*?^}`, 'ms').exec(source)?.[0] ?? '';
  return new RegExp(`^ {2}(async )?\\*?${method}\\(`, 'm').test(body);
}

/**
 * Returns the TypeScript files that a page names and that are not exactly one of `files`: as it stands, or as the end
 * of a path. A page may name several files that every service has, such as `main.ts`: `common`.
 */
export function unclearFilesOf(text: string, files: readonly string[], common: readonly string[]): string[] {
  const named = new Set([...text.matchAll(/`([\w./-]+\.ts)`/g)].map(([, file]) => file!));
  const isClear = (name: string) => {
    const found = files.filter((file) => file === name || file.endsWith(`/${name}`));
    return found.length === 1 || (found.length > 1 && (common.includes(name) || found.includes(name)));
  };
  return [...named].filter((name) => !isClear(name));
}
