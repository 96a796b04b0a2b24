import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { importCircles, importsOf, relativeTarget } from '../scripts/import-graph.ts';
import { isProductFile, isTestFile, packageFiles } from '../scripts/source-files.ts';

/** The import rules of docs/ARCHITECTURE.md. What is not allowed here is not allowed. */
const root = resolve(import.meta.dirname, '..');

/** Which of our packages a place may import. Tests beside the source may import the testkit, too. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'packages/protocol': [],
  'packages/platform': ['protocol'],
  'packages/eventlog': ['protocol', 'platform'],
  'packages/bus': ['protocol', 'platform'],
  'packages/client': ['protocol'],
  'packages/testkit': ['protocol', 'platform', 'eventlog', 'bus', 'client'],
  'services/ingest': ['protocol', 'platform', 'eventlog', 'bus'],
  'services/fanout': ['protocol', 'platform', 'eventlog', 'bus'],
  'services/simulator': ['client', 'protocol', 'platform'],
  'services/dashboard/server': ['protocol', 'platform'],
  'services/dashboard/web': ['client'],
  'services/standalone': ['protocol', 'platform', 'eventlog', 'bus', 'ingest', 'fanout', 'simulator', 'dashboard'],
};

/** Outside libraries that talk to the world, or that are to be replaceable: each is imported by this one file. */
const adapters: Readonly<Record<string, string>> = {
  '@node-rs/crc32': 'packages/eventlog/src/kafka/crc32c.ts',
  '@nats-io/transport-node': 'packages/bus/src/nats.ts',
  '@opentelemetry/api': 'packages/platform/src/otlp-tracing.ts',
  '@opentelemetry/exporter-trace-otlp-http': 'packages/platform/src/otlp-tracing.ts',
  '@opentelemetry/sdk-trace-base': 'packages/platform/src/otlp-tracing.ts',
  'prom-client': 'packages/platform/src/metrics.ts',
  'uWebSockets.js': 'services/fanout/src/uws-transport.ts',
  jose: 'packages/platform/src/token.ts',
  kafkajs: 'packages/eventlog/src/kafka.ts',
  lmdb: 'packages/eventlog/src/embedded.ts',
  'lz4-napi': 'packages/eventlog/src/kafka/codecs.ts',
  pino: 'packages/platform/src/logger.ts',
  snappy: 'packages/eventlog/src/kafka/codecs.ts',
  protobufjs: 'packages/protocol/src/generated/tailrace.js',
};

/** The number of import circles, types included; it only falls. `make numbers` lists them. */
const circlesMax = 1;

const imports = packageFiles().flatMap(importsOf);

function placeOf(file: string): string {
  const place = Object.keys(allowed).find((name) => file.startsWith(`${name}/`));
  assert.ok(place !== undefined, `${file} lies in no place that the import rules know; add its place to this test`);
  return place;
}

test('the rules see the code', () => {
  assert.ok(imports.length > 200, `only ${imports.length} imports found`);
  assert.ok(imports.some(({ from }) => from === 'kafkajs'));
});

test('packages and services import only those of ours that they may', () => {
  const faults: string[] = [];
  for (const { file, from } of imports) {
    const place = placeOf(file);
    const name = /^@tailrace\/([^/]+)/.exec(from)?.[1];
    if (name === undefined || place.endsWith(`/${name}`) || allowed[place]!.includes(name)) continue;
    const testing =
      isTestFile(file) &&
      (name === 'testkit' || (place.startsWith('services/') && ['client', 'eventlog', 'bus'].includes(name)));
    if (!testing) faults.push(`${file} imports ${from}`);
  }
  assert.deepEqual(faults, []);
});

test('no file imports from another package by a relative path', () => {
  const faults = imports.filter((each) => {
    const target = relativeTarget(each);
    // The one place that has the version.
    if (target === undefined || target === 'package.json') return false;
    const place = placeOf(each.file);
    return !target.startsWith(`${place}/`) && !target.startsWith('packages/protocol/src/generated/');
  });
  assert.deepEqual(faults, []);
});

test('each outside library that talks to the world has one adapter file', () => {
  const faults = imports.filter(({ file, from, typeOnly }) => {
    const library = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : from.split('/')[0]!;
    const adapter = adapters[library];
    return adapter !== undefined && file !== adapter && !typeOnly && !isTestFile(file);
  });
  assert.deepEqual(
    faults.map(({ file, from }) => `${file} imports ${from}`),
    [],
  );
});

test('uWebSockets.js is known to the transport of fanout alone, its types included', () => {
  const users = imports.filter(({ from }) => from === 'uWebSockets.js');
  assert.deepEqual([...new Set(users.map(({ file }) => file))], [adapters['uWebSockets.js']]);
});

test('only main.ts files read the environment and end the process', () => {
  // uWebSockets.js takes its one setting from the environment, at the moment when it is loaded.
  const loader = adapters['uWebSockets.js'];
  const faults = packageFiles().filter((file) => {
    if (file === loader) return false;
    if (isTestFile(file) || /(^|\/)main\.ts$/.test(file) || file.startsWith('packages/testkit/')) return false;
    const code = readFileSync(resolve(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    // Where it is a parameter, it is main.ts that gave it.
    return !/\bprocess: ServiceProcess\b/.test(code) && /\bprocess\.(env|exit)\b/.test(code);
  });
  assert.deepEqual(faults, []);
});

test('product code throws TailraceError, never a bare Error', () => {
  const faults = packageFiles().filter(
    (file) =>
      !isTestFile(file) &&
      !file.includes('/generated/') &&
      /throw new Error\(/.test(readFileSync(resolve(root, file), 'utf8')),
  );
  assert.deepEqual(faults, []);
});

test('no import makes a circle, imports of types included', () => {
  const circles = importCircles(imports.filter(({ file }) => isProductFile(file)));
  assert.ok(circles.length <= circlesMax, circles.map((files) => files.join('\n  ')).join('\n'));
});

test('no import makes a circle at run time', () => {
  assert.deepEqual(importCircles(imports.filter(({ typeOnly }) => !typeOnly)), []);
});

test('a circle is found, however long it is, and a file that is imported twice is none', () => {
  const from = (file: string, ...targets: string[]) =>
    targets.map((target) => ({ file: `p/${file}.ts`, from: `./${target}.ts`, typeOnly: true }));
  assert.deepEqual(importCircles([...from('a', 'b', 'c'), ...from('b', 'c', 'd'), ...from('c', 'd')]), []);
  assert.deepEqual(importCircles([...from('a', 'b'), ...from('b', 'c'), ...from('c', 'b', 'd'), ...from('d', 'c')]), [
    ['p/b.ts', 'p/c.ts', 'p/d.ts'],
  ]);
});
