import type { DeviceMessage } from '@tailrace/client/device';
import type { WebSocketConstructor } from '@tailrace/client/websocket';
import type { Reading } from '@tailrace/protocol/reading';

export interface ReceivedReport {
  readonly device: string;
  readonly id: string;
  readonly time: number;
  readonly readings: readonly Reading[];
}

export interface ReceivedBatch {
  readonly id: string;
  readonly reports: readonly ReceivedReport[];
}

interface Frame {
  readonly type: string;
  readonly msgid?: string;
  readonly payload: { readonly [key: string]: unknown };
}

type Listener = (event: never) => void;

/** Ingest in memory, as a gateway sees it: one WebSocket, whose batches the test answers or lets be accepted. */
export class MemoryIngest {
  /** All batches, also those that were not answered. */
  readonly batches: ReceivedBatch[] = [];
  /** What was accepted, by ID, in the order of its acceptance. A repeated batch is a duplicate. */
  readonly log = new Map<string, ReceivedReport>();
  /** Reports of batches that were accepted though a batch before had them. */
  repeated = 0;
  readonly replies: object[] = [];
  attempts = 0;
  /** Whether connections are accepted. */
  isReachable = true;
  /** Whether batches are answered. False: the test calls `answerAll`. */
  answers = true;
  /** The answer of the next batch, in place of its acceptance. */
  rejection: object | undefined;
  messagesPerSecond = 100_000;
  messageBytesMax = 262_144;
  readonly WebSocket: WebSocketConstructor;
  #socket: Socket | undefined;
  readonly #accepted = new Set<string>();
  #held: ReceivedBatch[] = [];

  constructor() {
    const connect = (socket: Socket) => this.#connect(socket);
    this.WebSocket = class extends Socket {
      constructor() {
        super();
        connect(this);
      }
    } as unknown as WebSocketConstructor;
  }

  get isConnected(): boolean {
    return this.#socket !== undefined;
  }

  /** Loses the connection. */
  disconnect(code = 1006): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#held = [];
    socket?.emit('close', { code, reason: '' });
  }

  answerAll(): void {
    for (const batch of this.#held.splice(0)) this.#answer(batch);
  }

  /** Puts what waits into the log without an answer, as when the connection is lost right then. */
  acceptAll(): void {
    for (const batch of this.#held.splice(0)) this.#accept(batch);
  }

  sendCommand(id: string, device: string, name: string, params: object, more: object = {}): void {
    const payload = { name, params, deadline: 0, expiresInMs: 5_000, qos: 1, ...more };
    this.#send({ type: 'command', msgid: id, to: device, payload });
  }

  #connect(socket: Socket): void {
    this.attempts++;
    queueMicrotask(() => {
      if (!this.isReachable) {
        socket.emit('close', { code: 1006, reason: '' });
        return;
      }
      this.#socket = socket;
      socket.onSend = (text) => this.#receive(socket, JSON.parse(text) as Frame);
      socket.onLeave = () => {
        if (this.#socket === socket) this.#socket = undefined;
      };
      socket.emit('open', {});
      this.#send({ type: 'hello', payload: { version: 1, node: 'ingest-0', time: 0, challenge: 'c' } });
    });
  }

  #receive(socket: Socket, { type, msgid = '', payload }: Frame): void {
    if (socket !== this.#socket) return;
    if (type === 'auth') {
      const limits = { window: 64, windowBytes: 524_288, messageBytesMax: this.messageBytesMax, batchMax: 500 };
      this.#send({ type: 'welcome', payload: { session: 1, ...limits, messagesPerSecond: this.messagesPerSecond } });
    } else if (type === 'batch') {
      const messages = payload['messages'] as readonly (DeviceMessage & {
        msgid: string;
        timestamp: number;
        from: string;
      })[];
      const reports = messages.map((message) => ({
        device: message.from,
        id: message.msgid,
        time: message.timestamp,
        readings: (message as unknown as { payload: { readings: Reading[] } }).payload.readings,
      }));
      const batch = { id: msgid, reports };
      this.batches.push(batch);
      if (this.answers) this.#answer(batch);
      else this.#held.push(batch);
    } else if (type === 'reply') {
      this.replies.push(payload);
      this.#send({ type: 'ack', msgid, payload: { status: 'accepted' } });
    } else if (type === 'ack') this.replies.push({ delivered: msgid });
  }

  #answer(batch: ReceivedBatch): void {
    if (this.rejection !== undefined) {
      this.#send({ type: 'ack', msgid: batch.id, payload: this.rejection });
      this.rejection = undefined;
      return;
    }
    const isDuplicate = this.#accepted.has(batch.id);
    if (!isDuplicate) this.#accept(batch);
    this.#send({ type: 'ack', msgid: batch.id, payload: { status: isDuplicate ? 'duplicate' : 'accepted' } });
  }

  #accept({ id, reports }: ReceivedBatch): void {
    this.#accepted.add(id);
    for (const report of reports) {
      if (this.log.has(report.id)) this.repeated++;
      else this.log.set(report.id, report);
    }
  }

  #send(frame: object): void {
    const socket = this.#socket;
    queueMicrotask(() => {
      if (socket === this.#socket) socket?.emit('message', { data: JSON.stringify(frame) });
    });
  }
}

class Socket {
  onSend = (_text: string): void => {};
  onLeave = (): void => {};
  readonly #listeners = new Map<string, Listener>();

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, listener);
  }

  send(text: string): void {
    this.onSend(text);
  }

  close(): void {
    this.onLeave();
  }

  emit(type: string, event: object): void {
    this.#listeners.get(type)?.(event as never);
  }
}
