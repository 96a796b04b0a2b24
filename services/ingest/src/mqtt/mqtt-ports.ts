import type { Socket } from 'node:net';
import { acceptSocket, closeSockets, listenMqtt, type MqttServer as TcpPort } from '@tailrace/mqtt/net-wire';
import type { Wire, WireHandlers } from '@tailrace/mqtt/wire';
import { addressFrom, addressKey } from '@tailrace/platform/client-address';
import { handshakeCertificate } from '@tailrace/platform/client-certificate';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { ServerTlsReader } from '@tailrace/platform/server-tls-reader';
import { type HandshakeCounts, noHandshakes, TlsListener } from '@tailrace/platform/tls-listener';
import { type IngestSettings, tlsReaderFrom } from '../config.ts';
import type { MqttRemote } from './mqtt-server.ts';

/** Takes a connection; undefined refuses it. */
export type AcceptMqtt = (wire: Wire, remote: MqttRemote) => WireHandlers | undefined;

/** The ports for MQTT. Adapters: TCP and TLS (`createMqttPorts`), and one in memory for tests. */
export interface MqttPorts {
  /** Resolves when it listens. Rejects with `address_in_use` and `invalid_config`. Called at most once. */
  listen(accept: AcceptMqtt): Promise<void>;
  /** 0 before `listen`, and without one. */
  readonly port: number;
  readonly tlsPort: number;
  readonly handshakes: HandshakeCounts;
  /** Accepts no new connections. */
  stopAccepting(): void;
  /** Closes the ports and all connections. Idempotent. */
  close(): void;
}

type PortSettings = Pick<
  IngestSettings,
  | 'host'
  | 'mqttPort'
  | 'mqttTlsPort'
  | 'mqttPlain'
  | 'tlsCertFile'
  | 'tlsKeyFile'
  | 'tlsClientCaFile'
  | 'tlsClientCrlFile'
>;

/**
 * Creates the ports of the settings: TCP with `mqttPlain`, TLS with `tlsCertFile`. Throws `invalid_config`.
 * `tlsReader`: of the files of the port with TLS; default: one for this port.
 */
export function createMqttPorts(
  config: PortSettings,
  clock: Clock,
  logger: Logger,
  tlsReader: ServerTlsReader | undefined = tlsReaderFrom(config),
): MqttPorts {
  return new NetPorts(config, clock, logger, tlsReader);
}

class NetPorts implements MqttPorts {
  port = 0;
  tlsPort = 0;
  readonly #config: PortSettings;
  readonly #logger: Logger;
  readonly #tls: TlsListener | undefined;
  readonly #secured = new Set<Socket>();
  #tcp: TcpPort | undefined;
  #accept: AcceptMqtt | undefined;

  constructor(config: PortSettings, clock: Clock, logger: Logger, tlsReader: ServerTlsReader | undefined) {
    this.#config = config;
    this.#logger = logger;
    const { host, mqttTlsPort: port } = config;
    if (tlsReader === undefined) return;
    this.#tls = new TlsListener({
      host,
      port,
      portSetting: 'mqttTlsPort',
      reader: tlsReader,
      alpnProtocols: ['mqtt'],
      clock,
      logger,
      onConnection: (socket) => acceptSocket(socket, this.#secured, (wire) => this.#open(wire, socket)),
    });
  }

  get handshakes(): HandshakeCounts {
    return this.#tls?.counts ?? noHandshakes;
  }

  async listen(accept: AcceptMqtt): Promise<void> {
    this.#accept = accept;
    const { host, mqttPort: port, mqttPlain } = this.#config;
    if (this.#tls !== undefined) this.tlsPort = await this.#tls.listen();
    if (!mqttPlain) return;
    this.#tcp = await listenMqtt({
      host,
      port,
      portSetting: 'mqttPort',
      accept: (wire, { address }) => accept(wire, { address: keyOf(address), certificate: undefined }),
    });
    this.port = this.#tcp.port;
    if (!isLoopback(host)) {
      const hint = 'use it in private networks alone, or set mqttPlain to false';
      this.#logger.warn({ host, port: this.port }, `MQTT without TLS: tokens can be read on the network; ${hint}`);
    }
  }

  stopAccepting(): void {
    this.#tcp?.stopAccepting();
    this.#tls?.close();
  }

  close(): void {
    void this.#tcp?.close();
    this.#tls?.close();
    closeSockets(this.#secured);
  }

  #open(wire: Wire, socket: Socket): WireHandlers | undefined {
    const address = keyOf(socket.remoteAddress ?? '');
    return this.#accept?.(wire, { address, certificate: handshakeCertificate(socket) ?? undefined });
  }
}

function keyOf(address: string): string {
  return addressKey(addressFrom(address) ?? address);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
