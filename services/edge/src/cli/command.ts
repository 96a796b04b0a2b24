import { parseArgs } from 'node:util';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { readSourcesFile, type Sources } from '../sources-file.ts';
import { planText } from './plan.ts';

export interface CommandResult {
  readonly code: 0 | 2;
  readonly output: string;
}

const usage = `usage:
  tailrace-edge plan --sources FILE            prints the read requests of a sources file
  tailrace-edge --check-config --sources FILE  checks a sources file
`;

/** Runs a command of the command line. Returns its output and exit code. */
export function runCommand(args: readonly string[]): CommandResult {
  let path: string | undefined;
  let isCheck: boolean | undefined;
  let commands: readonly string[];
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        sources: { type: 'string' },
        'check-config': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) return { code: 0, output: usage };
    path = values.sources;
    isCheck = values['check-config'];
    commands = positionals;
  } catch (thrown) {
    return { code: 2, output: `tailrace-edge: ${(thrown as Error).message}\n${usage}` };
  }
  const isPlan = commands.length === 1 && commands[0] === 'plan' && isCheck !== true;
  const isOnlyCheck = commands.length === 0 && isCheck === true;
  if (path === undefined || !(isPlan || isOnlyCheck)) return { code: 2, output: usage };
  let sources: Sources;
  try {
    sources = readSourcesFile(path);
  } catch (thrown) {
    return { code: 2, output: `tailrace-edge: ${tailraceErrorFrom(thrown).message}\n` };
  }
  return { code: 0, output: isPlan ? planText(sources) : summaryText(sources) };
}

function summaryText({ sources }: Sources): string {
  const tags = sources.reduce((sum, source) => sum + source.tags.length, 0);
  const writable = sources.reduce((sum, source) => sum + source.tags.filter(({ write }) => write).length, 0);
  const count = (number: number, name: string) => `${number} ${name}${number === 1 ? '' : 's'}`;
  return `the sources file is valid: ${count(sources.length, 'source')}, ${count(tags, 'tag')}, ${writable} of them writable\n`;
}
