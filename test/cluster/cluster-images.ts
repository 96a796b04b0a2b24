import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createTempDir } from '@tailrace/testkit/tempdir';
import type { ClusterPlace } from './cluster-place.ts';
import { command } from './kubectl.ts';

const root = resolve(import.meta.dirname, '../..');
const buildDeadlineMs = 900_000;
const loadDeadlineMs = 300_000;

export interface ClusterImages {
  readonly version: string;
  /** Image of devices and clients. */
  readonly clients: string;
}

/**
 * Builds the images of the services and of the test's clients, and makes them available to the cluster; without a
 * registry those of the brokers too.
 */
export async function createClusterImages(place: ClusterPlace): Promise<ClusterImages> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  if (place.builds) await command(process.execPath, [join(root, 'scripts/images.ts')], { deadlineMs: buildDeadlineMs });
  const clients = `tailrace/test-clients:${version}`;
  await command('docker', ['build', '-q', '-f', join(root, 'test/cluster/Dockerfile'), '-t', clients, root], {
    deadlineMs: buildDeadlineMs,
  });
  const listed = await command('docker', [
    'images',
    '--format',
    '{{.Repository}}:{{.Tag}}',
    '--filter',
    `reference=tailrace/*:${version}`,
  ]);
  const built = listed.split('\n').filter((name) => name !== '');
  if (place.registry === '') {
    await load(place, [...built, ...(await brokerImages())]);
    return { version, clients };
  }
  for (const name of built) {
    const pushed = `${place.registry}/${name}`;
    await command('docker', ['tag', name, pushed]);
    await command('docker', ['push', '-q', pushed], { deadlineMs: loadDeadlineMs });
  }
  return { version, clients: `${place.registry}/${clients}` };
}

/** Returns the images in the manifests of the brokers. */
export async function brokerImages(): Promise<string[]> {
  const folder = join(root, 'deploy/test-brokers');
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml'));
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return texts.flatMap((text) => [...text.matchAll(/^ +image: (\S+)$/gm)].map(([, image]) => image!));
}

/** Loads all images as one archive, which has shared layers once. */
async function load({ load }: ClusterPlace, images: readonly string[]): Promise<void> {
  const dir = await createTempDir('images');
  try {
    const archive = join(dir.path, 'images.tar');
    await command('docker', ['save', '-o', archive, ...images], { deadlineMs: loadDeadlineMs });
    await command('sh', ['-c', `${load} "$0"`, archive], { deadlineMs: loadDeadlineMs });
  } finally {
    await dir.remove();
  }
}
