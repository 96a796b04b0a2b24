import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { test } from 'node:test';

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
  '@opentelemetry/api': 'packages/platform/src/otlptracing.ts',
  '@opentelemetry/exporter-trace-otlp-http': 'packages/platform/src/otlptracing.ts',
  '@opentelemetry/sdk-trace-base': 'packages/platform/src/otlptracing.ts',
  'prom-client': 'packages/platform/src/metrics.ts',
  'uWebSockets.js': 'packages/platform/src/webserver.ts',
  jose: 'packages/platform/src/token.ts',
  kafkajs: 'packages/eventlog/src/kafka.ts',
  lmdb: 'packages/eventlog/src/embedded.ts',
  'lz4-napi': 'packages/eventlog/src/kafka/codecs.ts',
  pino: 'packages/platform/src/log.ts',
  snappy: 'packages/eventlog/src/kafka/codecs.ts',
  protobufjs: 'packages/protocol/src/generated/tailrace.js',
};

interface Import {
  readonly file: string;
  readonly from: string;
  readonly typeOnly: boolean;
}

function sources(): string[] {
  const found = globSync('{packages,services}/**/*.{ts,tsx,js}', {
    cwd: root,
    exclude: (path) => /(^|[\\/])(node_modules|dist)$/.test(path),
  });
  return found.map((path) => path.split(sep).join('/'));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(resolve(root, file), 'utf8');
  const found: Import[] = [];
  for (const match of text.matchAll(/^\s*(?:import|export)\s+(type\s+)?[^'"`;]*?from\s+['"]([^'"]+)['"]/gm)) {
    found.push({ file, from: match[2]!, typeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(/(?:^\s*import\s+|\bimport\(\s*)['"]([^'"]+)['"]/gm)) {
    found.push({ file, from: match[1]!, typeOnly: false });
  }
  return found;
}

const isTest = (file: string) => /\.(i?test|spec)\.tsx?$/.test(file) || /\/test\//.test(file);
const imports = sources().flatMap(importsOf);

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
      isTest(file) &&
      (name === 'testkit' || (place.startsWith('services/') && ['client', 'eventlog', 'bus'].includes(name)));
    if (!testing) faults.push(`${file} imports ${from}`);
  }
  assert.deepEqual(faults, []);
});

test('nobody reaches into another package by a relative path', () => {
  const faults = imports.filter(({ file, from }) => {
    // The one place that has the version.
    if (!from.startsWith('.') || from.endsWith('/package.json')) return false;
    const target = relative(root, resolve(root, dirname(file), from))
      .split(sep)
      .join('/');
    const place = placeOf(file);
    return !target.startsWith(`${place}/`) && !target.startsWith('packages/protocol/src/generated/');
  });
  assert.deepEqual(faults, []);
});

test('each outside library that talks to the world has one adapter file', () => {
  const faults = imports.filter(({ file, from, typeOnly }) => {
    const library = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : from.split('/')[0]!;
    const adapter = adapters[library];
    return adapter !== undefined && file !== adapter && !typeOnly && !isTest(file);
  });
  assert.deepEqual(
    faults.map(({ file, from }) => `${file} imports ${from}`),
    [],
  );
});

test('the web server on uWebSockets.js is known to the transport of fanout alone', () => {
  const users = imports.filter(({ file, from }) => from === '@tailrace/platform/webserver' && !isTest(file));
  assert.deepEqual([...new Set(users.map(({ file }) => file))], ['services/fanout/src/uws-transport.ts']);
});

test('only main.ts files read the environment and end the process', () => {
  // uWebSockets.js takes its one setting from the environment, at the moment when it is loaded.
  const loader = adapters['uWebSockets.js'];
  const faults = sources().filter((file) => {
    if (file === loader) return false;
    if (isTest(file) || /(^|\/)main\.ts$/.test(file) || file.startsWith('packages/testkit/')) return false;
    const code = readFileSync(resolve(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    // Where it is a parameter, it is main.ts that gave it.
    return !/\bprocess: ServiceProcess\b/.test(code) && /\bprocess\.(env|exit)\b/.test(code);
  });
  assert.deepEqual(faults, []);
});

test('product code throws TailraceError, never a bare Error', () => {
  const faults = sources().filter(
    (file) =>
      !isTest(file) &&
      !file.includes('/generated/') &&
      /throw new Error\(/.test(readFileSync(resolve(root, file), 'utf8')),
  );
  assert.deepEqual(faults, []);
});

test('imports make no cycle', () => {
  const graph = new Map<string, string[]>();
  for (const { file, from, typeOnly } of imports) {
    if (typeOnly || !from.startsWith('.')) continue;
    const target = relative(root, resolve(root, dirname(file), from))
      .split(sep)
      .join('/');
    graph.set(file, [...(graph.get(file) ?? []), target]);
  }
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    assert.ok(at < 0, `cycle: ${[...path.slice(at), file].join(' → ')}`);
    if (done.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
});
