import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { cacheDirFrom, cached } from './cache.ts';
import { type Environment, missing } from './ladder.ts';
import { run, whyItFailed } from './run.ts';

/** A program of others that tests and load tests run: built by Go where the machine lacks it, or installed by hand. */
type Source = { readonly goModule: string; readonly version: string } | { readonly install: string };

const sources = {
  actionlint: { goModule: 'github.com/rhysd/actionlint/cmd/actionlint', version: 'v1.7.12' },
  'nats-server': { goModule: 'github.com/nats-io/nats-server/v2', version: 'v2.15.2' },
  helm: { goModule: 'helm.sh/helm/v3/cmd/helm', version: 'v3.19.5' },
  k6: { goModule: 'go.k6.io/k6', version: 'v1.8.1' },
  kubeconform: { goModule: 'github.com/yannh/kubeconform/cmd/kubeconform', version: 'v0.8.0' },
  prometheus: { install: 'Debian: apt install prometheus; macOS: brew install prometheus' },
  nginx: { install: 'Debian: apt install nginx; macOS: brew install nginx' },
  haproxy: { install: 'Debian: apt install haproxy; macOS: brew install haproxy' },
  promtool: { install: 'Debian: apt install prometheus; macOS: brew install prometheus' },
} as const satisfies Record<string, Source>;

export type Tool = keyof typeof sources;

/** Where Debian puts servers, which is not on the PATH of every user who has the folder of its other programs there. */
const serverFolder = { beside: '/usr/bin', path: '/usr/sbin' };

/** k6 and Helm take one to three minutes on two cores. */
const buildDeadlineMs = 900_000;

/**
 * The path of a program: from the PATH, Go's own folder, or the cache; else built there by Go, once a machine. Rejects with `not_found` (see
 * `missing`) and what to install where it is not to be had.
 */
export async function findTool(name: Tool, env: Environment = process.env): Promise<string> {
  if (!Object.hasOwn(sources, name)) {
    throw new TailraceError(
      'invalid_config',
      `there is no tool ${shown(name)}; there are ${Object.keys(sources).join(', ')}`,
    );
  }
  const source: Source = sources[name];
  const goFolder = env['GOBIN'] || join(env['GOPATH'] || join(env['HOME'] || homedir(), 'go'), 'bin');
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  if (folders.includes(serverFolder.beside)) folders.push(serverFolder.path);
  for (const folder of [...folders, goFolder]) {
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  if ('install' in source) throw missing(`no ${name} on the PATH. ${source.install}`);
  const cacheDir = cacheDirFrom(env);
  const dir = await cached(cacheDir, `${name}-${source.version}`, async (unfinished) => {
    try {
      await run('go', ['install', `${source.goModule}@${source.version}`], {
        env: { ...env, GOBIN: unfinished },
        deadlineMs: buildDeadlineMs,
      });
    } catch (error) {
      throw missing(
        `no ${name} on the PATH, in ${goFolder} or in ${cacheDir}, and Go cannot build one (go: ${whyItFailed(error)})`,
        error,
      );
    }
  });
  return join(dir, name);
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
