import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { command } from './kubectl.ts';

/** Cluster and options of the run, from the environment. */
export interface ClusterPlace {
  readonly namespace: string;
  /** Registry for the images. Empty: `load` puts them on the nodes. */
  readonly registry: string;
  /** Command that loads a docker archive into all nodes: `kind load image-archive`, `k3d image import`. */
  readonly load: string;
  /** Whether images are built first. Otherwise those of the engine are used. */
  readonly builds: boolean;
  readonly clients: number;
  /** Whether the namespaces are kept after the run. */
  readonly keeps: boolean;
}

export function placeFrom(env: NodeJS.ProcessEnv): ClusterPlace {
  const clients = Number(env['CLIENTS'] || '120');
  if (!Number.isInteger(clients) || clients < 20 || clients > 2_000 || clients % 2 !== 0) {
    throw new TailraceError(
      'invalid_config',
      `CLIENTS: expected an even number from 20 to 2000 (two watch each device), got ${env['CLIENTS']}`,
    );
  }
  return {
    namespace: env['NAMESPACE'] || 'tailrace-cluster-test',
    registry: (env['TAILRACE_IMAGE_REGISTRY'] ?? '').replace(/\/+$/, ''),
    load: env['TAILRACE_IMAGE_LOAD'] ?? '',
    builds: env['BUILD'] !== '0',
    clients,
    keeps: env['KEEP'] === '1',
  };
}

/** Returns why the suite cannot run here; undefined where it can. Checked before the run, not during it. */
export async function whyNotHere(place: ClusterPlace, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const check of [
    () => hasKubeconfig(env),
    () => answers('kubectl', ['version', '--client'], 'kubectl is needed'),
    () => answers('docker', ['info'], 'a Docker engine is needed to build the images'),
    () => answers('kubectl', ['get', '--raw', '/readyz'], 'the cluster does not answer'),
    () => hasWayForImages(place),
    hasNodes,
    () =>
      answers(
        'kubectl',
        ['get', '--raw', '/apis/metrics.k8s.io/v1beta1/nodes'],
        'metrics-server is needed for scaling by CPU',
      ),
  ]) {
    try {
      await check();
    } catch (error) {
      if (isTailraceError(error)) return error.message;
      throw error;
    }
  }
  return undefined;
}

async function hasKubeconfig(env: NodeJS.ProcessEnv): Promise<void> {
  const file = env['KUBECONFIG'] || join(homedir(), '.kube/config');
  try {
    await Promise.any(file.split(':').map((each) => access(each)));
  } catch (error) {
    const words = `no Kubernetes cluster: there is no ${file}. Set KUBECONFIG to that of a cluster for tests`;
    throw new TailraceError('not_found', words, { cause: error });
  }
}

async function answers(program: string, args: readonly string[], words: string): Promise<void> {
  try {
    await command(program, args, { deadlineMs: 15_000 });
  } catch (error) {
    throw new TailraceError('unavailable', `${words} (${(error as Error).message})`, { cause: error });
  }
}

async function hasWayForImages({ registry, load }: ClusterPlace): Promise<void> {
  if (registry !== '' || load !== '') return;
  const words =
    'the cluster cannot get the images: set TAILRACE_IMAGE_REGISTRY=host/folder to a registry that it pulls from, or TAILRACE_IMAGE_LOAD to a command that loads a docker archive, such as "kind load image-archive"';
  throw new TailraceError('invalid_config', words);
}

async function hasNodes(): Promise<void> {
  const { items } = JSON.parse(await command('kubectl', ['get', 'nodes', '-o', 'json'])) as {
    items: readonly unknown[];
  };
  if (items.length >= 2) return;
  throw new TailraceError(
    'unavailable',
    `the cluster has ${items.length} node: expected at least two, because one is drained`,
  );
}
