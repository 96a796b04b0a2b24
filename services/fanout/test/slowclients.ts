import { createMemoryNetwork } from '@tailrace/bus/memory';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { silentLog } from '@tailrace/platform/log';
import type { ClientMessage } from '@tailrace/protocol/clientmessage';
import { encodeReport } from '@tailrace/protocol/reportproto';
import { type Data, type ServerMessage, serverMessageFromJson } from '@tailrace/protocol/servermessage';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fakeclock';
import { Session } from '../src/sessions/session.ts';
import { SessionCounts } from '../src/sessions/sessioncounts.ts';
import { StreamSocket } from '../src/sessions/stream-socket.ts';
import { type Assembly, assembleNode, topic } from './assembly.ts';
import { limits as clusterLimits } from './cluster.ts';
import { freeAccess } from './freeaccess.ts';
import { noPlacement } from './noplacement.ts';
import { spoil, unreadableHeaders } from './unreadable-records.ts';

export const slowLimits = {
  ...clusterLimits,
  socketMarkBytes: 40_000,
  socketBytesMax: 4_000_000,
  repliesBytesMax: 10_000,
  lagMsMax: 600_000,
  pongDeadlineMs: 10_000,
};

export interface SlowReport {
  readonly device: string;
  readonly value: number;
  readonly text?: string;
  readonly id?: string;
  /** Nobody can read it from the log. Default: false. */
  readonly isUnreadable?: boolean;
}

/** A node with sessions on sockets of which the test says how much they take. */
export interface SlowNode extends Assembly {
  readonly clock: FakeClock;
  /** Appends reports; resolves when the node has worked them through, and looked at its sockets. */
  append(reports: readonly SlowReport[]): Promise<void>;
  client(): Promise<SlowClient>;
  close(): Promise<void>;
}

/** What a client has read, in order, and what waits for it. */
export class SlowClient {
  readonly read: ServerMessage[] = [];
  readonly topics = new Set<string>();
  readonly closes: string[] = [];
  /** Bytes that waited at most. */
  waitedMost = 0;
  readonly #waiting: string[] = [];
  #bytes = 0;
  #session: Session | undefined;
  #socket: StreamSocket | undefined;

  open(session: Session, socket: StreamSocket): void {
    this.#session = session;
    this.#socket = socket;
  }

  get waiting(): number {
    return this.#bytes;
  }

  put(frame: string | Uint8Array): void {
    this.#waiting.push(String(frame));
    this.#bytes += frame.length;
    this.waitedMost = Math.max(this.waitedMost, this.#bytes);
  }

  send(message: ClientMessage): void {
    this.#session!.onMessage(JSON.stringify(message));
  }

  /** Takes whole messages of so many bytes, or one more. */
  take(bytes: number): void {
    let taken = 0;
    while (taken < bytes && this.#waiting.length > 0) {
      const frame = this.#waiting.shift()!;
      taken += frame.length;
      this.#bytes -= frame.length;
      const message = serverMessageFromJson(frame);
      if (message !== undefined) this.read.push(message);
    }
    if (taken > 0) this.#socket!.drained();
  }

  look(): void {
    this.#socket!.check();
  }

  end(): void {
    this.#session!.onClose();
    this.#socket!.closed();
  }

  /** Messages of one kind. */
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
  const bus = createMemoryNetwork({ clock, random: () => 0 }).createBus({ node: 'a', log: silentLog });
  await bus.start();
  const clients = new Set<SlowClient>();
  const assembly = assembleNode({
    ...{ node: 'a', eventLog, bus, clock, random: () => 0.5, partitions, limits },
    broadcast: {
      publish(name, frame) {
        for (const client of clients) if (client.topics.has(name)) client.put(frame);
      },
    },
  });
  await assembly.ownership.start();
  await clock.advance(10_000);
  let made = 0;
  const client = async () => {
    const made1 = new SlowClient();
    const connection = {
      send: (frame: string | Uint8Array) => void made1.put(frame),
      ping() {},
      subscribe: (name: string) => void made1.topics.add(name),
      unsubscribe: (name: string) => void made1.topics.delete(name),
      getTopics: () => [...made1.topics],
      getBufferedAmount: () => made1.waiting,
      end: (code: number, reason: string) => void made1.closes.push(`${code} ${reason}`),
      close: () => void made1.closes.push('cut'),
    };
    const socket = new StreamSocket(connection, limits, clock);
    const session = new Session(`s${++made}`, 'json', socket, {
      hub: assembly.hub,
      work: assembly.work,
      placement: noPlacement(),
      verify: async () => ({ subject: 's', publish: [], subscribe: ['>'] }),
      now: () => clock.now(),
      node: 'a',
      version: '1',
      heartbeatMs: 30_000,
      messageBytesMax: 65_536,
      subscriptionsMax: 1_000,
      viewsPerConnectionMax: 64,
      logger: silentLog,
      counts: new SessionCounts(),
      access: freeAccess(),
    });
    made1.open(session, socket);
    clients.add(made1);
    await session.authenticate('t');
    return made1;
  };
  return {
    ...assembly,
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
      for (const each of clients) each.look();
      await clock.advance(0);
    },
    async close() {
      for (const each of clients) each.end();
      let open = true;
      const close = async () => {
        await assembly.ownership.stop();
        await Promise.all([bus.close(), eventLog.close(), writer.close()]);
      };
      // A stop may wait for what only happens by the clock.
      const closed = close().finally(() => {
        open = false;
      });
      while (open) await clock.advance(100);
      await closed;
    },
  };
}
