import { clientMessageBytes, clientMessageJson } from '@tailrace/protocol/client-message';
import { type ServerMessage, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { createInbox, type Inbox, nextEvent } from '@tailrace/testkit/eventually';
import { WebSocket } from 'ws';
import type { Encoding } from '../src/views/view-options.ts';

/** The values of one device, in the order in which a client received them. */
export interface DeviceValues {
  readonly values: number[];
  readonly seqs: number[];
  /** The number of them that were last values. */
  snapshots: number;
  /** When the last one was received, and the longest time between two, ms. */
  atMs: number;
  pauseMs: number;
}

/** A client on the library `ws`, and what it received. */
export class Watcher {
  readonly messages: Inbox<ServerMessage> = createInbox();
  /** By device. */
  readonly shown = new Map<string, DeviceValues>();
  close: number | undefined;
  readonly #socket: WebSocket;
  readonly #encoding: Encoding;

  constructor(socket: WebSocket, encoding: Encoding) {
    this.#socket = socket;
    this.#encoding = encoding;
    socket.on('error', () => {});
    socket.on('close', (code) => {
      this.close = code;
    });
    socket.on('message', (data: Buffer, isBinary) => {
      const message = isBinary ? serverMessageFromBytes(data) : serverMessageFromJson(data.toString('utf8'));
      if (message === undefined) return;
      if ('data' in message) this.#record(message.data);
      else this.messages.put(message);
    });
  }

  send(message: Parameters<typeof clientMessageJson>[0]): void {
    this.#socket.send(this.#encoding === 'json' ? clientMessageJson(message) : clientMessageBytes(message));
  }

  /** Waits for the next message of a kind. */
  async next<K extends string>(kind: K, deadlineMs = 10_000): Promise<Extract<ServerMessage, Record<K, unknown>>> {
    const message = await this.messages.next({ where: (each) => kind in each, describe: kind, deadlineMs });
    return message as Extract<ServerMessage, Record<K, unknown>>;
  }

  last(device: string): number | undefined {
    return this.shown.get(device)?.values.at(-1);
  }

  /** Returns the longest time without a report of a device, ms. */
  pauseMs(): number {
    return Math.max(0, ...[...this.shown.values()].map(({ pauseMs }) => pauseMs));
  }

  /** Returns errors, gaps and duplicates; empty if each device is complete from its first value on. */
  violations(): string[] {
    const violations: string[] = [];
    for (const message of this.messages.all) if ('error' in message) violations.push(message.error.message);
    for (const [device, { values, seqs }] of this.shown) {
      for (let i = 1; i < values.length; i++) {
        if (values[i] !== values[i - 1]! + 1) violations.push(`${device}: ${values[i]} after ${values[i - 1]}`);
        if (seqs[i]! <= seqs[i - 1]!) violations.push(`${device}: position ${seqs[i]} after ${seqs[i - 1]}`);
      }
    }
    return violations;
  }

  async end(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = nextEvent(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  /** Disconnects without a close frame. */
  terminate(): void {
    this.#socket.terminate();
  }

  #record({ reports, snapshot }: Extract<ServerMessage, { data: unknown }>['data']): void {
    for (const { device, seq, readings } of reports) {
      let shown = this.shown.get(device);
      if (shown === undefined) {
        shown = { values: [], seqs: [], snapshots: 0, atMs: performance.now(), pauseMs: 0 };
        this.shown.set(device, shown);
      }
      shown.values.push(Number(readings[0]?.value));
      shown.seqs.push(seq);
      const nowMs = performance.now();
      shown.pauseMs = Math.max(shown.pauseMs, nowMs - shown.atMs);
      shown.atMs = nowMs;
      if (snapshot) shown.snapshots++;
    }
  }
}

/** Connects with the token, and with channels in the URL. Resolves when the connection is open. */
export async function watch(options: {
  port: number;
  token: string;
  channels?: readonly string[];
  encoding?: Encoding;
}): Promise<Watcher> {
  const { port, token, channels = [], encoding = 'json' } = options;
  const query = new URLSearchParams([
    ['token', token],
    ...channels.map((channel) => ['channel', channel] as [string, string]),
  ]);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/stream?${query}`, [`tailrace.v1.${encoding}`], {
    perMessageDeflate: false,
  });
  const watcher = new Watcher(socket, encoding);
  await nextEvent(socket, 'open', { deadlineMs: 10_000 });
  return watcher;
}

/** Connects a client for each channel. Resolves when all are subscribed. */
export async function watchEach(port: number, token: string, channels: readonly string[]): Promise<Watcher[]> {
  const watchers = await Promise.all(channels.map((channel) => watch({ port, token, channels: [channel] })));
  for (const watcher of watchers) await watcher.next('subscribed', 20_000);
  return watchers;
}

/** Returns the longest time in which a client received no report of one of its devices, ms. */
export function longestPauseMs(clients: readonly Watcher[]): number {
  return Math.max(...clients.map((client) => client.pauseMs()));
}
