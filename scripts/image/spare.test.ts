import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSpare, isSpareOfProject, isSparePackage } from './spare.ts';

const runtime = { platform: 'linux', arch: 'x64', abi: '127' };
const spare = (path: string, siblings: readonly string[] = [], folder = 'node_modules/p') =>
  isSpare(folder, path, siblings, runtime);

for (const path of [
  'index.d.ts',
  'a/b.js.map',
  'test/a.js',
  'docs/a.html',
  'README.md',
  'src/addon.cc',
  'src/index.ts',
  'dist/license.d.ts',
  'dist/license.d.ts.map',
]) {
  test(`${path} is omitted`, () => assert.equal(spare(path), true));
}

for (const path of [
  'index.js',
  'a.cjs',
  'dist/doc/node.js',
  'LICENSE',
  'LICENSE.md',
  'NOTICE.md',
  'data.json',
  'x.wasm',
]) {
  test(`${path} stays`, () => assert.equal(spare(path), false));
}

test('of an addon only the build stays that Node.js loads', () => {
  const uws = ['linux_x64_127', 'linux_x64_115', 'linux_arm64_127', 'darwin_x64_127', 'win32_x64_127'];
  assert.deepEqual(
    uws.filter((build) => !spare(`dist/bin/uws_${build}.node`)),
    ['linux_x64_127'],
  );
  const lmdb = ['abi127.glibc', 'abi115.glibc', 'napi.glibc', 'napi.musl'].map((build) => `node.${build}.node`);
  assert.deepEqual(
    lmdb.filter((name) => !spare(name, lmdb)),
    ['node.abi127.glibc.node'],
  );
  // Without one for this ABI, Node.js loads the one for all.
  const older = lmdb.slice(1);
  assert.deepEqual(
    older.filter((name) => !spare(name, older)),
    ['node.napi.glibc.node'],
  );
});

test('of OpenTelemetry only the files stay that Node.js loads', () => {
  const folder = 'node_modules/@opentelemetry/api';
  assert.equal(spare('build/esm/index.js', [], folder), true);
  assert.equal(spare('build/src/index.js', [], folder), false);
  assert.equal(spare('build/esm/index.js'), false);
});

test('of packages that are bundled into the page, the files that identify them stay', () => {
  const isSpareOfPage = (path: string) => spare(path, [], 'node_modules/@preact/signals');
  assert.deepEqual(['dist/signals.js', 'package.json', 'LICENSE'].map(isSpareOfPage), [true, false, false]);
  assert.equal(spare('dist/protobuf.js', [], 'node_modules/protobufjs'), true);
  assert.equal(spare('src/index.js', [], 'node_modules/protobufjs'), false);
  assert.equal(spare('v3/index.js', [], 'node_modules/zod'), true);
  assert.equal(spare('v4/index.cjs', [], 'node_modules/zod'), true);
  assert.equal(spare('v4/index.js', [], 'node_modules/zod'), false);
});

test('of packages for servers, browsers and CommonJS, the files stay that a service imports', () => {
  const kept = (folder: string, paths: readonly string[]) => paths.filter((path) => !spare(path, [], folder));
  assert.deepEqual(kept('node_modules/csv-parse', ['lib/sync.js', 'dist/esm/sync.js']), ['lib/sync.js']);
  const mail = ['dist/esm/nodemailer.js', 'dist/cjs/nodemailer.js'];
  assert.deepEqual(kept('node_modules/nodemailer', mail), ['dist/esm/nodemailer.js']);
  const pglite = ['dist/index.js', 'dist/index.cjs', 'dist/pglite.wasm', 'dist/pglite.data', 'dist/pgcrypto.tar.gz'];
  const loaded = ['dist/index.js', 'dist/pglite.wasm', 'dist/pglite.data'];
  assert.deepEqual(kept('node_modules/@electric-sql/pglite', pglite), loaded);
});

test('PostgreSQL in process is in the image of standalone alone', () => {
  const path = '/app/node_modules/@electric-sql/pglite';
  assert.deepEqual(
    ['standalone', 'control', 'ingest'].map((service) => isSparePackage(path, service)),
    [false, true, true],
  );
});

test('tests and sources of the page are omitted from packages of the project', () => {
  for (const path of ['src/a.test.ts', 'test/a.itest.ts', 'web/main.tsx', 'web', 'README.md', 'src/generated/x.d.ts']) {
    assert.equal(isSpareOfProject(path), true, path);
  }
  for (const path of ['src/a.ts', 'package.json', 'dist/index.html', 'src/website.ts', 'src/generated/x.js']) {
    assert.equal(isSpareOfProject(path), false, path);
  }
});
