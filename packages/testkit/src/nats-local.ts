import type { Broker, BrokerOptions } from './broker.ts';
import type { Environment } from './broker-source.ts';
import { startLocalBroker } from './local-broker.ts';
import { natsServerInfo } from './nats-handshake.ts';
import { startSupervised } from './supervised.ts';
import { findTool } from './tool.ts';

/** A NATS server to test with. */
export interface NatsServer extends Broker {
  /** `nats://host:port`. */
  readonly url: string;
}

export interface NatsOptions extends BrokerOptions {
  /** More arguments of nats-server. Ignored for a server of the environment. */
  args?: readonly string[];
}

/** Starts nats-server as a local process. Rejects with `not_found` (see `missing`) if the program is missing. */
export async function startLocalNats(options: NatsOptions, env: Environment): Promise<NatsServer> {
  const command = await findTool('nats-server', env);
  const broker = await startLocalBroker({
    name: 'NATS',
    options,
    portCount: 1,
    startDeadlineMs: 20_000,
    stopDeadlineMs: 5000,
    started: /Server is ready/,
    answers: async (port) => (await natsServerInfo('127.0.0.1', port, 1000)).version !== '',
    launch: ({ ports: [port], logFile, tempDir }) =>
      startSupervised({
        command,
        args: ['-a', '127.0.0.1', '-p', String(port), ...(options.args ?? [])],
        env,
        output: { file: logFile },
        removeIfOrphaned: tempDir,
      }),
  });
  return Object.assign(broker, { url: `nats://127.0.0.1:${broker.port}` });
}
