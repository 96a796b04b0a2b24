import type { Clock, Timer } from '@tailrace/platform/clock';
import { backoffMs } from '@tailrace/protocol/backoff';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { ByteStream, OpenStream } from './byte-stream.ts';
import type { Frame, FrameParser, Framing } from './frame.ts';
import { type Reply, type Request, replyFrom } from './pdu.ts';

/*
 * One TCP connection to a Modbus device, gateway or converter.
 *
 * - `waiting`: no connection; the next attempt follows after a backoff.
 * - `connecting`: the attempt runs, for at most `connectMs`.
 * - `quiet`: connected, with RTU framing after a request without a reply: bytes of the late reply are dropped.
 * - `connected`: requests are sent.
 * - `closed`: stopped.
 *
 * A late reply must never be taken for the reply to another request. On TCP its transaction ID shows it: an ID that
 * timed out is not used again for `lateMs`. With RTU framing nothing shows it, so a timeout closes the connection.
 */

export interface ModbusConnectionOptions {
  readonly openStream: OpenStream;
  readonly framing: Framing;
  /** The longest timeout of a request, ms. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called at each change between connected and not. `reason`: why it is not. */
  readonly onChange: (isConnected: boolean, reason: string) => void;
}

export type ConnectionState = 'waiting' | 'connecting' | 'quiet' | 'connected' | 'closed';

interface Pending {
  readonly unit: number;
  readonly request: Request;
  readonly timer: Timer;
  resolve(reply: Reply): void;
}

const connectMs = 5_000;
/** After a timeout. After a connection that was lost before it: as long as the timeout. */
const quietMs = 200;
const reconnect = { baseMs: 500, capMs: 10_000 };
/** Beyond it so many replies are late that a new connection, which drops them all, is better. */
const quarantineMax = 1_024;
/** More than can be late: the device sends what nothing has requested, and would keep the gateway busy. */
const straysMax = 2 * quarantineMax;
const transactionMax = 0xffff;

export class ModbusConnection {
  /** Replies that came after their timeout, or to no request. */
  lateReplies = 0;
  readonly #options: ModbusConnectionOptions;
  readonly #lateMs: number;
  /** No byte for this time, while requests time out: the connection is dead, whatever TCP reports. */
  readonly #deadMs: number;
  readonly #inFlight = new Map<number, Pending>();
  /** Transaction IDs that timed out, in the order of their times → monotonic ms until which they are not used. */
  readonly #quarantine = new Map<number, number>();
  #state: ConnectionState = 'closed';
  #stream: ByteStream | undefined;
  #parser: FrameParser;
  #timer: Timer | undefined;
  #attempt = 0;
  #transaction: number;
  #receivedMs = 0;
  /** Frames in succession that are the reply of no request. */
  #strays = 0;
  /** How long a late reply may come on the next connection, ms. */
  #lateReplyMs = 0;

  constructor(options: ModbusConnectionOptions) {
    this.#options = options;
    this.#lateMs = lateMsOf(options.timeoutMs);
    this.#deadMs = Math.max(30_000, 10 * options.timeoutMs);
    this.#parser = options.framing.createParser();
    // Not from 1: a gateway may still have requests of a former process.
    this.#transaction = Math.floor(options.random() * transactionMax);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  start(): void {
    this.#connect();
  }

  /** Requests in flight resolve as `disconnected`. */
  stop(): void {
    this.#drop('waiting', 'stopped');
    this.#timer?.cancel();
    this.#state = 'closed';
  }

  /** Sends a request. Resolves at the latest after `timeoutMs`; never rejects. RTU framing: one at a time. */
  send(unit: number, request: Request, timeoutMs: number): Promise<Reply> {
    if (this.#state !== 'connected') return Promise.resolve({ kind: 'disconnected' });
    const transaction = this.#options.framing.hasTransactions ? this.#nextTransaction() : 0;
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(timeoutMs, () => this.#timedOut(transaction));
      this.#inFlight.set(transaction, { unit, request, timer, resolve });
      this.#stream!.write(this.#options.framing.encode(transaction, unit, request.pdu));
    });
  }

  #nextTransaction(): number {
    const nowMs = this.#options.clock.monotonic();
    for (const [transaction, untilMs] of this.#quarantine) {
      if (untilMs > nowMs) break;
      this.#quarantine.delete(transaction);
    }
    do {
      this.#transaction = (this.#transaction % transactionMax) + 1;
    } while (this.#inFlight.has(this.#transaction) || this.#quarantine.has(this.#transaction));
    return this.#transaction;
  }

  #connect(): void {
    const { clock, openStream } = this.#options;
    this.#state = 'connecting';
    this.#strays = 0;
    this.#parser = this.#options.framing.createParser();
    this.#timer = clock.after(connectMs, () => this.#reconnect(`no connection within ${connectMs} ms`));
    this.#stream = openStream({
      opened: () => this.#opened(),
      received: (bytes) => this.#received(bytes),
      closed: (reason) => this.#reconnect(reason),
    });
  }

  #opened(): void {
    this.#timer?.cancel();
    this.#receivedMs = this.#options.clock.monotonic();
    if (this.#lateReplyMs > 0) {
      this.#state = 'quiet';
      this.#timer = this.#options.clock.after(this.#lateReplyMs, () => this.#connected());
    } else this.#connected();
  }

  #connected(): void {
    this.#lateReplyMs = 0;
    this.#state = 'connected';
    this.#options.onChange(true, '');
  }

  #received(bytes: Uint8Array): void {
    if (this.#state !== 'connected') return;
    this.#receivedMs = this.#options.clock.monotonic();
    let frames: readonly Frame[];
    try {
      frames = this.#parser.push(bytes);
    } catch (thrown) {
      this.#reconnect(tailraceErrorFrom(thrown).message);
      return;
    }
    for (const frame of frames) this.#accept(frame);
    if (this.#strays > straysMax) this.#reconnect(`expected replies, got ${this.#strays} frames that are none`);
  }

  #accept({ transaction, unit, pdu }: Frame): void {
    const pending = this.#inFlight.get(transaction);
    if (pending === undefined || !this.#isOf(pending, unit)) {
      this.lateReplies++;
      this.#strays++;
      return;
    }
    this.#strays = 0;
    this.#attempt = 0;
    this.#settle(transaction, pending, replyFrom(pending.request, pdu));
  }

  /**
   * A reply has the unit of its request. A server on TCP without units behind it may have its own one, 0 or 255, in
   * each reply: there the transaction shows that it is the reply.
   */
  #isOf(pending: Pending, unit: number): boolean {
    return pending.unit === unit || (this.#options.framing.hasTransactions && (unit === 0 || unit === 255));
  }

  #timedOut(transaction: number): void {
    const { clock, framing } = this.#options;
    const nowMs = clock.monotonic();
    this.#settle(transaction, this.#inFlight.get(transaction)!, { kind: 'timeout' });
    if (!framing.hasTransactions) {
      this.#lateReplyMs = quietMs;
      this.#reconnect('a request timed out, and its reply could be taken for another');
      return;
    }
    this.#quarantine.set(transaction, nowMs + this.#lateMs);
    if (this.#quarantine.size > quarantineMax) this.#reconnect('too many requests timed out');
    else if (nowMs - this.#receivedMs > this.#deadMs) this.#reconnect(`nothing received for ${this.#deadMs} ms`);
  }

  #settle(transaction: number, pending: Pending, reply: Reply): void {
    pending.timer.cancel();
    this.#inFlight.delete(transaction);
    pending.resolve(reply);
  }

  #reconnect(reason: string): void {
    this.#drop('waiting', reason);
    const waitMs = backoffMs(this.#attempt++, this.#options.random, reconnect);
    this.#timer = this.#options.clock.after(waitMs, () => this.#connect());
  }

  #drop(state: 'waiting', reason: string): void {
    const wasConnected = this.#state === 'connected';
    this.#state = state;
    this.#timer?.cancel();
    this.#stream?.destroy();
    this.#stream = undefined;
    // Replies cannot come any more: the connection is gone.
    this.#quarantine.clear();
    if (!this.#options.framing.hasTransactions && this.#inFlight.size > 0) this.#lateReplyMs = this.#options.timeoutMs;
    for (const [transaction, pending] of this.#inFlight) this.#settle(transaction, pending, { kind: 'disconnected' });
    if (wasConnected) this.#options.onChange(false, reason);
  }
}

/** Returns how long a reply may be late, ms. */
export function lateMsOf(timeoutMs: number): number {
  return Math.max(10_000, 10 * timeoutMs);
}
