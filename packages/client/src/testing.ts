import type { ClientMessage } from '@tailrace/protocol/client-message-json';
import type { AlarmTransition, CommandTransition, LeaseTransition } from '@tailrace/protocol/control-event-json';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';
import type { Delivery, Reading } from '@tailrace/protocol/report';
import type { ServerMessage } from '@tailrace/protocol/server-message-json';
import { createStream, type Stream, type StreamOptions } from './stream.ts';
import { createTestClock, type TestClock } from './test-clock.ts';
import { TestEvents } from './test-events.ts';
import { TestLog } from './test-log.ts';
import { TestSession } from './test-session.ts';
import { TestSocket } from './test-socket.ts';
import type { WebSocketConstructor } from './websocket.ts';

export type { TestClock } from './test-clock.ts';

/** A report's readings, or its values by tag. */
export type TestReadings = readonly Reading[] | Readonly<Record<string, Reading['value']>>;

export interface TestServerOptions {
  /** Returns whether a token is valid. Absent: no token is needed. */
  readonly accepts?: (token: string) => boolean;
}

/**
 * Tailrace in memory, for tests of applications: the same messages and codecs, without network, broker or waits. It
 * serves last values, live reports, positions, pauses and replays as the real server does, and applies `tags` and
 * `delta`. It accepts `maxRate`, `deadband` and `speed`, but sends everything at once. It replies in microtasks: await
 * `server.settled()` before assertions.
 */
export interface TestServer {
  /** The URL for `createStream`. Every other URL reaches the same server, as another node. */
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly clock: TestClock;
  /** Creates a stream to it, on its clock and without backoff. */
  stream(options?: Partial<StreamOptions>): Stream;
  /**
   * Publishes the next transition of an alarm. `fields` override it; the rest is that of an alarm that is raised:
   * unacknowledged, of priority 3.
   */
  alarm(device: string, rule: string, fields?: Partial<AlarmTransition>): AlarmTransition;
  /** Publishes a state of a command to those who watch it, and to its sender: `key` is the `id` of its message. */
  command(transition: Omit<CommandTransition, 'time'>): void;
  lease(transition: Omit<LeaseTransition, 'time'>): void;
  /**
   * Answers the messages for control with this error from now on; undefined: as at first. Actions on alarms are
   * accepted and applied, commands are accepted and done, and leases acquired.
   */
  refuseControl(code: ErrorCode | undefined, message?: string): void;
  /** Leaves commands in the state `accepted` from now on: the test publishes their states. */
  holdCommands(): void;
  /** Sends no further states of commands to their senders, as if they were lost on the way. Replies are sent. */
  loseCommandStates(): void;
  /** Deletes all events, as after the retention: clients that resume get the current alarms. */
  forgetEvents(): void;
  /** Publishes a report of a device. `time`: epoch ms; default: the clock's. */
  publish(device: string, readings: TestReadings, time?: number): Delivery;
  stale(device: string): void;
  online(device: string): void;
  offline(device: string): void;
  /** Sends `interrupted` to the subscriptions of the channel; default: to all. */
  interrupt(channel?: string): void;
  /** Sends `restored` to the subscriptions of the channel; default: to all. */
  restore(channel?: string): void;
  /** Sends a consistent cut as of now to subscriptions with `align`. */
  cut(): void;
  /** Sends `moved`: the node at `url` owns the channel. */
  moved(channel: string, url: string): void;
  /** Sends `expiring`: the token expires in `inMs`. */
  expire(inMs: number): void;
  notice(severity: string, message: string): void;
  /** Refuses the channel from now on, and fails its subscriptions. */
  refuse(channel: string, code?: ErrorCode, message?: string): void;
  /** Closes all connections, or those to one URL. Default code: 1006, as for a network failure. */
  drop(code?: number, url?: string): void;
  /** Sets whether connections can be opened, to all URLs or to one. */
  setReachable(isReachable: boolean, url?: string): void;
  /** Deletes all reports, as after the retention: clients that resume get `missing`. */
  trim(): void;
  /** Sends any message to all connections. */
  send(message: ServerMessage): void;
  /** Messages of clients, oldest first; at most 10,000. */
  readonly received: readonly ClientMessage[];
  /** The URLs of the open connections. */
  readonly connections: readonly string[];
  /** The channels of all subscriptions. */
  readonly channels: readonly string[];
  /** Resolves when no message is in flight. */
  settled(): Promise<void>;
}

const url = 'ws://tailrace.test/v1/stream';
/** Most messages in `received`. */
const receivedMax = 10_000;
/** Microtasks without a message after which the server is settled; a client that gets a token takes a few. */
const settledTicks = 16;

export function createTestServer({ accepts }: TestServerOptions = {}): TestServer {
  const log = new TestLog();
  const events = new TestEvents((event) => {
    for (const session of [...sessions]) session.event(event);
  });
  const sessions = new Set<TestSession>();
  const refusals = new Map<string, TailraceError>();
  const unreachable = new Set<string>();
  const received: ClientMessage[] = [];
  let inFlight = 0;

  const later = (call: () => void) => {
    inFlight++;
    queueMicrotask(() => {
      inFlight--;
      call();
    });
  };
  const settled = async () => {
    for (let idle = 0; idle < settledTicks; idle = inFlight === 0 ? idle + 1 : 0) await Promise.resolve();
  };
  const clock = createTestClock(settled);
  const accept = (socket: TestSocket) => {
    if (unreachable.has('') || unreachable.has(socket.url)) return undefined;
    const { host } = new URL(socket.url);
    const side = {
      log,
      events,
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
    return { onText: (text: string) => session.onText(text), onClose: () => void sessions.delete(session) };
  };
  class WebSocket extends TestSocket {
    constructor(to: string) {
      super(to, { accept, later });
    }
  }
  const send = (message: ServerMessage) => {
    for (const session of sessions) session.send(message);
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
    alarm: (device, rule, fields) => events.alarm(device, rule, { time: clock.now(), ...fields }),
    command: (transition) => void events.append({ command: { time: clock.now(), ...transition } }),
    lease: (transition) => void events.append({ lease: { time: clock.now(), ...transition } }),
    refuseControl(code, message = 'the test server refuses it') {
      events.refusal = code && new TailraceError(code, message);
    },
    holdCommands() {
      events.isHolding = true;
    },
    loseCommandStates() {
      events.isLosing = true;
    },
    forgetEvents: () => events.forget(),
    stale: (device) => send({ stale: { device, since: clock.now() } }),
    online: (device) => send({ online: { device } }),
    offline: (device) => send({ offline: { device, since: clock.now() } }),
    interrupt(channel) {
      for (const session of sessions)
        for (const view of session.views(channel))
          session.send({ interrupted: { view, since: clock.now(), partitions: [0] } });
    },
    restore(channel) {
      for (const session of sessions) for (const view of session.views(channel)) session.send({ restored: { view } });
    },
    cut() {
      for (const session of sessions) session.sendCut(clock.now());
    },
    moved(channel, to) {
      for (const session of sessions)
        if (session.channels.includes(channel)) session.send({ moved: { channel, url: to } });
    },
    expire: (inMs) => send({ expiring: { inMs } }),
    notice: (severity, message) => send({ notice: { severity, message, time: clock.now() } }),
    refuse(channel, code = 'forbidden', message = `the test server refuses ${channel}`) {
      const error = new TailraceError(code, message);
      refusals.set(channel, error);
      for (const session of sessions) session.revoke(channel, error);
    },
    drop(code = 1006, only) {
      for (const session of [...sessions]) {
        if (only !== undefined && session.socket.url !== only) continue;
        sessions.delete(session);
        session.socket.disconnect(code, '');
      }
    },
    setReachable(isReachable, only = '') {
      if (isReachable) unreachable.delete(only);
      else unreachable.add(only);
    },
    trim: () => log.trim(),
    send,
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
