import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { extname } from 'node:path';
import { projectRoot } from './services.ts';

/** Extensions of hand-written files, and names of those without one. */
const written = new Set([
  ...[
    '.ts',
    '.tsx',
    '.js',
    '.mjs',
    '.java',
    '.proto',
    '.css',
    '.html',
    '.md',
    '.yaml',
    '.yml',
    '.tpl',
    '.conf',
    '.cfg',
  ],
  ...['Makefile', 'Dockerfile', 'run'],
]);
const generated = /(^|\/)generated\/|^docs\/CONFIG\.md$|^package-lock\.json$/;
const testFile = /\.(i?test|spec)\.tsx?$|\/test\//;

/** Returns code, settings and pages of the repository, uncommitted ones included, without what is generated; sorted. */
export function writtenFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate'], {
    cwd: projectRoot,
    encoding: 'utf8',
  });
  const deleted = new Set(
    execFileSync('git', ['ls-files', '--deleted'], { cwd: projectRoot, encoding: 'utf8' }).split('\n'),
  );
  return listed
    .split('\n')
    .filter((file) => file !== '' && !deleted.has(file) && !generated.test(file))
    .filter((file) => written.has(extname(file) || file.slice(file.lastIndexOf('/') + 1)))
    .sort();
}

/** Returns the TypeScript files of packages and services, generated JavaScript included; sorted. */
export function packageFiles(): string[] {
  return globSync('{packages,services}/**/*.{ts,tsx,js}', {
    cwd: projectRoot,
    exclude: (path) => /(^|[\\/])(node_modules|dist)$/.test(path),
  })
    .map((path) => path.replaceAll('\\', '/'))
    .sort();
}

export function isTestFile(file: string): boolean {
  return testFile.test(file);
}

/** Returns whether the file is hand-written product code: no test, not generated. */
export function isProductFile(file: string): boolean {
  return !isTestFile(file) && !generated.test(file) && !file.startsWith('packages/testkit/');
}
