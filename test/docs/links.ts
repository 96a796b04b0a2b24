import { dirname, join, normalize } from 'node:path';

export interface Files {
  exists(file: string): boolean;
  read(file: string): string;
}

/** Relative links of a Markdown page that lead to no file, or to no heading of one. */
export function faultsOfLinks(page: string, text: string, files: Files): string[] {
  const faults: string[] = [];
  for (const [, target] of withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    const [path, heading] = target!.split('#') as [string, string | undefined];
    const file = path === '' ? page : normalize(join(dirname(page), path));
    if (path !== '' && !files.exists(file)) faults.push(`${page}: ${file} is not there`);
    else if (heading !== undefined && file.endsWith('.md')) {
      const there = headingsOf(path === '' ? text : files.read(file));
      if (!there.has(heading)) faults.push(`${page}: ${file} has no heading #${heading}`);
    }
  }
  return faults;
}

/**
 * Names of headings as GitHub makes them: lower case, without punctuation, a dash for each blank, and a number where
 * one comes again.
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
