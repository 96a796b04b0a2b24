import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackCluster } from '../scripts/stack-cluster.ts';
import type { StackService } from '../scripts/stack-service.ts';
import { type Calls, type Coverage, startCoverage } from './coverage.ts';
import { freePortBase } from './ports.ts';
import { createWatcher } from './watcher.ts';

/**
 * The files and functions that one reading passes: from its request through ingest, Kafka and the owner of its
 * partition to a socket, and by the relay to a socket of another node. docs/ARCHITECTURE.md lists the files in order.
 */
const root = resolve(import.meta.dirname, '..');
const device = 'path.line1.press';
const readingCount = 60;

/** Files that observe the path. They must not control it. */
const observers = [
  /metrics\.ts$/,
  /^packages\/platform\/src\/(log|logger|measures|tracing|otlp-tracing|trace-sampling|traceparent|span-queue)\.ts$/,
  /^services\/\w+\/src\/(spans|observer)\.ts$/,
];
/** Files of packages that do not pass readings on: values, codecs, the clock, checks of tokens and headers. */
const values = [
  /^packages\/protocol\//,
  /^packages\/platform\/src\/(access|bearer-token|clock|connections|cors|credentials|device-token|revocation|token[\w-]*|verified-tokens)\.ts$/,
  /^packages\/eventlog\/src\/(call-size|topic)\.ts$/,
  /^packages\/eventlog\/src\/kafka\/(bytes|crc32c|records|requests)\.ts$/,
  /^packages\/bus\/src\/(limits|subject)\.ts$/,
];

/**
 * Today's numbers, which may only fall. docs/adr/0016-length-of-the-path.md has the reason for each file, and why they
 * are more than 12 to the socket and 4 for the relay.
 */
const bounds = {
  toSocket: { files: 25, functions: 192 },
  relay: { files: 5, functions: 24 },
};

const dir = await createTempDir('path');
let cluster: StackCluster;
let owner: Watched;
let other: Watched;
let ingest: Watched;

interface Watched {
  readonly service: StackService;
  readonly coverage: Coverage;
}

before(async () => {
  cluster = new StackCluster({
    ...{ nodes: 2, data: join(dir.path, 'stack'), keepsData: false, drainMs: 0, print: () => {} },
    // One poll a second, so that each span of whole seconds has the same number of polls.
    fanoutSettings: { TAILRACE_EVENTS_POLL_MS: '1000' },
    portBase: await freePortBase(2),
  });
  cluster.common['NODE_OPTIONS'] = '--inspect=127.0.0.1:0';
  await cluster.start();
  ingest = await watched(cluster.ingest);
  const nodes = await Promise.all(cluster.fanout.map(watched));
  const route = await fetch(`${cluster.fanout[0]!.url}/v1/route?device=${device}`, {
    headers: { authorization: `Bearer ${cluster.token}` },
  });
  const { url } = (await route.json()) as { url: string };
  owner = nodes.find(({ service }) => url.endsWith(`:${service.port}`))!;
  other = nodes.find((node) => node !== owner)!;
});

after(async () => {
  for (const each of [ingest, owner, other]) each?.coverage.close();
  await cluster.stop();
  await dir.remove();
});

async function watched(service: StackService): Promise<Watched> {
  const url = /Debugger listening on (ws:\S+)/.exec(await readFile(service.log, 'utf8'))![1]!;
  const wants = (file: string) => /^(packages|services)\//.test(relative(root, file)) && !file.includes('node_modules');
  return { service, coverage: await startCoverage(url, wants) };
}

/** Returns the functions that run for every reading, by process, while a client of `node` watches its device. */
async function pathTo(node: Watched): Promise<Readonly<Record<'ingest' | 'owner' | 'other', Set<string>>>> {
  const watcher = await createWatcher({
    url: `ws://127.0.0.1:${node.service.port}`,
    token: cluster.token,
    channel: device,
  });
  const send = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      const before = watcher.reports;
      await post();
      await watcher.until(before + 1, 20_000);
    }
  };
  // Not counted: a node still checks the partitions that it lost a second ago, when the other one joined.
  await send(readingCount);
  const take = async () => {
    const [a, b, c] = await Promise.all([ingest, owner, other].map(({ coverage }) => coverage.take()));
    return { ingest: a!, owner: b!, other: c! };
  };
  const startedAt = performance.now();
  await take();
  await send(readingCount);
  // An equal time without readings shows what timers run. Whole seconds have equally many calls of each timer, of which
  // one may visit all partitions.
  const spanMs = Math.ceil((performance.now() - startedAt) / 1_000) * 1_000;
  const takeAt = async (ms: number) => {
    await sleep(Math.max(0, startedAt + ms - performance.now()));
    return await take();
  };
  const busy = await takeAt(spanMs);
  const idle = await takeAt(2 * spanMs);
  watcher.close();
  return {
    ingest: ranForEach(busy.ingest, idle.ingest),
    owner: ranForEach(busy.owner, idle.owner),
    other: ranForEach(busy.other, idle.other),
  };
}

/** Returns the functions that ran at least once for each reading. Counts of functions run by timers differ far less. */
function ranForEach(busy: Calls, idle: Calls): Set<string> {
  const byReadings = ([name, count]: [string, number]) => count - (idle.get(name) ?? 0);
  const names = [...busy].filter((entry) => byReadings(entry) >= readingCount / 2).map(([name]) => name);
  return new Set(names.map((name) => relative(root, name)));
}

async function post(): Promise<void> {
  const answer = await fetch(`${cluster.ingest.url}/v1/ingest`, {
    method: 'POST',
    headers: { authorization: `Bearer ${cluster.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ device, time: Date.now(), readings: [{ tag: 'n', value: 1 }] }),
  });
  assert.equal(answer.status, 202, await answer.text());
}

const fileOf = (name: string) => name.slice(0, name.indexOf('#'));
const filesOf = (names: Iterable<string>) => [...new Set([...names].map(fileOf))].sort();
const isStep = (name: string) => ![...observers, ...values].some((pattern) => pattern.test(fileOf(name)));
const stepsOf = (names: Iterable<string>) => [...names].filter(isStep);

/** Returns the files that docs/ARCHITECTURE.md lists for a part of the path, in its order. */
function filesOfPage(page: string, part: string): string[] {
  const text = new RegExp(`<!-- path: ${part} -->([\\s\\S]*?)<!-- end -->`).exec(page)?.[1];
  assert.ok(text !== undefined, `docs/ARCHITECTURE.md: expected <!-- path: ${part} --> … <!-- end -->`);
  return [...text.matchAll(/`([\w/.-]+\.ts)`/g)].map(([, file]) => file!);
}

test('a reading passes the files that docs/ARCHITECTURE.md lists, and no more than before', async (t) => {
  const local = await pathTo(owner);
  const relayed = await pathTo(other);
  const isLocal = new Set(filesOf([...local.ingest, ...local.owner]));
  const isNew = (name: string) => !isLocal.has(fileOf(name));
  const parts = {
    ingest: stepsOf(local.ingest),
    owner: stepsOf(local.owner),
    relay: stepsOf([...relayed.owner, ...relayed.other]).filter(isNew),
  };
  for (const [part, names] of Object.entries(parts)) {
    t.diagnostic(`${part}: ${filesOf(names).length} files, ${names.length} functions`);
    for (const file of filesOf(names)) t.diagnostic(`  ${file}: ${functionsOf(file, names)}`);
  }
  const all = filesOf([...local.ingest, ...local.owner, ...relayed.owner, ...relayed.other]);
  t.diagnostic(`${all.length} files with values, codecs and observers`);

  const page = await readFile(join(root, 'docs/ARCHITECTURE.md'), 'utf8');
  for (const [part, names] of Object.entries(parts))
    assert.deepEqual(
      filesOfPage(page, part).toSorted(),
      filesOf(names),
      `the files of ${part} in docs/ARCHITECTURE.md`,
    );
  const toSocket = [...parts.ingest, ...parts.owner];
  assertAtMost(bounds.toSocket, toSocket, 'from the request to the socket');
  assertAtMost(bounds.relay, parts.relay, 'by the relay');
});

function functionsOf(file: string, names: readonly string[]): string {
  const own = names.filter((name) => fileOf(name) === file).map((name) => name.slice(file.length + 1));
  return own.map((name) => name.replace(/^:/, 'at ').replace(/:\d+$/, '')).join(', ');
}

function assertAtMost(bound: { files: number; functions: number }, names: readonly string[], where: string): void {
  const files = filesOf(names).length;
  assert.ok(files <= bound.files, `${where}: expected at most ${bound.files} files, got ${files}`);
  assert.ok(
    names.length <= bound.functions,
    `${where}: expected at most ${bound.functions} functions, got ${names.length}`,
  );
}
