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
  /** Of devices and clients. */
  readonly crowd: string;
}

/**
 * Builds the services' images and the crowd's, and makes them known to the cluster, the brokers' too where it is no
 * registry that it pulls from.
 */
export async function createClusterImages(place: ClusterPlace): Promise<ClusterImages> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  if (place.builds) await command(process.execPath, [join(root, 'scripts/images.ts')], { deadlineMs: buildDeadlineMs });
  const crowd = `tailrace/crowd:${version}`;
  await command('docker', ['build', '-q', '-f', join(root, 'test/cluster/Dockerfile'), '-t', crowd, root], {
    deadlineMs: buildDeadlineMs,
  });
  const listed = await command('docker', [
    'images',
    '--format',
    '{{.Repository}}:{{.Tag}}',
    '--filter',
    `reference=tailrace/*:${version}`,
  ]);
  const ours = listed.split('\n').filter((name) => name !== '');
  if (place.registry === '') {
    await load(place, [...ours, ...(await brokerImages())]);
    return { version, crowd };
  }
  for (const name of ours) {
    const there = `${place.registry}/${name}`;
    await command('docker', ['tag', name, there]);
    await command('docker', ['push', '-q', there], { deadlineMs: loadDeadlineMs });
  }
  return { version, crowd: `${place.registry}/${crowd}` };
}

/** As the manifests of the brokers name them. */
export async function brokerImages(): Promise<string[]> {
  const folder = join(root, 'deploy/test-brokers');
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml'));
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return texts.flatMap((text) => [...text.matchAll(/^ +image: (\S+)$/gm)].map(([, image]) => image!));
}

/** All in one archive: layers that they share are in it once. */
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
