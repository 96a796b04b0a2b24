import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'vite';

/**
 * `node scripts/build-client.ts --out folder`: builds the npm package of the client. It has JavaScript for browsers and
 * Node.js 20, with the necessary parts of @tailrace/protocol bundled, and declarations. This repository itself uses the
 * sources. `--repository https://…`: URL of the repository, which npm requires for a package with provenance
 * (https://docs.npmjs.com/generating-provenance-statements).
 */
const root = resolve(import.meta.dirname, '..');
const client = join(root, 'packages/client');
const { values } = parseArgs({
  options: { out: { type: 'string', default: join(client, 'dist') }, repository: { type: 'string' } },
});
const out = resolve(values.out);
const entries = ['client', 'control', 'device', 'react', 'testing'];

mkdirSync(out, { recursive: true });

await build({
  root: client,
  configFile: false,
  logLevel: 'error',
  build: {
    outDir: out,
    target: 'es2022',
    minify: false,
    lib: {
      entry: Object.fromEntries(entries.map((name) => [name, join(client, `src/${name}.ts`)])),
      formats: ['es'],
    },
    rolldownOptions: {
      external: ['react'],
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunk-[hash].js' },
    },
  },
});

// All files are inputs of the compiler: of which imported files of a package it writes declarations differs between
// runs.
const inputs = new Set(entries.map((name) => join(client, `src/${name}.ts`)));
for (const file of inputs) {
  for (const [, ofProtocol, relative] of readFileSync(file, 'utf8').matchAll(
    /'(?:@tailrace\/protocol\/([\w-]+)|(\.[\w./-]+\.ts))'/g,
  )) {
    inputs.add(ofProtocol ? join(root, `packages/protocol/src/${ofProtocol}.ts`) : resolve(dirname(file), relative!));
  }
}
const types = join(out, 'types');
const compiled = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['--ignoreConfig', '--declaration', '--emitDeclarationOnly', '--noEmit', 'false', '--outDir', types],
    ...['--rootDir', join(root, 'packages'), '--module', 'nodenext', '--target', 'es2024'],
    ...['--lib', 'es2024,esnext.disposable'],
    ...['--allowImportingTsExtensions', '--erasableSyntaxOnly', '--strict', '--skipLibCheck', '--types', 'node'],
    ...inputs,
  ],
  { encoding: 'utf8' },
);
if (compiled.status !== 0) {
  process.stderr.write(compiled.stdout + compiled.stderr);
  process.exit(1);
}
// Outside of this repository there is no @tailrace/protocol, and the files are declarations.
for (const file of globSync('**/*.d.ts', { cwd: types })) {
  const text = readFileSync(join(types, file), 'utf8')
    .replace(/(['"])@tailrace\/protocol\/([\w-]+)\1/g, "'../../protocol/src/$2.js'")
    .replace(/(['"])(\.{1,2}\/[\w./-]+)\.ts\1/g, "'$2.js'");
  writeFileSync(join(types, file), text);
}

const source = JSON.parse(readFileSync(join(client, 'package.json'), 'utf8')) as Record<string, unknown>;
const { name, version, description, license, sideEffects, peerDependencies, peerDependenciesMeta } = source;
const exports = Object.fromEntries(
  entries.map((entry) => [
    entry === 'client' ? '.' : `./${entry}`,
    { types: `./types/client/src/${entry}.d.ts`, default: `./${entry}.js` },
  ]),
);
const published = { name, version, description, license, type: 'module', sideEffects, exports };
const publishConfig = { access: 'public' };
const repository = values.repository && {
  repository: { type: 'git', url: `git+${values.repository}.git`, directory: 'packages/client' },
};
const more = { engines: { node: '>=20' }, peerDependencies, peerDependenciesMeta, publishConfig, ...repository };
writeFileSync(join(out, 'package.json'), `${JSON.stringify({ ...published, ...more }, null, 2)}\n`);
// Targets of relative links are not in the package.
const readme = readFileSync(join(client, 'README.md'), 'utf8').replace(/\[([^\]]+)\]\(\.\.?\/[^)]*\)/g, '$1');
writeFileSync(join(out, 'README.md'), readme);
cpSync(join(root, 'LICENSE'), join(out, 'LICENSE'));
