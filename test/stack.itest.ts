import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { eventually } from '@tailrace/testkit/eventually';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { loginDevice } from '../services/ingest/test/raw-device.ts';
import { freePortBase } from './ports.ts';
import { createWatcher, type Watcher } from './watcher.ts';

/** `make stack NODES=3`, and what its clients receive. */
const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const devices = Array.from({ length: 200 }, (_, i) => `stacktest.line${i % 4}.machine${i}`);
const reportsPerDevice = 100;
const batch = 250;

let stack: Supervised;
let data: string;
let endpoints: Endpoints;
const dir = await createTempDir('stack');

before(async () => {
  data = join(dir.path, 'stack');
  stack = await startSupervised({
    command: 'make',
    args: ['--no-print-directory', 'stack', 'NODES=3', `DATA=${data}`, `PORT_BASE=${await freePortBase()}`],
    cwd: root,
    env: process.env,
    output: { file: join(dir.path, 'stack.log') },
  });
  const file = join(data, 'endpoints.json');
  endpoints = await eventually(
    async () => {
      assert.equal(stack.exit(), undefined, await readFile(join(dir.path, 'stack.log'), 'utf8'));
      return JSON.parse(await readFile(file, 'utf8')) as Endpoints;
    },
    { deadlineMs: 120_000, describe: 'the stack writes endpoints.json' },
  );
});

after(async () => {
  // As a terminal does: to make and its child processes.
  process.kill(-stack.pid, 'SIGINT');
  await stack.exited;
  await dir.remove();
});

test('200 sockets on three nodes, each on its own device, get each of 20,000 reports once and in order, whichever node serves them', async () => {
  assert.equal(endpoints.fanout.length, 3);
  const watchers: Watcher[] = await Promise.all(
    devices.map((device, i) =>
      createWatcher({ url: endpoints.fanout[i % 3]!.url, token: endpoints.token, channel: device }),
    ),
  );
  for (let n = 0; n < reportsPerDevice; n += 5) {
    // Five reports of each device, in batches across devices.
    const reports = devices.flatMap((device) =>
      Array.from({ length: 5 }, (_, i) => ({ device, time: Date.now(), readings: [{ tag: 'n', value: n + i }] })),
    );
    for (let from = 0; from < reports.length; from += batch) await post(reports.slice(from, from + batch));
  }
  for (const watcher of watchers) await watcher.until(reportsPerDevice, 30_000);
  for (const [i, watcher] of watchers.entries()) {
    assert.deepEqual(
      watcher.values(devices[i]!),
      Array.from({ length: reportsPerDevice }, (_, n) => n),
      `${devices[i]} as seen over ${endpoints.fanout[i % 3]!.name}`,
    );
    assert.equal(watcher.reports, reportsPerDevice, 'nothing of other devices');
    watcher.close();
  }
  const relayed = await metric('tailrace_fanout_received_relay_frames_total');
  assert.ok(relayed > 0, 'no frame was relayed: the test did not test the relay');
});

test('a subtree over all partitions is complete on every node', async () => {
  const before = Date.now();
  const watchers = await Promise.all(
    endpoints.fanout.map(({ url }) => createWatcher({ url, token: endpoints.token, channel: 'subtree.>' })),
  );
  const mine = Array.from({ length: 50 }, (_, i) => `subtree.device${i}`);
  for (let n = 0; n < 10; n++)
    await post(mine.map((device) => ({ device, time: before + n, readings: [{ tag: 'n', value: n }] })));
  for (const watcher of watchers) {
    await watcher.until(500, 30_000);
    for (const device of mine) assert.deepEqual(watcher.values(device), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    watcher.close();
  }
});

test('the commands that the stack prints work unchanged: curl publishes, and each service has its metrics', async () => {
  const printed = await readFile(join(dir.path, 'stack.log'), 'utf8');
  const line = printed.split('\n').find((each) => each.trim().startsWith('curl'));
  assert.ok(line !== undefined, printed);
  const { stdout: answer } = await run('bash', ['-c', line], { cwd: root });
  assert.equal((JSON.parse(answer) as { accepted: number }).accepted, 1, answer);
  const pages = [...printed.matchAll(/^ {2}(\S+) +(http:\S+\/metrics)$/gm)];
  assert.deepEqual(
    pages.map(([, name]) => name),
    ['ingest', 'fanout-0', 'fanout-1', 'fanout-2', 'alarms', 'control', 'dashboard'],
  );
  for (const [, name, url] of pages) {
    const service = name!.replace(/-\d$/, '');
    assert.match(await (await fetch(url!)).text(), new RegExp(`service="${service}"`), name);
  }
});

test('the key that signs the tokens is in the data folder, so that pages and tokens are valid after a restart', async () => {
  const key = (await readFile(join(data, 'key'), 'utf8')).trim();
  const [head, body, signature] = endpoints.token.split('.');
  assert.equal(createHmac('sha256', key).update(`${head}.${body}`).digest('base64url'), signature);
});

test('the stack has the rules, scenes and schedules of the demo', async () => {
  for (const [kind, id] of [
    ['rules', 'press-hot'],
    ['scenes', 'line-stop'],
    ['schedules', 'night'],
  ] as const) {
    const headers = { authorization: `Bearer ${endpoints.token}` };
    const { status } = await fetch(`${endpoints.control!.url}/v1/${kind}/${id}`, { headers });
    assert.equal(status, 200, `${kind}/${id}`);
  }
});

test('control brings a command to a machine of the simulator, which reports its new set point', async () => {
  const { url } = endpoints.control!;
  const device = 'plant1.line2.press1';
  const watcher = await createWatcher({ url: endpoints.fanout[0]!.url, token: endpoints.token, channel: device });
  const answer = await fetch(`${url}/v1/commands`, {
    method: 'POST',
    headers: { authorization: `Bearer ${endpoints.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id: 'stack-1', device, name: 'set', params: { stroke_rate_setpoint: 12 } }),
  });
  assert.equal(answer.status, 202, await answer.clone().text());
  const { id } = (await answer.json()) as { id: string };
  const isDone = async () => {
    const headers = { authorization: `Bearer ${endpoints.supervisorToken}` };
    const command = await (await fetch(`${url}/v1/commands/${id}`, { headers })).json();
    assert.equal((command as { state?: string }).state, 'done', JSON.stringify(command));
  };
  await eventually(isDone, { deadlineMs: 20_000 });
  const setPoint = () =>
    watcher.logReports.flatMap(({ report }) => report.readings).findLast(({ tag }) => tag === 'stroke_rate_setpoint')
      ?.value;
  await eventually(() => assert.equal(setPoint(), 12), { deadlineMs: 20_000, describe: 'the new set point' });
  watcher.close();
  assert.equal(process.kill(endpoints.postgres!.pid!, 0), true, 'endpoints.json has the process of PostgreSQL');
});

test('a device is offline on every node once its session has closed, and online with its next report', async () => {
  const watchers = await Promise.all(
    endpoints.fanout.map(({ url }) => createWatcher({ url, token: endpoints.token, channel: 'presence.>' })),
  );
  const port = Number(new URL(endpoints.ingest[0]!.url).port);
  const login = (device: string) => loginDevice({ port, token: endpoints.token, device });
  const [leaving, lost, moving] = ['presence.leaving', 'presence.lost', 'presence.moving'] as const;
  const sessions = await Promise.all([leaving, lost, moving].map(login));
  for (const session of sessions) {
    session.status('m1', 1);
    assert.equal(await session.ack(), 'm1 accepted');
  }
  for (const watcher of watchers) await watcher.until(3, 20_000);
  // A session that is lost has five seconds to come back.
  const seen = async (expected: readonly string[]) => {
    for (const { presences } of watchers)
      await eventually(() => assert.deepEqual(presences, expected), { deadlineMs: 30_000 });
  };
  sessions[2]!.socket.socket.reset();
  const moved = await login(moving);
  sessions[0]!.send({ type: 'bye' });
  await seen([`offline ${leaving}`]);
  sessions[1]!.socket.socket.reset();
  await seen([`offline ${leaving}`, `offline ${lost}`]);
  const again = await login(leaving);
  again.status('m2', 2);
  await seen([`offline ${leaving}`, `offline ${lost}`, `online ${leaving}`]);
  for (const session of [moved, again]) session.socket.close();
  for (const watcher of watchers) watcher.close();
});

// The last test: the node stays down.
test('when a node exits the terminal shows it in one line, and the page has the URLs of the others', async () => {
  const [first] = endpoints.fanout;
  process.kill(first!.pid, 'SIGKILL');
  const log = join(data, 'fanout-0.log');
  await eventually(
    async () => {
      const printed = await readFile(join(dir.path, 'stack.log'), 'utf8');
      assert.deepEqual(
        printed.split('\n').filter((each) => each.includes(' exited with ')),
        [`fanout-0 exited with SIGKILL; see ${log}. To start it again: Ctrl-C, then make stack`],
      );
    },
    { deadlineMs: 10_000 },
  );
  const config = await (await fetch(`${endpoints.dashboard.url}/config.json`)).json();
  assert.equal((config as { streamUrl: string }).streamUrl, endpoints.fanout.map(({ url }) => url).join(','));
});

async function post(reports: readonly object[]): Promise<void> {
  const answer = await fetch(`${endpoints.ingest[0]!.url}/v1/ingest`, {
    method: 'POST',
    headers: { authorization: `Bearer ${endpoints.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(reports),
  });
  assert.equal(answer.status, 202, await answer.clone().text());
  assert.equal(((await answer.json()) as { accepted: number }).accepted, reports.length);
}

/** Returns the sum of a metric over all fanout nodes. */
async function metric(name: string): Promise<number> {
  let sum = 0;
  for (const { internal } of endpoints.fanout) {
    const page = await (await fetch(`${internal}/metrics`)).text();
    for (const line of page.split('\n')) if (line.startsWith(`${name}{`)) sum += Number(line.split(' ').at(-1));
  }
  return sum;
}
