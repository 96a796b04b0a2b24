import { randomUUID } from 'node:crypto';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { type Broker, externalBroker } from './broker.ts';
import { brokerSourcesFrom, type Environment, firstAvailable, missing } from './broker-source.ts';
import { startContainerBroker } from './container-broker.ts';
import { acceptsStatements, type PostgresAddress, postgresUrl, runStatement } from './postgres-handshake.ts';
import { initialUser, type PostgresOptions, settingArguments, startLocalPostgres } from './postgres-local.ts';

export type { PostgresOptions } from './postgres-local.ts';

/** A PostgreSQL server to test with. */
export interface PostgresServer extends Broker {
  /** `postgres://user:password@host:port/database` of an administrator. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Creates an empty database, and resolves with its URL. `stop` removes those on a server of the environment. */
  createDatabase(): Promise<string>;
  /** Resolves with the URL of the database of that name (letters, digits, _), created if it is missing. It stays. */
  databaseNamed(name: string): Promise<string>;
}

const officialImage = 'postgres:17';
const statementDeadlineMs = 20_000;
const containerPassword = 'tailrace';

const advice = `To have one: PostgreSQL 15 or newer: make tools installs it
(Debian: apt install postgresql; macOS: brew install postgresql@17);
or a Docker engine that answers; or TAILRACE_TEST_POSTGRES=postgres://user:password@host:port/database of one that runs.`;

/**
 * Returns a PostgreSQL of the first source that has one (see `brokerSourcesFrom`). It exits with this process in any
 * case. Errors: `unavailable` with what each source lacks and what to install; `invalid_config` for an invalid
 * variable; `internal` and `timeout` with the last lines of its log if it does not start.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const env = options.env ?? process.env;
  const attempts = {
    environment: () => usePostgresOf(env),
    local: async () => serverFrom(await startLocalPostgres(options, env)),
    testcontainers: () => startContainerPostgres(options, env),
  };
  return await firstAvailable('PostgreSQL', brokerSourcesFrom(env), attempts, advice);
}

/** `TAILRACE_TEST_POSTGRES=postgres://…`, of a user who may create databases. Messages never show the password. */
async function usePostgresOf(env: Environment): Promise<PostgresServer> {
  const value = env['TAILRACE_TEST_POSTGRES'];
  if (!value) throw missing('TAILRACE_TEST_POSTGRES is not set');
  const address = postgresAddressFrom(value, 'TAILRACE_TEST_POSTGRES');
  try {
    await acceptsStatements(address, statementDeadlineMs);
  } catch (error) {
    throw new TailraceError(
      'unavailable',
      `TAILRACE_TEST_POSTGRES names ${address.host}:${address.port}, which does not serve: ${(error as Error).message}. Start that server, or unset the variable.`,
      { cause: error },
    );
  }
  return serverFrom({ ...externalBroker('PostgreSQL', 'TAILRACE_TEST_POSTGRES'), address });
}

/**
 * `TAILRACE_TEST_POSTGRES_IMAGE` names another image with the variables of the official one, such as
 * `timescale/timescaledb:2.19.3-pg17`.
 */
async function startContainerPostgres(options: PostgresOptions, env: Environment): Promise<PostgresServer> {
  const addressOn = (host: string, port: number): PostgresAddress => ({
    ...{ host, port, user: initialUser, password: containerPassword, database: initialUser },
  });
  const broker = await startContainerBroker({
    name: 'PostgreSQL',
    options,
    env,
    image: env['TAILRACE_TEST_POSTGRES_IMAGE'] || officialImage,
    port: 5432,
    // The image starts it twice: at first without a port, to create the user.
    started: /database system is ready to accept connections/,
    variables: () => ({ POSTGRES_PASSWORD: containerPassword }),
    command: ['postgres', ...settingArguments(options)],
    answers: (host, port) => acceptsStatements(addressOn(host, port), statementDeadlineMs),
  });
  const url = new URL(`postgres://${broker.address}`);
  return serverFrom(Object.assign(broker, { address: addressOn(url.hostname, Number(url.port)) }));
}

function serverFrom(broker: Broker & { readonly address: PostgresAddress }): PostgresServer {
  const { address } = broker;
  const url = postgresUrl(address);
  const created: string[] = [];
  return {
    source: broker.source,
    get pid() {
      return broker.pid;
    },
    url,
    host: address.host,
    port: address.port,
    kill: (signal) => broker.kill(signal),
    restart: () => broker.restart(),
    signal: (signal) => broker.signal(signal),
    async createDatabase() {
      const database = `tailrace_${randomUUID().replaceAll('-', '')}`;
      await runStatement(url, `CREATE DATABASE ${database}`, statementDeadlineMs);
      created.push(database);
      return postgresUrl({ ...address, database });
    },
    async databaseNamed(name) {
      await createIfMissing(url, name);
      return postgresUrl({ ...address, database: name });
    },
    async stop() {
      if (broker.source === 'environment')
        for (const database of created.splice(0))
          await runStatement(url, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`, statementDeadlineMs);
      await broker.stop();
    },
  };
}

/** PostgreSQL has no CREATE DATABASE IF NOT EXISTS. */
async function createIfMissing(url: string, name: string): Promise<void> {
  if (!/^[A-Za-z0-9_]{1,63}$/.test(name))
    throw new TailraceError('invalid_config', `database: expected letters, digits and _, got ${shown(name)}`);
  const found = `SELECT 1 FROM pg_database WHERE datname = '${name}'`;
  if ((await runStatement(url, found, statementDeadlineMs)) === 0)
    await runStatement(url, `CREATE DATABASE "${name}"`, statementDeadlineMs);
}

/** Throws `invalid_config` without the password in its message. */
export function postgresAddressFrom(text: string, variable: string): PostgresAddress {
  const url = URL.parse(text);
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '')
    throw new TailraceError(
      'invalid_config',
      `${variable}: expected an address such as postgres://user@127.0.0.1:5432/postgres, got ${shown(text.replace(/\/\/.*@/, '//…@'))}`,
    );
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username) || initialUser,
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || initialUser,
  };
}
