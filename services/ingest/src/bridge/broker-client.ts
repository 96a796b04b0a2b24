import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import type { ClientHandlers, ClientSubscription, ClientWill } from '@tailrace/mqtt/client-options';
import { type ConnectOptions, connectWire } from '@tailrace/mqtt/net-wire';
import type { Wire, WireHandlers } from '@tailrace/mqtt/wire';
import type { Clock } from '@tailrace/platform/clock';
import type { BridgeSettings } from './bridge-settings.ts';
import { brokerAddressOf } from './bridges-file.ts';

export interface BrokerClientOptions {
  /** Address, version, TLS and credentials. */
  readonly broker: Pick<BridgeSettings, 'url' | 'version' | 'tls' | 'username' | 'passwordFile'>;
  /** The same after a restart, if the session is to be resumed. */
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly sessionExpiryMs: number;
  readonly receiveMaximum: number;
  readonly subscriptions: readonly ClientSubscription[];
  /** As `ClientOptions.isSubscribed`; of MQTT 3.1.1. A client of 5 subscribes at each connect. */
  readonly isSubscribed: boolean;
  readonly will?: ClientWill;
  /** Own messages without an acknowledgment. Default: 100. */
  readonly unackedMax?: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Default: over the network. */
  readonly dial?: (handlers: WireHandlers) => Wire;
}

/** A broker that is gone without a word is found within twice this time. */
const keepAliveSeconds = 15;
/** As a broker may send by default. A larger message is never sent to this client. */
export const packetBytesMax = 1_048_576;
const topicAliasMaximum = 32;
/** Shorter than the client's own, so that a broker that restarts is reached soon. */
const backoff = { baseMs: 500, capMs: 15_000 };

/**
 * Returns a client of the broker of a bridge, which has not started. The password and the files of TLS are read at each
 * connect, so that renewed ones are used; one that cannot be read is a failed attempt.
 */
export function createBrokerClient(options: BrokerClientOptions, handlers: ClientHandlers): ClientConnection {
  const { broker, clientId, cleanStart, sessionExpiryMs, receiveMaximum, subscriptions, isSubscribed } = options;
  const { will, unackedMax = 100, clock, random } = options;
  const { version, username, passwordFile } = broker;
  return new ClientConnection(
    {
      clock,
      random,
      dial: options.dial ?? ((wireHandlers) => connectWire(addressOf(broker), wireHandlers)),
      credentials: () => ({
        ...(username === undefined ? {} : { userName: username }),
        ...(passwordFile === undefined ? {} : { password: passwordFrom(passwordFile) }),
      }),
      version,
      clientId,
      cleanStart,
      sessionExpirySeconds: Math.ceil(sessionExpiryMs / 1_000),
      keepAliveSeconds,
      receiveMaximum,
      // Mosquitto 2.0.11 sends more after a reconnect; to close the connection would only repeat it.
      pausesAtReceiveMaximum: true,
      packetBytesMax,
      topicAliasMaximum,
      unackedMax,
      ...(will === undefined ? {} : { will }),
      subscriptions,
      isSubscribed,
      // In MQTT 3.1.1 each SUBSCRIBE brings the retained messages, and there are no shared subscriptions.
      subscribesAgain: version === 5,
      backoff,
      newExchangeId: randomUUID,
    },
    handlers,
  );
}

function addressOf({ url, tls }: Pick<BridgeSettings, 'url' | 'tls'>): ConnectOptions {
  const { host, port, isTls } = brokerAddressOf(url);
  if (!isTls) return { host, port };
  const { caFile, certFile, keyFile, serverName } = tls;
  return {
    host,
    port,
    tls: {
      ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
      ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
      ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
      ...(serverName === undefined ? {} : { servername: serverName }),
    },
  };
}

/** Editors and `kubectl create secret --from-file` leave a line break at the end. */
function passwordFrom(path: string): Buffer {
  return Buffer.from(readFileSync(path, 'utf8').replace(/\r?\n$/, ''));
}
