import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { DeviceConnection } from '@tailrace/client/device';
import { isTailraceError } from '@tailrace/protocol/error';
import { freePort } from '@tailrace/testkit/free-port';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import { StackCluster } from '../../../scripts/stack-cluster.ts';
import { freePortBase } from '../../../test/ports.ts';
import { startLossyProxy } from './lossy-proxy.ts';

/** Runs the scenarios by k6 against two real nodes, and shows that they can fail. */
const scenarios = resolve(import.meta.dirname, '../scenarios');
const dir = await createTempDir('k6');
/** Exit codes of k6. */
const thresholdsCrossed = 99;
const aborted = 108;
const scriptError = 107;

let k6 = '';
/** Why there is no k6: neither an installed one nor Go to build it. */
let missingTool = '';
let cluster: StackCluster | undefined;
let urls: NodeJS.ProcessEnv = {};

before(async () => {
  try {
    k6 = await findTool('k6');
  } catch (error) {
    if (!isTailraceError(error) || error.code !== 'not_found') throw error;
    missingTool = error.message;
    return;
  }
  const portBase = await freePortBase(2);
  cluster = new StackCluster({ nodes: 2, data: dir.path, keepsData: false, portBase, drainMs: 500, print: () => {} });
  await cluster.start();
  urls = {
    // For `inspect`; the test of commands starts control.
    CONTROL: 'http://127.0.0.1:1',
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
  const child = spawn(k6, [...args], { env: { ...process.env, ...urls, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output, ms: performance.now() - startMs };
}

const run = (scenario: string, env: NodeJS.ProcessEnv) =>
  runK6(['run', '--quiet', '--no-usage-report', join(scenarios, `${scenario}.ts`)], env);

/** Without k6, asserts only that the error names it. */
function k6Test(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    if (k6 === '') assert.match(missingTool, /k6 on the PATH/);
    else await body();
  });
}

for (const encoding of ['proto', 'json']) {
  k6Test(`smoke passes on two real nodes, over ${encoding}, and writes its summary`, async () => {
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
    // 20 clients on ten lines of four devices: two receive each report; a late one has the first as a last value.
    const [reports, published] = [count('reports')!, count('published')!];
    assert.ok(published > 300, String(published));
    assert.ok(reports <= 2 * published && reports > 2 * (published - 40), `${reports} of ${published}`);
    for (const name of ['gaps', 'duplicates', 'invalid', 'undelivered', 'named']) assert.equal(count(name), 0, name);
    assert.match(await readFile(join(dir.path, 'smoke.html'), 'utf8'), /All objectives are met/);
  });
}

k6Test('each command has one final state at each watcher, and a device that is away fails the run', async () => {
  const control = await cluster!.startControl();
  // Commands to one device run one after the other: several devices, so that a slow machine keeps pace with the rate.
  const devices = ['loadtest.pump', 'loadtest.valve', 'loadtest.fan', 'loadtest.lamp'];
  const connections = devices.map(
    (device) =>
      new DeviceConnection({
        ...{ url: cluster!.ingest.url, device, token: cluster!.token },
        onCommand: (_command, answer) => answer.reply({ state: 'done', confirmedBy: 'device' }),
      }),
  );
  for (const connection of connections) connection.start();
  try {
    const env = { CONTROL: control.url, RATE: '12', DURATION: '3s', SLO_LATENCY_MS: '10000' };
    const { code, output } = await run('control', { ...env, COMMAND_DEVICES: devices.join() });
    assert.equal(code, 0, output);
    assert.match(output, /All objectives are met/);
    const away = await run('control', { ...env, COMMAND_DEVICES: 'loadtest.away', RATE: '2', DURATION: '1s' });
    assert.equal(away.code, thresholdsCrossed, away.output);
    assert.match(away.output, /tailrace_commands_not_done +count==0 +[1-9]\d* +NOT MET/);
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
});

k6Test('one frame that a proxy loses fails the run, with an error that names the device', async () => {
  const proxy = await startLossyProxy(cluster!.fanout[0]!.port, 50);
  try {
    const { code, output } = await run('smoke', { TARGET: `ws://127.0.0.1:${proxy.port}`, DURATION: '3s' });
    assert.equal(proxy.lost, 1, output);
    assert.equal(code, thresholdsCrossed, output);
    assert.match(output, /tailrace_gaps +count==0 +[1-9]\d* +NOT MET/);
    assert.match(output, /client \d+ \(loadtest\.[^)]+\): device \d of the channel: got \d+ at \d+:\d+ after \d+/);
  } finally {
    await proxy.close();
  }
});

/** Well before the ten seconds and more of a load; a loaded machine starts k6 slowly. */
const abortMsMax = 5000;

function assertAborted({ code, output, ms }: Outcome, message: RegExp): void {
  assert.equal(code, aborted, output);
  assert.match(output, message);
  assert.ok(ms < abortMsMax, `expected less than ${abortMsMax} ms, got ${ms}`);
}

k6Test('a closed port, another server and an invalid token abort the run at once, before the load', async () => {
  const port = await freePort();
  const closed = `ws://127.0.0.1:${port}`;
  assertAborted(
    await run('average', { TARGET: closed }),
    new RegExp(`${closed} \\(TARGET\\) does not answer: .*refused`),
  );
  assertAborted(
    await run('average', { INGEST: `http://127.0.0.1:${port}` }),
    new RegExp(`http://127.0.0.1:${port} \\(INGEST\\) does not answer`),
  );
  const other = createServer((_, response) => response.end('<h1>Welcome to nginx!</h1>'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  try {
    const address = other.address() as { port: number };
    assertAborted(
      await run('average', { TARGET: `ws://127.0.0.1:${address.port}` }),
      /\(TARGET\) is not a Tailrace fanout: GET http:.* was answered 200 with .*Welcome to nginx/,
    );
    assertAborted(
      await run('ingest', { INGEST: `http://127.0.0.1:${address.port}` }),
      /\(INGEST\) is not a Tailrace ingest: POST http:.* was answered 200 with .*Welcome to nginx/,
    );
  } finally {
    other.close();
  }
  assertAborted(
    await run('average', { TOKEN: '', TOKEN_SECRET: 'another secret than the one of this stack' }),
    /\(TARGET\) rejects the token or the run with 401/,
  );
});

k6Test('an invalid environment is rejected with every error', async () => {
  const { code, output } = await run('smoke', { TARGET: 'localhost:8081', CLIENTS: 'many' });
  assert.equal(code, scriptError, output);
  assert.match(output, /TARGET: expected ws:\/\/ or wss:\/\/ with a host, such as \S+, got localhost:8081/);
  assert.match(output, /CLIENTS: expected an integer from 1 to 100000, got many/);
});

/** The most that a ConfigMap holds, from which the k6 operator reads an archive. */
const configMapBytesMax = 1024 * 1024;

k6Test('an archive of a scenario fits into a ConfigMap', async () => {
  const archive = join(dir.path, 'archive.tar');
  const args = ['archive', '--include-system-env-vars', '-O', archive, join(scenarios, 'average.ts')];
  const { code, output } = await runK6(args, urls);
  assert.equal(code, 0, output);
  const { size } = await stat(archive);
  assert.ok(size < configMapBytesMax, `expected less than ${configMapBytesMax} bytes, got ${size}`);
});

k6Test('k6 accepts every scenario', async () => {
  const files = await readdir(scenarios);
  assert.equal(files.length, 11);
  for (const file of files) {
    const { code, output } = await runK6(
      ['inspect', '--include-system-env-vars', '--execution-requirements', join(scenarios, file)],
      urls,
    );
    assert.equal(code, 0, output);
    assert.match(output, /"maxDuration"/);
  }
});
