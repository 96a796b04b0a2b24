import { TailraceError } from '@tailrace/protocol/error';
import { type Link, Pipe } from './link.ts';

/** What the server hears of a connection; each call is one of its process. */
export interface ServerSide {
  onMessage(text: string): void;
  onPong(): void;
  onDropped(): void;
  onDrain(): void;
  onClose(): void;
}

export interface ClientSide {
  /** `isPublished`: to all sockets of a topic. */
  onText(text: string, isPublished: boolean): void;
  onClose(code: number, reason: string): void;
}

/** What the kernel takes before anything waits in the server's process. */
const kernelBytes = 4_096;
const handshakeBytes = 130;

/** The topics of one server process, as uWebSockets.js has them. */
export class Topics {
  readonly #sockets = new Map<string, Set<ServerConnection>>();
  publishing = false;

  join(topic: string, socket: ServerConnection): void {
    const sockets = this.#sockets.get(topic) ?? new Set();
    this.#sockets.set(topic, sockets.add(socket));
  }

  leave(topic: string, socket: ServerConnection): void {
    // uWebSockets.js ends the process.
    if (this.publishing)
      throw new TailraceError('internal', `a socket leaves ${topic} in the middle of a publish; wait for its end`);
    this.#sockets.get(topic)?.delete(socket);
  }

  publish(topic: string, frame: string | Uint8Array): void {
    this.publishing = true;
    try {
      for (const socket of this.#sockets.get(topic) ?? []) socket.take(frame, true);
    } finally {
      this.publishing = false;
    }
  }
}

/** The server's end of a connection, as uWebSockets.js behaves: what is in excess of `bytesMax` is dropped, and the server told so. */
export class ServerConnection {
  /** The most bytes that ever waited here. */
  bytesMost = 0;
  /** The largest frame that was taken. */
  frameBytesMost = 0;
  readonly #bytesMax: number;
  readonly #topics: Topics;
  readonly #joined = new Set<string>();
  readonly #toClient: Pipe;
  readonly #toServer: Pipe;
  #server: ServerSide | undefined;
  #client: ClientSide | undefined;

  constructor(link: Link, topics: Topics, client: ClientSide, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#topics = topics;
    this.#client = client;
    this.#toClient = new Pipe(link, true, (bytes) => {
      if (this.#toClient.bytes + bytes > kernelBytes) this.#server?.onDrain();
    });
    this.#toServer = new Pipe(link, false, () => {});
  }

  /** The server has answered the handshake. */
  open(server: ServerSide, onOpen: () => void): void {
    this.#server = server;
    this.#toClient.push(handshakeBytes, onOpen);
  }

  send(frame: string | Uint8Array, _isBinary: boolean): 0 | 1 | 2 {
    return this.take(frame, false);
  }

  /** A frame for this socket alone, or one that is published on a topic of it. */
  take(frame: string | Uint8Array, isPublished: boolean): 0 | 1 | 2 {
    if (this.#server === undefined) return 2;
    if (this.getBufferedAmount() > this.#bytesMax) {
      this.#server.onDropped();
      return 2;
    }
    const text = String(frame);
    this.#toClient.push(text.length, () => this.#client?.onText(text, isPublished));
    this.frameBytesMost = Math.max(this.frameBytesMost, text.length);
    this.bytesMost = Math.max(this.bytesMost, this.getBufferedAmount());
    return this.getBufferedAmount() > 0 ? 0 : 1;
  }

  ping(): void {
    if (this.#server !== undefined && this.getBufferedAmount() <= this.#bytesMax)
      this.#toClient.push(2, () => this.#toServer.push(2, () => this.#server?.onPong()));
  }

  subscribe(topic: string): boolean {
    this.#joined.add(topic);
    this.#topics.join(topic, this);
    return true;
  }

  unsubscribe(topic: string): boolean {
    this.#joined.delete(topic);
    this.#topics.leave(topic, this);
    return true;
  }

  getTopics(): string[] {
    return [...this.#joined];
  }

  getBufferedAmount(): number {
    return Math.max(0, this.#toClient.bytes - kernelBytes);
  }

  /** Says goodbye behind everything that waits. */
  end(code: number, reason: string): void {
    if (this.#server === undefined) return;
    this.#toClient.push(4 + reason.length, () => this.#clientCloses(code, reason));
    this.#gone();
  }

  /** Cuts it. */
  close(): void {
    if (this.#server === undefined) return;
    this.#toClient.close();
    this.#reset();
    this.#gone();
  }

  /** The network resets it: both hear so. */
  break(): void {
    this.#toClient.close();
    this.#reset();
    this.#gone();
  }

  /** The server's process has died. Where its machine is still there (`isTold`) the client hears so; else of nothing ever again. */
  die(isTold: boolean): void {
    if (this.#server === undefined) return;
    this.#server = undefined;
    this.#toClient.close();
    if (isTold) this.#reset();
  }

  fromClient(text: string): void {
    this.#toServer.push(text.length, () => this.#server?.onMessage(text));
  }

  /** The client hangs up. It hears nothing more; the server does when that arrives. */
  leave(): void {
    this.#client = undefined;
    this.#toServer.push(8, () => {
      this.#toClient.close();
      this.#gone();
    });
  }

  #reset(): void {
    this.#toServer.push(0, () => this.#clientCloses(1006, ''));
  }

  /** As uWebSockets.js: the close handler is called at once. */
  #gone(): void {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const topic of [...this.#joined]) this.#topics.leave(topic, this);
    this.#joined.clear();
    server.onClose();
  }

  #clientCloses(code: number, reason: string): void {
    const client = this.#client;
    this.#client = undefined;
    client?.onClose(code, reason);
  }
}
