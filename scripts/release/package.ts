/**
 * Checks of a built npm package: its files, how its exports resolve, and whether a program without any other package
 * can use it. Each error is one sentence.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run, whyItFailed } from '@tailrace/testkit/run';

const deadlineMs = 120_000;

/** The files that a package may contain: manifest, page, license, code and declarations. */
const allowed = /^(package\.json|README\.md|LICENSE|[\w-]+\.js|types\/[\w/.-]+\.d\.ts)$/;
const required = ['package.json', 'README.md', 'LICENSE'];
/** Text that depends on the machine or the repository that built the package, and does not resolve elsewhere. */
const forbidden: readonly [pattern: RegExp, what: string][] = [
  [/\bfile:\/\/\/\w/, 'an address of a file'],
  [/['"(\s](\/home\/|\/Users\/|\/root\/|\/work\/|\/tmp\/)/, 'a path of the machine that built it'],
  [/(from|import\(?)\s*['"]@tailrace\/(?!client\b)/, 'an import of a package that is not published'],
  [/(from|import\(?)\s*['"]\.[^'"]*(?<!\.d)\.ts['"]/, 'an import of a TypeScript source'],
  [/sourceMappingURL=/, 'a source map that is not in it'],
  [/\]\(\.\.?\//, 'a link to a file that is not in it'],
];

/** Packs `folder` as npm publishes it. Returns the path of the tarball, in `into`. */
export async function packed(folder: string, into: string): Promise<string> {
  mkdirSync(into, { recursive: true });
  const { stdout } = await run('npm', ['pack', folder, '--json', '--ignore-scripts', '--pack-destination', into], {
    cwd: into,
    deadlineMs,
  });
  const [one] = JSON.parse(stdout) as [{ filename: string }];
  return join(into, basename(one.filename));
}

/** Returns the errors in the files of the tarball. Unpacks it into `into`/package, as npm does. */
export async function contentErrors(tarball: string, into: string, root: string): Promise<string[]> {
  mkdirSync(into, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', into], { deadlineMs });
  const folder = join(into, 'package');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
  const errors = required.filter((file) => !files.includes(file)).map((file) => `the package lacks ${file}`);
  for (const file of files) {
    if (!allowed.test(file))
      errors.push(
        `the package contains ${file}: expected only code, declarations, package.json, README.md and LICENSE`,
      );
    const text = readFileSync(join(folder, file), 'utf8');
    if (file.endsWith('.d.ts')) errors.push(...importErrors(file, text, files));
    for (const [pattern, what] of [...forbidden, [new RegExp(escaped(root)), 'the path of the repository'] as const]) {
      const found = pattern.exec(text);
      if (found) errors.push(`${file}:${lineOf(text, found.index)}: has ${what}: ${found[0].trim()}`);
    }
  }
  if (files.includes('package.json'))
    errors.push(...manifestErrors(readFileSync(join(folder, 'package.json'), 'utf8')));
  return errors;
}

/** A compiler without `skipLibCheck` fails on a declaration that imports a missing one. */
function importErrors(file: string, text: string, files: readonly string[]): string[] {
  const imports = text.matchAll(/['"](\.{1,2}\/[\w./-]+)\.js['"]/g);
  const targets = Array.from(imports, ([, path]) => join(dirname(file), `${path}.d.ts`));
  return targets
    .filter((target) => !files.includes(target))
    .map((target) => `${file}: imports ${target}, which is missing`);
}

function manifestErrors(text: string): string[] {
  const manifest = JSON.parse(text) as Record<string, unknown>;
  const errors: string[] = [];
  if (manifest['private'] !== undefined) errors.push('package.json: has private, so npm does not publish it');
  for (const field of ['name', 'version', 'description', 'license', 'exports', 'engines'])
    if (manifest[field] === undefined) errors.push(`package.json: has no ${field}`);
  if (manifest['scripts'] !== undefined) errors.push('package.json: has scripts, which run where it is installed');
  if (manifest['dependencies'] !== undefined) errors.push('package.json: has dependencies: expected them bundled');
  return errors;
}

/**
 * Returns the errors of publint (https://publint.dev/rules) and Are The Types Wrong
 * (https://github.com/arethetypeswrong). The package is for `import` alone: `require` and the resolution of Node.js 10
 * are not checked.
 */
export async function exportErrors(tarball: string, root: string): Promise<string[]> {
  const tools: readonly [name: string, args: readonly string[]][] = [
    ['publint', ['run', tarball, '--strict']],
    ['attw', [tarball, '--profile', 'esm-only', '--no-color', '--no-emoji', '--format', 'ascii']],
  ];
  const errors = await Promise.all(
    tools.map(([name, args]) =>
      run(join(root, 'node_modules/.bin', name), args, { deadlineMs, env: { ...process.env, NO_COLOR: '1' } }).then(
        () => [],
        (thrown: unknown) => {
          const { stdout } = thrown as { stdout?: string };
          return [`${name}: ${(stdout ?? '').trim() || whyItFailed(thrown)}`];
        },
      ),
    ),
  );
  return errors.flat();
}

/**
 * Installs the tarball in the new folder `into`, imports every entry from a program in plain Node.js, and checks the
 * types that the program uses. Returns the first error.
 */
export async function usageErrors(tarball: string, into: string, tsc: string): Promise<string[]> {
  mkdirSync(into, { recursive: true });
  writeFileSync(join(into, 'package.json'), '{"name":"fresh","private":true,"type":"module"}\n');
  writeFileSync(join(into, 'program.ts'), program);
  writeFileSync(join(into, 'program.js'), program);
  const steps: readonly [what: string, command: string, args: readonly string[]][] = [
    [
      'npm install',
      'npm',
      ['install', tarball, '--offline', '--no-audit', '--no-fund', '--omit=peer', '--loglevel=error'],
    ],
    ['import', process.execPath, ['program.js']],
    [
      'types',
      process.execPath,
      [
        tsc,
        ...'--ignoreConfig --noEmit --strict --module nodenext --target es2022 --lib es2022,dom --types'.split(' '),
        '',
        'program.ts',
      ],
    ],
  ];
  for (const [what, command, args] of steps) {
    try {
      const { stdout } = await run(command, args, { cwd: into, deadlineMs, env: withoutModules() });
      if (what === 'import' && stdout !== 'live 42.5\n')
        return [`import: expected the program to print "live 42.5", got ${JSON.stringify(stdout)}`];
    } catch (thrown) {
      const { stdout } = thrown as { stdout?: string };
      return [`${what}: ${(stdout ?? '').trim()} ${whyItFailed(thrown)}`.slice(0, 2000)];
    }
  }
  return [];
}

/** Without variables by which Node.js would find this repository's node_modules. */
function withoutModules(): NodeJS.ProcessEnv {
  const { NODE_PATH: _path, NODE_OPTIONS: _options, ...rest } = process.env;
  return rest;
}

const program = `import { createStream, createPublisher } from '@tailrace/client';
import { createTestServer } from '@tailrace/client/testing';
const server = createTestServer();
const stream = createStream({ url: server.url, WebSocket: server.WebSocket, clock: server.clock });
const subscription = stream.subscribe('plant1.a', { onReports: (reports) => console.log(subscription.state.name, reports[0]?.readings[0]?.value) });
await server.settled();
server.publish('plant1.a', { temperature: 42.5 });
await server.settled();
stream.close();
if (typeof createPublisher !== 'function') throw new TypeError('no createPublisher');
`;

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
