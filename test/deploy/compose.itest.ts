import assert from 'node:assert/strict';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { issueToken, type TokenIssue } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { run } from '@tailrace/testkit/run';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import { docker } from '../../scripts/image/build.ts';
import { projectRoot, serviceNames } from '../../scripts/services.ts';
import { Checker, noViolations } from '../chaos/checker.ts';
import { ChaosClient } from '../chaos/client.ts';
import { deviceName, Fleet } from '../chaos/fleet.ts';
import { createWatcher } from '../watcher.ts';
import { type ComposeStack, composeStack } from './compose.ts';
import { assertImagesReportsNoEngine, assertReadyWithin, hasEngine, readinessOf } from './engine.ts';
import { TestImages } from './test-images.ts';

/** deploy/compose.yaml, with a client behind its load balancer. */
const images = new TestImages();
/** All services except standalone. */
const services = serviceNames().filter((name) => name !== 'standalone');
const nameOf = (service: string) => images.nameOf(service);
const secret = 'a-secret-of-at-least-thirty-two-bytes';
const reports = 500;
const devices = 20;
const clients = 10;
const readyMsMax = 6_000;
let isHere = false;
let stack: ComposeStack;
let token: string;

before(async () => {
  isHere = await hasEngine({ diagnostic: (text) => process.stdout.write(`# ${text}\n`) });
  if (!isHere) return;
  const issue = (publish: string[], subscribe: string[], more: Partial<TokenIssue> = {}) =>
    issueToken({ secret, subject: 'test', publish, subscribe, expiresInMs: 3_600_000, clock: systemClock, ...more });
  token = await issue(['>'], ['>'], { command: ['>'], roles: ['engineer'] });
  stack = await composeStack({
    TAILRACE_IMAGES: images.prefix,
    TAILRACE_TOKEN_SECRET: secret,
    TAILRACE_POSTGRES_PASSWORD: 'a-password-of-the-tests',
    TAILRACE_SIMULATOR_TOKEN: await issue(['plant1.>', 'host.>', 'home.>'], [], {
      receiveCommands: ['plant1.>', 'home.>'],
    }),
    TAILRACE_DASHBOARD_TOKEN: await issue([], ['>']),
  });
  await images.use(services);
  await stack.up();
});

after(async () => {
  if (!isHere) return;
  await stack.down();
  await images.release();
});

test('make images reports a missing Docker engine', assertImagesReportsNoEngine);

test('every service has a section, and without a secret nothing starts', async () => {
  if (!isHere) return;
  const model = JSON.parse(await stack.compose('--profile', '*', 'config', '--format', 'json')) as {
    services: Record<
      string,
      { image: string; read_only?: boolean; cap_drop?: string[]; ports?: { host_ip?: string }[] }
    >;
  };
  const used = Object.values(model.services);
  for (const service of services)
    assert.ok(
      used.some(({ image }) => image === nameOf(service)),
      service,
    );
  for (const { image, read_only: isReadOnly, cap_drop: dropped, ports = [] } of used) {
    assert.deepEqual(dropped, ['ALL'], image);
    assert.ok(isReadOnly === true || !image.startsWith(images.prefix), image);
    assert.doesNotMatch(image, /:latest$|^[^:]+$/);
    for (const { host_ip: host } of ports) assert.equal(host, '127.0.0.1', image);
  }
  const secrets = { TAILRACE_TOKEN_SECRET: secret, TAILRACE_POSTGRES_PASSWORD: 'secret' };
  for (const name of ['TAILRACE_TOKEN_SECRET', 'TAILRACE_POSTGRES_PASSWORD'] as const) {
    const bare = docker(['compose', '--env-file', '/dev/null', '-f', 'deploy/compose.yaml', 'config', '-q'], {
      ...{ ...process.env, ...secrets },
      [name]: '',
    });
    await assert.rejects(bare, { message: new RegExp(`${name} is missing a value: .*deploy/\\.env`) });
  }
});

test('promtool accepts the settings of Prometheus, with the rules of the chart', async () => {
  const dir = await createTempDir('prometheus');
  try {
    await cp(join(projectRoot, 'deploy/prometheus'), dir.path, { recursive: true });
    await mkdir(join(dir.path, 'rules'), { recursive: true });
    await cp(join(projectRoot, 'helm/tailrace/rules'), join(dir.path, 'rules'), { recursive: true });
    const checked = await run(await findTool('promtool'), ['check', 'config', join(dir.path, 'prometheus.yml')], {
      env: process.env,
      deadlineMs: 30_000,
    });
    assert.match(checked.stdout, /SUCCESS/);
  } finally {
    await dir.remove();
  }
});

test(`a client behind the balancer receives each of ${reports} reports once and in order, and the simulated plant`, async () => {
  if (!isHere) return;
  const url = `ws://127.0.0.1:${stack.ports.STREAMS}`;
  const watcher = await createWatcher({ url, token, channel: 'compose.press' });
  const plant = await createWatcher({ url, token, channel: 'plant1.>' });
  try {
    for (let n = 0; n < reports; n += 50) {
      const batch = Array.from({ length: 50 }, (_, i) => ({
        device: 'compose.press',
        time: Date.now(),
        readings: [{ tag: 'n', value: n + i }],
      }));
      const answer = await fetch(`http://127.0.0.1:${stack.ports.INGEST}/v1/ingest`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(batch),
      });
      assert.equal(answer.status, 202, await answer.text());
    }
    await watcher.until(reports, 20_000);
    assert.deepEqual(
      watcher.values('compose.press'),
      Array.from({ length: reports }, (_, i) => i),
    );
    await plant.until(10, 20_000);
  } finally {
    watcher.close();
    plant.close();
  }
});

test('messages at the MQTT broker are readings behind the balancer: JSON and single values', async () => {
  if (!isHere) return;
  const url = `ws://127.0.0.1:${stack.ports.STREAMS}`;
  const watcher = await createWatcher({ url, token, channel: 'factory.line1.press7' });
  try {
    const publish = (topic: string, message: string) =>
      stack.compose(
        'exec',
        '-T',
        'mosquitto',
        'mosquitto_pub',
        '-q',
        '1',
        '-t',
        `factory/line1/press7/${topic}`,
        '-m',
        message,
      );
    // The broker keeps what comes before the bridge has subscribed only from then on.
    await eventually(async () => assert.match(await stack.compose('logs', 'ingest'), /connected to the broker/), {
      deadlineMs: 60_000,
    });
    await publish('state', '{"temperature":42.5}');
    await publish('value/pressure', '101.3');
    await watcher.until(2, 60_000);
    assert.deepEqual(watcher.values('factory.line1.press7'), [42.5, 101.3]);
  } finally {
    watcher.close();
  }
});

test('a rule of control raises an alarm behind the balancer, and a command of control is done by its machine', async () => {
  if (!isHere) return;
  const url = `http://127.0.0.1:${stack.ports.CONTROL}`;
  const request = async (method: string, path: string, body?: object) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    // biome-ignore lint/suspicious/noExplicitAny: the assertions name the fields
    return { status: answer.status, body: (await answer.json()) as any };
  };
  const condition = { kind: 'limits', tag: 'n', limits: { H: { value: 10 } } };
  const rule = { devices: ['compose.oven'], condition, priority: 2, message: '{device} is hot' };
  const stored = await request('PUT', '/v1/rules/hot?version=0&force=true', rule);
  assert.equal(stored.status, 200, JSON.stringify(stored.body));
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const reportHeat = () =>
    fetch(`http://127.0.0.1:${stack.ports.INGEST}/v1/ingest`, {
      ...{ method: 'POST', headers },
      body: JSON.stringify({ device: 'compose.oven', time: Date.now(), readings: [{ tag: 'n', value: 50 }] }),
    });
  await eventually(
    async () => {
      // A rule waits for the next reading of a tag that no rule has read before.
      assert.equal((await reportHeat()).status, 202);
      const { body } = await request('GET', '/v1/alarms?pattern=compose.oven');
      assert.equal(body.alarms[0]?.state, 'unacknowledged');
    },
    { deadlineMs: 60_000, pollMs: 500, describe: 'control lists the alarm' },
  );
  const command = { id: 'c1', device: 'plant1.line2.press1', name: 'set', params: { stroke_rate_setpoint: 12 } };
  const accepted = await request('POST', '/v1/commands', command);
  assert.equal(accepted.status, 202, JSON.stringify(accepted.body));
  await eventually(
    async () => {
      const { body } = await request('GET', `/v1/commands/${accepted.body.id}`);
      assert.equal(body.state, 'done', JSON.stringify(body));
    },
    { deadlineMs: 60_000, describe: 'the command is done' },
  );
});

test('the dashboard is served, with the address of the balancer', async () => {
  if (!isHere) return;
  const url = `http://127.0.0.1:${stack.ports.DASHBOARD}`;
  assert.match(await (await fetch(url)).text(), /<!doctype html>/i);
  const config = (await (await fetch(`${url}/config.json`)).json()) as { streamUrl: string; controlUrl: string };
  assert.equal(config.controlUrl, `http://localhost:${stack.ports.CONTROL}`);
  assert.equal(config.streamUrl, `ws://localhost:${stack.ports.STREAMS}`);
});

test('Prometheus finds every service by the alias in its settings', async () => {
  if (!isHere) return;
  const script = `
    const addresses = await (await import('node:dns/promises')).resolve4('measured');
    const pages = await Promise.all(addresses.map(async (each) => (await fetch('http://' + each + ':9090/metrics')).text()));
    console.log(JSON.stringify(pages.map((page) => /service="([a-z]+)"/.exec(page)?.[1]).sort()));`;
  const found = await stack.compose('exec', '-T', 'ingest', 'node', '--input-type=module', '-e', script);
  assert.deepEqual(JSON.parse(found), [...services, 'fanout'].sort());
});

test('SDK clients behind the balancer receive every reading once when a fanout container restarts', async (t) => {
  if (!isHere) return;
  const ingestUrl = `http://127.0.0.1:${stack.ports.INGEST}`;
  const fleet = new Fleet({ devices, intervalMs: 100, ingestUrl, token });
  const checker = new Checker();
  const observers = Array.from({ length: clients }, (_, i) => {
    const subscriptions = [2 * i, 2 * i + 1].map((n) => ({ channel: deviceName(n), devices: [deviceName(n)] }));
    return new ChaosClient({ name: `client ${i}`, subscriptions }, checker, {
      url: [`ws://127.0.0.1:${stack.ports.STREAMS}`],
      token,
    });
  });
  const allReach = async (targets: ReadonlyMap<string, number>) => {
    const check = () => {
      for (const client of observers) assert.ok(client.hasReached(targets), client.describe(targets));
    };
    await eventually(check, {
      deadlineMs: 40_000,
      pollMs: 20,
      describe: `all clients receive new reports (${fleet.lastRefusal})`,
    });
  };
  try {
    fleet.start();
    await allReach(fleet.next());
    for (const client of observers) client.startFault(Date.now(), fleet.acknowledged);
    await stack.compose('restart', 'fanout-0');
    await allReach(fleet.next());
    const readiness = await readinessOf(await stack.containerOf('fanout-0'));
    await fleet.stop();
    await allReach(fleet.acknowledged);
    checker.end(fleet.acknowledged, fleet.sent);
    const seen = observers.map((client) => client.seen());
    const longest = Math.max(...seen.map(({ longestMs }) => longestMs));
    t.diagnostic(
      `longest pause ${longest} ms; fanout-0 ready after ${readiness.wallMs} ms (${readiness.cpuMs} of a processor)`,
    );
    assert.deepEqual(checker.verdict, noViolations(), checker.findings.join('\n'));
    assert.ok(
      seen.some(({ node, nodeNow, hit, moves }) => node === 'fanout-0' && (hit || moves > 0 || nodeNow !== node)),
      JSON.stringify(seen),
    );
    assertReadyWithin(readyMsMax, [readiness]);
  } finally {
    for (const client of observers) client.close();
    await fleet.stop();
  }
});

test('nothing is left after docker compose down -v', async () => {
  if (!isHere) return;
  await stack.down();
  assert.deepEqual(await stack.leftovers(), []);
});
