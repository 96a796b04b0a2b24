import { mkdir, readdir, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isTailraceError } from '@tailrace/protocol/error';
import type { Broker, BrokerOptions } from './broker.ts';
import { type Environment, missing } from './broker-source.ts';
import { eventually } from './eventually.ts';
import { startLocalBroker } from './local-broker.ts';
import { acceptsStatements, type PostgresAddress } from './postgres-handshake.ts';
import { run, whyItFailed } from './run.ts';
import { startSupervised } from './supervised.ts';
import { findTool } from './tool.ts';

export interface PostgresOptions extends BrokerOptions {
  /** Settings of postgresql.conf, for a local process and a container. */
  settings?: Readonly<Record<string, string | number>>;
}

/** The user and the database of a new server. */
export const initialUser = 'postgres';

const initDeadlineMs = 60_000;
const answerDeadlineMs = 5_000;

/**
 * Fast, and still durable against kill -9: what the process has written stays in the memory of the system. Only a crash
 * of the machine would lose it.
 */
const fastSettings = { fsync: 'off', full_page_writes: 'off', max_connections: 100, shared_buffers: '32MB' };

/** Returns `-c name=value` for the settings of a test server and those of its options. */
export function settingArguments({ settings }: PostgresOptions): string[] {
  return Object.entries({ ...fastSettings, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Starts PostgreSQL as a local process. Rejects with `not_found` (see `missing`) if the program is missing. */
export async function startLocalPostgres(
  options: PostgresOptions,
  env: Environment,
): Promise<Broker & { readonly address: PostgresAddress }> {
  // Debian has links to its programs, while those beside each other are of one release.
  const programs = dirname(await realpath(await findTool('postgres', env)));
  const asUser = await otherUser(env);
  const broker = await startLocalBroker({
    name: 'PostgreSQL',
    options,
    portCount: 1,
    startDeadlineMs: 30_000,
    stopDeadlineMs: 10_000,
    // The fast shutdown, which waits for no client.
    stopSignal: 'SIGINT',
    started: /database system is ready to accept connections/,
    answers: (port) => acceptsStatements(addressOn(port), answerDeadlineMs),
    async launch({ ports: [port], dataDir, tempDir, logFile }) {
      await initialize(join(programs, 'initdb'), asUser, dataDir, env);
      const { path, command: inFolder } = folderFor(asUser, dataDir);
      const args = ['-D', path, '-h', '127.0.0.1', '-p', String(port), '-c', 'unix_socket_directories='];
      const [command, ...rest] = [...inFolder, join(programs, 'postgres'), ...args, ...settingArguments(options)];
      return startSupervised({
        command: command!,
        args: rest,
        env: { ...env },
        output: { file: logFile },
        removeIfOrphaned: tempDir,
      });
    },
  });
  return {
    ...broker,
    get pid() {
      return broker.pid;
    },
    address: addressOn(broker.port),
    // After a kill its sessions exit a moment later than the server, and until then the data is locked.
    async restart() {
      await eventually(() => isRestarted(broker.restart), { describe: 'PostgreSQL starts again' });
    },
  };
}

function addressOn(port: number): PostgresAddress {
  return { host: '127.0.0.1', port, user: initialUser, password: '', database: initialUser };
}

async function isRestarted(restart: () => Promise<void>): Promise<boolean> {
  try {
    await restart();
    return true;
  } catch (error) {
    if (isTailraceError(error) && /still in use|is another postmaster/.test(error.message)) return false;
    throw error;
  }
}

/**
 * Creates the data, unless the folder has it. `initdb` and `postgres` refuse root, who therefore runs them as another
 * user. The folder gets its data at the end, so that an interrupted creation leaves it empty.
 */
async function initialize(initdb: string, asUser: readonly string[], dataDir: string, env: Environment): Promise<void> {
  if ((await readdir(dataDir)).length > 0) return;
  const unfinished = `${dataDir}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  if (asUser.length > 0) await run('chown', [`${serverUser}:`, unfinished], { deadlineMs: 5_000 });
  const { path, command: inFolder } = folderFor(asUser, unfinished);
  const args = ['-D', path, '-U', initialUser, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  const [command, ...rest] = [...inFolder, initdb, ...args];
  try {
    await run(command!, rest, { env: { ...env }, deadlineMs: initDeadlineMs });
  } catch (error) {
    throw missing(`initdb fails (${whyItFailed(error)})`, error);
  }
  await rename(unfinished, dataDir);
}

/**
 * Returns the path of a folder and the start of a command in which it is valid. Another user may not pass the folders
 * above it, such as /root, and gets it as an open file instead.
 */
function folderFor(
  asUser: readonly string[],
  folder: string,
): { readonly path: string; readonly command: readonly string[] } {
  if (asUser.length === 0) return { path: folder, command: [] };
  return { path: '/proc/self/fd/9', command: ['/bin/sh', '-c', 'exec "$@" 9<"$0"', folder, ...asUser] };
}

/** Of Debian's package. */
const serverUser = 'postgres';

/** Returns the command that runs another one as the server's user; empty unless this process is root. */
async function otherUser(env: Environment): Promise<readonly string[]> {
  if (process.getuid?.() !== 0) return [];
  try {
    await run('id', ['-u', serverUser], { env: { ...env }, deadlineMs: 5_000 });
  } catch (error) {
    throw missing(`PostgreSQL refuses root, and there is no user ${serverUser}`, error);
  }
  // It replaces itself with the command, which so keeps the process ID.
  return ['setpriv', `--reuid=${serverUser}`, `--regid=${serverUser}`, '--init-groups'];
}
