export interface KafkaAddresses {
  listeners: string;
  advertised: string;
  /** Name of the listener for connections between brokers. */
  interBroker: string;
  voters: string;
  dataDir: string;
}

/**
 * Returns the settings of a one-process Kafka (KRaft) for tests and `make stack`.
 *
 * Differences from a production broker: everything has one replica; a group forms at once; a member may request a
 * session timeout of 1 s (services request 3); topics are not created automatically; little memory; and the session of
 * a killed broker expires after 2 s instead of 9, so that it can register again soon after a restart.
 */
export function kafkaSettings(addresses: KafkaAddresses): Record<string, string | number> {
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': addresses.voters,
    listeners: addresses.listeners,
    'advertised.listeners': addresses.advertised,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': addresses.interBroker,
    'log.dirs': addresses.dataDir,
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'offsets.topic.num.partitions': 3,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 3,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 3,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'broker.session.timeout.ms': 2000,
    'broker.heartbeat.interval.ms': 250,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'log.index.size.max.bytes': 1_048_576,
    'log.cleaner.dedupe.buffer.size': 8_388_608,
  };
}

/** A listener of the broker beside the plaintext one without authentication. */
export interface KafkaListener {
  /** In capitals. */
  readonly name: string;
  readonly protocol: 'SSL' | 'SASL_SSL' | 'SASL_PLAINTEXT';
  /** Of this listener alone, such as `ssl.client.auth`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Returns the settings of listeners, beside those of `kafkaSettings`. */
export function listenerSettings(listeners: readonly KafkaListener[]): Record<string, string> {
  if (listeners.length === 0) return {};
  const protocols = listeners.map(({ name, protocol }) => `,${name}:${protocol}`).join('');
  const own = listeners.flatMap(({ name, settings = {} }) =>
    Object.entries(settings).map(([key, value]) => [`listener.name.${name.toLowerCase()}.${key}`, value] as const),
  );
  return {
    'listener.security.protocol.map': `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${protocols}`,
    'sasl.enabled.mechanisms': 'SCRAM-SHA-512',
    ...Object.fromEntries(own),
  };
}

/** Returns the settings as text of `server.properties`. */
export function propertiesFrom(settings: Readonly<Record<string, string | number>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

/**
 * Returns variables of the `apache/kafka` image: `group.min.session.timeout.ms` → `KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS`.
 */
export function kafkaVariablesFrom(settings: Readonly<Record<string, string | number>>): Record<string, string> {
  const entries = Object.entries(settings).map(
    ([key, value]) => [`KAFKA_${key.replaceAll('.', '_').toUpperCase()}`, String(value)] as const,
  );
  return Object.fromEntries(entries);
}

/** Log4j's settings: warnings, and the lines of Kafka's start and stop, on stdout. */
export const log4jSettings = `Configuration:
  status: error
  Appenders:
    Console:
      name: STDOUT
      target: SYSTEM_OUT
      PatternLayout: { pattern: "%d{ISO8601} %p %m (%c{1})%n" }
  Loggers:
    Root: { level: WARN, AppenderRef: [ { ref: STDOUT } ] }
    Logger: [ { name: kafka.server.KafkaRaftServer, level: INFO } ]
`;
