import { readFile } from 'node:fs/promises';
import {
  type Authenticator,
  credsAuthenticator,
  errors,
  headers,
  type NatsConnection,
  NatsConnectionImpl,
  nkeyAuthenticator,
  nuid,
  setTransportFactory,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { NodeTransport, nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';
import { type Clock, systemClock } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import type { Logger } from '@tailrace/platform/logger';
import { tlsErrorTextOf } from '@tailrace/platform/tls-error';
import type { BackoffOptions } from '@tailrace/protocol/backoff';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Bus } from './bus.ts';
import type { Connection, ConnectionEvents, Dial, MessageHeaders } from './connection.ts';
import { ConnectionBus } from './connection-bus.ts';
import { busLimits } from './limits.ts';

export interface NatsBusOptions {
  /**
   * `nats://host:port` or `host:port` each, tried in random order; without user or password. A name with several
   * addresses is tried on all of them.
   */
  servers: readonly string[];
  /** Of this node, for the server's list of connections and the logs. */
  name: string;
  credentials?: NatsCredentials;
  /** Absent: TLS where the server offers it, checked against the system's authorities. */
  tls?: NatsTls;
  logger: Logger;
  clock?: Clock;
  /** 0 to 1; for the jitter of reconnecting. */
  random?: () => number;
  /** For each attempt to connect to an address. Default 5,000 ms. */
  connectTimeoutMs?: number;
  /** The waits before a reconnect. Default: `baseMs` 100, `capMs` 2,000. */
  reconnectBackoff?: BackoffOptions;
  /** A connection whose server answers no ping for three intervals is closed. Default 2,000 ms. */
  pingIntervalMs?: number;
  /** Default 64 MiB, see `BusStats`. */
  pendingBytesMax?: number;
  /** How long `close` waits for what is queued. Default 2,000 ms. */
  closeTimeoutMs?: number;
}

/** Contents, not paths, except `file`: it is read at each connect, so that a renewed one takes effect. */
export type NatsCredentials =
  | { kind: 'password'; user: string; password: string }
  | { kind: 'token'; token: string }
  /** The seed of a user's nkey, `SU…`. */
  | { kind: 'nkey'; seed: string }
  /** A file as `nsc` writes it, with JWT and seed; or with the seed of an nkey alone. */
  | { kind: 'creds'; file: string };

/**
 * PEM texts, or files of them, read at each connect. The server's address must be a name of its certificate: the
 * library cannot check one for an IP address.
 */
export interface NatsTls {
  ca?: string;
  caFile?: string;
  cert?: string;
  certFile?: string;
  key?: string;
  keyFile?: string;
  /** The server is set to `handshake_first`. */
  handshakeFirst?: boolean;
}

/** Returns a Bus over core NATS, for servers of 2.9 or newer. Throws `invalid_config` for an invalid address. */
export function createNatsBus(options: NatsBusOptions): Bus {
  const { clock = systemClock, random = Math.random, logger, name } = options;
  assertServers(options.servers);
  return new ConnectionBus({
    name: nuid.next(),
    dial: createDial({ ...options, clock }),
    clock,
    random,
    logger: logger.child({ bus: 'nats', node: name }),
    reconnectBackoff: options.reconnectBackoff ?? { baseMs: 100, capMs: 2000 },
    pendingBytesMax: options.pendingBytesMax ?? busLimits.pendingBytesMax,
    closeTimeoutMs: options.closeTimeoutMs ?? 2000,
  });
}

function assertServers(servers: readonly string[]): void {
  if (servers.length === 0)
    throw new TailraceError('invalid_config', 'NATS servers: expected at least one, as nats://host:4222, got none');
  for (const server of servers) {
    // The message must not contain the password.
    if (server.includes('@'))
      throw new TailraceError(
        'invalid_config',
        'NATS server: expected nats://host:port, got an address with "@": set user and password as credentials',
      );
    if (!/^((nats|tls):\/\/)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(server)) {
      throw new TailraceError('invalid_config', `NATS server: expected nats://host:port, got ${shown(server)}`);
    }
  }
}

/**
 * The library's own transport, which also closes its socket at the timeout: else each attempt at an idle server would
 * leave one open.
 */
class BoundedTransport extends NodeTransport {
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(clock: Clock, timeoutMs: number) {
    super();
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  override async connect(...args: Parameters<NodeTransport['connect']>): Promise<void> {
    const connected = super.connect(...args);
    if ((await withinDeadline(this.#clock, this.#timeoutMs, () => connected)) === 'late') this.discard();
    await connected;
  }
}

function createDial(options: NatsBusOptions & { clock: Clock }): Dial {
  const addresses = options.servers.join(', ');
  return async (events) => {
    let connection: NatsConnection;
    const timeout = options.connectTimeoutMs ?? 5000;
    try {
      // Set each time: another user of the library in this process may have set another.
      setTransportFactory({
        factory: () => new BoundedTransport(options.clock, timeout),
        dnsResolveFn: nodeResolveHost,
      });
      connection = await NatsConnectionImpl.connect({
        servers: [...options.servers],
        name: options.name,
        authenticator: await authenticatorFrom(options.credentials),
        ...(options.tls === undefined ? {} : { tls: { ...options.tls } }),
        timeout,
        reconnect: false,
        ignoreClusterUpdates: true,
        pingInterval: options.pingIntervalMs ?? 2000,
        maxPingOut: 2,
        noAsyncTraces: true,
      });
    } catch (error) {
      throw dialError(addresses, error, options.tls !== undefined);
    }
    return createConnection(connection, events, options);
  };
}

async function authenticatorFrom(credentials: NatsCredentials | undefined): Promise<Authenticator[]> {
  const bytes = new TextEncoder();
  switch (credentials?.kind) {
    case undefined:
      return [];
    case 'password':
      return [usernamePasswordAuthenticator(credentials.user, credentials.password)];
    case 'token':
      return [tokenAuthenticator(credentials.token)];
    case 'nkey':
      return [checked(nkeyAuthenticator(bytes.encode(credentials.seed)), 'the nkey seed')];
    case 'creds':
      return [await fileAuthenticator(credentials.file)];
  }
}

async function fileAuthenticator(file: string): Promise<Authenticator> {
  const what = `the NATS creds file ${shown(file)} (natsCredentialsFile)`;
  const contents = await readFile(file).catch((error: Error) => {
    throw new TailraceError('invalid_config', `cannot read ${what}: ${error.message}`);
  });
  const seed = /^\s*(SU[A-Z2-7]+)\s*$/.exec(contents.toString('latin1'))?.[1];
  return checked(
    seed === undefined ? credsAuthenticator(contents) : nkeyAuthenticator(new TextEncoder().encode(seed)),
    what,
  );
}

/** Checks the seed here: in the library an invalid one is only a connection that fails. */
function checked(authenticator: Authenticator, what: string): Authenticator {
  try {
    authenticator('nonce');
  } catch (error) {
    throw new TailraceError('invalid_config', `${what} does not parse`, { cause: error });
  }
  return authenticator;
}

function dialError(addresses: string, error: unknown, overTls: boolean): TailraceError {
  if (error instanceof TailraceError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return new TailraceError(
      'unauthorized',
      `NATS at ${addresses} refuses these credentials (${reason}): check natsUsername and natsPassword, or natsCredentialsFile`,
      { cause: error },
    );
  }
  const noTls = 'it offers no TLS; set natsTls to false, or TLS on the server';
  // In TLS 1.3 the server checks the client's certificate after the client has completed the handshake: the reset of
  // the connection may overtake the alert.
  const resetReason =
    overTls && /ECONNRESET|EPIPE/.test(reason)
      ? `it closed the connection (${reason}); if it asks for certificates, check natsTlsCertFile and natsTlsKeyFile`
      : undefined;
  const tlsReason = reason.includes("does not support 'tls'") ? noTls : (tlsErrorTextOf(error, 'nats') ?? resetReason);
  if (tlsReason !== undefined)
    return new TailraceError('unavailable', `cannot reach NATS at ${addresses} over TLS: ${tlsReason}`, {
      cause: error,
    });
  return new TailraceError(
    'unavailable',
    `cannot reach NATS at ${addresses} (${reason}): check the address, and that nats-server runs there`,
    { cause: error },
  );
}

function createConnection(
  connection: NatsConnection,
  events: ConnectionEvents,
  options: NatsBusOptions & { clock: Clock },
): Connection {
  const { clock } = options;
  /** Rejects one pending flush each. */
  const pendingFlushes = new Set<(reason: Error) => void>();
  let isClosed = false;

  void watchStatus();
  void connection.closed().then((error) => {
    const reason =
      error instanceof Error ? error : new TailraceError('unavailable', 'the server closed the connection');
    // The library never settles a flush that was not answered.
    for (const reject of pendingFlushes) reject(reason);
    pendingFlushes.clear();
    if (isClosed) return;
    isClosed = true;
    events.onLost(reason);
  });

  async function watchStatus(): Promise<void> {
    for await (const status of connection.status()) {
      // The library itself would wait until the socket has taken what is queued, which a stopped server never does.
      if (status.type === 'staleConnection') void connection.close();
      if (
        status.type === 'error' &&
        status.error instanceof errors.PermissionViolationError &&
        status.error.operation === 'publish'
      ) {
        events.onRefusedPublish(status.error.subject, status.error);
      }
    }
  }

  function flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      pendingFlushes.add(reject);
      connection.flush().then(
        () => {
          pendingFlushes.delete(reject);
          resolve();
        },
        (error: Error) => {
          pendingFlushes.delete(reject);
          reject(error);
        },
      );
    });
  }

  return {
    address: connection.getServer(),
    payloadBytesMax: (connection.info?.max_payload ?? 0) - busLimits.headerBytesMax,
    inbox: `_INBOX.${nuid.next()}.`,
    publish(subject, payload, reply, fields) {
      if (connection.isClosed()) return;
      if (reply === undefined && fields === undefined) return connection.publish(subject, payload);
      connection.publish(subject, payload, {
        ...(reply === undefined ? {} : { reply }),
        ...(fields === undefined ? {} : { headers: headersFrom(fields) }),
      });
    },
    subscribe(subject, queue, onMessage, onRefused) {
      const subscription = connection.subscribe(subject, {
        ...(queue === undefined ? {} : { queue }),
        callback: (error, message) => (error === null ? onMessage(message) : onRefused(error)),
      });
      return () => {
        if (!connection.isClosed()) subscription.unsubscribe();
      };
    },
    flush,
    async close(withinMs) {
      isClosed = true;
      await withinDeadline(clock, withinMs, () => flush().catch(() => {}));
      await connection.close();
    },
  };
}

function headersFrom(fields: MessageHeaders) {
  const messageHeaders = headers();
  for (const [name, value] of Object.entries(fields)) messageHeaders.set(name, value);
  return messageHeaders;
}
