import { TailraceError } from '@tailrace/protocol/error';
import { externalBroker } from './broker.ts';
import { brokerSourcesFrom, type Environment, firstAvailable, missing } from './broker-source.ts';
import { startContainerBroker } from './container-broker.ts';
import { natsAddressFrom, natsServerInfo } from './nats-handshake.ts';
import { type NatsOptions, type NatsServer, startLocalNats } from './nats-local.ts';

export type { NatsOptions, NatsServer } from './nats-local.ts';

const officialImage = 'nats:2.12';
const answerDeadlineMs = 5000;

const advice = `To have one: nats-server on the PATH, or Go, which builds it: make tools installs both
(Debian: apt install nats-server; macOS: brew install nats-server);
or a Docker engine that answers; or TAILRACE_TEST_NATS=nats://host:port of one that runs.`;

/**
 * Returns a NATS server of the first source that has one (see `brokerSourcesFrom`). It exits with this process in any
 * case. Errors: `unavailable` with what each source lacks and what to install; `invalid_config` for an invalid
 * variable; `internal` and `timeout` with the last lines of the server's log if it does not start.
 */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const env = options.env ?? process.env;
  const attempts = {
    environment: () => useNatsOf(env),
    local: () => startLocalNats(options, env),
    testcontainers: () => startContainerNats(options, env),
  };
  return await firstAvailable('NATS', brokerSourcesFrom(env), attempts, advice);
}

/** `TAILRACE_TEST_NATS=nats://[user:password@]host:port`. Messages never show the user. */
async function useNatsOf(env: Environment): Promise<NatsServer> {
  const value = env['TAILRACE_TEST_NATS'];
  if (!value) throw missing('TAILRACE_TEST_NATS is not set');
  const { host, port } = natsAddressFrom(value, 'TAILRACE_TEST_NATS');
  const advice = 'Start that server, or unset the variable.';
  try {
    await natsServerInfo(host, port, answerDeadlineMs);
  } catch (error) {
    const why = (error as Error).message;
    throw new TailraceError(
      'unavailable',
      `TAILRACE_TEST_NATS names ${host}:${port}, which does not serve: ${why}. ${advice}`,
      { cause: error },
    );
  }
  return { ...externalBroker('NATS', 'TAILRACE_TEST_NATS'), url: value };
}

/** `TAILRACE_TEST_NATS_IMAGE` names another image of nats-server. */
async function startContainerNats(options: NatsOptions, env: Environment): Promise<NatsServer> {
  const broker = await startContainerBroker({
    name: 'NATS',
    options,
    env,
    image: env['TAILRACE_TEST_NATS_IMAGE'] || officialImage,
    port: 4222,
    started: /Server is ready/,
    variables: () => ({}),
    command: [...(options.args ?? [])],
    answers: async (host, port) => (await natsServerInfo(host, port, answerDeadlineMs)).version !== '',
  });
  return Object.assign(broker, { url: `nats://${broker.address}` });
}
