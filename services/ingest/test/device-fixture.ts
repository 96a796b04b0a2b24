import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Bus } from '@tailrace/bus/bus';
import type { EventLog, NewRecord, RecordSettled } from '@tailrace/eventlog/event-log';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { issueToken } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { z } from 'zod';
import { createIngest } from '../src/app.ts';
import { type IngestSettings, ingestSettings } from '../src/config.ts';
import { MemoryDevice } from '../src/devices/memory-sockets.ts';
import { type MemoryAnswer, MemoryTransport } from '../src/memory-transport.ts';
import type { MqttPorts } from '../src/mqtt/mqtt-ports.ts';

const secret = 'a secret of the tests, long enough for HS256';

export const press = 'plant1.line2.press7';

/** The fields of all messages of the server. */
export interface ServerPayload {
  readonly challenge?: string;
  readonly session?: number;
  readonly replaced?: { readonly address: string };
  readonly expiresAt?: number;
  readonly status?: string;
  readonly code?: string;
  readonly message?: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly accepted?: number;
  readonly rejected?: readonly { readonly index: number; readonly msgid?: string; readonly code: string }[];
  readonly inMs?: number;
  readonly afterMs?: number;
  /** Of a command. */
  readonly name?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly deadline?: number;
  readonly expiresInMs?: number;
  readonly qos?: number;
  readonly fence?: number;
}

/** A message of the server. */
export interface ServerMessage {
  readonly type: string;
  readonly msgid?: string;
  readonly to?: string;
  readonly payload: ServerPayload;
}

/** Resolves when what was sent before is received, and the intake has called the log. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** How long `next` waits, real ms. */
export const nextMsMax = 10_000;

/** A device in memory. */
export class TestDevice {
  readonly socket: MemoryDevice;
  readonly received: ServerMessage[] = [];
  close: { readonly code: number; readonly reason: string } | undefined;

  constructor(socket: MemoryDevice) {
    this.socket = socket;
    socket.onMessage = (data) => void this.received.push(JSON.parse(data.toString()));
    void socket.closed.then((close) => {
      this.close = close;
    });
  }

  /** Sends messages as one chunk. */
  send(...messages: readonly object[]): void {
    this.socket.send(...messages.map((message) => JSON.stringify(message)));
  }

  /** Sends one status with the ID. */
  status(msgid: string, rest: object = {}): void {
    this.send(statusOf(msgid, rest));
  }

  /** Takes the messages of the type that were received, in order. */
  take(type: string): ServerMessage[] {
    const found = this.received.filter((message) => message.type === type);
    for (const message of found) this.received.splice(this.received.indexOf(message), 1);
    return found;
  }

  /** Takes the acknowledgements, as `ID status` or `ID code`. */
  acks(): string[] {
    return this.take('ack').map(({ msgid, payload }) => `${msgid} ${payload.code ?? payload.status}`);
  }

  /** Resolves with the first message of the type. */
  async next(type: string): Promise<ServerMessage> {
    // The verification of a token takes real time, of another thread.
    const giveUpAt = performance.now() + nextMsMax;
    while (performance.now() < giveUpAt) {
      const [message] = this.received.filter((each) => each.type === type);
      if (message !== undefined) {
        this.received.splice(this.received.indexOf(message), 1);
        return message;
      }
      if (this.close !== undefined) break;
      await nextTurn();
    }
    return assert.fail(`expected ${type}, got ${JSON.stringify([...this.received, this.close])}`);
  }

  /** Resolves with the close code. */
  async closed(): Promise<number> {
    return (await this.socket.closed).code;
  }
}

export function statusOf(msgid: string, rest: object = {}): object {
  return { type: 'status', msgid, payload: { readings: [{ tag: 't', value: 1 }] }, ...rest };
}

/** A call of `appendEach` whose records the test settles. */
export interface HeldRecord extends NewRecord {
  confirm(seq?: number): void;
  fail(error?: TailraceError): void;
}

function eventText({ key, value }: NewRecord): string {
  const { sessionStarted, sessionClosed, sessionConflict } = tailrace.v1.Event.decode(value);
  if (sessionStarted) return `started ${key}`;
  if (sessionConflict) return `conflict ${key}: ${sessionConflict.takeovers}`;
  const { reason, graceMs, lastSeq } = sessionClosed!;
  return `closed ${key}: ${reason}, ${graceMs} ms, ${lastSeq ?? 'no report'}`;
}

export interface DeviceFixtureOptions {
  readonly settings?: Partial<IngestSettings>;
  readonly leaveMs?: number;
  readonly clock?: FakeClock;
  /** Name of the node. Default: ingest-0. */
  readonly node?: string;
  /** Default: none, and the node is alone. */
  readonly bus?: Bus;
  readonly mqttPorts?: MqttPorts;
}

interface TokenOptions {
  readonly subject?: string;
  readonly expiresInMs?: number;
  readonly receiveCommands?: readonly string[];
}

/** Ingest on a transport and a clock in memory, with a log whose messages the test settles. */
export async function startDevices(t: TestContext, options: DeviceFixtureOptions = {}) {
  const { settings = {}, leaveMs = 0, clock = createFakeClock({ nowMs: 1_764_446_400_000 }) } = options;
  const { node = 'ingest-0', bus, mqttPorts } = options;
  const config = z.object(ingestSettings).parse({ tokenSecret: secret, ...settings });
  const memory = createMemoryLog({ clock }).connect();
  await memory.start();
  const held: HeldRecord[] = [];
  let seq = 0;
  const events: NewRecord[] = [];
  const log: { appendEach: EventLog['appendEach'] } = {
    appendEach(topic, records, settled) {
      if (topic === 'tailrace.events') {
        // Records whose key is no device announce this process.
        events.push(...records.filter(({ key }) => !key.startsWith('!')));
        for (const index of records.keys()) setImmediate(() => settled(index, undefined, 0, events.length));
        return;
      }
      for (const [index, record] of records.entries()) held.push(heldRecord(record, index, settled));
    },
  };
  const heldRecord = (record: NewRecord, index: number, settled: RecordSettled): HeldRecord => ({
    // Copied: the value of an entry is released with it.
    ...{ key: record.key, value: record.value },
    confirm: (at = seq++) => settled(index, undefined, 0, at),
    fail: (error = new TailraceError('unavailable', 'no answer from Kafka at 10.0.0.1:9092')) =>
      settled(index, error, -1, -1),
  });
  const eventLog = new Proxy(memory, {
    get(target, name) {
      if (name === 'appendEach') return log.appendEach;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const transport = new MemoryTransport({ clock, logger: silentLogger });
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const ingest = createIngest({
    ...{ eventLog, clock, logger: silentLogger, metrics, tracing: noTracing, transport, config, leaveMs },
    ...{ node, bus, random: () => 0.5 },
    ...(mqttPorts === undefined ? {} : { mqttPorts }),
  });
  await ingest.start();
  t.after(() => ingest.stop());

  const tokenFor = (
    publish: readonly string[],
    { subject = 'gateway7', expiresInMs = 3_600_000, receiveCommands }: TokenOptions = {},
  ) =>
    issueToken({
      ...{ secret, subject, publish, subscribe: [], expiresInMs, clock, tokenId: subject },
      ...(receiveCommands && { receiveCommands }),
    });
  const token = await tokenFor(['plant1.>']);
  /** Connects, and returns the device before its `auth`. */
  const connect = (headers: Readonly<Record<string, string>> = {}): TestDevice => {
    const socket = transport.connectDevice({ target: '/v1/device', headers });
    assert.ok(socket instanceof MemoryDevice, JSON.stringify(socket));
    return new TestDevice(socket);
  };
  return {
    clock,
    ingest,
    transport,
    metrics,
    memory,
    token,
    tokenFor,
    connect,
    /** Returns why a connection is refused. */
    refusal: (): MemoryAnswer => transport.connectDevice({ target: '/v1/device' }) as MemoryAnswer,
    /** Resolves with a device that has its welcome. */
    async login(auth: object = {}): Promise<TestDevice> {
      const device = connect();
      const { payload } = await device.next('hello');
      device.send({ type: 'auth', payload: { device: press, token, challenge: payload.challenge, ...auth } });
      await device.next('welcome');
      return device;
    },
    /** What waits for the log, oldest first. */
    held,
    /** Takes the events of sessions, as `kind device: fields`. */
    events: (): string[] => events.splice(0).map(eventText),
    /** Confirms what waits for the log, and sends the acknowledgements. */
    async confirmAll(): Promise<number> {
      await nextTurn();
      const records = held.splice(0);
      for (const record of records) record.confirm();
      await nextTurn();
      return records.length;
    },
    metricsText: () => metrics.text(),
    /** Returns the value of a series. */
    async metric(series: string): Promise<number> {
      const [name, labels = ''] = series.split(/[{}]/);
      const lines = (await metrics.text()).split('\n');
      const line = lines.find(
        (each) => each.startsWith(`${name}{`) && labels.split(',').every((l) => each.includes(l)),
      );
      return Number(line?.split(' ').at(-1));
    },
  };
}
