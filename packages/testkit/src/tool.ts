import { access, chmod, constants, cp, glob } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { type Environment, missing } from './broker-source.ts';
import { cacheDirFrom, cached } from './cache.ts';
import { run, whyItFailed } from './run.ts';

/** Where a program of tests and load tests comes from. A line in `tools` adds one: `make tools` installs it. */
export interface ToolSource {
  /** Packages of Debian and Ubuntu; the first that the machine's release has is taken. */
  readonly apt?: readonly string[];
  /** Arguments of `brew install`. */
  readonly brew?: readonly string[];
  /** A command of npm that installs it where apt has none of the packages. */
  readonly npm?: readonly string[];
  /** The unit of systemd that the package of Debian starts, which tests have no use for. */
  readonly service?: string;
  /** Built by Go into the cache if the machine has none. */
  readonly go?: { readonly module: string; readonly version: string };
}

export const tools = {
  java: { apt: ['openjdk-17-jre-headless', 'openjdk-21-jre-headless', 'default-jre-headless'], brew: ['openjdk'] },
  mvn: { apt: ['maven'], brew: ['maven'] },
  'nats-server': {
    apt: ['nats-server'],
    brew: ['nats-server'],
    service: 'nats-server',
    go: { module: 'github.com/nats-io/nats-server/v2', version: 'v2.15.2' },
  },
  // Ubuntu has it as a snap only.
  chromium: {
    apt: ['chromium'],
    brew: ['--cask', 'google-chrome'],
    npm: ['playwright-core', 'install', '--with-deps', 'chromium'],
  },
  prometheus: { apt: ['prometheus'], brew: ['prometheus'], service: 'prometheus' },
  'prometheus-alertmanager': {
    apt: ['prometheus-alertmanager'],
    brew: ['alertmanager'],
    service: 'prometheus-alertmanager',
  },
  promtool: { apt: ['prometheus'], brew: ['prometheus'], service: 'prometheus' },
  nginx: { apt: ['nginx'], brew: ['nginx'], service: 'nginx' },
  haproxy: { apt: ['haproxy'], brew: ['haproxy'], service: 'haproxy' },
  mosquitto: { apt: ['mosquitto'], brew: ['mosquitto'], service: 'mosquitto' },
  mosquitto_pub: { apt: ['mosquitto-clients'], brew: ['mosquitto'] },
  // Its programs are not on the PATH of Debian: see findInstalled.
  postgres: { apt: ['postgresql'], brew: ['postgresql@17'], service: 'postgresql' },
  openssl: { apt: ['openssl'], brew: ['openssl'] },
  go: { apt: ['golang-go'], brew: ['go'] },
  // Needs the part that makes virtual environments; see findPython.
  python3: { apt: ['python3-venv'], brew: ['python'] },
  actionlint: { go: { module: 'github.com/rhysd/actionlint/cmd/actionlint', version: 'v1.7.12' } },
  helm: { go: { module: 'helm.sh/helm/v3/cmd/helm', version: 'v3.19.5' } },
  k6: { go: { module: 'go.k6.io/k6', version: 'v1.8.1' } },
  kubeconform: { go: { module: 'github.com/yannh/kubeconform/cmd/kubeconform', version: 'v0.8.0' } },
} as const satisfies Record<string, ToolSource>;

export type Tool = keyof typeof tools;

/** Where Debian puts servers, which is not on the PATH of every user who has the folder of its other programs there. */
const serverFolder = { beside: '/usr/bin', path: '/usr/sbin' };

/** Where Debian and Homebrew put each release of PostgreSQL. */
const postgresFolders = [
  '/usr/lib/postgresql/*/bin',
  '/opt/homebrew/opt/postgresql@*/bin',
  '/usr/local/opt/postgresql@*/bin',
];

/** k6 and Helm take one to three minutes on two cores. */
const buildDeadlineMs = 900_000;

/** Go fetches newer releases of itself since 1.21; an older one gets this release from the module proxy. */
const goRelease = '1.26.0';

/** Returns what a user runs to install a program, for messages. */
export function installAdvice(name: Tool): string {
  const { apt, brew }: ToolSource = tools[name];
  if (apt === undefined || brew === undefined) return 'make tools installs Go, which builds it';
  return `make tools installs it (Debian: apt install ${apt[0]}; macOS: brew install ${brew.join(' ')})`;
}

/**
 * Returns the path of a program: from the PATH, Go's own folder, or the cache; else builds it there by Go, once a
 * machine. Rejects with `not_found` (see `missing`) and what to install where it is not to be had.
 */
export async function findTool(name: Tool, env: Environment = process.env): Promise<string> {
  if (!Object.hasOwn(tools, name)) {
    throw new TailraceError(
      'invalid_config',
      `tool: expected one of ${Object.keys(tools).join(', ')}, got ${shown(name)}`,
    );
  }
  const installed = await findInstalled(name, env);
  if (installed !== undefined) return installed;
  const { go }: ToolSource = tools[name];
  if (go === undefined) throw missing(`no ${name} on the PATH. ${installAdvice(name)}`);
  const cacheDir = cacheDirFrom(env);
  const dir = await cached(cacheDir, `${name}-${go.version}`, async (unfinished) => {
    try {
      await run(await findGo(env), ['install', `${go.module}@${go.version}`], {
        env: { ...env, GOBIN: unfinished },
        deadlineMs: buildDeadlineMs,
      });
    } catch (error) {
      throw missing(
        `no ${name} on the PATH, in ${goFolder(env)} or in ${cacheDir}, and Go cannot build one (go: ${whyItFailed(error)})`,
        error,
      );
    }
  });
  return join(dir, name);
}

/**
 * Returns the path of a program on the PATH, in Debian's folder of servers, in that of Go or in one of PostgreSQL;
 * undefined where it is in none.
 */
export async function findInstalled(name: string, env: Environment = process.env): Promise<string | undefined> {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  if (folders.includes(serverFolder.beside)) folders.push(serverFolder.path);
  for (const folder of [...folders, goFolder(env)]) {
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  const releases: string[] = [];
  for await (const file of glob(postgresFolders.map((folder) => join(folder, name)))) releases.push(file);
  return releases.sort(byRelease).at(-1);
}

/** Returns a Go that can build all of `tools`: the machine's, or where that is too old, one in the cache. */
async function findGo(env: Environment): Promise<string> {
  const { stdout } = await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH', 'GOMODCACHE'], { env, deadlineMs: 20_000 });
  const [version = '', system, processor, modules = ''] = stdout.trim().split('\n');
  if (Number(/^go1\.(\d+)/.exec(version)?.[1] ?? 0) >= 21) return 'go';
  const dir = await cached(cacheDirFrom(env), `go-${goRelease}`, async (unfinished) => {
    const release = `golang.org/toolchain@v0.0.1-go${goRelease}.${system}-${processor}`;
    await run('go', ['mod', 'download', release], { env, deadlineMs: buildDeadlineMs });
    await cp(join(modules, release), unfinished, { recursive: true });
    // A Go before 1.21 takes it for a module like any other, whose files need no permission to run.
    for await (const file of glob(['bin/*', 'pkg/tool/*/*'], { cwd: unfinished }))
      await chmod(join(unfinished, file), 0o755);
  });
  return join(dir, 'bin', 'go');
}

function byRelease(a: string, b: string): number {
  const release = (file: string) => Number(/(\d+)\/bin\//.exec(file)?.[1] ?? 0);
  return release(a) - release(b);
}

function goFolder(env: Environment): string {
  return env['GOBIN'] || join(env['GOPATH'] || join(env['HOME'] || homedir(), 'go'), 'bin');
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
