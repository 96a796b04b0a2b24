import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { AttackContext } from './attack-definition.ts';

export interface AttackStreamOptions {
  /** Default: the token of the attack. */
  readonly token?: string;
  readonly protocol?: 'tailrace.v1.json' | 'tailrace.v1.proto';
}

/** Finds codes in messages without parsing them: the cost of the attacker must not matter. */
const errorPattern = /^\{"error":\{.*?"code":"([a-z_]+)"/;
/** The part of a message that is searched. A longer server message is data. */
const headBytes = 400;
const closeDeadlineMs = 5_000;

/** A connection of an attacker to the streams. It counts refusals, and ignores everything else. */
export class AttackStream {
  /** Number of messages `subscribed`, and bytes of all messages. */
  subscribed = 0;
  bytes = 0;
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  #wake = () => {};

  private constructor(socket: WebSocket, context: AttackContext) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on('close', (code) => {
        // 1006: it was terminated, usually by the attacker.
        if (code !== 1000 && code !== 1005 && code !== 1006) context.counts.close(code);
        this.#wake();
        resolve(code);
      });
    });
    socket.on('error', () => {});
    socket.on('message', (data: Buffer) => {
      this.bytes += data.length;
      const head = data.toString('latin1', 0, headBytes);
      if (head.startsWith('{"subscribed"')) this.subscribed++;
      const code = errorPattern.exec(head)?.[1];
      if (code !== undefined) context.counts.error(code);
      this.#wake();
    });
  }

  /** Resolves with undefined where the handshake was refused, which is counted. */
  static open(context: AttackContext, options: AttackStreamOptions = {}): Promise<AttackStream | undefined> {
    const { token = context.token, protocol = 'tailrace.v1.json' } = options;
    const { promise, resolve } = Promise.withResolvers<AttackStream | undefined>();
    const socket = new WebSocket(`ws://127.0.0.1:${context.addresses.streamPort}/v1/stream`, [protocol], {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      handshakeTimeout: 10_000,
    });
    const stream = new AttackStream(socket, context);
    socket.once('open', () => resolve(stream));
    socket.once('unexpected-response', (_request: unknown, answer: IncomingMessage) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        body += part;
      });
      answer.on('end', () => {
        context.counts.response({ status: answer.statusCode ?? 0, body });
        socket.terminate();
        resolve(undefined);
      });
    });
    socket.once('error', () => resolve(undefined));
    return promise;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  send(message: object | Uint8Array): void {
    if (!this.isOpen) return;
    this.#socket.send(message instanceof Uint8Array ? message : JSON.stringify(message));
  }

  /** Resolves when the condition is true after a message, or at the end of the connection or of the attack. */
  async until(context: AttackContext, holds: () => boolean): Promise<void> {
    while (!holds() && this.isOpen && !context.isExpired()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await Promise.race([promise, context.sleep(1_000)]);
    }
  }

  /** Stops reading from the socket: its buffers fill, then those of the server. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Resolves when the server has closed it, and after 5 s, also beyond the end of the attack. */
  async untilClosed(): Promise<void> {
    await Promise.race([this.closed, sleep(closeDeadlineMs, undefined, { ref: false })]);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}
