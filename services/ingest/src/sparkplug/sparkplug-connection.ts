import type { ClientConnection } from '@tailrace/mqtt/client-connection';
import type { ClientHandlers, ClientSubscription, ClientWill } from '@tailrace/mqtt/client-options';
import { pauseReasons } from '@tailrace/mqtt/packet-connection';
import type { Logger } from '@tailrace/platform/logger';
import type { OutboundMessage } from '@tailrace/sparkplug/outbound-message';
import { namespace, stateTopicOf } from '@tailrace/sparkplug/topic';
import type { SparkplugSettings } from '../bridge/sparkplug-settings.ts';
import type { SparkplugBroker } from './sparkplug-broker.ts';
import type { SparkplugHost } from './sparkplug-host.ts';

/** How long a stop waits for the acknowledgments of own messages and of those in progress. */
export const stopMs = 1_000;

/** What a host requests of its client, beside address and credentials. */
export interface SparkplugClientOptions {
  readonly clientId: string;
  /** The specification requires a clean session of a host (tck-id-message-flow-phid-sparkplug-clean-session-311). */
  readonly cleanStart: true;
  readonly sessionExpiryMs: 0;
  readonly subscriptions: readonly ClientSubscription[];
  readonly isSubscribed: false;
  readonly will?: ClientWill;
}

export interface SparkplugConnectionOptions {
  readonly name: string;
  readonly clientId: string;
  readonly settings: Pick<SparkplugSettings, 'role' | 'hostId' | 'groups'>;
  /** Returns a client that has not started. */
  readonly createClient: (options: SparkplugClientOptions, handlers: ClientHandlers) => ClientConnection;
  readonly host: (broker: SparkplugBroker) => SparkplugHost;
  /** The connection is open, or is not any more. */
  readonly onChange: () => void;
  readonly logger: Logger;
}

/**
 * The connection of a Sparkplug host to its broker, apart from that of the bridge: a host has a clean session, its own
 * will, and the messages of all edge nodes.
 */
export class SparkplugConnection implements SparkplugBroker {
  readonly host: SparkplugHost;
  readonly #options: SparkplugConnectionOptions;
  #client: ClientConnection | undefined;
  #hasWill = false;
  #isPaused = false;
  #isStopped = false;
  /** While an earlier client is being closed. */
  #closing: Promise<void> | undefined;

  constructor(options: SparkplugConnectionOptions) {
    this.#options = options;
    this.host = options.host(this);
  }

  start(): void {
    if (this.#isStopped || this.#client !== undefined) return;
    this.#client = this.#createClient();
    if (this.#isPaused) this.#client.pause(pauseReasons.bytes);
    this.#client.start();
  }

  /** Connects again if the will is to change: this node publishes the STATE of the host now, or does not any more. */
  refreshWill(): void {
    const client = this.#client;
    if (client === undefined || this.#hasWill === this.host.isStateHost || this.#closing !== undefined) return;
    this.#client = undefined;
    this.host.disconnected();
    this.#closing = client.stop({ drainMs: stopMs }).then(() => {
      this.#closing = undefined;
      this.start();
    });
    this.#options.onChange();
  }

  /** Publishes the death of the host, waits for what is in progress, and disconnects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.host.stop();
    this.#options.onChange();
    await Promise.all([this.#closing, this.#client?.stop({ drainMs: stopMs })]);
  }

  publish({ topic, payload, qos, retain }: OutboundMessage): boolean {
    try {
      return this.#client?.publish({ topic, payload, qos, retain }) !== undefined;
    } catch (error) {
      // The broker does not allow it, by size, QoS or retain.
      this.#options.logger.error({ bridge: this.#options.name, topic, error }, 'a Sparkplug message cannot be sent');
      return false;
    }
  }

  pause(): void {
    this.#isPaused = true;
    this.#client?.pause(pauseReasons.bytes);
  }

  resume(): void {
    this.#isPaused = false;
    this.#client?.resume(pauseReasons.bytes);
  }

  #createClient(): ClientConnection {
    const { name, clientId, settings, createClient, onChange, logger } = this.#options;
    const { host } = this;
    this.#hasWill = host.isStateHost;
    const client: ClientConnection = createClient(
      {
        clientId,
        cleanStart: true,
        sessionExpiryMs: 0,
        subscriptions: subscriptionsOf(settings),
        isSubscribed: false,
        ...(this.#hasWill ? { will: stateWill(host) } : {}),
      },
      {
        publish: (message) => host.receive(message, client),
        opened() {
          host.opened();
          // What these have sent since the last connection closed is not in the log.
          const facts = { bridge: name, role: settings.role, unconfirmedNodes: host.unconfirmed };
          logger.info(facts, 'receiving Sparkplug messages');
          onChange();
        },
        subscribed({ filter }, reason) {
          if (reason >= 0x80) logger.error({ bridge: name, filter, reason }, 'the broker refused a Sparkplug filter');
        },
        disconnected({ message, reason, retryInMs, isPermanent, cause }) {
          host.disconnected();
          onChange();
          if (retryInMs === undefined) return;
          const facts = { bridge: name, reason, retryInMs: Math.round(retryInMs), error: cause };
          const line = `the Sparkplug connection is not open: ${message}`;
          if (isPermanent) logger.error(facts, line);
          else logger.warn(facts, line);
        },
      },
    );
    return client;
  }
}

/** The will of each connect has its own time, so it is made when the client reads it. */
function stateWill(host: SparkplugHost): ClientWill {
  const { topic } = host.connecting()!;
  return {
    topic,
    get payload(): Buffer {
      return Buffer.from(host.connecting()!.payload);
    },
    qos: 1,
    retain: true,
  };
}

/**
 * Returns the filters of a host. Retained messages are requested: some nodes retain their births, and a host must
 * receive its own STATE (tck-id-host-topic-phid-birth-sub-required).
 */
function subscriptionsOf({ role, hostId, groups }: SparkplugConnectionOptions['settings']): ClientSubscription[] {
  const filters = groups.map((group) => `${namespace}/${group}/#`);
  if (role === 'primary') filters.unshift(stateTopicOf(hostId));
  return filters.map((filter) => ({ filter, qos: 1, retainHandling: 0 }));
}
