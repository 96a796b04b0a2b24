import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { freePorts } from '@tailrace/testkit/free-port';
import { docker } from '../../scripts/image/build.ts';
import { projectRoot } from '../../scripts/services.ts';

export const composeFile: string = join(projectRoot, 'deploy/compose.yaml');
const portNames = ['DASHBOARD', 'STREAMS', 'INGEST', 'MQTT', 'BROKER', 'CONTROL', 'FANOUT_0', 'FANOUT_1'] as const;
/** Attempts with another network where the first one is in use. */
const networksMax = 5;

/** deploy/compose.yaml under a name, ports and a network of its own, so that other stacks can run. */
export interface ComposeStack {
  readonly project: string;
  /** Ports on loopback, by name of TAILRACE_<name>_PORT. */
  readonly ports: Readonly<Record<(typeof portNames)[number], number>>;
  /** Runs `docker compose <args>`. Resolves with its output. */
  compose(...args: string[]): Promise<string>;
  /** Resolves with the container of a service. */
  containerOf(service: string): Promise<string>;
  up(): Promise<void>;
  /** Removes all that it created, including data. */
  down(): Promise<void>;
  /** Resolves with what is left of it: containers, networks, volumes. */
  leftovers(): Promise<string[]>;
}

export async function composeStack(settings: NodeJS.ProcessEnv): Promise<ComposeStack> {
  const project = `tailrace-test-${process.pid}`;
  const free = await freePorts(portNames.length);
  const ports = Object.fromEntries(portNames.map((name, index) => [name, free[index]!])) as ComposeStack['ports'];
  const env: NodeJS.ProcessEnv = { ...process.env, ...settings };
  for (const name of portNames) env[`TAILRACE_${name}_PORT`] = String(ports[name]);
  const compose = (...args: string[]) =>
    // Without deploy/.env, which has the secrets of an installation.
    docker(['compose', '--env-file', '/dev/null', '-p', project, '-f', composeFile, ...args], env);
  const listed = async (kind: string, ...args: string[]) =>
    (await docker([kind, 'ls', '-q', '--filter', `label=com.docker.compose.project=${project}`, ...args])).split('\n');
  return {
    project,
    ports,
    compose,
    containerOf: async (service) => (await compose('ps', '-q', service)).trim(),
    async up() {
      for (let tries = 1; ; tries++) {
        env['TAILRACE_NETWORK'] = `10.${randomInt(100, 250)}.${randomInt(1, 250)}`;
        const failed = await compose('up', '-d', '--wait', '--no-build').catch((error: Error) => error);
        if (typeof failed === 'string') return;
        if (tries === networksMax || !/overlap/.test(failed.message)) throw failed;
        await compose('down', '-v');
      }
    },
    async down() {
      await compose('--profile', '*', 'down', '-v', '--timeout', '15');
    },
    leftovers: async () =>
      (await Promise.all([listed('container', '-a'), listed('network'), listed('volume')]))
        .flat()
        .filter((id) => id !== ''),
  };
}
