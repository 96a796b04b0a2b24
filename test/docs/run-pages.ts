import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '@tailrace/testkit/free-port';
import { run } from '@tailrace/testkit/run';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { freePortBase } from '../ports.ts';
import type { Setting } from './blocks.ts';
import { blocksFor, copyOfTheTree } from './pages.ts';
import { Terminals } from './terminals.ts';

/**
 * Runs the blocks of a setting in order, in a copy of the tree. Resolves with the number of blocks, rejects with the
 * `BlockError` of the first that fails. Removes everything that they created.
 */
export async function runPages(setting: Setting, print: (line: string) => void): Promise<number> {
  const temp = await createTempDir(`docs-${setting}`);
  const tree = join(temp.path, 'tailrace');
  const env = await environments[setting](temp.path);
  const terminals = new Terminals({ cwd: tree, env, scratch: temp.path });
  const blocks = blocksFor(setting);
  const interrupt = () => void terminals.ctrlC();
  process.once('SIGINT', interrupt);
  try {
    copyOfTheTree(tree);
    for (const { block, directive } of blocks) {
      const startMs = performance.now();
      await terminals.run(block, directive);
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      print(`ok  ${block.page}:${block.line}  ${seconds} s  ${block.text.trim().split('\n')[0]}`);
    }
    return blocks.length;
  } finally {
    process.removeListener('SIGINT', interrupt);
    await terminals.ctrlC();
    await cleanUps[setting]?.(env, tree).catch((thrown: unknown) => print(`cleaning up: ${String(thrown)}`));
    await temp.remove();
  }
}

/**
 * The environment of the commands: only variables for programs and caches are inherited. Ports and names are free ones.
 */
const environments: Record<Setting, (scratch: string) => Promise<NodeJS.ProcessEnv>> = {
  async laptop() {
    return { ...inherited(), PORT_BASE: String(await freePortBase()) };
  },
  async compose() {
    const [dashboard, streams, ingest, mqtt, broker, first, second] = (await freePorts(7)).map(String);
    return {
      ...inherited(),
      COMPOSE_PROJECT_NAME: `docs-${process.pid}`,
      TAILRACE_NETWORK: `10.${100 + (process.pid % 100)}.${process.pid % 250}`,
      TAILRACE_DASHBOARD_PORT: dashboard,
      TAILRACE_STREAMS_PORT: streams,
      TAILRACE_INGEST_PORT: ingest,
      TAILRACE_MQTT_PORT: mqtt,
      TAILRACE_BROKER_PORT: broker,
      TAILRACE_FANOUT_0_PORT: first,
      TAILRACE_FANOUT_1_PORT: second,
    };
  },
  async cluster(scratch) {
    const { KUBECONFIG } = process.env;
    if (KUBECONFIG === undefined || !existsSync(KUBECONFIG)) {
      throw new TypeError(
        `KUBECONFIG: expected the file of a cluster to run the commands on, got ${KUBECONFIG ?? 'none'}`,
      );
    }
    // A copy: commands may change it, such as its default namespace.
    copyFileSync(KUBECONFIG, join(scratch, 'kubeconfig'));
    return {
      ...inherited(),
      KUBECONFIG: join(scratch, 'kubeconfig'),
      NAMESPACE: `docs-${process.pid}`,
      PORT_BASE: String(await freePortBase()),
    };
  },
};

const kept =
  /^(PATH|HOME|USER|LANG|LC_\w+|TERM|TMPDIR|DOCKER_\w+|TESTCONTAINERS_\w+|XDG_\w+|TAILRACE_(CACHE|TEST_\w+)|GO\w+|npm_config_\w+|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|K8S_HOME|NODE_EXTRA_CA_CERTS|SSL_CERT_\w+)$/i;

function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.test(name)));
}

const cleanUps: Partial<Record<Setting, (env: NodeJS.ProcessEnv, tree: string) => Promise<unknown>>> = {
  compose: (env, tree) => run('make', ['compose-down'], { env, cwd: tree, deadlineMs: 120_000 }),
  cluster: (env) =>
    run('kubectl', ['delete', 'namespace', env['NAMESPACE']!, '--ignore-not-found', '--wait'], {
      env,
      deadlineMs: 180_000,
    }),
};
