import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLogger } from '@tailrace/platform/logger';
import type { ClientMessage } from '@tailrace/protocol/client-message';
import { TailraceError } from '@tailrace/protocol/error';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { type Data, type ServerMessage, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { createFanout, type FanoutNode } from '../src/app.ts';
import {
  directWire,
  type MemoryClient,
  type MemoryConnection,
  MemoryTransport,
  type Wire,
} from '../src/memory-transport.ts';
import { limits as clusterLimits } from './cluster.ts';
import { fanoutOptions, topic } from './fanout-options.ts';
import { spoil, unreadableHeaders } from './unreadable-records.ts';

export const slowLimits = {
  ...clusterLimits,
  socketHighWaterBytes: 40_000,
  socketBytesMax: 4_000_000,
  repliesBytesMax: 10_000,
  lagMsMax: 600_000,
  // A client that reads nothing answers no ping.
  heartbeatMs: 36_000_000,
  pongDeadlineMs: 10_000,
};

export interface SlowReport {
  readonly device: string;
  readonly value: number;
  readonly text?: string;
  readonly id?: string;
  /** Whether the record is unreadable. Default: false. */
  readonly isUnreadable?: boolean;
}

/** A node with sessions on sockets that take as much as the test lets them. */
export interface SlowNode extends FanoutNode {
  readonly clock: FakeClock;
  /** Appends reports. Resolves when the node has processed them, and checked its sockets. */
  append(reports: readonly SlowReport[]): Promise<void>;
  client(): Promise<SlowClient>;
  close(): Promise<void>;
}

/** A wire on which frames wait until they are taken. */
class SlowWire implements Wire {
  waitingBytes = 0;
  /** The maximum of waiting bytes. */
  waitedMost = 0;
  readonly #first = Promise.withResolvers<void>();
  readonly #waiting: { readonly bytes: number; readonly arrive: () => void }[] = [];

  /** Resolves once something was sent. */
  get first(): Promise<void> {
    return this.#first.promise;
  }

  send(bytes: number, arrive: () => void): void {
    this.#first.resolve();
    this.#waiting.push({ bytes, arrive });
    this.waitingBytes += bytes;
    this.waitedMost = Math.max(this.waitedMost, this.waitingBytes);
  }

  /** Takes whole messages until `bytes` are reached. Returns the bytes taken. */
  take(bytes: number): number {
    let taken = 0;
    while (taken < bytes && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!;
      taken += next.bytes;
      this.waitingBytes -= next.bytes;
      next.arrive();
    }
    return taken;
  }

  terminate(): void {
    this.#waiting.length = 0;
    this.waitingBytes = 0;
  }
}

/** A client that reads when the test calls `take`, and what it has read, in order. */
export class SlowClient implements MemoryClient {
  readonly read: ServerMessage[] = [];
  readonly closes: string[] = [];
  readonly #wire = new SlowWire();
  readonly #connection: MemoryConnection;

  constructor(transport: MemoryTransport) {
    const wires = () => ({ toClient: this.#wire, toServer: directWire });
    const connection = transport.connect({ target: '/v1/stream?token=t' }, this, wires);
    if ('status' in connection) throw new TailraceError('unavailable', String(connection.body));
    this.#connection = connection;
  }

  /** Resolves once the server has sent its welcome. */
  get welcomed(): Promise<void> {
    return this.#wire.first;
  }

  get waiting(): number {
    return this.#wire.waitingBytes;
  }

  get waitedMost(): number {
    return this.#wire.waitedMost;
  }

  message(frame: string | Uint8Array): void {
    const message = serverMessageFromJson(String(frame));
    if (message !== undefined) this.read.push(message);
  }

  closed(code: number, reason: string): void {
    this.closes.push(`${code} ${reason}`);
  }

  /** The topics to which it is subscribed. */
  get topics(): ReadonlySet<string> {
    return new Set(this.#connection.getTopics());
  }

  send(message: ClientMessage): void {
    this.#connection.sendMessage(JSON.stringify(message));
  }

  take(bytes: number): void {
    if (this.#wire.take(bytes) > 0) this.#connection.drained();
  }

  end(): void {
    this.#connection.leave();
  }

  /** Returns the messages of one kind. */
  all<K extends string>(kind: K): Extract<ServerMessage, Record<K, unknown>>[] {
    return this.read.filter((message): message is Extract<ServerMessage, Record<K, unknown>> => kind in message);
  }

  data(): Data[] {
    return this.all('data').map(({ data }) => data);
  }

  kinds(): string[] {
    return this.read.map((message) => Object.keys(message)[0]!);
  }
}

export async function createSlowNode(
  options: Partial<typeof slowLimits> & { partitions?: number } = {},
): Promise<SlowNode> {
  const { partitions = 3, ...own } = options;
  const limits = { ...slowLimits, ...own };
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const memory = createMemoryLog({ clock, epoch: () => 'epoch-1' });
  const [eventLog, writer] = [memory.connect(), memory.connect()];
  spoil(eventLog);
  await Promise.all([eventLog.start(), writer.start()]);
  for (const name of [topic, 'tailrace.state']) {
    await writer.ensureTopic({ name, partitions, retentionMs: 1e12, retentionBytes: 1e12, compacted: name !== topic });
  }
  const bus = createMemoryNetwork({ clock, random: () => 0 }).createBus({ node: 'a', logger: silentLogger });
  await bus.start();
  const clients = new Set<SlowClient>();
  const transport = new MemoryTransport({ socketBytesMax: limits.socketBytesMax });
  const fanout = createFanout(
    fanoutOptions({ node: 'a', eventLog, bus, clock, transport, partitions, settings: limits }),
  );
  await fanout.start();
  await clock.advance(10_000);
  const node = fanout.node!;
  const client = async () => {
    const made = new SlowClient(transport);
    clients.add(made);
    await made.welcomed;
    return made;
  };
  return {
    ...node,
    clock,
    client,
    async append(reports) {
      await writer.append(
        topic,
        reports.map(({ device, value, text, id, isUnreadable = false }) => {
          const readings = [{ tag: 'n', value }, ...(text === undefined ? [] : [{ tag: 'text', value: text }])];
          const report = { device, time: clock.now(), readings, ...(id !== undefined && { id }) };
          const record = { key: device, value: encodeReport(report, clock.now()) };
          return isUnreadable ? { ...record, headers: unreadableHeaders } : record;
        }),
      );
      await clock.advance(1);
      for (const socket of node.sockets) socket.check();
      await clock.advance(0);
    },
    async close() {
      for (const each of clients) each.end();
      let open = true;
      const close = async () => {
        await fanout.stop();
        await Promise.all([bus.close(), eventLog.close(), writer.close()]);
      };
      // A stop may wait for timers of the fake clock.
      const closed = close().finally(() => {
        open = false;
      });
      while (open) await clock.advance(100);
      await closed;
    },
  };
}
