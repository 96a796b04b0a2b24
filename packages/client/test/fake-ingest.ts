import { DeviceConnection, type DeviceConnectionOptions, type DeviceState } from '../src/device-connection.ts';
import { createTestClock, type TestClock } from '../src/test-clock.ts';
import { type FakeSocket, fakeSockets } from './fake-socket.ts';

/** A message of a device. */
export interface SentFrame {
  readonly type: string;
  readonly msgid?: string;
  readonly timestamp?: number;
  readonly from?: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly qos?: number;
}

/** Ingest without a network: the test sends each message. */
export interface FakeIngest {
  readonly connection: DeviceConnection;
  readonly clock: TestClock;
  readonly states: DeviceState['name'][];
  readonly sockets: readonly FakeSocket[];
  readonly last: () => FakeSocket;
  /** What the device sent on the last connection, without its `auth`. Emptied. */
  take(): SentFrame[];
  /** The IDs of what the device sent. Emptied. */
  ids(): (string | undefined)[];
  send(type: string, payload?: object, rest?: object): void;
  ack(id: string, payload?: object): void;
  /** Opens the last connection, and sends `hello`. Resolves with the `auth`. */
  hello(): Promise<SentFrame>;
  /** As `hello`, then `welcome`. */
  live(welcome?: object): Promise<void>;
}

export const device = 'plant1.line2.press7';

export function startFakeIngest(options: Partial<DeviceConnectionOptions> = {}): FakeIngest {
  const { WebSocket, sockets, last } = fakeSockets();
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  const clock = createTestClock(settled);
  const states: DeviceState['name'][] = [];
  const connection = new DeviceConnection({
    ...{ url: 'ws://ingest:8082', device, token: 'secret', WebSocket, clock, random: () => 0.5 },
    onState: ({ name }) => states.push(name),
    ...options,
  });
  connection.start();
  const take = () => last().sent.splice(0) as unknown as SentFrame[];
  const ingest: FakeIngest = {
    ...{ connection, clock, states, sockets, last, take },
    ids: () => take().map(({ msgid }) => msgid),
    send: (type, payload = {}, rest = {}) => last().deliverRaw(JSON.stringify({ type, payload, ...rest })),
    ack: (id, payload = { status: 'accepted' }) => ingest.send('ack', payload, { msgid: id }),
    async hello() {
      await settled();
      last().open();
      ingest.send('hello', { version: 1, node: 'ingest-0', time: clock.now(), challenge: 'c', authWithinMs: 10_000 });
      return take().at(-1)!;
    },
    async live(welcome = {}) {
      await ingest.hello();
      const limits = { window: 64, windowBytes: 524_288, messageBytesMax: 262_144, batchMax: 500 };
      ingest.send('welcome', { session: 7, device, ...limits, messagesPerSecond: 100, ...welcome });
    },
  };
  return ingest;
}
