/**
 * `node scripts/images.ts fanout ingest --tag 1.2.3`: builds the images of these services, or of all without a name, as
 * `tailrace/<service>:<tag>`, and prints their sizes. Default of `--tag`: the version of the project; of `--prefix`:
 * `tailrace`. The environment may have UWS, BASE (see deploy/Dockerfile), SOURCE (URL of the repository) and NPMRC (a
 * file of npm's settings that the build may read).
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { assertEngine, buildImage, imageSize } from './image/build.ts';
import { projectRoot, serviceNames } from './services.ts';
import { projectVersion } from './version-places.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tag: { type: 'string', default: projectVersion(projectRoot) },
    prefix: { type: 'string', default: 'tailrace' },
  },
});
const known = serviceNames();
try {
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`service: expected one of ${known.join(', ')}, got ${unknown.join(', ')}`);
  await assertEngine(process.env);
  for (const service of positionals.length > 0 ? positionals : known) {
    const startedAt = performance.now();
    const image = `${values.prefix}/${service}:${values.tag}`;
    await buildImage({ service, image, env: process.env });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const megabytes = ((await imageSize(image)) / 1e6).toFixed(0);
    process.stdout.write(`${image.padEnd(40)} ${megabytes.padStart(5)} MB ${seconds.padStart(7)} s\n`);
  }
} catch (error) {
  process.stderr.write(`images: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
