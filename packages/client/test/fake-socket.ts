import type { ClientMessage } from '@tailrace/protocol/client-message-json';
import type { Delivery } from '@tailrace/protocol/report';
import type { ServerMessage } from '@tailrace/protocol/server-message-json';
import type { WebSocketConstructor } from '../src/websocket.ts';

/** A WebSocket without a network: the test is the server. */
export class FakeSocket {
  readonly url: string;
  readonly protocol: string;
  readonly sent: ClientMessage[] = [];
  closedWith: number | undefined;
  readonly #listeners = new Map<string, (event: never) => void>();

  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }

  close(code?: number): void {
    this.closedWith = code ?? 1005;
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, listener);
  }

  open(): void {
    this.#emit('open', {});
  }

  /** Delivers a message of the server. */
  deliver(message: ServerMessage): void {
    this.#emit('message', { data: JSON.stringify(message) });
  }

  deliverRaw(data: unknown): void {
    this.#emit('message', { data });
  }

  /** Closes the connection, as the server or the network. */
  end(code: number, reason = ''): void {
    this.#emit('close', { code, reason });
  }

  welcome(): void {
    this.open();
    this.deliver({
      welcome: {
        session: 'x',
        node: 'fanout-0',
        version: '1',
        heartbeatMs: 30_000,
        limits: { messageBytesMax: 65_536, subscriptionsMax: 100 },
      },
    });
  }

  /** Replies to the last subscribe request for the channel. */
  subscribed(channel: string, view = 1, epoch = 'e1'): void {
    const request = this.sent
      .flatMap((message) =>
        'subscribe' in message && message.subscribe.channel === channel ? [message.subscribe] : [],
      )
      .at(-1);
    this.deliver({ subscribed: { id: request?.id ?? '', view, channel, epoch, position: '', snapshot: 0 } });
  }

  data(view: number, seqs: readonly number[], options: { device?: string; snapshot?: boolean } = {}): void {
    const reports = seqs.map((seq) => delivery(seq, options.device));
    this.deliver({ data: options.snapshot ? { view, reports, snapshot: true } : { view, reports } });
  }

  /** Returns the sent messages of one kind. */
  sentOf(kind: string): ClientMessage[] {
    return this.sent.filter((message) => kind in message);
  }

  #emit(type: string, event: object): void {
    this.#listeners.get(type)?.(event as never);
  }
}

export function delivery(seq: number, device = 'plant1.line1.press1'): Delivery {
  return { device, time: 1000 + seq, readings: [{ tag: 'temperature', value: seq }], partition: 0, seq };
}

/** Returns a constructor for a stream, and the sockets that it created, oldest first. */
export function fakeSockets(): {
  readonly WebSocket: WebSocketConstructor;
  readonly sockets: FakeSocket[];
  readonly last: () => FakeSocket;
} {
  const sockets: FakeSocket[] = [];
  class Recorded extends FakeSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      sockets.push(this);
    }
  }
  return { WebSocket: Recorded, sockets, last: () => sockets.at(-1)! };
}
