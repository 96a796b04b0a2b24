import { TailraceError } from '@tailrace/protocol/error';
import { externalBroker } from './broker.ts';
import { brokerSourcesFrom, type Environment, firstAvailable, missing } from './broker-source.ts';
import { startContainerBroker } from './container-broker.ts';
import { hostAndPortFrom, kafkaBrokerCount } from './kafka-handshake.ts';
import { type KafkaBroker, type KafkaOptions, startLocalKafka } from './kafka-local.ts';
import { kafkaSettings, kafkaVariablesFrom } from './kafka-settings.ts';

export type { KafkaBroker, KafkaOptions } from './kafka-local.ts';
export type { KafkaListener } from './kafka-settings.ts';

const officialImage = 'apache/kafka:4.1.1';
const answerDeadlineMs = 5000;

const advice = `To have one: a Docker engine that answers; or Java 17 and Maven: make tools installs them
(Debian: apt install openjdk-17-jre-headless maven; macOS: brew install openjdk maven);
or TAILRACE_TEST_KAFKA=host:port of one that runs.`;

/**
 * Returns a Kafka of the first source that has one (see `brokerSourcesFrom`): one broker with one replica of
 * everything; topics must be created. It exits with this process in any case. Errors: `unavailable` with what each
 * source lacks and what to install; `invalid_config` for an invalid variable; `internal` and `timeout` with the last
 * lines of Kafka's log if it does not start.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaBroker> {
  const env = options.env ?? process.env;
  // Listeners are set at the start of a broker.
  if (options.listeners !== undefined) return await firstAvailable('Kafka', ['local'], localOnly(options, env), advice);
  const attempts = {
    environment: () => useKafkaOf(env),
    local: () => startLocalKafka(options, env),
    testcontainers: () => startContainerKafka(options, env),
  };
  return await firstAvailable('Kafka', brokerSourcesFrom(env), attempts, advice);
}

function localOnly(options: KafkaOptions, env: Environment) {
  const never = async (): Promise<KafkaBroker> => {
    throw missing('listeners with TLS or authentication need a local Kafka');
  };
  return { environment: never, testcontainers: never, local: () => startLocalKafka(options, env) };
}

/** `TAILRACE_TEST_KAFKA=host:port[,host:port…]`: every address must respond as Kafka does. */
async function useKafkaOf(env: Environment): Promise<KafkaBroker> {
  const value = env['TAILRACE_TEST_KAFKA'];
  if (!value) throw missing('TAILRACE_TEST_KAFKA is not set');
  const brokers = value.split(',').map((address) => address.trim());
  for (const address of brokers) {
    const { host, port } = hostAndPortFrom(address, 'TAILRACE_TEST_KAFKA');
    try {
      if ((await kafkaBrokerCount(host, port, answerDeadlineMs)) === 0)
        throw new TailraceError('unavailable', 'it is still starting');
    } catch (error) {
      const why = (error as Error).message;
      throw new TailraceError(
        'unavailable',
        `TAILRACE_TEST_KAFKA names ${address}, which does not serve: ${why}. Start that broker, or unset the variable.`,
        { cause: error },
      );
    }
  }
  return { ...externalBroker('Kafka', 'TAILRACE_TEST_KAFKA'), brokers, listeners: {} };
}

/** `TAILRACE_TEST_KAFKA_IMAGE` names another image, which must take the variables of `apache/kafka`. */
async function startContainerKafka(options: KafkaOptions, env: Environment): Promise<KafkaBroker> {
  const broker = await startContainerBroker({
    name: 'Kafka',
    options,
    env,
    image: env['TAILRACE_TEST_KAFKA_IMAGE'] || officialImage,
    port: 9092,
    started: /Kafka Server started/,
    variables: (address) => kafkaVariablesFrom({ ...containerSettings(address), ...options.settings }),
    answers: async (host, port) => (await kafkaBrokerCount(host, port, answerDeadlineMs)) > 0,
  });
  return Object.assign(broker, { brokers: [broker.address], listeners: {} });
}

function containerSettings(address: string): Record<string, string | number> {
  return kafkaSettings({
    // The broker itself cannot use the address for clients outside the container.
    listeners: 'PLAINTEXT://:9092,INTERNAL://:9094,CONTROLLER://:9093',
    advertised: `PLAINTEXT://${address},INTERNAL://localhost:9094`,
    interBroker: 'INTERNAL',
    voters: '1@localhost:9093',
    dataDir: '/var/lib/kafka/data',
  });
}
