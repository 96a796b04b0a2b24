import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TailraceError } from '@tailrace/protocol/error';
import { type Broker, type BrokerOptions, externalBroker } from './broker.ts';
import { brokerSourcesFrom, type Environment, firstAvailable, missing } from './broker-source.ts';
import { startContainerBroker } from './container-broker.ts';
import { startLocalBroker } from './local-broker.ts';
import { mqttAccepts, mqttAddressFrom } from './mqtt-handshake.ts';
import { startSupervised } from './supervised.ts';
import { findTool } from './tool.ts';

/** A Mosquitto to test with. Any client may connect. */
export interface Mosquitto extends Broker {
  readonly host: string;
  readonly port: number;
  /** A second port, for a listener of `settings`. The same as `port` if it is not a local process. */
  readonly secondPort: number;
}

export interface MosquittoOptions extends BrokerOptions {
  /** Further lines of mosquitto.conf, for a local process alone; a listener at their end may take the second port. */
  settings?: (secondPort: number) => readonly string[];
}

/** Its configuration accepts any client. */
const officialImage = 'eclipse-mosquitto:2';
const imageSettings = '/mosquitto-no-auth.conf';
const answerDeadlineMs = 5000;

const advice = `To have one: mosquitto on the PATH: make tools installs it
(Debian: apt install mosquitto; macOS: brew install mosquitto);
or a Docker engine that answers; or TAILRACE_TEST_MOSQUITTO=mqtt://host:port of one that runs.`;

/**
 * Returns a Mosquitto of the first source that has one (see `brokerSourcesFrom`). It exits with this process in any
 * case. Errors: `unavailable` with what each source lacks and what to install; `invalid_config` for an invalid
 * variable; `internal` and `timeout` with the last lines of its log if it does not start.
 */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const env = options.env ?? process.env;
  const attempts = {
    environment: () => useMosquittoOf(options, env),
    local: () => startLocalMosquitto(options, env),
    testcontainers: () => startContainerMosquitto(options, env),
  };
  return await firstAvailable('Mosquitto', brokerSourcesFrom(env), attempts, advice);
}

async function useMosquittoOf(options: MosquittoOptions, env: Environment): Promise<Mosquitto> {
  const value = env['TAILRACE_TEST_MOSQUITTO'];
  if (!value) throw missing('TAILRACE_TEST_MOSQUITTO is not set');
  assertNoSettings(options);
  const { host, port } = mqttAddressFrom(value, 'TAILRACE_TEST_MOSQUITTO');
  try {
    await mqttAccepts(host, port, answerDeadlineMs);
  } catch (error) {
    throw new TailraceError(
      'unavailable',
      `TAILRACE_TEST_MOSQUITTO names ${host}:${port}, which does not serve: ${(error as Error).message}. Start that server, or unset the variable.`,
      { cause: error },
    );
  }
  return { ...externalBroker('Mosquitto', 'TAILRACE_TEST_MOSQUITTO'), host, port, secondPort: port };
}

async function startLocalMosquitto(options: MosquittoOptions, env: Environment): Promise<Mosquitto> {
  const command = await findTool('mosquitto', env);
  const broker = await startLocalBroker({
    name: 'Mosquitto',
    options,
    portCount: 2,
    startDeadlineMs: 20_000,
    stopDeadlineMs: 5000,
    started: /mosquitto version \S+ running/,
    answers: async (port) => {
      await mqttAccepts('127.0.0.1', port, 1000);
      return true;
    },
    async launch({ ports: [port, secondPort], dataDir, tempDir, logFile }) {
      const file = join(tempDir, 'mosquitto.conf');
      const lines = [
        'allow_anonymous true',
        'log_dest stderr',
        'persistence true',
        `persistence_location ${dataDir}/`,
        // As root it would become another user, who may not write to the folder.
        ...(process.getuid?.() === 0 ? ['user root'] : []),
        `listener ${port} 127.0.0.1`,
        ...(options.settings?.(secondPort!) ?? []),
      ];
      await writeFile(file, `${lines.join('\n')}\n`);
      return startSupervised({
        command,
        args: ['-c', file],
        env,
        output: { file: logFile },
        removeIfOrphaned: tempDir,
      });
    },
  });
  return Object.assign(broker, { host: '127.0.0.1', secondPort: broker.ports[1]! });
}

/** `TAILRACE_TEST_MOSQUITTO_IMAGE` names another image. */
async function startContainerMosquitto(options: MosquittoOptions, env: Environment): Promise<Mosquitto> {
  assertNoSettings(options);
  const broker = await startContainerBroker({
    name: 'Mosquitto',
    options,
    env,
    image: env['TAILRACE_TEST_MOSQUITTO_IMAGE'] || officialImage,
    port: 1883,
    started: /mosquitto version \S+ running/,
    variables: () => ({}),
    command: ['mosquitto', '-c', imageSettings],
    answers: async (host, port) => {
      await mqttAccepts(host, port, answerDeadlineMs);
      return true;
    },
  });
  const { host, port } = mqttAddressFrom(`mqtt://${broker.address}`, 'address');
  return Object.assign(broker, { host, port, secondPort: port });
}

function assertNoSettings({ settings }: MosquittoOptions): void {
  if (settings !== undefined) throw missing('only a local process has further settings');
}
