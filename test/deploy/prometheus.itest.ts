import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DeviceConnection } from '@tailrace/client/device';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { type Mosquitto, startMosquitto } from '@tailrace/testkit/mosquitto';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import mqtt from 'mqtt';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import { type Peer, startPeer } from '../../services/edge/test/modbus-peer.ts';
import { type OpcuaPeer, startNodeOpcuaServer } from '../../services/edge/test/opcua-peer.ts';
import { freePortBase } from '../ports.ts';
import { createWatcher, type Watcher } from '../watcher.ts';
import { ControlLoad } from './control-load.ts';
import { dashboards, queriesOf, rulesFolder } from './dashboards.ts';

/**
 * A real Prometheus scrapes a running stack: every panel has data, every rule is evaluated, and no alert is active.
 */
const dir = await createTempDir('prometheus');
const rateSeconds = 10;
/** Between two checks: a check evaluates up to hundreds of queries, and the result changes with each scrape. */
const pollMs = 500;
const devices = Array.from({ length: 40 }, (_, i) => `plant.line${i % 4}.machine${i}`);

let mosquitto: Mosquitto;
let cluster: StackCluster;
let prometheus: Supervised;
let url: string;
let load: Load;
let modbus: Peer;
let opcua: OpcuaPeer;
let edge: { readonly internal: string };
let alarms: { readonly internal: string };
let controlLoad: ControlLoad;

before(async () => {
  mosquitto = await startMosquitto();
  cluster = new StackCluster({
    // All protocols of devices: each has metrics of its own.
    ingestSettings: {
      TAILRACE_MQTT_ENABLED: 'true',
      TAILRACE_MQTT_PORT: String(await freePort()),
      TAILRACE_MQTT_BRIDGES_FILE: await writeBridges(mosquitto.port),
    },
    nodes: 2,
    data: join(dir.path, 'stack'),
    keepsData: false,
    portBase: await freePortBase(2),
    drainMs: 200,
    print: () => undefined,
  });
  await cluster.start();
  edge = await startEdge();
  alarms = await cluster.startAlarms();
  const control = await cluster.startControl({ TAILRACE_NOTIFICATION_NETWORKS: '127.0.0.0/8' });
  controlLoad = new ControlLoad(cluster, control.url);
  await controlLoad.start();
  load = new Load();
  await load.start();
  await startPrometheus();
});

/** Writes the file of a bridge, and of a Sparkplug host. Returns its path. */
async function writeBridges(port: number): Promise<string> {
  const broker = { url: `mqtt://127.0.0.1:${port}`, publish: ['plant.>'] };
  const subscriptions = [{ filter: 'plant/+', map: { payload: 'json', device: 'plant.{2}' } }];
  const bridges = [
    { name: 'plant', ...broker, subscriptions },
    { name: 'cells', ...broker, sparkplug: { prefix: 'plant' } },
  ];
  const path = join(dir.path, 'bridges.json');
  await writeFile(path, JSON.stringify({ bridges }));
  return path;
}

after(async () => {
  await prometheus?.stop({ signal: 'SIGTERM', deadlineMs: 5_000 });
  await load?.stop();
  await controlLoad?.stop();
  await cluster?.stop();
  await mosquitto?.stop();
  await modbus?.stop();
  await opcua?.stop();
  await dir.remove();
});

/** Starts a gateway that reads a Modbus server and an OPC UA server. */
async function startEdge(): Promise<{ readonly internal: string }> {
  modbus = await startPeer('tcp');
  opcua = await startNodeOpcuaServer(join(dir.path, 'pki-of-server'));
  const tags = [{ tag: 'power', table: 'holding', address: 1, type: 'u16' }];
  const units = [{ unit: 1, device: 'plant.meter1', addressing: 'zero', tags }];
  const sources = [
    { name: 'meters', modbus: { host: '127.0.0.1', port: modbus.port }, units },
    {
      name: 'plc',
      opcua: { endpoint: `opc.tcp://127.0.0.1:${opcua.port}`, security: 'None' },
      tags: [{ device: 'plant.oven1', tag: 'temperature', node: 'ns=1;s=t0' }],
    },
  ];
  const sourcesFile = join(dir.path, 'sources.json');
  await writeFile(sourcesFile, JSON.stringify({ sources }));
  return await cluster.service('edge', 'services/edge/src/main.ts', 3, {
    TAILRACE_HOST: undefined,
    TAILRACE_PORT: undefined,
    TAILRACE_EDGE_PATH: 'plant.edge1',
    TAILRACE_INGEST_URL: cluster.ingest.url,
    TAILRACE_TOKEN: cluster.token,
    TAILRACE_SOURCES_FILE: sourcesFile,
    TAILRACE_STORE_PATH: join(dir.path, 'store'),
    TAILRACE_PKI_PATH: join(dir.path, 'pki'),
  });
}

/** A normal load: reports, clients that watch, reconnects, and requests. */
class Load {
  #watchers: Watcher[] = [];
  #device: DeviceConnection | undefined;
  #running = true;
  #done: Promise<unknown> = Promise.resolve();

  async start(): Promise<void> {
    for (const { url: at } of cluster.fanout) {
      for (const channel of ['plant.>', ...devices.slice(0, 10)])
        this.#watchers.push(await createWatcher({ url: at, token: cluster.token, channel }));
    }
    this.#device = new DeviceConnection({ url: cluster.ingest.url, device: 'plant.gateway', token: cluster.token });
    this.#device.start();
    this.#done = Promise.all([this.#report(), this.#reconnect(), this.#send(this.#device), this.#bridge()]);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
    await this.#device?.close();
    for (const watcher of this.#watchers) watcher.close();
  }

  async #report(): Promise<void> {
    for (let n = 0; this.#running; n++) {
      const body = devices.map((device) => ({ device, time: Date.now(), readings: [{ tag: 'n', value: n }] }));
      const headers = { authorization: `Bearer ${cluster.token}`, 'content-type': 'application/json' };
      const answer = await fetch(`${cluster.ingest.url}/v1/ingest`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      assert.equal(answer.status, 202, await answer.text());
      await pause(200);
    }
  }

  async #send(device: DeviceConnection): Promise<void> {
    for (let n = 0; this.#running; n++) {
      const { status } = await device.status([{ tag: 'n', value: n }]);
      // It is a duplicate if the connection was lost before its answer.
      assert.notEqual(status, 'rejected');
      await pause(200);
    }
  }

  /** Publishes at the broker of the bridge. */
  async #bridge(): Promise<void> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mosquitto.port}`);
    for (let n = 0; this.#running; n++) {
      await client.publishAsync('plant/bridged', JSON.stringify({ n }), { qos: 1 });
      await pause(200);
    }
    await client.endAsync();
  }

  async #reconnect(): Promise<void> {
    for (let n = 0; this.#running; n++) {
      const { url: at } = cluster.fanout[n % 2]!;
      const device = devices[10 + (n % 30)]!;
      (await createWatcher({ url: at, token: cluster.token, channel: device })).close();
      await (await fetch(`${at}/v1/route?device=${device}&token=${cluster.token}`)).text();
      await pause(200);
    }
  }
}

/** Interval of the load; no assertion depends on it. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function targets(): string[] {
  return [...cluster.fanout, cluster.ingest, edge, alarms, ...cluster.control].map(({ internal }) =>
    internal.replace('http://', ''),
  );
}

async function startPrometheus(): Promise<void> {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const config = join(dir.path, 'prometheus.yaml');
  // JSON is YAML.
  const settings = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [join(rulesFolder, '*.yaml')],
    scrape_configs: [{ job_name: 'tailrace', static_configs: [{ targets: targets() }] }],
  };
  await writeFile(config, JSON.stringify(settings));
  prometheus = await startSupervised({
    command: await findTool('prometheus'),
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(dir.path, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    env: process.env,
    output: { file: join(dir.path, 'prometheus.log') },
  });
  await eventually(async () => assert.ok((await fetch(`${url}/-/ready`)).ok), {
    deadlineMs: 20_000,
    describe: 'Prometheus is ready',
  });
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

async function request<T>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<T> {
  const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const { status, data, error } = (await answer.json()) as { status: string; data: T; error?: string };
  assert.equal(status, 'success', `${JSON.stringify(parameters)}: ${error}`);
  return data;
}

async function query(expr: string): Promise<readonly Sample[]> {
  return (await request<{ result: readonly Sample[] }>('query', { query: expr })).result;
}

test('every query of every dashboard is answered with data', async () => {
  const all = (await dashboards()).flatMap((each) => queriesOf(each, rateSeconds));
  assert.ok(all.length > 100);
  await eventually(
    async () => {
      const [up] = await query('min(sum_over_time(up{job="tailrace"}[5m]))');
      assert.ok(Number(up?.value[1]) >= rateSeconds, 'every target has been scraped often enough');
    },
    { deadlineMs: 120_000, pollMs, describe: 'there are enough samples for rates' },
  );
  // The assertion lists all queries without data.
  let empty: string[] = [];
  const isFull = async () => {
    empty = await withoutData(all);
    return empty.length === 0;
  };
  await eventually(isFull, { deadlineMs: 60_000, pollMs, describe: 'all of them have data' }).catch(() => undefined);
  assert.deepEqual(empty, []);
});

async function withoutData(all: readonly { readonly panel: string; readonly expr: string }[]): Promise<string[]> {
  const answers = await Promise.all(all.map(({ expr }) => query(expr)));
  return all
    .filter((_, i) => answers[i]!.every(({ value }) => value[1] === 'NaN'))
    .map(({ panel, expr }) => `${panel}: ${expr}`);
}

test('the variables of the dashboards have values', async () => {
  for (const { file, templating } of await dashboards()) {
    for (const { name, query: variable } of templating.list) {
      if (typeof variable === 'string') continue;
      const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(variable.query) ?? assert.fail(variable.query);
      const values = await request<string[]>(`label/${label}/values`, { 'match[]': selector!.replace('$job', '.*') });
      assert.ok(values.length > 0, `${file}: ${name}`);
    }
  }
});

interface RuleState {
  readonly name: string;
  readonly type: 'alerting' | 'recording';
  readonly query: string;
  readonly health: string;
  readonly lastError?: string;
}

test('every rule is evaluated without an error, and no alert is active under normal load', async () => {
  const { groups } = await request<{ groups: { rules: RuleState[] }[] }>('rules');
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length > 30);
  for (const { name, type, health, lastError, query: expr } of rules) {
    assert.equal(health, 'ok', `${name}: ${lastError}`);
    // Not even pending. After the start of the stack some alerts are pending for a while.
    const isInactive = async () => assert.deepEqual(await query(expr), [], name);
    if (type === 'alerting')
      await eventually(isInactive, { deadlineMs: 60_000, pollMs, describe: `${name} is inactive` });
    else assert.ok((await query(name)).length > 0, name);
  }
});

test('the services have every metric of the rules and panels', async () => {
  const names = new Set(await request<string[]>('label/__name__/values'));
  const { groups } = await request<{ groups: { rules: RuleState[] }[] }>('rules');
  const queries = (await dashboards()).flatMap((each) => queriesOf(each, rateSeconds).map(({ expr }) => expr));
  for (const expr of [...queries, ...groups.flatMap(({ rules }) => rules.map((rule) => rule.query))]) {
    for (const [name] of expr.matchAll(/(?<![:\w])(tailrace|process|nodejs)_\w+/g)) {
      assert.ok(names.has(name), `${name}, in ${expr}`);
    }
  }
});

test('promtool accepts the names of the metrics', async () => {
  const promtool = await findTool('promtool');
  for (const target of targets()) {
    const page = await (await fetch(`http://${target}/metrics`)).text();
    assert.deepEqual(await lint(promtool, page), [], target);
  }
});

/** Returns the findings of `promtool check metrics`, except for metrics of Node.js, which prom-client names. */
async function lint(promtool: string, page: string): Promise<string[]> {
  const child = spawn(promtool, ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => output.push(part));
  child.stdin.end(page);
  await new Promise((resolve) => child.on('close', resolve));
  const lines = Buffer.concat(output).toString('utf8').split('\n');
  return lines.filter((line) => line !== '' && !/^(nodejs|process)_/.test(line));
}
