import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { importCycles, importsOf, relativeTarget } from '../scripts/import-graph.ts';
import { isProductFile, isTestFile, packageFiles } from '../scripts/source-files.ts';

/** The import rules of docs/ARCHITECTURE.md. All other imports are forbidden. */
const root = resolve(import.meta.dirname, '..');

/** The packages of the project that a place may import. Tests beside the source may import the testkit too. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'packages/protocol': [],
  'packages/platform': ['protocol'],
  'packages/eventlog': ['protocol', 'platform'],
  'packages/bus': ['protocol', 'platform'],
  'packages/sparkplug': ['protocol'],
  'packages/mqtt': ['protocol', 'platform'],
  'packages/database': ['protocol', 'platform'],
  'packages/rules': ['protocol'],
  'packages/client': ['protocol'],
  'packages/testkit': ['protocol', 'platform', 'eventlog', 'bus', 'database', 'client'],
  'services/ingest': ['protocol', 'platform', 'eventlog', 'bus', 'mqtt', 'sparkplug'],
  'services/fanout': ['protocol', 'platform', 'eventlog', 'bus'],
  'services/alarms': ['protocol', 'platform', 'eventlog', 'bus', 'rules'],
  'services/control': ['protocol', 'platform', 'eventlog', 'bus', 'database', 'rules'],
  'services/edge': ['client', 'mqtt', 'protocol', 'platform', 'eventlog'],
  'services/simulator': ['client', 'mqtt', 'sparkplug', 'protocol', 'platform'],
  'services/dashboard/server': ['protocol', 'platform'],
  'services/dashboard/web': ['client'],
  'services/standalone': [
    ...['protocol', 'platform', 'eventlog', 'bus', 'database'],
    ...['ingest', 'fanout', 'alarms', 'control', 'edge', 'simulator', 'dashboard'],
  ],
};

/** Libraries with access to the network or disk, or that must be replaceable: only this file imports each. */
const adapters: Readonly<Record<string, string | readonly string[]>> = {
  '@electric-sql/pglite': 'packages/database/src/pglite-engine.ts',
  '@node-rs/crc32': 'packages/eventlog/src/kafka/crc32c.ts',
  '@nats-io/transport-node': 'packages/bus/src/nats.ts',
  '@opentelemetry/api': 'packages/platform/src/otlp-tracing.ts',
  '@opentelemetry/exporter-trace-otlp-http': 'packages/platform/src/otlp-tracing.ts',
  '@opentelemetry/sdk-trace-base': 'packages/platform/src/otlp-tracing.ts',
  'prom-client': 'packages/platform/src/metrics.ts',
  'uWebSockets.js': 'services/fanout/src/uws-transport.ts',
  jose: 'packages/platform/src/token.ts',
  kafkajs: 'packages/eventlog/src/kafka.ts',
  'mqtt-packet': 'packages/mqtt/src/codec.ts',
  'node-opcua-certificate-manager': [
    'services/edge/src/opcua/certificates.ts',
    'services/simulator/src/opcua/opcua-server.ts',
  ],
  'node-opcua-client': [
    'services/edge/src/opcua/opcua-client.ts',
    'services/edge/src/opcua/opcua-channel.ts',
    'services/simulator/src/opcua/opcua-server.ts',
  ],
  'node-opcua-nodesets': 'services/simulator/src/opcua/opcua-server.ts',
  'node-opcua-server': 'services/simulator/src/opcua/opcua-server.ts',
  'node-opcua-numeric-range': 'services/edge/src/opcua/opcua-channel.ts',
  kysely: 'packages/database/src/typed-queries.ts',
  lmdb: 'packages/eventlog/src/embedded.ts',
  'lz4-napi': 'packages/eventlog/src/kafka/codecs.ts',
  pg: 'packages/database/src/pg.ts',
  'pg-copy-streams': 'packages/database/src/pg.ts',
  pino: 'packages/platform/src/logger.ts',
  postgrator: 'packages/database/src/migrations.ts',
  snappy: 'packages/eventlog/src/kafka/codecs.ts',
  ws: ['services/ingest/src/devices/ws-sockets.ts', 'services/edge/src/uplink/secure-websocket.ts'],
  protobufjs: ['packages/protocol/src/generated/tailrace.js', 'packages/sparkplug/src/generated/sparkplug.js'],
};

/** Limit of import cycles, imports of types included; it only falls. `make numbers` lists them. */
const cyclesMax = 1;

const imports = packageFiles().flatMap(importsOf);

function placeOf(file: string): string {
  const place = Object.keys(allowed).find((name) => file.startsWith(`${name}/`));
  assert.ok(place !== undefined, `${file}: expected a place of the import rules; add it to this test`);
  return place;
}

test('the imports are found', () => {
  assert.ok(imports.length > 200, `only ${imports.length} imports found`);
  assert.ok(imports.some(({ from }) => from === 'kafkajs'));
});

test('packages and services import only allowed packages', () => {
  const wrong: string[] = [];
  for (const { file, from } of imports) {
    const place = placeOf(file);
    const name = /^@tailrace\/([^/]+)/.exec(from)?.[1];
    if (name === undefined || place.endsWith(`/${name}`) || allowed[place]!.includes(name)) continue;
    const testing =
      isTestFile(file) &&
      (name === 'testkit' || (place.startsWith('services/') && ['client', 'eventlog', 'bus'].includes(name)));
    if (!testing) wrong.push(`${file} imports ${from}`);
  }
  assert.deepEqual(wrong, []);
});

test('no file imports from another package by a relative path', () => {
  const wrong = imports.filter((each) => {
    const target = relativeTarget(each);
    // The file that has the version.
    if (target === undefined || target === 'package.json') return false;
    const place = placeOf(each.file);
    return !target.startsWith(`${place}/`) && !target.startsWith('packages/protocol/src/generated/');
  });
  assert.deepEqual(wrong, []);
});

test('each library with an adapter is imported by the adapter alone', () => {
  const wrong = imports.filter(({ file, from, typeOnly }) => {
    const library = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : from.split('/')[0]!;
    const adapter = adapters[library];
    return adapter !== undefined && ![adapter].flat().includes(file) && !typeOnly && !isTestFile(file);
  });
  assert.deepEqual(
    wrong.map(({ file, from }) => `${file} imports ${from}`),
    [],
  );
});

test('only the transport of fanout imports uWebSockets.js, types included', () => {
  const users = imports.filter(({ from }) => from === 'uWebSockets.js');
  assert.deepEqual([...new Set(users.map(({ file }) => file))], [adapters['uWebSockets.js']]);
});

test('only main.ts files read the environment and exit the process', () => {
  // uWebSockets.js reads its setting from the environment when it is loaded.
  const loader = adapters['uWebSockets.js'];
  const wrong = packageFiles().filter((file) => {
    if (file === loader) return false;
    if (isTestFile(file) || /(^|\/)main\.ts$/.test(file) || file.startsWith('packages/testkit/')) return false;
    const code = readFileSync(resolve(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    // A parameter comes from main.ts.
    return !/\bprocess: ServiceProcess\b/.test(code) && /\bprocess\.(env|exit)\b/.test(code);
  });
  assert.deepEqual(wrong, []);
});

test('product code throws TailraceError, never a bare Error', () => {
  const wrong = packageFiles().filter(
    (file) =>
      !isTestFile(file) &&
      !file.includes('/generated/') &&
      /throw new Error\(/.test(readFileSync(resolve(root, file), 'utf8')),
  );
  assert.deepEqual(wrong, []);
});

test('no import cycle is added, imports of types included', () => {
  const cycles = importCycles(imports.filter(({ file }) => isProductFile(file)));
  assert.ok(cycles.length <= cyclesMax, cycles.map((files) => files.join('\n  ')).join('\n'));
});

test('there is no import cycle at run time', () => {
  assert.deepEqual(importCycles(imports.filter(({ typeOnly }) => !typeOnly)), []);
});

test('a cycle of any length is found, and a file that is imported twice is none', () => {
  const from = (file: string, ...targets: string[]) =>
    targets.map((target) => ({ file: `p/${file}.ts`, from: `./${target}.ts`, typeOnly: true }));
  assert.deepEqual(importCycles([...from('a', 'b', 'c'), ...from('b', 'c', 'd'), ...from('c', 'd')]), []);
  assert.deepEqual(importCycles([...from('a', 'b'), ...from('b', 'c'), ...from('c', 'b', 'd'), ...from('d', 'c')]), [
    ['p/b.ts', 'p/c.ts', 'p/d.ts'],
  ]);
});
