import type {
  ItemRequest,
  NotificationMessage,
  OpcuaChannel,
  OpcuaConnector,
  OpcuaDataValue,
  PublishReply,
} from '../src/opcua/opcua-port.ts';
import { OpcuaError } from '../src/opcua/opcua-port.ts';

/** A value of type Double. */
export function double(value: number, sourceMs: number, status = { value: 0, name: 'Good' }): OpcuaDataValue {
  const sourceTimestamp = new Date(Math.floor(sourceMs));
  const sourcePicoseconds = Math.round((sourceMs - Math.floor(sourceMs)) * 1e9);
  const time = { sourceTimestamp, sourcePicoseconds, serverTimestamp: sourceTimestamp };
  return { value: { dataType: 11, arrayType: 0, value }, statusCode: status, ...time };
}

interface MemorySubscription {
  readonly id: number;
  readonly items: Map<number, ItemRequest>;
  /** Messages that were not acknowledged. */
  readonly kept: Map<number, NotificationMessage>;
  readonly queue: NotificationMessage[];
  sequenceNumber: number;
  session: MemorySession;
}

interface MemorySession {
  readonly id: number;
  channel: MemoryChannel | undefined;
}

interface PendingPublish {
  resolve(reply: PublishReply): void;
  reject(error: OpcuaError): void;
}

/**
 * An OPC UA server in memory, whose failures a test switches on. It notifies only what the test sets, and its time
 * only if the test calls `tick`.
 */
export class MemoryServer implements OpcuaConnector {
  readonly values = new Map<string, OpcuaDataValue>();
  readonly subscriptions = new Map<number, MemorySubscription>();
  readonly sessions = new Set<MemorySession>();
  /** In the order of the calls: `open`, `createItems 3`, `read 2`, … */
  readonly calls: string[] = [];
  readonly writes: { readonly node: string; readonly value: unknown }[] = [];
  /** Refuses connections with this status. */
  refusal: string | undefined;
  /** Answers of calls, by name: a status that it fails with, or a promise that it waits for first. */
  readonly failures = new Map<string, string | Promise<void>>();
  itemsMax = 1_000;
  /** Of a message, as the last subscription requested. */
  valuesMax = 0;
  /** Nodes that are refused, by status. */
  readonly itemStatus = new Map<string, string>();
  /** Called before a write is stored; undefined: the value is not stored. */
  onWrite: (node: string, value: OpcuaDataValue) => OpcuaDataValue | undefined = (_node, value) => value;
  /** The answer of a write. */
  writeStatus = { value: 0, name: 'Good' };
  canTransfer = true;
  namespaces = ['http://opcfoundation.org/UA/', 'urn:server', 'urn:plc'];
  nowMs = () => Date.UTC(2026, 0, 1);
  #ids = 0;

  async open(previous: OpcuaChannel | undefined, onClosed: (reason: string) => void): Promise<OpcuaChannel> {
    this.calls.push('open');
    await this.failure('open');
    if (this.refusal !== undefined) throw new OpcuaError(this.refusal, `refused: ${this.refusal}`);
    const former = (previous as MemoryChannel | undefined)?.session;
    const isReactivated = former !== undefined && this.sessions.has(former);
    const session = isReactivated ? former : { id: ++this.#ids, channel: undefined };
    this.sessions.add(session);
    const channel = new MemoryChannel(this, session, isReactivated, onClosed);
    session.channel = channel;
    return channel;
  }

  /** Sets a value, and notifies it in every subscription that has the node. */
  set(node: string, value: OpcuaDataValue): void {
    this.values.set(node, value);
    for (const subscription of this.subscriptions.values()) {
      const found = [...subscription.items].find(([, item]) => item.node === node);
      if (found !== undefined) this.notify(subscription, [{ handle: found[0], value }]);
    }
  }

  /** Reports the server's time in every subscription. */
  tick(): void {
    const now = this.nowMs();
    const value: OpcuaDataValue = {
      value: { dataType: 13, arrayType: 0, value: new Date(now) },
      statusCode: { value: 0, name: 'Good' },
      sourceTimestamp: new Date(now),
      serverTimestamp: new Date(now),
    };
    this.values.set('i=2258', value);
    for (const subscription of this.subscriptions.values()) {
      if (subscription.items.has(0)) this.notify(subscription, [{ handle: 0, value }]);
    }
  }

  notify(subscription: MemorySubscription, values: NotificationMessage['values']): void {
    const sequenceNumber = ++subscription.sequenceNumber;
    const message = { sequenceNumber, values, isKeepAlive: false };
    subscription.kept.set(sequenceNumber, message);
    subscription.queue.push(message);
    subscription.session.channel?.flush();
  }

  keepAlive(): void {
    for (const subscription of this.subscriptions.values()) {
      subscription.queue.push({ sequenceNumber: subscription.sequenceNumber + 1, values: [], isKeepAlive: true });
      subscription.session.channel?.flush();
    }
  }

  /** The cable is pulled: the channel is lost on both sides, the session stays. */
  disconnect(): void {
    for (const session of this.sessions) session.channel?.disconnect('ECONNRESET');
  }

  /** The server starts again: it knows no session and no subscription. */
  restart(): void {
    this.disconnect();
    this.sessions.clear();
    this.subscriptions.clear();
  }

  async failure(call: string): Promise<void> {
    const failure = this.failures.get(call);
    if (typeof failure === 'string') throw new OpcuaError(failure, failure);
    await failure;
  }

  nextId(): number {
    return ++this.#ids;
  }
}

class MemoryChannel implements OpcuaChannel {
  readonly isReactivated: boolean;
  readonly session: MemorySession;
  readonly #server: MemoryServer;
  readonly #onClosed: (reason: string) => void;
  #pending: PendingPublish[] = [];
  #isClosed = false;

  constructor(
    server: MemoryServer,
    session: MemorySession,
    isReactivated: boolean,
    onClosed: (reason: string) => void,
  ) {
    this.#server = server;
    this.session = session;
    this.isReactivated = isReactivated;
    this.#onClosed = onClosed;
  }

  read(nodes: Parameters<OpcuaChannel['read']>[0]) {
    return this.#call('read', `read ${nodes.length}`, () =>
      nodes.map(({ node }): OpcuaDataValue => {
        const place = node.replace(/^ns=0;/, '');
        if (place === 'i=2255') {
          return { value: { dataType: 12, arrayType: 1, value: this.#server.namespaces }, statusCode: good };
        }
        return this.#server.values.get(place) ?? { statusCode: { value: 0x80340000, name: 'BadNodeIdUnknown' } };
      }),
    );
  }

  write({ node }: Parameters<OpcuaChannel['write']>[0], value: Parameters<OpcuaChannel['write']>[1]) {
    return this.#call('write', 'write', () => {
      const { writeStatus, writes, nowMs } = this.#server;
      writes.push({ node, value: value.value });
      const time = new Date(nowMs());
      const data = { value, statusCode: good, sourceTimestamp: time, serverTimestamp: time };
      const stored = this.#server.onWrite(node, data);
      if (stored !== undefined) this.#server.set(node, stored);
      return writeStatus;
    });
  }

  createSubscription({ publishMs, keepAliveCount, valuesMax }: Parameters<OpcuaChannel['createSubscription']>[0]) {
    return this.#call('createSubscription', 'createSubscription', () => {
      this.#server.valuesMax = valuesMax;
      const id = this.#server.nextId();
      const { session } = this;
      const lists = { items: new Map(), kept: new Map(), queue: [] };
      this.#server.subscriptions.set(id, { id, ...lists, sequenceNumber: 0, session });
      return { id, publishMs, keepAliveCount };
    });
  }

  deleteSubscription(id: number) {
    return this.#call('deleteSubscription', 'deleteSubscription', () => {
      this.#server.subscriptions.delete(id);
    });
  }

  createItems(subscription: number, items: readonly ItemRequest[]) {
    return this.#call('createItems', `createItems ${items.length}`, () => {
      if (items.length > this.#server.itemsMax) throw new OpcuaError('BadTooManyOperations', 'too many');
      const found = this.#server.subscriptions.get(subscription);
      if (found === undefined) throw new OpcuaError('BadSubscriptionIdInvalid', 'no subscription');
      return items.map((item) => {
        const status = this.#server.itemStatus.get(item.node);
        if (status !== undefined && !(status === 'BadFilterNotAllowed' && item.deadband === undefined)) return status;
        found.items.set(item.handle, item);
        const value = this.#server.values.get(item.node);
        if (value !== undefined) this.#server.notify(found, [{ handle: item.handle, value }]);
        return 'Good';
      });
    });
  }

  publish(acknowledgements: Parameters<OpcuaChannel['publish']>[0]): Promise<PublishReply> {
    if (this.#isClosed) return Promise.reject(lost());
    const status = this.#server.failures.get('publish');
    if (typeof status === 'string') return Promise.reject(new OpcuaError(status, status));
    for (const { subscription, sequenceNumber } of acknowledgements) {
      this.#server.subscriptions.get(subscription)?.kept.delete(sequenceNumber);
    }
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      this.flush();
    });
  }

  republish(subscription: number, sequenceNumber: number) {
    return this.#call('republish', `republish ${sequenceNumber}`, () => {
      const found = this.#server.subscriptions.get(subscription);
      if (found === undefined) throw new OpcuaError('BadSubscriptionIdInvalid', 'no subscription');
      const message = found.kept.get(sequenceNumber);
      if (message === undefined) throw new OpcuaError('BadMessageNotAvailable', 'no message');
      return message;
    });
  }

  transfer(subscriptions: readonly number[]) {
    return this.#call('transfer', `transfer ${subscriptions.length}`, () =>
      subscriptions.map((id) => {
        const found = this.#server.subscriptions.get(id);
        if (found === undefined || !this.#server.canTransfer) return 'BadSubscriptionIdInvalid';
        found.session = this.session;
        // What was sent and not acknowledged is fetched.
        found.queue.length = 0;
        return 'Good';
      }),
    );
  }

  browse(): never {
    throw new OpcuaError('BadServiceUnsupported', 'browse');
  }

  browseNext(): never {
    throw new OpcuaError('BadServiceUnsupported', 'browseNext');
  }

  async close(): Promise<void> {
    this.#server.calls.push('close');
    if (!this.#isClosed) {
      this.#server.sessions.delete(this.session);
      for (const { id, session } of this.#server.subscriptions.values()) {
        if (session === this.session) this.#server.subscriptions.delete(id);
      }
    }
    this.drop();
  }

  drop(): void {
    this.#isClosed = true;
    if (this.session.channel === this) this.session.channel = undefined;
    for (const { reject } of this.#pending.splice(0)) reject(lost());
    this.#fail();
  }

  /** As `drop`, by the network. What was sent is lost on the way. */
  disconnect(reason: string): void {
    for (const subscription of this.#server.subscriptions.values()) {
      if (subscription.session === this.session) subscription.queue.length = 0;
    }
    this.drop();
    this.#onClosed(reason);
  }

  /** Answers Publish requests that wait. */
  flush(): void {
    for (const subscription of this.#server.subscriptions.values()) {
      if (subscription.session !== this.session) continue;
      while (subscription.queue.length > 0 && this.#pending.length > 0) {
        this.#pending.shift()!.resolve({ subscription: subscription.id, message: subscription.queue.shift()! });
      }
    }
  }

  #failCalls: ((error: OpcuaError) => void)[] = [];

  #fail(): void {
    for (const fail of this.#failCalls.splice(0)) fail(lost());
  }

  #call<T>(name: string, text: string, answer: () => T): Promise<T> {
    this.#server.calls.push(text);
    if (this.#isClosed) return Promise.reject(lost());
    return new Promise<T>((resolve, reject) => {
      this.#failCalls.push(reject);
      this.#server.failure(name).then(() => {
        if (this.#isClosed) reject(lost());
        else
          try {
            resolve(answer());
          } catch (error) {
            reject(error as Error);
          }
      }, reject);
    });
  }
}

const good = { value: 0, name: 'Good' } as const;

function lost(): OpcuaError {
  return new OpcuaError('closed', 'the channel is lost');
}
