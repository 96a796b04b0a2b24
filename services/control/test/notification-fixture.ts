import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Database } from '@tailrace/database/database';
import { migrate } from '@tailrace/database/migrations';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { createEmbeddedDatabase } from '@tailrace/testkit/embedded-database';
import { eventually } from '@tailrace/testkit/eventually';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { AlarmNotice } from '../src/notifications/alarm-notice.ts';
import type { SendMail } from '../src/notifications/mail-transport.ts';
import { Notifications } from '../src/notifications/notifications.ts';
import { OutwardAddresses } from '../src/notifications/outward-address.ts';
import { createPost } from '../src/notifications/outward-request.ts';
import { routeSchema } from '../src/notifications/route.ts';
import { targetSchema } from '../src/notifications/target.ts';

export const startMs = Date.parse('2026-01-15T12:00:00Z');

/** A store for all tests of a file. Each test has targets and routes of its own. */
export async function createStore(): Promise<Database> {
  const database = await createEmbeddedDatabase();
  await database.start();
  await migrate(database, { directory: join(import.meta.dirname, '../migrations') });
  return database;
}

export interface StartOptions {
  readonly database: Database;
  readonly mail?: SendMail;
  /** Networks that are allowed although they are refused by default. Default: loopback. */
  readonly networks?: readonly string[];
  readonly requestMs?: number;
  /** Processes that send. Default: 1. */
  readonly processes?: number;
}

/** Notifications on a real store and a clock of the test, with one or several processes. */
export async function startNotifications(t: TestContext, options: StartOptions) {
  const { database, mail, networks = ['127.0.0.1'], requestMs, processes = 1 } = options;
  for (const table of ['notification_targets', 'notification_routes']) await database.query(`DELETE FROM ${table}`);
  const clock = createFakeClock({ nowMs: startMs });
  const addresses = new OutwardAddresses(networks);
  const create = (worker: string) => {
    const metrics = createMetrics({ service: 'control', node: worker, processMetrics: false });
    const context = { database, clock, logger: silentLogger, metrics, random: () => 0.5, worker };
    const post = createPost({ addresses, ...(requestMs === undefined ? {} : { requestMs }) });
    return { notifications: new Notifications({ context, post, mail }), metrics };
  };
  const all = Array.from({ length: processes }, (_, index) => create(`control-${index}`));
  for (const { notifications } of all) await notifications.start();
  t.after(async () => {
    for (const { notifications } of all) await notifications.stop();
    assert.equal(clock.pending(), 0, 'no timer is left');
  });
  const put = async (table: string, id: string, settings: unknown) => {
    const sql = `INSERT INTO ${table} (id, tenant, version, settings, changed_by, changed_ms)
      VALUES ($1, '', 1, $2::jsonb, 'test', 0)`;
    await database.query(sql, [id, JSON.stringify(settings)]);
    for (const { notifications } of all) notifications.changed();
  };
  let number = 0;
  return {
    ...{ database, clock, all },
    notifications: all[0]!.notifications,
    target: (id: string, settings: object) => put('notification_targets', id, targetSchema.parse(settings)),
    route: (id: string, settings: object) =>
      put('notification_routes', id, routeSchema.parse({ patterns: ['>'], ...settings })),
    /** Takes transitions as one transaction of the projection, and wakes the first process. */
    async take(...changes: readonly Partial<AlarmNotice>[]): Promise<AlarmNotice[]> {
      const notices = changes.map((changed) => noticeOf(++number, clock.now(), changed));
      const { notifications } = all[0]!;
      await database.transaction((transaction) => notifications.take(transaction, notices));
      notifications.wake();
      return notices;
    },
    /** Returns the states of the notifications of a target, in their order. */
    async states(target: string): Promise<string[]> {
      const sql = 'SELECT state FROM notifications WHERE target = $1 ORDER BY position';
      const { rows } = await database.query<{ state: string }>(sql, [target]);
      return rows.map(({ state }) => state);
    },
    async metric(series: string): Promise<number> {
      const [name = '', labels = ''] = series.split(/[{}]/);
      const values = await Promise.all(
        all.map(async ({ metrics }) => {
          const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith(`${name}{`));
          const line = lines.find((each) => labels.split(',').every((label) => each.includes(label)));
          return Number(line?.split(' ').at(-1) ?? 0);
        }),
      );
      return values.reduce((sum, each) => sum + each, 0);
    },
  };
}

function noticeOf(number: number, time: number, changed: Partial<AlarmNotice>): AlarmNotice {
  const raised = { rule: 'pressure', device: 'plant1.press7', state: 'unacknowledged', cause: 'raised', priority: 3 };
  return { id: `transition${number}`, alarm: 'alarm1', number, time, activated: time, ...raised, ...changed };
}

export interface ReceivedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly path: string;
}

/** A receiver of webhooks. */
export class Receiver {
  readonly requests: ReceivedRequest[] = [];
  /** Answers a request. Default: 204. */
  answer: (response: ServerResponse, request: ReceivedRequest) => void = (response) => response.writeHead(204).end();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        const received = { headers: request.headers, body, path: request.url ?? '' };
        this.requests.push(received);
        this.answer(response, received);
      });
    });
  }

  static async start(t: TestContext): Promise<Receiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    return new Receiver(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** IDs of the transitions received so far. */
  get ids(): (string | undefined)[] {
    return this.requests.map(({ headers }) => headers['webhook-id'] as string | undefined);
  }

  async received(count: number): Promise<void> {
    await eventually(() => assert.ok(this.requests.length >= count, `${this.requests.length} requests`));
  }
}
