import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { TailraceError } from '@tailrace/protocol/error';
import type { ContainerRuntimeClient, StartedTestContainer } from 'testcontainers';
import type { Broker, BrokerOptions } from './broker.ts';
import { type Environment, missing } from './broker-source.ts';
import { findDockerEngine } from './docker-engine.ts';
import { freePort } from './free-port.ts';

/** Includes fetching the image. */
const startDeadlineMs = 180_000;
const answerDeadlineMs = 60_000;
const pollMs = 50;

export interface ContainerBrokerSpec {
  /** For messages. */
  name: string;
  options: BrokerOptions;
  env: Environment;
  image: string;
  /** In the container. */
  port: number;
  /** A line that it logs when it has started. */
  started: RegExp;
  /** Returns its environment variables. `address`: for clients. */
  variables(address: string): Record<string, string>;
  command?: readonly string[];
  /** Returns whether it serves; may reject if it does not. */
  answers(host: string, port: number): Promise<boolean>;
}

export interface ContainerBroker extends Broker {
  /** `host:port`. */
  readonly address: string;
}

/** What is used of testcontainers and of dockerode. */
interface Container {
  readonly engine: string;
  readonly host: string;
  readonly port: number;
  readonly started: StartedTestContainer;
  readonly raw: ReturnType<ContainerRuntimeClient['container']['getById']>;
}

/**
 * Starts a broker in a container, by testcontainers. Its host port is chosen before, because a broker advertises its
 * own address, and because the port must be the same after a restart. Rejects with `not_found` (see `missing`) if no
 * Docker engine responds or it cannot run the image.
 */
export async function startContainerBroker(spec: ContainerBrokerSpec): Promise<ContainerBroker> {
  const container = await startContainer(spec);
  const { raw, started } = container;
  let stopped: Promise<unknown> | undefined;
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    if (!(await raw.inspect()).State.Running) return;
    const exited = raw.wait();
    await raw.kill({ signal });
    await exited;
  };
  const broker: ContainerBroker = {
    source: 'testcontainers',
    address: `${container.host}:${container.port}`,
    pid: undefined,
    kill,
    async signal(signal) {
      await raw.kill({ signal });
    },
    async restart() {
      if (stopped)
        throw new TailraceError('closed', `${spec.name} was stopped and its container removed; start a new one`);
      await kill();
      await raw.start();
      await untilReady(spec, container);
    },
    async stop() {
      stopped ??= started.stop({ remove: true, removeVolumes: true, timeout: 0 });
      await stopped;
    },
  };
  try {
    await untilReady(spec, container);
  } catch (error) {
    await broker.stop();
    throw error;
  }
  return broker;
}

async function startContainer(spec: ContainerBrokerSpec): Promise<Container> {
  const engine = await findDockerEngine(spec.env);
  // Loaded only here: it is large, and most runs never need it.
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers');
  const port = spec.options.port ?? (await freePort());
  try {
    const client = await getContainerRuntimeClient();
    const host = client.info.containerRuntime.host;
    const description = new GenericContainer(spec.image)
      .withExposedPorts({ container: spec.port, host: port })
      .withEnvironment(spec.variables(`${host}:${port}`))
      .withWaitStrategy(Wait.forLogMessage(spec.started))
      .withStartupTimeout(startDeadlineMs);
    if (spec.command) description.withCommand([...spec.command]);
    const { log } = spec.options;
    if (log !== undefined) {
      description.withLogConsumer((stream) => stream.pipe(createWriteStream(log, { flags: 'a' })));
    }
    const started = await description.start();
    return { engine, host, port, started, raw: client.container.getById(started.getId()) };
  } catch (error) {
    throw missing(`the Docker engine at ${engine} does not run ${spec.image} (${(error as Error).message})`, error);
  }
}

async function untilReady(spec: ContainerBrokerSpec, { raw, host, port }: Container): Promise<void> {
  const giveUpAt = performance.now() + answerDeadlineMs;
  while (!(await spec.answers(host, port).catch(() => false))) {
    const isRunning = (await raw.inspect()).State.Running;
    if (isRunning && performance.now() < giveUpAt) {
      await sleep(pollMs);
      continue;
    }
    const log = (await raw.logs({ stdout: true, stderr: true, tail: 20 })).toString('utf8');
    const what = isRunning
      ? `does not answer on ${host}:${port} within ${answerDeadlineMs} ms`
      : 'exited while starting';
    throw new TailraceError(
      isRunning ? 'timeout' : 'internal',
      `${spec.name} in ${spec.image} ${what}. The last lines of its log:\n${log}`,
    );
  }
}
