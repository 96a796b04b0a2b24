import type { ServerMessage } from '../generated/protocol.js';
import type { Codec } from './codec.ts';
import { type LogReport, openSocket, type Socket } from './socket.ts';

/** Opening, and every answer, may take this long, as with the SDK. */
const deadlineMs = 10_000;

export interface LinkListener {
  onFrame(link: Link, frame: string | ArrayBuffer, logReport: LogReport): void;
  onPong(sentMs: number, serverMs: number): void;
  /** Once. */
  onLost(link: Link, code: number, reason: string): void;
}

/** One connection, from its opening to its end. */
export class Link {
  readonly url: string;
  readonly openedMs: number;
  /** Whether its subscription is answered. */
  isServing = false;
  readonly #codec: Codec;
  readonly #listener: LinkListener;
  readonly #socket: Socket;
  #isOver = false;
  #isOpen = false;
  #deadlineAtMs: number;
  #pingAtMs = Number.POSITIVE_INFINITY;
  #pingSentMs = 0;
  readonly #pingMs: number;

  /** `first`: the frames that are sent as soon as it is open. */
  constructor(
    url: string,
    codec: Codec,
    first: readonly (string | ArrayBuffer)[],
    pingMs: number,
    listener: LinkListener,
  ) {
    this.url = url;
    this.#codec = codec;
    this.#listener = listener;
    this.#pingMs = pingMs;
    this.openedMs = Date.now();
    this.#deadlineAtMs = this.openedMs + deadlineMs;
    this.#socket = openSocket(`${url}/v1/stream`, codec.subprotocol, {
      onOpen: () => {
        if (this.#isOver) return;
        this.#isOpen = true;
        for (const frame of first) this.#socket.send(frame);
      },
      onFrame: (frame, logReport) => {
        if (!this.#isOver) listener.onFrame(this, frame, logReport);
      },
      onClose: (code, reason) => this.#lose(code, reason),
    });
  }

  /** The subscription is answered: from now on the server is asked from time to time whether it is there. */
  serve(): void {
    this.isServing = true;
    this.#deadlineAtMs = Number.POSITIVE_INFINITY;
    // Not all at once.
    this.#pingAtMs = Date.now() + Math.random() * this.#pingMs;
  }

  /** To be called some times a second. A half-open connection looks open for minutes. */
  tick(nowMs: number): void {
    if (this.#isOver) return;
    if (nowMs >= this.#deadlineAtMs) this.#lose(4001, `no answer within ${deadlineMs / 1000} s`);
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

  /** Without a word to `onLost`. */
  leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.leave();
  }

  #lose(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.leave();
    this.#listener.onLost(this, code, reason);
  }
}
