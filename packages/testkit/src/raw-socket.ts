import { connect, type Socket } from 'node:net';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { withDeadline } from './eventually.ts';

const deadlineMsDefault = 5000;

/** A TCP connection on which a test does what no library would: half a request, no reading, a reset. */
export interface RawSocket {
  write(data: Uint8Array | string): void;
  /**
   * Exactly so many bytes. Rejects with `closed` when the connection ends before, with `timeout` when they do not come.
   */
  read(count: number, options?: { deadlineMs?: number }): Promise<Buffer>;
  /** Everything up to and with the mark. */
  readUntil(mark: string, options?: { deadlineMs?: number }): Promise<Buffer>;
  /** Everything until the other side ends the connection. */
  readToEnd(options?: { deadlineMs?: number }): Promise<Buffer>;
  /** Whatever is there, at least one byte; empty at the end of the connection. */
  readSome(options?: { deadlineMs?: number }): Promise<Buffer>;
  /** Says that no more will be sent (FIN) and goes on reading. */
  halfClose(): void;
  /** Stops taking bytes from the kernel: its buffers fill up, then those of the other side. */
  stopReading(): void;
  startReading(): void;
  /** Ends the connection with RST instead of FIN, as a crashed machine or a broken router does. */
  reset(): void;
  /** Ends it at once. Idempotent. */
  close(): void;
  /** When the other side has ended the connection or it broke, and everything it sent was received. */
  readonly ended: Promise<void>;
  /** Bytes received and not yet asked for. */
  waiting(): number;
  /** Bytes written that the kernel has not taken yet. */
  unsentBytes(): number;
}

/** Connects. `unavailable` where nobody listens. */
export async function connectRaw(options: { port: number; host?: string; deadlineMs?: number }): Promise<RawSocket> {
  const { port, host = '127.0.0.1', deadlineMs = deadlineMsDefault } = options;
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error) => {
      reject(new TailraceError('unavailable', `cannot connect to ${host}:${port}: ${error.message}`, { cause: error }));
    });
  });
  try {
    await withDeadline(
      connected,
      deadlineMs,
      () => new TailraceError('timeout', `no connection to ${host}:${port} within ${deadlineMs} ms`),
    );
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return wrap(socket);
}

function wrap(socket: Socket): RawSocket {
  const inlet = createInlet(socket);
  const { take } = inlet;
  return {
    ended: inlet.ended,
    waiting: () => inlet.bytes().length,
    unsentBytes: () => socket.writableLength,
    write: (data) => void socket.write(data),
    read: (count, options) => take(`${count} bytes`, options, (bytes) => (bytes.length >= count ? count : undefined)),
    readUntil: (mark, options) =>
      take(`a ${JSON.stringify(mark)}`, options, (bytes) => {
        const at = bytes.indexOf(mark);
        return at < 0 ? undefined : at + Buffer.byteLength(mark);
      }),
    readToEnd: (options) => take('the end', options, (bytes, isOver) => (isOver ? bytes.length : undefined)),
    readSome: (options) =>
      take('anything', options, (bytes, isOver) => (bytes.length > 0 || isOver ? bytes.length : undefined)),
    halfClose: () => void socket.end(),
    stopReading: () => void socket.pause(),
    startReading: () => void socket.resume(),
    reset: () => void socket.resetAndDestroy(),
    close: () => void socket.destroy(),
  };
}

/** What came and was not asked for yet. */
function createInlet(socket: Socket) {
  let received: Buffer = Buffer.alloc(0);
  let isOver = false;
  let isRead = false;
  let wake = () => {};
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const over = () => {
    isOver = true;
    end();
    wake();
  };
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    wake();
  });
  socket.on('end', over);
  socket.on('close', over);
  // 'close' follows.
  socket.on('error', () => {});

  /** How many bytes to take now; undefined for not yet. */
  type Length = (bytes: Buffer, isOver: boolean) => number | undefined;
  const wait = async (what: string, deadlineMs: number, length: Length): Promise<Buffer> => {
    const giveUpAt = performance.now() + deadlineMs;
    const so = () => `${received.length} bytes did`;
    const late = () => new TailraceError('timeout', `${what} did not come within ${deadlineMs} ms; ${so()}`);
    for (;;) {
      const count = length(received, isOver);
      if (count !== undefined) {
        const taken = received.subarray(0, count);
        received = received.subarray(count);
        return taken;
      }
      if (isOver) throw new TailraceError('closed', `the connection ended before ${what} came; ${so()}`);
      const { promise: change, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await withDeadline(change, Math.max(giveUpAt - performance.now(), 0), late);
    }
  };
  return {
    ended,
    bytes: () => received,
    async take(what: string, options: { deadlineMs?: number } | undefined, length: Length): Promise<Buffer> {
      if (isRead) throw new TailraceError('conflict', 'two reads of one connection at once; await the first');
      isRead = true;
      try {
        return await wait(what, options?.deadlineMs ?? deadlineMsDefault, length);
      } finally {
        isRead = false;
      }
    },
  };
}

export interface RawResponse {
  readonly status: number;
  /** Names in lower case; of several with one name the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Reads one answer of HTTP/1.1 (RFC 9112): its head, then a body by `content-length`, by chunks, or, where neither is
 * given, until the end of the connection. `hasBody: false` for answers to HEAD.
 */
export async function readResponse(
  socket: RawSocket,
  options: { deadlineMs?: number; hasBody?: boolean } = {},
): Promise<RawResponse> {
  const head = (await socket.readUntil('\r\n\r\n', options)).toString('latin1');
  const [statusLine = '', ...lines] = head.trimEnd().split('\r\n');
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1]);
  if (!status)
    throw new TailraceError(
      'invalid_message',
      `this is no answer of HTTP/1.1: ${JSON.stringify(statusLine.slice(0, 80))}`,
    );
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const isBodyless = options.hasBody === false || status < 200 || status === 204 || status === 304;
  return { status, headers, body: isBodyless ? '' : (await readBody(socket, headers, options)).toString('utf8') };
}

async function readBody(
  socket: RawSocket,
  headers: Record<string, string>,
  options: { deadlineMs?: number },
): Promise<Buffer> {
  const length = headers['content-length'];
  if (length !== undefined) return await socket.read(Number(length), options);
  if (!headers['transfer-encoding']?.includes('chunked')) return await socket.readToEnd(options);
  const chunks: Buffer[] = [];
  for (;;) {
    const size = Number.parseInt((await socket.readUntil('\r\n', options)).toString('latin1'), 16);
    chunks.push((await socket.read(size + 2, options)).subarray(0, size));
    if (size === 0) return Buffer.concat(chunks);
  }
}

/** Sends the text as it is and reads one answer. The connection stays open for more, unless the other side ends it. */
export async function exchange(
  socket: RawSocket,
  request: string | Uint8Array,
  options: { deadlineMs?: number } = {},
): Promise<RawResponse> {
  socket.write(request);
  return await readResponse(socket, options);
}

/** Whether an error of a read means that the connection ended. */
export function isEnd(error: unknown): boolean {
  return isTailraceError(error) && error.code === 'closed';
}
