import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Socket } from './socket.ts';

/** What a session's socket needs of a uWebSockets.js one; a test passes a literal. */
export interface StreamConnection {
  send(frame: string | Uint8Array, isBinary: boolean): unknown;
  ping(): unknown;
  subscribe(topic: string): unknown;
  unsubscribe(topic: string): unknown;
  getTopics(): string[];
  /** Bytes that wait in this process; the kernel's are not counted. */
  getBufferedAmount(): number;
  /** Says goodbye and closes once everything before is sent. Calls the close handler at once. */
  end(code: number, reason: string): unknown;
  /** Cuts it. Calls the close handler at once. */
  close(): unknown;
}

export interface StreamSocketLimits {
  /** uWebSockets.js takes no frame while more than this waits. */
  readonly socketBytesMax: number;
  /** For a goodbye that has no room: how long it is waited for before the connection is cut. */
  readonly goodbyeMs: number;
}

/**
 * A uWebSockets.js socket as a session uses it: never touched after it has gone.
 *
 * A socket that lost a frame has a gap, so that nothing newer may come through it. It is ended in the next turn of the loop, or before anything
 * newer could be buffered, whichever comes first; not at once, because the loss shows in the middle of a publish.
 *
 * The goodbye is a frame, too, and has no room while more than `socketBytesMax` waits. Then the socket leaves its topics, and the goodbye
 * is sent as soon as the client has read enough: so a slow reader gets everything before the gap and learns why it was let go.
 */
export class StreamSocket implements Socket {
  readonly #limits: StreamSocketLimits;
  readonly #clock: Pick<Clock, 'after'>;
  #connection: StreamConnection | undefined;
  #onLost: (() => void) | undefined;
  #goodbye: { readonly code: number; readonly reason: string } | undefined;
  #deadline: Timer | undefined;

  constructor(connection: StreamConnection, limits: StreamSocketLimits, clock: Pick<Clock, 'after'>) {
    this.#connection = connection;
    this.#limits = limits;
    this.#clock = clock;
  }

  get lost(): boolean {
    return this.#onLost !== undefined;
  }

  send(frame: string | Uint8Array): void {
    if (this.#takes()) this.#connection?.send(frame, typeof frame !== 'string');
  }

  ping(): void {
    if (this.#takes()) this.#connection?.ping();
  }

  join(topic: string): void {
    if (this.#takes()) this.#connection?.subscribe(topic);
  }

  leave(topic: string): void {
    this.#connection?.unsubscribe(topic);
  }

  end(code: number, reason: string): void {
    const connection = this.#connection;
    if (connection === undefined || this.#goodbye !== undefined) return;
    this.#goodbye = { code, reason };
    const hasRoom = this.#hasRoom(connection);
    // What was published in this turn waits outside of the socket, and would go before the goodbye: with the last topic it is dropped.
    if (this.lost || !hasRoom) for (const topic of connection.getTopics()) connection.unsubscribe(topic);
    if (hasRoom) connection.end(code, reason);
    else this.#deadline = this.#clock.after(this.#limits.goodbyeMs, () => this.#connection?.close());
  }

  /** A frame was dropped. Whether this is the first loss. */
  lose(onLost: () => void): boolean {
    if (this.#onLost !== undefined || this.#goodbye !== undefined) return false;
    let told = false;
    this.#onLost = () => {
      if (told) return;
      told = true;
      onLost();
    };
    setImmediate(this.#onLost);
    return true;
  }

  /** Less waits than before. */
  drained(): void {
    // For a socket that lost a frame, the last moment to end it.
    this.#onLost?.();
    const connection = this.#connection;
    if (connection === undefined || this.#goodbye === undefined || !this.#hasRoom(connection)) return;
    connection.end(this.#goodbye.code, this.#goodbye.reason);
  }

  closed(): void {
    this.#connection = undefined;
    this.#deadline?.cancel();
  }

  #takes(): boolean {
    return this.#onLost === undefined && this.#goodbye === undefined;
  }

  #hasRoom(connection: StreamConnection): boolean {
    return connection.getBufferedAmount() <= this.#limits.socketBytesMax;
  }
}
