import { dirname, join, normalize } from 'node:path';

export interface Files {
  exists(file: string): boolean;
  read(file: string): string;
}

/** Returns an error for each relative link of a Markdown page to a file or heading that does not exist. */
export function linkErrorsOf(page: string, text: string, files: Files): string[] {
  const errors: string[] = [];
  for (const [, target] of withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    const [path, heading] = target!.split('#') as [string, string | undefined];
    const file = path === '' ? page : normalize(join(dirname(page), path));
    if (path !== '' && !files.exists(file)) errors.push(`${page}: ${file} does not exist`);
    else if (heading !== undefined && file.endsWith('.md')) {
      const there = headingsOf(path === '' ? text : files.read(file));
      if (!there.has(heading)) errors.push(`${page}: ${file} has no heading #${heading}`);
    }
  }
  return errors;
}

/**
 * Names of headings as GitHub makes them: lower case, without punctuation, a dash for each space, and a number where
 * one occurs again.
 */
function headingsOf(text: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [, heading] of withoutBlocks(text).matchAll(/^#{1,6} (.+)$/gm)) {
    const name = heading!
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    let unique = name;
    for (let n = 1; names.has(unique); n++) unique = `${name}-${n}`;
    names.add(unique);
  }
  return names;
}

function withoutBlocks(text: string): string {
  return text.replace(/^```.*?^```/gms, '');
}
