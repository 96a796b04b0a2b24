import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { shown, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Clock, Timer } from './clock.ts';
import { listenError } from './listen-error.ts';
import type { Logger } from './logger.ts';
import type { ServerTlsReader } from './server-tls-reader.ts';
import type { ServerTlsTexts } from './tls-files.ts';

/** Deadline of a handshake, ms. */
const handshakeMs = 10_000;
/** Handshakes in progress at once. A client completes one in milliseconds. */
export const handshakesMax = 1_024;
/** Refused certificates that are logged, until the revocation lists change. */
const loggedRefusalsMax = 1_000;
/** How often the files are checked, ms. */
export const tlsFilesCheckMs = 10_000;

export interface TlsListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The key of the setting of the port, for the error if it is in use. */
  readonly portSetting: string;
  readonly reader: ServerTlsReader;
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
  /** Connections closed because the certificate of the client was revoked, so far. */
  readonly revoked: number;
  /** When the certificate in use expires, epoch ms. Infinite without one. */
  readonly expiresAt: number;
  /** When the first of the revocation lists expires, epoch ms. Infinite without one. */
  readonly listsExpireAt: number;
}

/** The counts of a server without TLS. */
export const noHandshakes: HandshakeCounts = {
  pending: 0,
  failed: 0,
  evicted: 0,
  failedReads: 0,
  revoked: 0,
  expiresAt: Number.POSITIVE_INFINITY,
  listsExpireAt: Number.POSITIVE_INFINITY,
};

/**
 * A port with TLS 1.2 or newer, which passes on connections whose handshake is complete.
 *
 * - With `clientCa` of the files it requests a certificate of the client, and accepts a client without one, or with an
 *   invalid one: that client may use a token.
 * - With `clientCrl` a client with a revoked certificate is disconnected when its handshake is complete. (An
 *   invalid one may be another device's mistake; a revoked one is refused also beside a token.) While a list is not
 *   valid, no certificate of its authority is.
 * - The files are checked every 10 s. Changed ones apply to new connections; until they are valid the former ones
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
  #revoked = 0;
  /** Fingerprints of refused certificates that were logged. */
  readonly #loggedRefusals = new Set<string>();

  /** Throws `invalid_config` for files that cannot be used. */
  constructor(options: TlsListenerOptions) {
    this.#options = options;
    this.#texts = options.reader.read(options.clock.now());
    this.#logInvalidLists();
    this.#server = createServer({
      ...this.#texts.context,
      requestCert: options.reader.files.clientCa !== '',
      rejectUnauthorized: false,
      ALPNProtocols: [...(options.alpnProtocols ?? ['http/1.1'])],
      handshakeTimeout: handshakeMs,
      noDelay: true,
    });
    // First: the TLS socket takes the handle of this one.
    this.#server.prependListener('connection', (socket: Socket) => this.#start(socket));
    this.#server.on('secureConnection', (socket) => {
      this.#pending.delete(keyOf(socket));
      // Node.js has its code here, and declares an Error.
      if (String(socket.authorizationError) === 'CERT_REVOKED') this.#refuse(socket);
      else options.onConnection(socket);
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
      revoked: this.#revoked,
      expiresAt: this.#texts.expiresAt,
      listsExpireAt: this.#texts.listed.until,
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

  #refuse(socket: TLSSocket): void {
    this.#revoked++;
    const { subject, fingerprint256 } = socket.getPeerX509Certificate() ?? {};
    socket.destroy();
    if (fingerprint256 === undefined || this.#loggedRefusals.has(fingerprint256)) return;
    if (this.#loggedRefusals.size >= loggedRefusalsMax) return;
    this.#loggedRefusals.add(fingerprint256);
    const facts = { subject: shown(subject), fingerprint: fingerprint256.replaceAll(':', '').toLowerCase() };
    this.#options.logger.warn(facts, 'a client has presented a revoked certificate; its connections are closed');
  }

  /** An invalid list is no error of the file: devices with tokens go on, and the alert is about its expiry. */
  #logInvalidLists(): void {
    const { clock, logger } = this.#options;
    const { from, until } = this.#texts.listed;
    if (clock.now() >= from && clock.now() <= until) return;
    const facts = { from: new Date(from).toISOString(), until: dateTextOf(until) };
    logger.error(facts, 'a revocation list of tlsClientCrlFile is not valid now; no certificate of its authority is');
  }

  #readAgain(): void {
    const { reader, clock, logger } = this.#options;
    try {
      const texts = reader.read(clock.now());
      this.#readError = '';
      if (isEqual(texts, this.#texts)) return;
      // Session tickets of the former context are of no use in this one: a revoked certificate is not resumed.
      this.#server.setSecureContext(texts.context);
      this.#texts = texts;
      this.#loggedRefusals.clear();
      this.#logInvalidLists();
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
  return a.cert === b.cert && a.key === b.key && a.ca === b.ca && a.crl?.join('') === b.crl?.join('');
}

function dateTextOf(timeMs: number): string {
  return Number.isFinite(timeMs) ? new Date(timeMs).toISOString() : 'never';
}
