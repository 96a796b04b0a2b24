import type { ServerMessage } from '../generated/protocol.js';
import type { Codec } from './codec.ts';
import { openSocket, type ReceivedFrame, type Socket } from './socket.ts';

/** For opening, and for every answer, ms; as in the SDK. */
const deadlineMs = 10_000;

export interface ConnectionListener {
  onFrame(connection: Connection, frame: string | ArrayBuffer, received: ReceivedFrame): void;
  onPong(sentMs: number, serverMs: number): void;
  /** Called once, not after `close`. */
  onLost(connection: Connection, code: number, reason: string): void;
}

/** One connection to a fanout node, with a deadline for each answer. */
export class Connection {
  readonly url: string;
  readonly openedMs: number;
  /** Whether the server has answered its subscription. */
  isSubscribed = false;
  readonly #codec: Codec;
  readonly #listener: ConnectionListener;
  readonly #socket: Socket;
  #isClosed = false;
  #isOpen = false;
  #deadlineAtMs: number;
  #pingAtMs = Number.POSITIVE_INFINITY;
  #pingSentMs = 0;
  readonly #pingMs: number;

  /** `first`: the frames to send as soon as it is open. */
  constructor(
    url: string,
    codec: Codec,
    first: readonly (string | ArrayBuffer)[],
    pingMs: number,
    listener: ConnectionListener,
  ) {
    this.url = url;
    this.#codec = codec;
    this.#listener = listener;
    this.#pingMs = pingMs;
    this.openedMs = Date.now();
    this.#deadlineAtMs = this.openedMs + deadlineMs;
    this.#socket = openSocket(`${url}/v1/stream`, codec.subprotocol, {
      onOpen: () => {
        if (this.#isClosed) return;
        this.#isOpen = true;
        for (const frame of first) this.#socket.send(frame);
      },
      onFrame: (frame, received) => {
        if (!this.#isClosed) listener.onFrame(this, frame, received);
      },
      onClose: (code, reason) => this.#fail(code, reason),
    });
  }

  /** The server has answered the subscription: starts to send pings. */
  setSubscribed(): void {
    this.isSubscribed = true;
    this.#deadlineAtMs = Number.POSITIVE_INFINITY;
    // With jitter, so that connections do not send pings at the same time.
    this.#pingAtMs = Date.now() + Math.random() * this.#pingMs;
  }

  /**
   * Checks the deadline and sends pings; to be called several times a second. Without it a half-open connection stays
   * open for minutes.
   */
  tick(nowMs: number): void {
    if (this.#isClosed) return;
    if (nowMs >= this.#deadlineAtMs) this.#fail(4001, `no answer within ${deadlineMs / 1000} s`);
    else if (nowMs >= this.#pingAtMs && this.#isOpen) {
      this.#pingAtMs = Number.POSITIVE_INFINITY;
      this.#pingSentMs = nowMs;
      this.#deadlineAtMs = nowMs + deadlineMs;
      this.#socket.send(this.#codec.encode({ ping: { t: nowMs } }));
    }
  }

  pong({ t, time }: Extract<ServerMessage, { pong: unknown }>['pong']): void {
    if (t !== this.#pingSentMs) return;
    this.#deadlineAtMs = Number.POSITIVE_INFINITY;
    this.#pingAtMs = Date.now() + this.#pingMs;
    this.#listener.onPong(t, time);
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }

  #fail(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#listener.onLost(this, code, reason);
  }
}
