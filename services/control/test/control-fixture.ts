import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Bus } from '@tailrace/bus/bus';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import type { Database } from '@tailrace/database/database';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics, type Metrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import { tailrace } from '@tailrace/protocol/generated';
import { createEmbeddedDatabase } from '@tailrace/testkit/embedded-database';
import { z } from 'zod';
import { type Control, createControl } from '../src/app.ts';
import { type ControlSettings, controlSettings } from '../src/config.ts';
import type { RegisterRoutes } from '../src/control-context.ts';

/** Control on real PostgreSQL, in process, with log and bus in memory. */
export interface ControlFixture {
  readonly database: Database;
  readonly eventLog: EventLog;
  /** A further node of the bus. */
  bus(node: string): Promise<Bus>;
  /** Starts another process of control on the same store. */
  start(node: string, options?: StartOptions): Promise<RunningControl>;
  /** Returns the events of the log so far, in order per key. */
  events(): Promise<readonly { readonly key: string; readonly event: tailrace.v1.Event }[]>;
  /** Returns the values of another topic so far, in order. */
  values(topic: string): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]>;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly settings?: Partial<ControlSettings>;
  readonly routes?: readonly RegisterRoutes[];
  readonly tracing?: Tracing;
}

export interface RunningControl {
  readonly control: Control;
  readonly metrics: Metrics;
  readonly url: string;
  /** Requests as a person. `token`: of `tokenOf`; '' for none. */
  request(token: string, method: string, path: string, body?: unknown): Promise<Answer>;
  stop(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the assertions of the tests name the fields
  readonly body: any;
}

export const tokenSecret = 'a secret of the tests of control: 32 bytes';

/** Returns a token of a person. Default: may see and command all devices of plant1. */
export async function tokenOf(
  subject: string,
  claims: { readonly roles?: readonly string[]; readonly command?: readonly string[]; readonly tenant?: string } = {},
): Promise<string> {
  const { roles = [], command = ['plant1.>'], tenant } = claims;
  return await issueToken({
    ...{ secret: tokenSecret, subject, roles, command, publish: [], subscribe: ['plant1.>'], expiresInMs: 600_000 },
    ...(tenant === undefined ? {} : { tenant }),
  });
}

const schema = z.strictObject(controlSettings);

/** `createDatabase`: default PostgreSQL in process. */
export async function createControlFixture(
  createDatabase: () => Promise<Database> = createEmbeddedDatabase,
): Promise<ControlFixture> {
  const database = await createDatabase();
  await database.start();
  const network = createMemoryNetwork({ clock: systemClock });
  const log = createMemoryLog({ clock: systemClock });
  const eventLog = log.connect();
  await eventLog.start();
  /** Of control. A test that has one fails at its end. */
  const errors: object[] = [];
  const logger = {
    ...silentLogger,
    error: (facts: object, message: string) => void errors.push({ ...facts, message }),
  };
  const running: RunningControl[] = [];
  const buses: Bus[] = [];
  const bus = async (node: string) => {
    const created = network.createBus({ node, logger: silentLogger });
    await created.start();
    buses.push(created);
    return created;
  };
  const values = async (topic: string) => {
    const records: { key: string; value: Uint8Array }[] = [];
    const bounds = await eventLog.bounds(topic);
    for (const [partition, { first, next }] of bounds.entries())
      for await (const batch of eventLog.read(topic, partition, { from: first, until: next }))
        records.push(...batch.map(({ key, value }) => ({ key, value })));
    return records;
  };
  return {
    ...{ database, eventLog, bus, values },
    async start(node, { settings = {}, routes = [], tracing = noTracing } = {}) {
      const config = schema.parse({ tokenSecret, port: 0, host: '127.0.0.1', telemetryPartitions: 3, ...settings });
      const metrics = createMetrics({ service: 'control', node, processMetrics: false });
      const connected = log.connect();
      await connected.start();
      const control = createControl({
        ...{ database, eventLog: connected, bus: await bus(node), clock: systemClock, random: Math.random },
        ...{ logger, metrics, tracing, config, node, routes },
      });
      await control.start();
      const url = `http://127.0.0.1:${control.port}`;
      const started: RunningControl = {
        ...{ control, metrics, url },
        request: (token, method, path, body) => request(url, token, method, path, body),
        async stop() {
          running.splice(running.indexOf(started), 1);
          await control.drain();
          await control.stop();
        },
      };
      running.push(started);
      return started;
    },
    async events() {
      const records = await values('tailrace.events');
      return records.map(({ key, value }) => ({ key, event: tailrace.v1.Event.decode(value) }));
    },
    async stop() {
      await Promise.all([...running].map((each) => each.stop()));
      await Promise.all(buses.map((each) => each.close()));
      await eventLog.close();
      await database.close();
      assert.deepEqual(errors, []);
    },
  };
}

async function request(url: string, token: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const headers = new Headers();
  if (token !== '') headers.set('authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('content-type', 'application/json');
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const answer = await fetch(url + path, init);
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.includes('application/json') ?? false;
  return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
}

/** Returns the body of a command. */
export function commandBody(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { id: randomUUID(), device: 'plant1.press7', name: 'set', params: { speed: 12 }, ...fields };
}

/** Resolves with the body of an answer. Rejects for one of 300 and above. */
export async function ok(answer: Promise<Answer>) {
  const { status, body } = await answer;
  assert.ok(status < 300, `${status} ${JSON.stringify(body)}`);
  return body;
}

export async function refused(answer: Promise<Answer>, status: number, message: RegExp): Promise<void> {
  const { status: got, body } = await answer;
  assert.equal(got, status, JSON.stringify(body));
  assert.match(body.error.message, message);
}
