import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectRoot } from './services.ts';

/** The part of `process` that a generator needs. */
interface GeneratorProcess {
  readonly argv: readonly string[];
  readonly stderr: { write(text: string): unknown };
  exitCode?: number | string | null | undefined;
}

/** JSON as the gate wants every file of the tree. */
export function jsonText(value: unknown): string {
  const input = JSON.stringify(value);
  return execFileSync('biome', ['format', '--stdin-file-path=file.json'], {
    input,
    encoding: 'utf8',
    cwd: projectRoot,
  });
}

/** Writes the files, by path from the root; with `--check` only says which differ, and makes the process end with 1. */
export function writeOrCheck(process: GeneratorProcess, name: string, files: Readonly<Record<string, string>>): void {
  const fail = (sentence: string) => {
    process.stderr.write(`${name}: ${sentence}\n`);
    process.exitCode = 1;
  };
  const unknown = process.argv.slice(2).filter((argument) => argument !== '--check');
  if (unknown.length > 0) {
    fail(`${unknown.join(' ')}: no such argument; --check is the only one`);
    return;
  }
  for (const [path, wanted] of Object.entries(files)) {
    const target = join(projectRoot, path);
    if (process.argv.includes('--check')) {
      const present = existsSync(target) ? readFileSync(target, 'utf8') : '';
      if (present !== wanted) fail(`${path} is not what it is made from; run scripts/${name}.ts and commit it`);
    } else {
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, wanted);
    }
  }
}
