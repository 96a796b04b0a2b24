import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { freePort } from '@tailrace/testkit/free-port';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import { StackCluster } from '../../../scripts/stack-cluster.ts';
import { freePortBase } from '../../../test/ports.ts';
import { startLossyProxy } from './lossy-proxy.ts';

/** The scenarios as k6 runs them, against two real nodes; and what says that they can fail. */
const scenarios = resolve(import.meta.dirname, '../scenarios');
const dir = await createTempDir('k6');
/** Exit codes of k6. */
const thresholdsMissed = 99;
const aborted = 108;
const scriptFault = 107;

let k6 = '';
/** Where there is neither k6 nor Go to build it. */
let lack = '';
let cluster: StackCluster | undefined;
let place: NodeJS.ProcessEnv = {};

before(async () => {
  try {
    k6 = await findTool('k6');
  } catch (error) {
    if (!isTailraceError(error) || error.code !== 'not_found') throw error;
    lack = error.message;
    return;
  }
  const portBase = await freePortBase(2);
  cluster = new StackCluster({ nodes: 2, data: dir.path, keepsData: false, portBase, drainMs: 500, say: () => {} });
  await cluster.start();
  place = {
    TARGET: cluster.fanout.map(({ port }) => `ws://127.0.0.1:${port}`).join(','),
    INGEST: cluster.ingest.url,
    TOKEN: cluster.token,
    SUMMARY: dir.path,
  };
});

after(async () => {
  await cluster?.stop();
  await dir.remove();
});

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly ms: number;
}

async function runK6(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const startMs = performance.now();
  const child = spawn(k6, [...args], { env: { ...process.env, ...place, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output, ms: performance.now() - startMs };
}

const run = (scenario: string, env: NodeJS.ProcessEnv) =>
  runK6(['run', '--quiet', '--no-usage-report', join(scenarios, `${scenario}.ts`)], env);

/** Runs nothing where there is no k6: then the lack is what is said. */
function k6Test(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    if (k6 === '') assert.match(lack, /k6 on the PATH/);
    else await body();
  });
}

for (const encoding of ['proto', 'json']) {
  k6Test(`smoke passes on two real nodes, over ${encoding}, and writes what it saw`, async () => {
    const { code, output } = await run('smoke', {
      ENCODING: encoding,
      DURATION: '3s',
      SLO_LATENCY_MS: '5000',
      SLO_INGEST_MS: '5000',
    });
    assert.equal(code, 0, output);
    assert.match(output, /All objectives are met/);
    const summary = JSON.parse(await readFile(join(dir.path, 'smoke.json'), 'utf8')) as {
      readonly metrics: Readonly<Record<string, { readonly values: Readonly<Record<string, number>> }>>;
    };
    const count = (name: string) => summary.metrics[`tailrace_${name}`]?.values['count'];
    // 20 clients on ten lines of four devices: each report is on two screens. Who connects late is shown the first as a last value.
    const [reports, published] = [count('reports')!, count('published')!];
    assert.ok(published > 300, String(published));
    assert.ok(reports <= 2 * published && reports > 2 * (published - 40), `${reports} of ${published}`);
    for (const name of ['gaps', 'duplicates', 'foreign', 'undelivered', 'named']) assert.equal(count(name), 0, name);
    assert.match(await readFile(join(dir.path, 'smoke.html'), 'utf8'), /All objectives are met/);
  });
}

k6Test('one frame that is lost on the way makes the run fail, and is put in words', async () => {
  const proxy = await startLossyProxy(cluster!.fanout[0]!.port, 50);
  try {
    const { code, output } = await run('smoke', { TARGET: `ws://127.0.0.1:${proxy.port}`, DURATION: '3s' });
    assert.equal(proxy.lost, 1, output);
    assert.equal(code, thresholdsMissed, output);
    assert.match(output, /tailrace_gaps +count==0 +[1-9]\d* +MISSED/);
    assert.match(output, /client \d+ \(loadtest\.[^)]+\): device \d of the channel: got \d+ at \d+:\d+ after \d+/);
  } finally {
    await proxy.close();
  }
});

/** Long before the ten seconds and more that a load would have taken; a loaded machine starts k6 slowly. */
const atOnceMs = 5000;

function assertSaid({ code, output, ms }: Outcome, words: RegExp): void {
  assert.equal(code, aborted, output);
  assert.match(output, words);
  assert.ok(ms < atOnceMs, `it took ${ms} ms to say so`);
}

k6Test('a dead port, a foreign server and a token that does not hold are said at once, before any load', async () => {
  const port = await freePort();
  const dead = `ws://127.0.0.1:${port}`;
  assertSaid(await run('average', { TARGET: dead }), new RegExp(`${dead} \\(TARGET\\) does not answer: .*refused`));
  assertSaid(
    await run('average', { INGEST: `http://127.0.0.1:${port}` }),
    new RegExp(`http://127.0.0.1:${port} \\(INGEST\\) does not answer`),
  );
  const foreign = createServer((_, response) => response.end('<h1>Welcome to nginx!</h1>'));
  foreign.listen(0, '127.0.0.1');
  await once(foreign, 'listening');
  try {
    const address = foreign.address() as { port: number };
    assertSaid(
      await run('average', { TARGET: `ws://127.0.0.1:${address.port}` }),
      /\(TARGET\) is no Tailrace fanout: GET http:.* was answered 200 with .*Welcome to nginx/,
    );
    assertSaid(
      await run('ingest', { INGEST: `http://127.0.0.1:${address.port}` }),
      /\(INGEST\) is no Tailrace ingest: POST http:.* was answered 200 with .*Welcome to nginx/,
    );
  } finally {
    foreign.close();
  }
  assertSaid(
    await run('average', { TOKEN: '', TOKEN_SECRET: 'another secret than the one of this stack' }),
    /\(TARGET\) refuses the token or the run with 401/,
  );
});

k6Test('an environment that makes no sense is refused with every fault', async () => {
  const { code, output } = await run('smoke', { TARGET: 'localhost:8081', CLIENTS: 'many' });
  assert.equal(code, scriptFault, output);
  assert.match(output, /TARGET=localhost:8081: right is ws:\/\/ or wss:\/\/ with a host/);
  assert.match(output, /CLIENTS=many: right is a whole number/);
});

k6Test('every scenario is one that k6 takes', async () => {
  const files = await readdir(scenarios);
  assert.equal(files.length, 10);
  for (const file of files) {
    const { code, output } = await runK6(
      ['inspect', '--include-system-env-vars', '--execution-requirements', join(scenarios, file)],
      place,
    );
    assert.equal(code, 0, output);
    assert.match(output, /"maxDuration"/);
  }
});
