import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Connection, Transport } from '../transport.ts';
import { Replies } from './replies.ts';
import type { Socket, SocketWatcher } from './socket.ts';

export interface StreamSocketLimits {
  /** Above so many waiting bytes the socket leaves its topics. */
  readonly socketHighWaterBytes: number;
  /** Above so many waiting bytes the transport drops frames. */
  readonly socketBytesMax: number;
  /** The maximum of queued replies. */
  readonly repliesBytesMax: number;
  /** A socket with waiting data that takes nothing for this long is too slow. */
  readonly lagMsMax: number;
  /** The close timeout: a connection whose close frame cannot be sent for this long is terminated. */
  readonly pongDeadlineMs: number;
}

/** Sockets are checked after so many times `socketHighWaterBytes` were published. */
const checkFactor = 4;

/** Counts of all sockets of a node. */
export interface SocketCounts {
  /** Sockets that were closed as too slow, or terminated because they lost a frame. */
  tooSlow: number;
  /** The sockets that lag now, and the summed lag of those that have caught up. */
  lagging: number;
  lagMs: number;
  /** Queued replies. */
  readonly replies: { bytes: number };
}

/**
 * The sockets of a node. All frames are published through it, so that no buffer exceeds its limit unnoticed.
 *
 * uWebSockets.js does not report which sockets received a published frame, nor how much waits in each. But no socket
 * can have received more than was published. So all sockets are checked each time `checkFactor` times
 * `socketHighWaterBytes` were published, which costs a call for each socket and megabyte.
 */
export class StreamSockets {
  readonly counts: SocketCounts = { tooSlow: 0, lagging: 0, lagMs: 0, replies: { bytes: 0 } };
  readonly #transport: Pick<Transport, 'publish'>;
  readonly #limits: StreamSocketLimits;
  readonly #clock: Pick<Clock, 'after' | 'monotonic'>;
  readonly #sockets = new Set<StreamSocket>();
  /** Those that lost a frame and are to be terminated. */
  #lost: StreamSocket[] = [];
  #publishedBytes = 0;

  constructor(
    transport: Pick<Transport, 'publish'>,
    limits: StreamSocketLimits,
    clock: Pick<Clock, 'after' | 'monotonic'>,
  ) {
    this.#transport = transport;
    this.#limits = limits;
    this.#clock = clock;
  }

  [Symbol.iterator](): Iterator<StreamSocket> {
    return this.#sockets.values();
  }

  add(connection: Connection): StreamSocket {
    const socket = new StreamSocket(connection, this.#limits, this.#clock, this.counts);
    this.#sockets.add(socket);
    return socket;
  }

  /** Removes a socket whose connection has closed. */
  delete(socket: StreamSocket): void {
    socket.closed();
    this.#sockets.delete(socket);
  }

  /** Sends a frame to every socket of a topic. */
  publish(topic: string, frame: string | Uint8Array): void {
    this.#terminateLost();
    this.#transport.publish(topic, frame);
    this.#terminateLost();
    const before = this.#publishedBytes;
    const checkBytes = checkFactor * this.#limits.socketHighWaterBytes;
    this.#publishedBytes += frame.length;
    // After the batch, but before anything else.
    if (before < checkBytes && this.#publishedBytes >= checkBytes) queueMicrotask(() => this.#check());
  }

  /** Handles a frame that the transport dropped: the client has a gap, and must get nothing newer. */
  dropped(socket: StreamSocket): void {
    if (socket.lose()) this.#lost.push(socket);
  }

  /** Called before anything newer is published, never in the middle of a publish. */
  #terminateLost(): void {
    if (this.#lost.length === 0) return;
    for (const socket of this.#lost.splice(0)) socket.terminate();
  }

  #check(): void {
    this.#publishedBytes = 0;
    for (const socket of [...this.#sockets]) socket.check();
  }
}

/**
 * A connection as a session uses it: never used after it has closed.
 *
 * **Full**: more than `socketHighWaterBytes` wait. The watcher is notified, and the socket leaves its topics. Catch-up
 * data is sent only while at most half of that waits, so that the buffer shrinks. Replies are sent up to
 * `socketBytesMax`, and queued beyond it.
 *
 * **Lost**: a frame was dropped, after more than `socketBytesMax` at once or a flood of pings. The connection is
 * terminated without a close frame, the only way to prevent that newer frames are sent. Observed with uWebSockets.js
 * 20: published frames are buffered, 32 for each socket, until the turn of the event loop is done or something is sent
 * to the socket directly. Of those that do not fit, only the first is reported as dropped. Frames published later in
 * the same turn are sent if the kernel has accepted data meanwhile. Unsubscribing from a topic removes nothing that was
 * published before. So the connection is terminated before the next publish, or in the next turn, or when it drains.
 * Not at once: the loss is reported in the middle of a publish, where uWebSockets.js aborts the process if a socket
 * closes.
 *
 * A close frame does not fit either while more than `socketBytesMax` wait. It is sent as soon as the client has read
 * enough, or the connection is terminated after the close timeout.
 */
export class StreamSocket implements Socket {
  watcher: SocketWatcher | undefined;
  readonly #limits: StreamSocketLimits;
  readonly #clock: Pick<Clock, 'after' | 'monotonic'>;
  readonly #counts: SocketCounts;
  /** Created on first use: most sockets never need it. */
  #replies: Replies | undefined;
  #waiters: (() => void)[] | undefined;
  /** The number of topics it is on. */
  #joined = 0;
  #connection: Connection | undefined;
  #isLost = false;
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #deadline: Timer | undefined;
  /** Runs while data or replies wait. */
  #stalled: Timer | undefined;
  /** Set while the client lags. */
  #lag: { readonly sinceMs: number; readonly deadline: Timer } | undefined;

  constructor(
    connection: Connection,
    limits: StreamSocketLimits,
    clock: Pick<Clock, 'after' | 'monotonic'>,
    counts: SocketCounts = { tooSlow: 0, lagging: 0, lagMs: 0, replies: { bytes: 0 } },
  ) {
    this.#connection = connection;
    this.#limits = limits;
    this.#clock = clock;
    this.#counts = counts;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /**
   * Returns, for metrics, the bytes that wait in this process, the bytes of queued replies, and for how long the client
   * has lagged at monotonic `nowMs`.
   */
  waiting(nowMs: number): { readonly bytes: number; readonly replyBytes: number; readonly lagMs: number } {
    const lagMs = this.#lag === undefined ? 0 : nowMs - this.#lag.sinceMs;
    return { bytes: this.#connection?.getBufferedAmount() ?? 0, replyBytes: this.#replies?.bytes ?? 0, lagMs };
  }

  send(frame: string | Uint8Array): void {
    const connection = this.#open();
    if (connection === undefined) return;
    if (this.#repliesWait() || !this.#takesReplies(connection)) this.#keep(frame);
    else this.#write(connection, frame);
  }

  whenWritable(): Promise<void> | undefined {
    const connection = this.#open();
    if (connection === undefined) return undefined;
    if (!this.#repliesWait() && connection.getBufferedAmount() <= this.#limits.socketHighWaterBytes / 2)
      return undefined;
    this.#watchStall();
    this.#waiters ??= [];
    const waiters = this.#waiters;
    return new Promise((resolve) => waiters.push(resolve));
  }

  sendData(frame: string | Uint8Array): void {
    const connection = this.#open();
    if (connection !== undefined) this.#write(connection, frame);
  }

  setLagging(isLagging: boolean): void {
    if (isLagging === (this.#lag !== undefined)) return;
    if (this.#lag === undefined) {
      this.#counts.lagging++;
      const deadline = this.#clock.after(this.#limits.lagMsMax, () => this.#failAsTooSlow());
      this.#lag = { sinceMs: this.#clock.monotonic(), deadline };
      return;
    }
    this.#lag.deadline.cancel();
    this.#counts.lagging--;
    this.#counts.lagMs += this.#clock.monotonic() - this.#lag.sinceMs;
    this.#lag = undefined;
  }

  ping(): void {
    this.#open()?.ping();
  }

  join(topic: string): void {
    const connection = this.#open();
    if (connection === undefined) return;
    this.#joined++;
    connection.subscribe(topic);
  }

  leave(topic: string): void {
    this.#joined--;
    this.#connection?.unsubscribe(topic);
  }

  end(code: number, reason: string): void {
    const connection = this.#open();
    if (connection === undefined) return;
    this.#closing = { code, reason };
    this.setLagging(false);
    for (const topic of connection.getTopics()) connection.unsubscribe(topic);
    this.#wake();
    // A client that does not read receives its error with the close frame, or not at all.
    if (this.#takesReplies(connection)) this.#endWith(connection);
    else this.#deadline = this.#clock.after(this.#limits.pongDeadlineMs, () => this.#connection?.close());
  }

  /** Notifies the watcher if the socket is full. Called between batches. */
  check(): void {
    const connection = this.#open();
    if (connection === undefined || this.#joined === 0) return;
    if (connection.getBufferedAmount() > this.#limits.socketHighWaterBytes) this.watcher?.onFull();
  }

  /**
   * Notes a dropped frame. Returns whether it is the first. Then `terminate` has to be called before the next publish.
   */
  lose(): boolean {
    if (this.#open() === undefined) return false;
    this.#isLost = true;
    setImmediate(() => this.terminate());
    this.#counts.tooSlow++;
    return true;
  }

  /** Terminates the connection if a frame was lost. Not called in the middle of a publish. */
  terminate(): void {
    if (this.#isLost) this.#connection?.close();
  }

  /** Called when the client has read some of what waits. */
  drained(): void {
    this.terminate();
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.#closing !== undefined) {
      if (this.#takesReplies(connection)) this.#endWith(connection);
      return;
    }
    this.#sendReplies(connection);
    this.#stalled?.cancel();
    this.#stalled = undefined;
    this.check();
    this.#wake();
    if (this.#repliesWait()) this.#watchStall();
  }

  closed(): void {
    this.#connection = undefined;
    this.#deadline?.cancel();
    this.setLagging(false);
    this.#replies?.take();
    this.#wake();
  }

  #keep(frame: string | Uint8Array): void {
    this.#replies ??= new Replies(this.#limits.repliesBytesMax, this.#counts.replies);
    if (this.#replies.add(frame)) this.#watchStall();
    else this.#failAsTooSlow();
  }

  #failAsTooSlow(): void {
    if (this.#open() === undefined) return;
    this.#counts.tooSlow++;
    this.watcher?.onStalled();
  }

  #repliesWait(): boolean {
    return this.#replies !== undefined && !this.#replies.isEmpty;
  }

  /** Returns undefined for a connection that is lost or closing. */
  #open(): Connection | undefined {
    return this.#isLost || this.#closing !== undefined ? undefined : this.#connection;
  }

  #takesReplies(connection: Connection): boolean {
    return connection.getBufferedAmount() <= this.#limits.socketBytesMax;
  }

  /**
   * Ignores the result of `send`: a buffered frame is counted in the waiting bytes, and a dropped one is reported to
   * `dropped`. Nothing is written here while more than `socketBytesMax` wait.
   */
  #write(connection: Connection, frame: string | Uint8Array): void {
    connection.send(frame, typeof frame !== 'string');
  }

  #sendReplies(connection: Connection): void {
    // Replies that still do not fit are queued again, in order.
    for (const frame of this.#replies?.take() ?? []) {
      if (this.#repliesWait() || !this.#takesReplies(connection)) this.#replies?.add(frame);
      else this.#write(connection, frame);
    }
  }

  #endWith(connection: Connection): void {
    // A queued error has more details than the close code.
    for (const frame of this.#replies?.take() ?? []) if (this.#takesReplies(connection)) this.#write(connection, frame);
    const { code, reason } = this.#closing!;
    connection.end(code, reason);
  }

  #watchStall(): void {
    this.#stalled ??= this.#clock.after(this.#limits.lagMsMax, () => this.#failAsTooSlow());
  }

  /** Resolves the promises of `whenWritable`. */
  #wake(): void {
    this.#stalled?.cancel();
    this.#stalled = undefined;
    const waiters = this.#waiters;
    this.#waiters = undefined;
    for (const waiter of waiters ?? []) waiter();
  }
}
