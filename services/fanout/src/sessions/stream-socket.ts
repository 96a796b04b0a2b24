import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Connection, Transport } from '../transport.ts';
import { Replies } from './replies.ts';
import type { Socket, SocketWatcher } from './socket.ts';

export interface StreamSocketLimits {
  /** Bytes that may wait in the socket before it gets nothing more that is published. */
  readonly socketMarkBytes: number;
  /** The transport drops a frame while more than this waits. */
  readonly socketBytesMax: number;
  /** Of replies that have no room in the socket. */
  readonly repliesBytesMax: number;
  /** A socket with something to wait for that takes nothing for so long is too slow. */
  readonly lagMsMax: number;
  /** How long a close frame that has no room is waited for before the connection is terminated. */
  readonly pongDeadlineMs: number;
}

/** Sockets are checked when so many times what may wait in one has been published. */
const checkFactor = 4;

/** Of all sockets of a node. */
export interface SocketCounts {
  /** Closed because they were too slow, or terminated because they lost a frame. */
  tooSlow: number;
  /** That lag now, and for how long all that did not do so any more have. */
  lagging: number;
  lagMs: number;
  /** Waiting for room. */
  readonly replies: { bytes: number };
}

/**
 * The sockets of a node: what is published goes through here, so that none of them grows beyond its limit unseen.
 *
 * uWebSockets.js does not report to which sockets a frame went, nor how much waits there now. But no socket can have
 * got more than was published. So all are checked each time `checkFactor` times what may wait in one was published,
 * which costs a call per socket and megabyte.
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

  /** The connection of the socket has closed. */
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
    const checkBytes = checkFactor * this.#limits.socketMarkBytes;
    this.#publishedBytes += frame.length;
    // Not now, in the middle of a batch, but before anything else happens.
    if (before < checkBytes && this.#publishedBytes >= checkBytes) queueMicrotask(() => this.#check());
  }

  /** The transport dropped a frame for the socket: the client has a gap, and may get nothing newer. */
  dropped(socket: StreamSocket): void {
    if (socket.lose()) this.#lost.push(socket);
  }

  /** Before anything newer is published, and not in the middle of it. */
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
 * A connection as a session uses it: never touched after it has closed.
 *
 * **Full**: more than `socketMarkBytes` waits. The watcher is notified, and takes the socket off its topics; data of
 * its own it gives only while less than half of that waits, so that what is in the socket shrinks. Replies go on until
 * `socketBytesMax`, then they wait.
 *
 * **Lost**: a frame was dropped, which takes more than `socketBytesMax` in one go, or a flood of pings. It is
 * terminated without a close frame, because nothing newer may come through it, and that could not be prevented
 * otherwise. Seen with uWebSockets.js 20: what is published is kept, 32 frames a socket, until the turn of the loop
 * ends or the socket is sent something directly; the first of them that has no room is reported, the others are dropped
 * without a word; frames published after that in the same turn get through if the kernel has made room meanwhile; and
 * leaving a topic takes back nothing that was published on it. So it is terminated before anything else is published,
 * else in the next turn, else when it drains; not at once, because a loss shows in the middle of a publish, where
 * uWebSockets.js ends the process if a socket goes.
 *
 * A close frame, too, has no room while more than `socketBytesMax` waits. Then it is sent as soon as the client has
 * read enough.
 */
export class StreamSocket implements Socket {
  watcher: SocketWatcher | undefined;
  readonly #limits: StreamSocketLimits;
  readonly #clock: Pick<Clock, 'after' | 'monotonic'>;
  readonly #counts: SocketCounts;
  /** Made when it is needed first: most sockets never do. */
  #replies: Replies | undefined;
  #waiters: (() => void)[] | undefined;
  /** Topics it is on. */
  #joined = 0;
  #connection: Connection | undefined;
  #lost = false;
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #deadline: Timer | undefined;
  /** Runs while something waits for room. */
  #stalled: Timer | undefined;
  /** While it lags. */
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

  get lost(): boolean {
    return this.#lost;
  }

  /**
   * Bytes of it that wait in this process, and of replies that wait for it; for how long it has lagged at monotonic
   * `nowMs`. For metrics.
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

  room(): Promise<void> | undefined {
    const connection = this.#open();
    if (connection === undefined) return undefined;
    if (!this.#repliesWait() && connection.getBufferedAmount() <= this.#limits.socketMarkBytes / 2) return undefined;
    this.#watchStall();
    this.#waiters ??= [];
    const waiters = this.#waiters;
    return new Promise((resolve) => waiters.push(resolve));
  }

  give(frame: string | Uint8Array): void {
    const connection = this.#open();
    if (connection !== undefined) this.#write(connection, frame);
  }

  setLagging(isLagging: boolean): void {
    if (isLagging === (this.#lag !== undefined)) return;
    if (this.#lag === undefined) {
      this.#counts.lagging++;
      const deadline = this.#clock.after(this.#limits.lagMsMax, () => this.#giveUp());
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
    // A client that does not read learns its error with the close frame, or not at all.
    if (this.#takesReplies(connection)) this.#endWith(connection);
    else this.#deadline = this.#clock.after(this.#limits.pongDeadlineMs, () => this.#connection?.close());
  }

  /** Between batches: whether more waits than may. */
  check(): void {
    const connection = this.#open();
    if (connection === undefined || this.#joined === 0) return;
    if (connection.getBufferedAmount() > this.#limits.socketMarkBytes) this.watcher?.onFull();
  }

  /** A frame was dropped. Returns whether this is the first loss. `terminate` it before anything else is published. */
  lose(): boolean {
    if (this.#open() === undefined) return false;
    this.#lost = true;
    setImmediate(() => this.terminate());
    this.#counts.tooSlow++;
    return true;
  }

  /** Terminates it if it is lost, at a moment when that may be. */
  terminate(): void {
    if (this.#lost) this.#connection?.close();
  }

  /** Less waits than before. */
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
    else this.#giveUp();
  }

  #giveUp(): void {
    if (this.#open() === undefined) return;
    this.#counts.tooSlow++;
    this.watcher?.onStalled();
  }

  #repliesWait(): boolean {
    return this.#replies !== undefined && !this.#replies.empty;
  }

  /** Undefined for one that takes nothing any more. */
  #open(): Connection | undefined {
    return this.#lost || this.#closing !== undefined ? undefined : this.#connection;
  }

  #takesReplies(connection: Connection): boolean {
    return connection.getBufferedAmount() <= this.#limits.socketBytesMax;
  }

  /**
   * Of the three answers none needs a look: sent; buffered, which shows in what waits; dropped, which the dropped
   * handler hears of, and which takes more than `socketBytesMax` waiting, in which case nothing is written here.
   */
  #write(connection: Connection, frame: string | Uint8Array): void {
    connection.send(frame, typeof frame !== 'string');
  }

  #sendReplies(connection: Connection): void {
    // What has still no room goes back, in its order.
    for (const frame of this.#replies?.take() ?? []) {
      if (this.#repliesWait() || !this.#takesReplies(connection)) this.#replies?.add(frame);
      else this.#write(connection, frame);
    }
  }

  #endWith(connection: Connection): void {
    // An error that waited says more than the code.
    for (const frame of this.#replies?.take() ?? []) if (this.#takesReplies(connection)) this.#write(connection, frame);
    const { code, reason } = this.#closing!;
    connection.end(code, reason);
  }

  #watchStall(): void {
    this.#stalled ??= this.#clock.after(this.#limits.lagMsMax, () => this.#giveUp());
  }

  /** Whoever waits looks again. */
  #wake(): void {
    this.#stalled?.cancel();
    this.#stalled = undefined;
    const waiters = this.#waiters;
    this.#waiters = undefined;
    for (const waiter of waiters ?? []) waiter();
  }
}
