import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { cacheDirFrom, cached } from './cache.ts';
import { type Environment, missing } from './ladder.ts';
import { startLocalBroker } from './localbroker.ts';
import type { NatsOptions, NatsServer } from './nats.ts';
import { natsServerInfo } from './natshandshake.ts';
import { run, whyItFailed } from './run.ts';
import { startSupervised } from './supervised.ts';

const natsVersion = 'v2.15.2';
const natsModule = 'github.com/nats-io/nats-server/v2';
const buildDeadlineMs = 600_000;

/** nats-server with JetStream as a process of this machine. `not_found` (see `missing`) where the program is not to be had. */
export async function startLocalNats(options: NatsOptions, env: Environment): Promise<NatsServer> {
  const command = await findNatsServer(env);
  const broker = await startLocalBroker({
    name: 'NATS',
    options,
    portCount: 1,
    startDeadlineMs: 20_000,
    stopDeadlineMs: 5000,
    started: /Server is ready/,
    answers: async (port) => (await natsServerInfo('127.0.0.1', port, 1000)).version !== '',
    launch: ({ ports: [port], dataDir, logFile, tempDir }) =>
      startSupervised({
        command,
        args: ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', dataDir, ...(options.args ?? [])],
        env,
        output: { file: logFile },
        removeIfOrphaned: tempDir,
      }),
  });
  return Object.assign(broker, { url: `nats://127.0.0.1:${broker.port}` });
}

/** From the PATH, Go's own folder, or the cache; else built there by Go. */
async function findNatsServer(env: Environment): Promise<string> {
  const cacheDir = cacheDirFrom(env);
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const goFolder = env['GOBIN'] || join(env['GOPATH'] || join(env['HOME'] || homedir(), 'go'), 'bin');
  for (const folder of [...folders, goFolder]) {
    const file = join(folder, 'nats-server');
    if (await isExecutable(file)) return file;
  }
  const name = `nats-server-${natsVersion}`;
  const dir = await cached(cacheDir, name, async (unfinished) => {
    try {
      await run('go', ['install', `${natsModule}@${natsVersion}`], {
        env: { ...env, GOBIN: unfinished },
        deadlineMs: buildDeadlineMs,
      });
    } catch (error) {
      throw missing(
        `no nats-server on the PATH, in ${goFolder} or in ${cacheDir}, and Go cannot build one (go: ${whyItFailed(error)})`,
        error,
      );
    }
  });
  return join(dir, 'nats-server');
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
