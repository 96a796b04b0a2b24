import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exists, withFileLock } from '@tailrace/testkit/cache';
import { assertEngine, buildImage, docker } from '../../scripts/image/build.ts';
import { projectRoot } from '../../scripts/services.ts';
import { projectVersion } from '../../scripts/version-places.ts';

/**
 * Images of services for the test files of one run: each is built once, however many files use it. The parent process
 * of all files is the runner, whose pid names the images. The last file that uses them removes them.
 */
export class TestImages {
  /** Of all images, as `TAILRACE_IMAGES` of deploy/compose.yaml. */
  readonly prefix = `tailrace-test-${process.ppid}`;
  readonly #folder = join(tmpdir(), this.prefix);
  readonly #lock = `${this.#folder}.lock`;
  readonly #user = `user-${process.pid}`;

  /** Returns the name and tag of an image. */
  nameOf(service: string): string {
    return `${this.prefix}/${service}:${projectVersion(projectRoot)}`;
  }

  /** Builds those of the services that no other file has built. Rejects without a Docker engine. */
  async use(services: readonly string[]): Promise<void> {
    await assertEngine(process.env);
    await withFileLock(this.#lock, async () => {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(join(this.#folder, this.#user), '');
      const built = new Set(await readdir(this.#folder));
      for (const service of services) {
        if (built.has(service)) continue;
        await buildImage({ service, image: this.nameOf(service), env: process.env });
        await writeFile(join(this.#folder, service), '');
      }
    });
  }

  /** Removes all images if no other file uses them. No effect without `use`. */
  async release(): Promise<void> {
    if (!(await exists(join(this.#folder, this.#user)))) return;
    await withFileLock(this.#lock, async () => {
      await rm(join(this.#folder, this.#user));
      const left = await readdir(this.#folder);
      if (left.some((name) => name.startsWith('user-'))) return;
      await rm(this.#folder, { recursive: true });
      if (left.length > 0) await docker(['image', 'rm', '-f', ...left.map((service) => this.nameOf(service))]);
    });
  }
}
