import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Clock, Timer } from './clock.ts';
import { listenError } from './listen-error.ts';
import type { Logger } from './logger.ts';
import { type ServerTlsFiles, type ServerTlsTexts, serverTlsTextsFrom } from './tls-files.ts';

/** Deadline of a handshake, ms. */
const handshakeMs = 10_000;
/** Handshakes in progress at once. A client completes one in milliseconds. */
export const handshakesMax = 1_024;
/** How often the files are read again, ms. */
export const tlsFilesCheckMs = 10_000;

export interface TlsListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The key of the setting of the port, for the error if it is in use. */
  readonly portSetting: string;
  readonly files: ServerTlsFiles;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of ALPN. Default: `http/1.1`. A client that offers only others is refused. */
  readonly alpnProtocols?: readonly string[];
  /** Takes each connection whose handshake is complete. */
  readonly onConnection: (socket: TLSSocket) => void;
}

/** For metrics. */
export interface HandshakeCounts {
  /** In progress. */
  readonly pending: number;
  /** Handshakes that failed, so far. */
  readonly failed: number;
  /** Connections closed before their handshake was complete, because newer ones exceeded the limit, so far. */
  readonly evicted: number;
  /** Reads of changed files that failed, so far: the former ones stay in use. */
  readonly failedReads: number;
  /** When the certificate in use expires, epoch ms. Infinite without one. */
  readonly expiresAt: number;
}

/** The counts of a server without TLS. */
export const noHandshakes: HandshakeCounts = {
  pending: 0,
  failed: 0,
  evicted: 0,
  failedReads: 0,
  expiresAt: Number.POSITIVE_INFINITY,
};

/**
 * A port with TLS 1.2 or newer, which passes on connections whose handshake is complete.
 *
 * - With `files.clientCa` it requests a certificate of the client, and accepts a client without one, or with an invalid
 *   one: that client may use a token.
 * - The files are read again every 10 s. Changed ones apply to new connections; until they are valid the former ones
 *   stay in use.
 * - At most `handshakesMax` handshakes are in progress. Beyond it the oldest one is closed: it has had the most time.
 */
export class TlsListener {
  readonly #options: TlsListenerOptions;
  readonly #server: Server;
  /** Of handshakes in progress, by remote address and port, the oldest first. */
  readonly #pending = new Map<string, Socket>();
  #texts: ServerTlsTexts;
  #timer: Timer | undefined;
  /** The last error of a read, which is logged once. */
  #readError = '';
  #failed = 0;
  #evicted = 0;
  #failedReads = 0;

  /** Throws `invalid_config` for files that cannot be used. */
  constructor(options: TlsListenerOptions) {
    this.#options = options;
    this.#texts = serverTlsTextsFrom(options.files, options.clock.now());
    this.#server = createServer({
      ...this.#texts.context,
      requestCert: options.files.clientCa !== '',
      rejectUnauthorized: false,
      ALPNProtocols: [...(options.alpnProtocols ?? ['http/1.1'])],
      handshakeTimeout: handshakeMs,
      noDelay: true,
    });
    // First: the TLS socket takes the handle of this one.
    this.#server.prependListener('connection', (socket: Socket) => this.#start(socket));
    this.#server.on('secureConnection', (socket) => {
      this.#pending.delete(keyOf(socket));
      options.onConnection(socket);
    });
    this.#server.on('tlsClientError', (_error, socket) => {
      this.#failed++;
      socket.destroy();
    });
  }

  get counts(): HandshakeCounts {
    return {
      pending: this.#pending.size,
      failed: this.#failed,
      evicted: this.#evicted,
      failedReads: this.#failedReads,
      expiresAt: this.#texts.expiresAt,
    };
  }

  /** Resolves with the port. Rejects as `HttpServer.listen` does. */
  listen(): Promise<number> {
    const { host, port, portSetting, clock, logger } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const onError = (error: NodeJS.ErrnoException) =>
      reject(listenError({ host, port, portSetting }, error.code, error));
    this.#server.once('error', onError);
    this.#server.listen({ host, port, exclusive: true, backlog: 4_096 }, () => {
      this.#server.off('error', onError);
      this.#server.on('error', (error) => logger.warn({ error, port }, 'the TLS server has an error'));
      this.#timer = clock.every(tlsFilesCheckMs, () => this.#readAgain());
      resolve((this.#server.address() as { port: number }).port);
    });
    return promise;
  }

  /** Accepts no new connections, and closes those without a complete handshake. Idempotent. */
  close(): void {
    this.#timer?.cancel();
    this.#server.close();
    for (const socket of this.#pending.values()) socket.destroy();
  }

  #start(socket: Socket): void {
    const key = keyOf(socket);
    this.#pending.set(key, socket);
    socket.once('close', () => {
      if (this.#pending.get(key) === socket) this.#pending.delete(key);
    });
    if (this.#pending.size <= handshakesMax) return;
    const [[oldestKey, oldest]] = this.#pending as unknown as [[string, Socket]];
    this.#pending.delete(oldestKey);
    this.#evicted++;
    oldest.destroy();
  }

  #readAgain(): void {
    const { files, clock, logger } = this.#options;
    try {
      const texts = serverTlsTextsFrom(files, clock.now());
      this.#readError = '';
      if (isEqual(texts, this.#texts)) return;
      this.#server.setSecureContext(texts.context);
      this.#texts = texts;
      logger.info({ expires: new Date(texts.expiresAt).toISOString() }, 'using the changed TLS files');
    } catch (thrown) {
      this.#failedReads++;
      const { message } = tailraceErrorFrom(thrown);
      if (message === this.#readError) return;
      this.#readError = message;
      logger.error({ reason: message }, 'cannot use the changed TLS files; the former ones stay in use');
    }
  }
}

/** Identifies a connection of the port. The socket of the handshake and the one with TLS have the same. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function isEqual({ context: a }: ServerTlsTexts, { context: b }: ServerTlsTexts): boolean {
  return a.cert === b.cert && a.key === b.key && a.ca === b.ca;
}
