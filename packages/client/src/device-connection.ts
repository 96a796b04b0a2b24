import { type BackoffOptions, backoffMs } from '@tailrace/protocol/backoff';
import { closeCodes, closeNameOf, mayReconnect } from '@tailrace/protocol/close';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/reading';
import { utf8Bytes } from '@tailrace/protocol/text';
import { type ClientClock, systemClock } from './clock.ts';
import type { TokenSource } from './connection.ts';
import {
  type CommandAnswer,
  type DeviceCommand,
  DeviceCommands,
  openCommandsMax,
  receiptText,
  replyText,
} from './device-commands.ts';
import {
  batchText,
  type DeviceAck,
  type DeviceEvent,
  type DeviceFrame,
  type DeviceMessage,
  type DeviceMessageOptions,
  type DeviceWelcome,
  deviceFrameFrom,
  type Hello,
  messageText,
} from './device-frames.ts';
import { DeviceQueue, type QueuedMessage } from './device-queue.ts';
import { endpointUrl } from './endpoint.ts';
import { GatewayPresence } from './gateway-presence.ts';
import { assertJsonData } from './json-data.ts';
import { notify } from './notify.ts';
import { onOnline } from './wakeup.ts';
import { openSocket, type Socket, type WebSocketConstructor } from './websocket.ts';

/*
 * The session of a device with ingest, over WebSocket.
 *
 * - `idle`: not started.
 * - `connecting`: the token is fetched, the socket opens, the server verifies the device.
 * - `live`: messages are sent, at most a window of them without an answer.
 * - `waiting`: the connection is lost; the next attempt follows after a backoff, or at `reconnect`.
 * - `stopped`: the server refused the device, or another sender has its identity. Only `reconnect` leaves it.
 * - `closed`: by `close`. Final.
 *
 * What was sent and has no answer when a connection is lost is sent again in the next session, with the same ID and
 * time, the oldest first and events before the rest. It is not sent again in the same session: TCP loses nothing, and a
 * server that does not answer at all is left after `deadMs`.
 */

export interface DeviceLoss {
  /** Close code of the WebSocket; 1006 for a connection without one. */
  readonly code: number;
  readonly message: string;
}

export type DeviceState =
  | { readonly name: 'idle' | 'connecting' | 'closed' }
  | { readonly name: 'live'; readonly node: string; readonly welcome: DeviceWelcome; readonly isDraining: boolean }
  /** `retryAtMs`: monotonic ms of the next attempt. */
  | { readonly name: 'waiting'; readonly retryAtMs: number; readonly loss: DeviceLoss }
  | { readonly name: 'stopped'; readonly loss: DeviceLoss };

export interface DeviceConnectionOptions {
  /** The URL of ingest, as `wss://plant.example` or with the path `/v1/device`. */
  readonly url: string;
  /** The path of the device. */
  readonly device: string;
  /** A function is called before each attempt, and when the token is about to expire. */
  readonly token: TokenSource;
  /**
   * 1 to 64 characters, random for each boot. Two sessions with the same one never count as two senders that fight for
   * the identity of the device. Default: a new one for each connection object.
   */
  readonly instance?: string;
  /** Called for each command. Absent: the device takes none. */
  onCommand?(command: DeviceCommand, answer: CommandAnswer): void;
  onState?(state: DeviceState): void;
  /** Called for errors of the server that are not the answer to a message, as before it closes the connection. */
  onError?(error: TailraceError): void;
  /**
   * Whether messages without an answer are kept and sent again. Default true. False: the caller keeps them. Then a
   * message is sent at once or not at all, `lost` is its answer when the connection is lost, and the caller sends a
   * rejected one again.
   */
  readonly resend?: boolean;
  /** Most messages that wait or have no answer. Default 10,000. */
  readonly queueMessagesMax?: number;
  /** Their bytes, as JSON. Default 16 MiB. */
  readonly queueBytesMax?: number;
  /** Default: 1,000 and 30,000 ms. */
  readonly backoff?: BackoffOptions;
  /** How long the server may send nothing while a message has no answer, ms. Default 10,000. */
  readonly deadMs?: number;
  /** Timeout from the attempt to the session, ms. Default 15,000. */
  readonly openMs?: number;
  /** Default: that of the browser or Node.js. */
  readonly WebSocket?: WebSocketConstructor;
  readonly clock?: ClientClock;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
}

/** Numbers since the start. */
export interface DeviceCounts {
  readonly attempts: number;
  readonly sessions: number;
  /** Messages and batches, each time they are sent. */
  readonly sent: number;
  readonly resent: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
}

/** After so long in a session, the next attempt is the first one again. */
const stableMs = 60_000;
/** Longest wait that a server can request, ms. */
const retryAfterMsMax = 60_000;
/** An `error` is the reason of a close that follows within this time. */
const reasonMs = 1_000;
/** Attempts to get a new token for one `expiring`, and the wait between them, ms. */
const renewalsMax = 4;
const renewalWaitMs = 5_000;
/** Until the server has sent what it accepts. */
const messageBytesMaxDefault = 262_144;
const batchMax = 500;

/**
 * Keeps the session of one device with ingest, sends its reports and events, and receives its commands. It reconnects
 * by itself, and each message has one answer: it is in the log, or why not.
 */
export class DeviceConnection {
  readonly #options: Required<
    Pick<
      DeviceConnectionOptions,
      'device' | 'token' | 'resend' | 'deadMs' | 'openMs' | 'clock' | 'random' | 'WebSocket'
    >
  > &
    Pick<DeviceConnectionOptions, 'onState' | 'onError'>;
  readonly #url: string;
  readonly #instance: string;
  readonly #backoff: BackoffOptions;
  readonly #queue: DeviceQueue;
  readonly #commands: DeviceCommands;
  readonly #presence: GatewayPresence;
  readonly #takesCommands: boolean;
  readonly #idPrefix: string;
  readonly #counts = { attempts: 0, sessions: 0, sent: 0, resent: 0, accepted: 0, duplicates: 0, rejected: 0 };
  #state: DeviceState = { name: 'idle' };
  #socket: Socket | undefined;
  #hello: (Hello & { readonly atMs: number }) | undefined;
  #nextId = 1;
  #nextNumber = 1;
  /** Failed attempts in succession. */
  #attempt = 0;
  #liveSinceMs = 0;
  #receivedMs = 0;
  /** The last `error` of the server. Right before a close, it is the reason. */
  #lastError: { readonly error: TailraceError; readonly retryAfterMs: number; readonly atMs: number } | undefined;
  #isTokenRefused = false;
  /** Monotonic ms until which nothing is sent: the server asked for it. */
  #pausedUntilMs = 0;
  /** Of the attempt, the next attempt, or the closing. */
  #timer: { cancel(): void } | undefined;
  #deadTimer: { cancel(): void } | undefined;
  #pauseTimer: { cancel(): void } | undefined;
  #renewal: { cancel(): void } | undefined;
  readonly #drainWaiters: (() => void)[] = [];
  #closing: Promise<void> | undefined;
  readonly #offOnline: () => void;

  /** Throws `invalid_config` for an invalid URL, and where there is no WebSocket. */
  constructor(options: DeviceConnectionOptions) {
    const WebSocket: WebSocketConstructor | undefined = options.WebSocket ?? globalThis.WebSocket;
    if (WebSocket === undefined) {
      const message = 'WebSocket: expected the option, such as that of the package ws, got none';
      throw new TailraceError('invalid_config', message);
    }
    const { device, token, resend = true, deadMs = 10_000, openMs = 15_000, onState, onError, onCommand } = options;
    const { clock = systemClock, random = Math.random } = options;
    this.#options = {
      ...{ device, token, resend, deadMs, openMs, clock, random, WebSocket },
      ...(onState && { onState }),
      ...(onError && { onError }),
    };
    this.#url = endpointUrl(options.url, '/v1/device');
    // 41 random bits and the time: the IDs of two processes do not collide.
    this.#idPrefix = `${Math.floor(random() * 36 ** 8).toString(36)}${Math.floor(clock.now()).toString(36)}-`;
    this.#instance = options.instance ?? this.#idPrefix.slice(0, -1);
    this.#backoff = { baseMs: 1_000, capMs: 30_000, ...options.backoff };
    this.#queue = new DeviceQueue({
      messagesMax: options.queueMessagesMax ?? 10_000,
      bytesMax: options.queueBytesMax ?? 16 * 1024 * 1024,
    });
    this.#takesCommands = onCommand !== undefined;
    this.#commands = new DeviceCommands({
      ...{ clock, idPrefix: this.#idPrefix, onCommand },
      sendReceipt: (id) => this.#socket?.send(receiptText(id)),
      sendReply: (reply) => this.#socket?.send(replyText(reply)),
    });
    this.#presence = new GatewayPresence({
      idPrefix: this.#idPrefix,
      send: (text) => this.#socket?.send(text),
      onRefused: (error) => notify(() => onError?.(error)),
    });
    this.#offOnline = onOnline(() => {
      if (this.#state.name === 'waiting') this.reconnect();
    });
  }

  get state(): DeviceState {
    return this.#state;
  }

  get counts(): DeviceCounts {
    return this.#counts;
  }

  /** Messages that wait or have no answer. */
  get queuedMessages(): number {
    return this.#queue.messages;
  }

  /** Their bytes, as JSON. */
  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** Messages and batches that were sent and have no answer. */
  get unanswered(): number {
    return this.#queue.unanswered;
  }

  /**
   * Commands that are remembered, so that none is executed twice, and how many may be. At the limit a new command fails
   * with `rate_limited`.
   */
  get rememberedCommands(): { readonly used: number; readonly max: number } {
    return { used: this.#commands.size, max: openCommandsMax };
  }

  /** Connects. No effect after the first call. */
  start(): void {
    if (this.#state.name === 'idle') this.#connect();
  }

  /**
   * Connects at once: while it waits, as when the network is back, and after it was stopped. The next backoff starts
   * from its first step. No effect in a session, during an attempt, and after `close`. `force`: leaves a session or an
   * attempt, too, as one on a link that was lost and is back.
   */
  reconnect({ force = false }: { readonly force?: boolean } = {}): void {
    const { name } = this.#state;
    if (force && (name === 'live' || name === 'connecting')) this.#drop();
    else if (name !== 'waiting' && name !== 'stopped') return;
    this.#attempt = 0;
    this.#isTokenRefused = false;
    this.#connect();
  }

  /**
   * Sends a report. Resolves with its answer, also if the server rejects it.
   *
   * Rejects with `invalid_report` (a value that JSON cannot represent), `too_large`, `limit_reached` (too much waits),
   * `closed`.
   */
  status(
    readings: readonly Reading[],
    options: DeviceMessageOptions & { readonly qos?: 0 | 1 | 2 } = {},
  ): Promise<DeviceAck> {
    const { qos = 1, ...rest } = options;
    return this.#message({ type: 'status', readings, ...rest }, qos);
  }

  /** Sends an event, before reports that wait. As `status`. */
  event(name: string, options: Omit<DeviceEvent, 'type' | 'name'> = {}): Promise<DeviceAck> {
    return this.#message({ type: 'event', name, ...options }, 1);
  }

  /**
   * Sends 1 to 500 messages with one answer for all. A message without an ID gets that of the batch and its index. As
   * `status`.
   */
  batch(messages: readonly DeviceMessage[], { id = this.#newId() }: { readonly id?: string } = {}): Promise<DeviceAck> {
    const count = messages.length;
    if (count < 1 || count > batchMax) {
      const message = `messages: expected 1 to ${batchMax}, got ${count}`;
      return Promise.reject(new TailraceError('too_large', message));
    }
    const time = this.#options.clock.now();
    return this.#add(id, messages, () => batchText(messages, id, time), false, true);
  }

  /**
   * Announces whether a device behind this one, which is a gateway, can be reached: in this session, and in each later
   * one again. A device that was announced is offline when the gateway is disconnected. `onError` has a refusal.
   */
  presence(device: string, isOnline: boolean): void {
    this.#presence.set(device, isOnline);
  }

  /** Resolves when nothing waits and everything has its answer. */
  drained(): Promise<void> {
    if (this.#queue.messages === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /**
   * Closes the session in order: waits up to `drainMs` (default 0) for answers, and leaves with `bye`, so that the
   * device is offline at once. What has no answer then rejects with `closed`. Idempotent.
   */
  close({ drainMs = 0 }: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    const { clock } = this.#options;
    if (drainMs > 0 && this.#queue.messages > 0) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(drainMs, resolve);
        void this.drained().then(() => {
          timer.cancel();
          resolve();
        });
      });
    }
    if (this.#state.name === 'live') this.#socket?.send('{"type":"bye"}');
    this.#drop();
    this.#offOnline();
    this.#enter({ name: 'closed' });
    const error = new TailraceError('closed', 'the connection is closed; create another one');
    for (const message of this.#queue.clear()) (message as OutgoingMessage).fail(error);
    this.#notifyDrained();
  }

  #message(message: DeviceMessage, qos: 0 | 1 | 2): Promise<DeviceAck> {
    const { id = this.#newId() } = message;
    const time = this.#options.clock.now();
    return this.#add(id, message, () => messageText(message, id, qos, time), message.type === 'event', qos > 0);
  }

  #newId(): string {
    return `${this.#idPrefix}${(this.#nextId++).toString(36)}`;
  }

  #add(id: string, content: unknown, encode: () => string, isEvent: boolean, isAnswered: boolean): Promise<DeviceAck> {
    if (this.#closing !== undefined) {
      return Promise.reject(new TailraceError('closed', 'the connection is closed; create another one'));
    }
    const { resend } = this.#options;
    if (!resend && this.#state.name !== 'live') return Promise.resolve({ status: 'lost' });
    return new Promise((settle, fail) => {
      assertJsonData(content);
      const text = encode();
      const bytes = utf8Bytes(text);
      this.#assertSpace(id, bytes);
      const number = this.#nextNumber++;
      const message: OutgoingMessage = { id, text, bytes, isEvent, isAnswered, number, attempts: 0, settle, fail };
      this.#queue.add(message);
      this.#sendNext();
    });
  }

  #assertSpace(id: string, bytes: number): void {
    const max = this.#state.name === 'live' ? this.#state.welcome.messageBytesMax : messageBytesMaxDefault;
    if (bytes > max) throw new TailraceError('too_large', `message: expected at most ${max} bytes, got ${bytes}`);
    if (this.#queue.has(id)) throw new TailraceError('conflict', `id: expected a new one, got ${shown(id)} again`);
    if (this.#queue.hasSpaceFor(bytes)) return;
    const text = `${this.#queue.messages} messages of ${this.#queue.bytes} bytes wait: await answers before sending more`;
    throw new TailraceError('limit_reached', text);
  }

  #sendNext(): void {
    const { clock } = this.#options;
    for (;;) {
      const state = this.#state;
      const message = this.#queue.first;
      if (state.name !== 'live' || message === undefined || clock.monotonic() < this.#pausedUntilMs) return;
      const { window, windowBytes } = state.welcome;
      if (message.isAnswered && this.#queue.unanswered > 0) {
        // A single message larger than the window is sent alone.
        const isFull = this.#queue.unanswered >= window || this.#queue.unansweredBytes + message.bytes > windowBytes;
        if (isFull) return;
      }
      this.#counts.sent++;
      if (message.attempts > 0) this.#counts.resent++;
      this.#socket!.send(message.text);
      this.#queue.sent();
      if (message.isAnswered) this.#watch();
      else message.settle({ status: 'accepted' });
    }
  }

  /** Leaves a server that sends nothing while a message has no answer. */
  #watch(): void {
    this.#deadTimer ??= this.#deadAfter(this.#options.deadMs);
  }

  #deadAfter(waitMs: number): { cancel(): void } {
    const { clock, deadMs } = this.#options;
    const sinceMs = clock.monotonic() + waitMs - deadMs;
    return clock.after(waitMs, () => {
      this.#deadTimer = undefined;
      if (this.#queue.unanswered === 0) return;
      const leftMs = this.#receivedMs + deadMs - clock.monotonic();
      if (this.#receivedMs > sinceMs && leftMs > 0) this.#deadTimer = this.#deadAfter(leftMs);
      else this.#lost(closeCodes.heartbeatTimeout.code, `the server answered nothing within ${deadMs} ms`);
    });
  }

  #connect(): void {
    const { clock, openMs } = this.#options;
    this.#timer?.cancel();
    this.#enter({ name: 'connecting' });
    this.#counts.attempts++;
    this.#hello = undefined;
    this.#lastError = undefined;
    this.#timer = clock.after(openMs, () => this.#lost(closeCodes.noAuth.code, `no session within ${openMs} ms`, true));
    const attempt = this.#counts.attempts;
    this.#token().then(
      (token) => {
        if (this.#isCurrent(attempt)) this.#open(token);
      },
      (thrown: unknown) => {
        const reason = thrown instanceof Error ? thrown.message : String(thrown);
        if (this.#isCurrent(attempt)) this.#lost(1006, `no token: ${reason}`, true);
      },
    );
  }

  #isCurrent(attempt: number): boolean {
    return this.#state.name === 'connecting' && this.#counts.attempts === attempt;
  }

  async #token(): Promise<string> {
    const { token } = this.#options;
    return (typeof token === 'function' ? await token() : token).trim();
  }

  #open(token: string): void {
    const { WebSocket } = this.#options;
    const listener = {
      onOpen: () => {},
      onText: (text: string) => this.#received(text, token),
      onBinary: () => this.#lost(1003, 'expected a text frame, got a binary one', true),
      onClose: (code: number, reason: string) => this.#lost(code, reason),
    };
    try {
      this.#socket = openSocket(this.#url, WebSocket, listener, 'tailrace.device.v1.json');
    } catch (thrown) {
      // A browser does not allow the URL on this page.
      this.#lost(1006, String(thrown), true);
    }
  }

  #received(text: string, token: string): void {
    this.#receivedMs = this.#options.clock.monotonic();
    let frame: DeviceFrame | undefined;
    try {
      frame = deviceFrameFrom(text);
    } catch (thrown) {
      this.#lost(1002, `invalid message from the server: ${tailraceErrorFrom(thrown).message}`, true);
      return;
    }
    // Undefined for a type of a later server.
    if (frame !== undefined) this.#handle(frame, token);
  }

  #handle(frame: DeviceFrame, token: string): void {
    const { device } = this.#options;
    if ('ack' in frame) this.#acknowledged(frame.id, frame.ack);
    else if ('hello' in frame) {
      const { challenge } = frame.hello;
      this.#hello = { ...frame.hello, atMs: this.#receivedMs };
      this.#auth({ token, challenge });
    } else if ('welcome' in frame) this.#welcomed(frame.welcome);
    else if ('command' in frame) this.#commands.received(frame.command, device, this.#serverNow());
    else if ('expiring' in frame) void this.#renew(1);
    else if ('draining' in frame) {
      if (this.#state.name === 'live') this.#enter({ ...this.#state, isDraining: true });
    } else this.#failed(frame.error, frame.retryAfterMs);
  }

  #auth(credentials: { readonly token: string; readonly challenge?: string }): void {
    const protocols = this.#takesCommands ? ['command'] : undefined;
    const payload = { device: this.#options.device, ...credentials, instance: this.#instance, protocols };
    this.#socket?.send(JSON.stringify({ ver: 1, type: 'auth', payload }));
  }

  #serverNow(): number {
    const { clock } = this.#options;
    const hello = this.#hello;
    return hello === undefined ? clock.now() : hello.time + clock.monotonic() - hello.atMs;
  }

  #welcomed(welcome: DeviceWelcome): void {
    const node = this.#hello?.node ?? '';
    // Of a renewed token.
    if (this.#state.name === 'live') {
      this.#enter({ ...this.#state, welcome });
      return;
    }
    this.#timer?.cancel();
    this.#isTokenRefused = false;
    this.#liveSinceMs = this.#options.clock.monotonic();
    this.#pausedUntilMs = 0;
    this.#counts.sessions++;
    this.#enter({ name: 'live', node, welcome, isDraining: false });
    this.#commands.live();
    this.#sendNext();
    this.#presence.live();
  }

  #failed(error: TailraceError, retryAfterMs: number): void {
    const { onError, clock, openMs } = this.#options;
    this.#lastError = { error, retryAfterMs: Math.min(retryAfterMs, retryAfterMsMax), atMs: this.#receivedMs };
    if (this.#state.name === 'connecting' && error.code === 'conflict') {
      // The server lets another sender with the identity of the device work on, and this one waits for its turn.
      this.#timer?.cancel();
      const waitMs = this.#lastError.retryAfterMs + openMs;
      this.#timer = clock.after(waitMs, () =>
        this.#lost(closeCodes.noAuth.code, `no session within ${waitMs} ms`, true),
      );
    }
    notify(() => onError?.(error));
  }

  #acknowledged(id: string, ack: DeviceAck): void {
    if (this.#commands.acknowledged(id) || this.#presence.answered(id, ack)) return;
    const message = this.#queue.answered(id);
    if (message === undefined) return;
    if (ack.status === 'rejected') this.#counts.rejected++;
    else if (ack.status === 'duplicate') this.#counts.duplicates++;
    else this.#counts.accepted++;
    if (ack.status === 'rejected' && ack.retryable === true && this.#options.resend) {
      this.#queue.again(message);
      this.#pause(ack.retryAfterMs ?? 1_000);
    } else message.settle(ack);
    this.#sendNext();
    if (this.#queue.messages === 0) this.#notifyDrained();
  }

  /** Sends nothing for the time that the server requested, and up to half of it more: devices do not come together. */
  #pause(ms: number): void {
    const { clock, random } = this.#options;
    const waitMs = Math.min(ms, retryAfterMsMax) * (1 + random() / 2);
    const untilMs = clock.monotonic() + waitMs;
    if (untilMs <= this.#pausedUntilMs) return;
    this.#pausedUntilMs = untilMs;
    this.#pauseTimer?.cancel();
    this.#pauseTimer = clock.after(waitMs, () => {
      // Node.js truncates a delay to whole ms: by the clock the pause may go on for a moment, with no other timer.
      this.#pausedUntilMs = 0;
      this.#sendNext();
    });
  }

  /** Sends a new token over the open connection. Retries while there is none; at last the server closes with 4401. */
  async #renew(tries: number): Promise<void> {
    const { token: source, clock } = this.#options;
    if (typeof source !== 'function') return;
    const session = this.#counts.sessions;
    this.#renewal?.cancel();
    try {
      const token = await this.#token();
      if (this.#state.name === 'live' && this.#counts.sessions === session && token !== '') this.#auth({ token });
    } catch {
      if (tries < renewalsMax) this.#renewal = clock.after(renewalWaitMs, () => void this.#renew(tries + 1));
    }
  }

  /** The connection is lost, or left. `isRetried`: whatever the code, which is not the server's. */
  #lost(code: number, reason: string, isRetried = false): void {
    const { clock, random, token } = this.#options;
    const wasLive = this.#state.name === 'live';
    this.#drop();
    const last = this.#lastError;
    const cause = last !== undefined && clock.monotonic() - last.atMs <= reasonMs ? last : undefined;
    const loss = { code, message: cause?.error.message ?? (reason === '' ? meaningOf(code, wasLive) : reason) };
    const isRefused = code === closeCodes.unauthorized.code;
    // The next token may be a valid one.
    const mayRenew = isRefused && typeof token === 'function' && !this.#isTokenRefused;
    this.#isTokenRefused = isRefused;
    if (!isRetried && !mayRenew && !mayReconnect(code)) {
      this.#enter({ name: 'stopped', loss });
      return;
    }
    if (wasLive && clock.monotonic() - this.#liveSinceMs >= stableMs) this.#attempt = 0;
    const waitMs = (cause?.retryAfterMs ?? 0) + backoffMs(this.#attempt++, random, this.#backoff);
    this.#timer = clock.after(waitMs, () => this.#connect());
    this.#enter({ name: 'waiting', retryAtMs: clock.monotonic() + waitMs, loss });
  }

  /** Leaves the connection. */
  #drop(): void {
    for (const timer of [this.#timer, this.#deadTimer, this.#pauseTimer, this.#renewal]) timer?.cancel();
    this.#deadTimer = undefined;
    this.#pausedUntilMs = 0;
    this.#socket?.leave(1000, '');
    this.#socket = undefined;
    this.#commands.lost();
    this.#presence.lost();
    if (this.#options.resend) this.#queue.allAgain();
    else {
      for (const message of this.#queue.clear()) message.settle({ status: 'lost' });
      this.#notifyDrained();
    }
  }

  #enter(state: DeviceState): void {
    if (this.#state.name === 'closed') return;
    this.#state = state;
    const { onState } = this.#options;
    notify(() => onState?.(state));
  }

  #notifyDrained(): void {
    for (const call of this.#drainWaiters.splice(0)) call();
  }
}

interface OutgoingMessage extends QueuedMessage {
  fail(error: TailraceError): void;
}

function meaningOf(code: number, wasLive: boolean): string {
  const name = closeNameOf(code);
  if (name !== undefined) return closeCodes[name].reason;
  if (code !== 1006) return `the server closed the connection with code ${code}`;
  return wasLive ? 'the connection was lost' : 'no Tailrace ingest answers';
}
