import { execFileSync } from 'node:child_process';
import { TailraceError } from '@tailrace/protocol/error';
import { projectRoot } from './services.ts';

/** Returns JSON in the format of the repository. */
export function jsonText(value: unknown): string {
  const input = JSON.stringify(value);
  return execFileSync('biome', ['format', '--stdin-file-path=file.json'], {
    input,
    encoding: 'utf8',
    cwd: projectRoot,
  });
}

/** Returns `page` with the text between `<!-- generated: <name> -->` and `<!-- end -->` replaced by `part`. */
export function withGeneratedPart(page: string, name: string, part: string): string {
  const start = `<!-- generated: ${name} -->`;
  const end = '<!-- end -->';
  const from = page.indexOf(start);
  const to = page.indexOf(end, from);
  if (from === -1 || to === -1) throw new TailraceError('not_found', `page: expected ${start} … ${end}, got neither`);
  return `${page.slice(0, from)}${start}\n${part}\n${page.slice(to)}`;
}
