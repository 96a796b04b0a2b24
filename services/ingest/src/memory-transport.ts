import { type BodyOwner, BodyReader, type BodySink, type IncomingBody } from '@tailrace/platform/body-reader';
import { BodyStream, type StreamSink, type StreamSource } from '@tailrace/platform/body-stream';
import type { ClientCertificate } from '@tailrace/platform/client-certificate';
import type { Clock } from '@tailrace/platform/clock';
import { errorBody } from '@tailrace/platform/http-refusal';
import type { Logger } from '@tailrace/platform/logger';
import { noHandshakes } from '@tailrace/platform/tls-listener';
import type { Headers } from '@tailrace/platform/web-response';
import type { TailraceError } from '@tailrace/protocol/error';
import { MemoryDevice } from './devices/memory-sockets.ts';
import type { HttpExchange, Transport, TransportHandlers } from './transport.ts';

export interface MemoryRequest {
  /** Default: POST. */
  readonly method?: string;
  /** With the query. */
  readonly target: string;
  /** By names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: none. */
  readonly certificate?: ClientCertificate;
}

export interface MemoryAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** The client's end of a request. */
export interface MemoryClient {
  /** Resolves with undefined if the request gets no answer. */
  readonly answered: Promise<MemoryAnswer | undefined>;
  /** Sends bytes of the body. They may not change afterwards. */
  write(bytes: Uint8Array): void;
  /** Completes the body. */
  end(): void;
  /** Closes the connection. */
  abort(): void;
}

export interface MemoryTransportOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** From the head of a request to the last byte of its body. Default: 10,000 ms. */
  readonly bodyMs?: number;
  /** Bytes of unfinished bodies held at once. Default: 64 MB. */
  readonly unfinishedBytesMax?: number;
}

const clientAddress = '127.0.0.1';
const internalError: MemoryAnswer = {
  status: 500,
  headers: [['Content-Type', 'application/json']],
  body: errorBody('internal', 'internal error; see the server log'),
};

/**
 * A transport within one process: each request and each device has a connection of its own. For unit tests and the
 * simulation.
 */
export class MemoryTransport implements Transport {
  readonly bodies: BodyReader;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tlsPort = 0;
  readonly handshakes = noHandshakes;
  #handlers: TransportHandlers | undefined;
  readonly #open = new Set<MemoryExchange>();
  readonly #devices = new Set<MemoryDevice>();
  #drained: (() => void) | undefined;

  constructor({ clock, logger, bodyMs = 10_000, unfinishedBytesMax = 67_108_864 }: MemoryTransportOptions) {
    this.clock = clock;
    this.logger = logger;
    this.bodies = new BodyReader({
      clock,
      bodyMs,
      unfinishedBytesMax,
      isNearLimit: () => this.#handlers?.isNearLimit() ?? false,
    });
  }

  get connections(): Transport['connections'] {
    const upgraded = this.#devices.size;
    const size = this.#open.size + upgraded;
    return {
      size,
      limit: Number.POSITIVE_INFINITY,
      incomplete: 0,
      upgraded,
      mostOfOneAddress: size,
      counts: { evicted: 0, refused: 0, unread: 0, unfinished: 0 },
    };
  }

  async listen(handlers: TransportHandlers): Promise<number> {
    this.#handlers = handlers;
    return 0;
  }

  closeAfterAnswers(): void {}

  async drain(): Promise<void> {
    this.#handlers = undefined;
    if (this.connections.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    await promise;
  }

  close(): void {
    this.#handlers = undefined;
    this.bodies.stop();
    for (const exchange of this.#open) exchange.abort();
    for (const device of this.#devices) device.abort();
  }

  /**
   * Connects a device by WebSocket. `offered`: subprotocols of the client. Returns the answer if it is refused, and
   * undefined if the transport does not listen, or serves no WebSocket there.
   */
  connectDevice(
    { target, headers = {}, certificate }: Omit<MemoryRequest, 'method'>,
    offered: readonly string[] = [],
  ): MemoryDevice | MemoryAnswer | undefined {
    const fields: Readonly<Record<string, string>> = {
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-protocol': offered.join(', '),
      ...headers,
    };
    const header = (name: string) => fields[name] ?? '';
    const head = { path: pathOf(target), address: clientAddress, certificate, header };
    let decision: ReturnType<NonNullable<TransportHandlers['upgrade']>>;
    try {
      decision = this.#handlers?.upgrade?.(head);
    } catch (error) {
      this.logger.error({ error }, 'a request could not be handled');
      return internalError;
    }
    if (decision === undefined || !('open' in decision)) return decision;
    const device: MemoryDevice = new MemoryDevice(decision, offered, {
      clock: this.clock,
      logger: this.logger,
      address: clientAddress,
      onClose: () => {
        this.#devices.delete(device);
        this.#checkDrained();
      },
    });
    this.#devices.add(device);
    return device;
  }

  /** Sends the head of a request. A transport that does not listen closes the connection. */
  send(request: MemoryRequest): MemoryClient {
    const exchange = new MemoryExchange(this, request);
    this.#open.add(exchange);
    if (this.#handlers === undefined) exchange.abort();
    else exchange.start(this.#handlers);
    return exchange;
  }

  /** Sends a request with its whole body. */
  request(request: MemoryRequest, body?: Uint8Array): Promise<MemoryAnswer | undefined> {
    const client = this.send(request);
    if (body !== undefined) client.write(body);
    client.end();
    return client.answered;
  }

  /** Called by an exchange that is answered, or whose connection is closed. */
  closed(exchange: MemoryExchange): void {
    this.#open.delete(exchange);
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.connections.size === 0) this.#drained?.();
  }
}

/** A request, as its server and as its client. */
class MemoryExchange implements HttpExchange, MemoryClient, BodySink, StreamSource {
  readonly method: string;
  readonly path: string;
  readonly address = clientAddress;
  readonly isBroken = false;
  readonly certificate: ClientCertificate | undefined;
  readonly answered: Promise<MemoryAnswer | undefined>;
  isFinished = false;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #transport: MemoryTransport;
  readonly #resolve: (answer: MemoryAnswer | undefined) => void;
  /** What the client has sent before the body is read, or while it is paused. */
  readonly #sent: Uint8Array[] = [];
  #isComplete = false;
  #isReading = false;
  #body: IncomingBody | BodyStream | undefined;
  #head: Pick<MemoryAnswer, 'status' | 'headers'> | undefined;
  #parts = '';
  #done: ((error: TailraceError | undefined, body: Buffer) => void) | undefined;

  constructor(transport: MemoryTransport, { method = 'POST', target, headers = {}, certificate }: MemoryRequest) {
    const { promise, resolve } = Promise.withResolvers<MemoryAnswer | undefined>();
    this.#transport = transport;
    this.method = method;
    this.certificate = certificate;
    this.path = pathOf(target);
    this.#headers = headers;
    this.answered = promise;
    this.#resolve = resolve;
  }

  start(handlers: TransportHandlers): void {
    this.#guard(() => handlers.request(this));
  }

  header(lowerCaseName: string): string {
    return this.#headers[lowerCaseName] ?? '';
  }

  readBody(
    bytesMax: number,
    owner: BodyOwner | undefined,
    done: (error: TailraceError | undefined, body: Buffer) => void,
  ): void {
    if (this.isFinished) return;
    this.#done = done;
    this.#body = this.#transport.bodies.open(this, bytesMax, Number(this.header('content-length') || 0), owner);
    this.resume();
  }

  streamBody(sink: StreamSink, owner: BodyOwner): BodyStream | undefined {
    if (this.isFinished) return undefined;
    const { clock, bodies } = this.#transport;
    const stream = new BodyStream({ source: this, sink, clock, counts: [bodies, owner] });
    this.#body = stream;
    // As sockets do, after the caller has the stream.
    queueMicrotask(() => this.resume());
    return stream;
  }

  pause(): void {
    this.#isReading = false;
  }

  resume(): void {
    this.#isReading = true;
    this.#guard(() => {
      while (this.#isReading && this.#sent.length > 0) this.#body?.take(Buffer.from(this.#sent.shift()!), true);
      if (this.#isReading && this.#isComplete) this.#body?.end();
    });
  }

  answer(status: number, headers: Headers, body = ''): boolean {
    if (this.isFinished) return false;
    this.#close({ status, headers, body });
    return true;
  }

  answerHead(status: number, headers: Headers): boolean {
    if (this.isFinished) return false;
    this.#head = { status, headers };
    return true;
  }

  answerPart(text: string): boolean {
    if (this.isFinished) return false;
    this.#parts += text;
    return true;
  }

  answerEnd(text: string): boolean {
    return this.answer(this.#head!.status, this.#head!.headers, this.#parts + text);
  }

  settleBody(error: TailraceError | undefined, body: Buffer): void {
    this.#guard(() => this.#done?.(error, body));
  }

  write(bytes: Uint8Array): void {
    this.#sent.push(bytes);
    if (this.#isReading) this.resume();
  }

  end(): void {
    this.#isComplete = true;
    if (this.#isReading) this.resume();
  }

  abort(): void {
    if (this.isFinished) return;
    this.#close(undefined);
    this.#body?.abort();
  }

  #close(answer: MemoryAnswer | undefined): void {
    this.isFinished = true;
    if (answer !== undefined && this.#body instanceof BodyStream) this.#body.stop();
    this.#resolve(answer);
    this.#transport.closed(this);
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#transport.logger.error({ error }, 'a request could not be handled');
      this.answer(internalError.status, internalError.headers, internalError.body);
    }
  }
}

function pathOf(target: string): string {
  return target.replace(/\?.*$/, '');
}
