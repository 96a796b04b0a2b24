import { connect, type Socket } from 'node:net';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { withDeadline } from './eventually.ts';

const deadlineMsDefault = 15_000;

/** A TCP connection for what no library does: half a request, no reading, a reset. */
export interface RawSocket {
  write(data: Uint8Array | string): void;
  /** Reads exactly that many bytes. Rejects with `closed` if the connection is closed before, and with `timeout`. */
  read(count: number, options?: { deadlineMs?: number }): Promise<Buffer>;
  /** Reads everything up to and including the delimiter. */
  readUntil(delimiter: string, options?: { deadlineMs?: number }): Promise<Buffer>;
  /** Reads everything until the other side closes the connection. */
  readToEnd(options?: { deadlineMs?: number }): Promise<Buffer>;
  /** Reads what has been received, at least one byte; empty at the end of the connection. */
  readSome(options?: { deadlineMs?: number }): Promise<Buffer>;
  /** Sends FIN and continues to read. */
  halfClose(): void;
  /** Stops reading from the kernel: its buffers fill up, then those of the other side. */
  stopReading(): void;
  startReading(): void;
  /** Closes the connection with RST instead of FIN, as a crashed machine or a broken router does. */
  reset(): void;
  /** Closes it at once. Idempotent. */
  close(): void;
  /** Resolves when the other side has closed the connection, or it is lost, and all its bytes were received. */
  readonly closed: Promise<void>;
  /** Bytes received and not yet read. */
  waiting(): number;
  /** Bytes written that the kernel has not taken yet. */
  unsentBytes(): number;
}

/** Connects. Rejects with `unavailable` if no server listens. */
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
  const reader = createReader(socket);
  const { take } = reader;
  return {
    closed: reader.disconnected,
    waiting: () => reader.bytes().length,
    unsentBytes: () => socket.writableLength,
    write: (data) => void socket.write(data),
    read: (count, options) => take(`${count} bytes`, options, (bytes) => (bytes.length >= count ? count : undefined)),
    readUntil: (delimiter, options) =>
      take(`a ${JSON.stringify(delimiter)}`, options, (bytes) => {
        const at = bytes.indexOf(delimiter);
        return at < 0 ? undefined : at + Buffer.byteLength(delimiter);
      }),
    readToEnd: (options) => take('the end', options, (bytes, isClosed) => (isClosed ? bytes.length : undefined)),
    readSome: (options) =>
      take('anything', options, (bytes, isClosed) => (bytes.length > 0 || isClosed ? bytes.length : undefined)),
    halfClose: () => void socket.end(),
    stopReading: () => void socket.pause(),
    startReading: () => void socket.resume(),
    reset: () => void socket.resetAndDestroy(),
    close: () => void socket.destroy(),
  };
}

/** The received bytes that were not read yet. */
function createReader(socket: Socket) {
  let received: Buffer = Buffer.alloc(0);
  let isClosed = false;
  let isReading = false;
  let wake = () => {};
  const { promise: disconnected, resolve } = Promise.withResolvers<void>();
  const onDisconnect = () => {
    isClosed = true;
    resolve();
    wake();
  };
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    wake();
  });
  socket.on('end', onDisconnect);
  socket.on('close', onDisconnect);
  // 'close' follows.
  socket.on('error', () => {});

  /** Returns how many bytes to take now; undefined: none yet. */
  type Length = (bytes: Buffer, isClosed: boolean) => number | undefined;
  const wait = async (what: string, deadlineMs: number, length: Length): Promise<Buffer> => {
    const giveUpAt = performance.now() + deadlineMs;
    const got = () => `got ${received.length} bytes`;
    const late = () => new TailraceError('timeout', `expected ${what} within ${deadlineMs} ms, ${got()}`);
    for (;;) {
      const count = length(received, isClosed);
      if (count !== undefined) {
        const taken = received.subarray(0, count);
        received = received.subarray(count);
        return taken;
      }
      if (isClosed) throw new TailraceError('closed', `expected ${what} before the connection was closed, ${got()}`);
      const { promise: change, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await withDeadline(change, Math.max(giveUpAt - performance.now(), 0), late);
    }
  };
  return {
    disconnected,
    bytes: () => received,
    async take(what: string, options: { deadlineMs?: number } | undefined, length: Length): Promise<Buffer> {
      if (isReading) throw new TailraceError('conflict', 'a read of this connection is pending; await it first');
      isReading = true;
      try {
        return await wait(what, options?.deadlineMs ?? deadlineMsDefault, length);
      } finally {
        isReading = false;
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
 * Reads one response of HTTP/1.1 (RFC 9112): its head, then a body by `content-length`, by chunks, or, with neither,
 * until the end of the connection. `hasBody: false` is for responses to HEAD.
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
      `expected a response of HTTP/1.1, got ${JSON.stringify(statusLine.slice(0, 80))}`,
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

/** Sends the text as it is and reads one response. The connection stays open, unless the other side closes it. */
export async function exchange(
  socket: RawSocket,
  request: string | Uint8Array,
  options: { deadlineMs?: number } = {},
): Promise<RawResponse> {
  socket.write(request);
  return await readResponse(socket, options);
}

/** Returns whether an error of a read means that the connection was closed. */
export function isEnd(error: unknown): boolean {
  return isTailraceError(error) && error.code === 'closed';
}
