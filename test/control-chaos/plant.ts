import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { issueToken } from '@tailrace/platform/token';
import type { Broker } from '@tailrace/testkit/broker';
import { eventually } from '@tailrace/testkit/eventually';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import type { StackService } from '../../scripts/stack-service.ts';
import { type LinkProxy, startLinkProxy } from '../link-proxy.ts';
import { alarmRules } from './alarm-rules.ts';
import { ControlApi } from './control-api.ts';
import type { Person } from './people.ts';

export interface PlantOptions {
  readonly data: string;
  readonly portBase: number;
  readonly print: (text: string) => void;
}

const secondIngestOffset = 3;
const alarmsOffset = 30;
/** No process listens there. */
const closedPort = 1;

/** Settings of alarms that the comparison with the reference needs, ms. */
export const alarmTimes = { graceMs: 2_000, slackMs: 250, checkpointMs: 1_000 } as const;

/** Kafka, NATS, PostgreSQL, and two processes of ingest, fanout, alarms and control each. */
export class Plant {
  readonly cluster: StackCluster;
  readonly ingest: StackService[] = [];
  readonly alarms: StackService[] = [];
  /** The load balancer sends no device to these. */
  readonly down = new Set<StackService>();
  #proxy: LinkProxy | undefined;
  #turn = 0;

  constructor({ data, portBase, print }: PlantOptions) {
    this.cluster = new StackCluster({ nodes: 2, data, portBase, drainMs: 0, keepsData: false, print });
  }

  get control(): readonly StackService[] {
    return this.cluster.control;
  }

  get fanout(): readonly StackService[] {
    return this.cluster.fanout;
  }

  /** Where devices connect: a load balancer over the ingest nodes. */
  get deviceUrl(): string {
    return `ws://127.0.0.1:${this.#proxy!.port}`;
  }

  get controlUrls(): readonly string[] {
    return this.control.map(({ url }) => url);
  }

  get streamUrls(): readonly string[] {
    return this.fanout.map(({ url }) => url.replace('http', 'ws'));
  }

  /** Resolves when all are ready, and the rules are in force. */
  async start(): Promise<void> {
    const { cluster } = this;
    await cluster.start();
    const { kafka, nats, tokenSecret } = cluster;
    this.ingest.push(cluster.ingest);
    const brokers = {
      TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
      TAILRACE_NATS_SERVERS: nats.url,
      TAILRACE_TOKEN_SECRET: tokenSecret,
    };
    const ingest = { ...brokers, TAILRACE_NODE: 'ingest-1' };
    this.ingest.push(await cluster.service('ingest-1', 'services/ingest/src/main.ts', secondIngestOffset, ingest));
    for (const index of [0, 1]) {
      const settings = {
        TAILRACE_HOST: undefined,
        TAILRACE_PORT: undefined,
        TAILRACE_NODE: `alarms-${index}`,
        TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
        TAILRACE_CHECKPOINT_MS: String(alarmTimes.checkpointMs),
        TAILRACE_GRACE_MS: String(alarmTimes.graceMs),
        TAILRACE_SLACK_MS: String(alarmTimes.slackMs),
        // The reference has the reports of a device alone: it cannot count the alarms of an area.
        TAILRACE_AREA_LEVELS: '0',
      };
      const script = 'services/alarms/src/main.ts';
      this.alarms.push(await cluster.service(`alarms-${index}`, script, alarmsOffset + index, settings));
    }
    const control = { TAILRACE_UNCONFIRMED_MS: '10000', TAILRACE_NOTIFICATION_NETWORKS: '127.0.0.0/8' };
    for (let index = 0; index < 2; index++) await cluster.startControl(control);
    this.#proxy = await startLinkProxy(() => this.#portOfNext());
    await this.#setRules();
  }

  async stop(): Promise<void> {
    await this.#proxy?.stop();
    await this.cluster.stop();
  }

  /** Resolves with a person who sees and commands all devices. */
  async person(subject: string, roles: readonly string[] = []): Promise<Person> {
    const rights = { publish: [], subscribe: ['plant1.>'], command: ['plant1.>'] };
    const token = await issueToken({
      ...{ secret: this.cluster.tokenSecret, subject, ...rights, roles: [...roles], expiresInMs: 24 * 3_600_000 },
    });
    return { subject, token };
  }

  async tokenOf(device: string): Promise<string> {
    const rights = { publish: [device], subscribe: [] };
    return await issueToken({
      ...{ secret: this.cluster.tokenSecret, subject: device, ...rights, expiresInMs: 24 * 3_600_000 },
    });
  }

  #portOfNext(): number {
    const up = this.ingest.filter((node) => !this.down.has(node));
    return up.length === 0 ? closedPort : up[this.#turn++ % up.length]!.port;
  }

  async #setRules(): Promise<void> {
    const { token } = await this.person('engineer', ['engineer']);
    const api = new ControlApi(this.controlUrls);
    for (const rule of alarmRules) {
      const { id, version: _, author: __, ...body } = rule;
      // No device has reported yet.
      await api.ok(token, 'PUT', `/v1/rules/${id}?force=true`, body);
    }
    const known = async () => {
      const counts = await Promise.all(this.alarms.map((node) => metricOf(node, 'tailrace_alarms_rules')));
      assert.deepEqual(counts, [alarmRules.length, alarmRules.length]);
    };
    await eventually(known, { deadlineMs: 60_000, describe: 'both processes of alarms have the rules' });
  }
}

/** Resolves with a metric of a service; NaN: it has none. */
export async function metricOf(service: StackService, name: string): Promise<number> {
  const page = await (await fetch(`${service.internal}/metrics`)).text();
  const line = page.split('\n').find((each) => each.startsWith(`${name}{`) || each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

/**
 * Stops or continues all processes of PostgreSQL: a signal to the server alone would only delay new connections. Each
 * of its processes has a process group of its own.
 */
export async function signalPostgres({ pid }: Pick<Broker, 'pid'>, signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  if (pid === undefined) throw new Error('PostgreSQL: expected a process of this run');
  const pids = [pid];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // A process may have exited meanwhile.
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent === String(pid)) pids.push(Number(name));
  }
  for (const each of pids) {
    try {
      process.kill(each, signal);
    } catch {
      // Exited.
    }
  }
}
