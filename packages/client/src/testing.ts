import type { ClientMessage } from '@tailrace/protocol/client-message-json';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';
import type { Delivery, Reading } from '@tailrace/protocol/report';
import type { ServerMessage } from '@tailrace/protocol/server-message-json';
import { createStream, type Stream, type StreamOptions } from './stream.ts';
import { createTestClock, type TestClock } from './test-clock.ts';
import { TestSession } from './test-session.ts';
import { TestSocket } from './test-socket.ts';
import { TestLog } from './testlog.ts';
import type { WebSocketConstructor } from './websocket.ts';

export type { TestClock } from './test-clock.ts';

/** A report's readings, or its values by tag. */
export type TestReadings = readonly Reading[] | Readonly<Record<string, Reading['value']>>;

export interface TestServerOptions {
  /** Which tokens hold. Left out: none is needed. */
  readonly accepts?: (token: string) => boolean;
}

/**
 * Tailrace in memory, for the tests of what is built on it: the same messages through the same codecs, without a network, a broker or a wait. It
 * serves last values, news, positions, pauses and replays as the real server does, and `tags` and `delta`; it takes `maxRate`, `deadband` and `speed`
 * and sends everything at once. Its answers come in microtasks: `await server.settled()` before looking.
 */
export interface TestServer {
  /** For `createStream`. Every other address reaches the same server, too, as another node of it. */
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly clock: TestClock;
  /** A stream to it, on its clock, whose waits are the shortest. */
  stream(options?: Partial<StreamOptions>): Stream;
  /** A device reports. `time` (epoch ms) is the clock's unless given. */
  publish(device: string, readings: TestReadings, time?: number): Delivery;
  stale(device: string): void;
  online(device: string): void;
  offline(device: string): void;
  /** The server does not hear partitions of these channels any more, or hears them again. Left out: of all. */
  interrupt(channel?: string): void;
  restore(channel?: string): void;
  /** Sends a consistent cut of now to subscriptions with `align`. */
  cut(): void;
  /** Says that the channel lives at that address. */
  moved(channel: string, url: string): void;
  /** Says that the token ends. */
  expire(inMs: number): void;
  notice(severity: string, message: string): void;
  /** Refuses the channel from now on, and ends what is subscribed to it. */
  refuse(channel: string, code?: ErrorCode, message?: string): void;
  /** Ends connections, all or those to one address. Default code: 1006, as when the network is gone. */
  drop(code?: number, url?: string): void;
  /** Whether connections can be opened at all, or to one address. */
  setReachable(isReachable: boolean, url?: string): void;
  /** Forgets what was reported: who comes back is told what is missing. */
  trim(): void;
  /** Says anything at all, to everybody. */
  say(message: ServerMessage): void;
  /** What clients have sent, oldest first. */
  readonly received: readonly ClientMessage[];
  /** The addresses of the open connections. */
  readonly connections: readonly string[];
  /** What is subscribed to now, by all of them. */
  readonly channels: readonly string[];
  /** Resolves when everything that was under way has arrived. */
  settled(): Promise<void>;
}

const url = 'ws://tailrace.test/v1/stream';
/** Messages of clients that are remembered. */
const receivedMax = 10_000;
/** Turns of the microtask queue without a message after which nothing more is expected; a client that asks for its token takes a few. */
const quietTurns = 16;

export function createTestServer({ accepts }: TestServerOptions = {}): TestServer {
  const log = new TestLog();
  const sessions = new Set<TestSession>();
  const refusals = new Map<string, TailraceError>();
  const unreachable = new Set<string>();
  const received: ClientMessage[] = [];
  let underWay = 0;

  const later = (call: () => void) => {
    underWay++;
    queueMicrotask(() => {
      underWay--;
      call();
    });
  };
  const settled = async () => {
    for (let quiet = 0; quiet < quietTurns; quiet = underWay === 0 ? quiet + 1 : 0) await Promise.resolve();
  };
  const clock = createTestClock(settled);
  const accept = (socket: TestSocket) => {
    if (unreachable.has('') || unreachable.has(socket.url)) return undefined;
    const { host } = new URL(socket.url);
    const side = {
      log,
      node: host.replace(/[.:].*/, ''),
      now: clock.now,
      accepts: accepts ?? (() => true),
      refusal: (channel: string) => refusals.get(channel),
      received: (message: ClientMessage) => {
        if (received.length < receivedMax) received.push(message);
      },
    };
    const session = new TestSession(socket, side, accepts !== undefined);
    sessions.add(session);
    return { text: (text: string) => session.take(text), gone: () => void sessions.delete(session) };
  };
  class WebSocket extends TestSocket {
    constructor(to: string) {
      super(to, { accept, later });
    }
  }
  const say = (message: ServerMessage) => {
    for (const session of sessions) session.say(message);
  };

  return {
    url,
    WebSocket,
    clock,
    stream: (options = {}) => createStream({ url, WebSocket, clock, random: () => 0, ...options }),
    publish(device, readings, time = clock.now()) {
      const list = Array.isArray(readings)
        ? (readings as readonly Reading[])
        : Object.entries(readings).map(([tag, value]) => ({ tag, value: value as Reading['value'] }));
      const delivery = log.append(device, list, time, clock.now());
      for (const session of sessions) session.report(delivery);
      return delivery;
    },
    stale: (device) => say({ stale: { device, since: clock.now() } }),
    online: (device) => say({ online: { device } }),
    offline: (device) => say({ offline: { device, since: clock.now() } }),
    interrupt(channel) {
      for (const session of sessions)
        for (const view of session.views(channel))
          session.say({ interrupted: { view, since: clock.now(), partitions: [0] } });
    },
    restore(channel) {
      for (const session of sessions) for (const view of session.views(channel)) session.say({ restored: { view } });
    },
    cut() {
      for (const session of sessions) session.cut(clock.now());
    },
    moved(channel, to) {
      for (const session of sessions)
        if (session.channels.includes(channel)) session.say({ moved: { channel, url: to } });
    },
    expire: (inMs) => say({ expiring: { inMs } }),
    notice: (severity, message) => say({ notice: { severity, message, time: clock.now() } }),
    refuse(channel, code = 'forbidden', message = `the test server refuses ${channel}`) {
      const error = new TailraceError(code, message);
      refusals.set(channel, error);
      for (const session of sessions) session.end(channel, error);
    },
    drop(code = 1006, of) {
      for (const session of [...sessions]) {
        if (of !== undefined && session.socket.url !== of) continue;
        sessions.delete(session);
        session.socket.cut(code, '');
      }
    },
    setReachable(isReachable, of = '') {
      if (isReachable) unreachable.delete(of);
      else unreachable.add(of);
    },
    trim: () => log.trim(),
    say,
    received,
    get connections() {
      return [...sessions].map(({ socket }) => socket.url);
    },
    get channels() {
      return [...sessions].flatMap((session) => session.channels);
    },
    settled,
  };
}
