import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { projectRoot } from '../services.ts';
import { projectVersion } from '../version-places.ts';

const run = promisify(execFile);
const outputBytesMax = 64 * 1024 * 1024;
const outputLinesMax = 30;

export interface ImageOrder {
  readonly service: string;
  /** Name and tag. */
  readonly image: string;
  /**
   * May have UWS and BASE (see deploy/Dockerfile), SOURCE (address of the repository) and NPMRC (a file of npm's
   * settings that the build may read).
   */
  readonly env: NodeJS.ProcessEnv;
}

/** Builds one image by deploy/Dockerfile. Throws with the last lines that the engine printed. */
export async function buildImage({ service, image, env }: ImageOrder): Promise<void> {
  const values: Record<string, string> = {
    SERVICE: service,
    VERSION: projectVersion(projectRoot),
    REVISION: await revision(),
    SOURCE: env['SOURCE'] ?? '',
    UWS: env['UWS'] ?? '',
  };
  if (env['BASE']) values['BASE'] = env['BASE'];
  const args = Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  if (env['NPMRC']) args.push('--secret', `id=npmrc,src=${env['NPMRC']}`);
  await docker(
    ['buildx', 'build', '--progress=plain', '-f', 'deploy/Dockerfile', ...args, '--load', '--tag', image, '.'],
    env,
  );
}

/** Returns the size of all layers, unpacked, in bytes. */
export async function imageSize(image: string): Promise<number> {
  return Number(await docker(['image', 'inspect', '-f', '{{.Size}}', image]));
}

/** Throws where no image can be built, with how to install what is missing. */
export async function assertEngine(env: NodeJS.ProcessEnv): Promise<void> {
  for (const [args, lack] of [
    [
      ['version', '-f', '{{.Server.Version}}'],
      'no Docker engine answers: start one, or set DOCKER_HOST to its address',
    ],
    [['buildx', 'version'], 'docker has no buildx: install it (Debian: docker-buildx-plugin or docker-buildx)'],
  ] as const) {
    await docker(args, env).catch((error: Error) => {
      throw new Error(`${lack} (${error.message})`, { cause: error });
    });
  }
}

/** Returns what a docker command printed. Throws with the last lines of its errors. */
export async function docker(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  try {
    return (await run('docker', args, { cwd: projectRoot, env, maxBuffer: outputBytesMax })).stdout;
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    const printed = stderr.trim().split('\n').slice(-outputLinesMax).join('\n') || message;
    throw new Error(`docker ${args[0]}: ${printed}`, { cause: error });
  }
}

async function revision(): Promise<string> {
  const commit = await run('git', ['rev-parse', 'HEAD'], { cwd: projectRoot }).catch(() => ({ stdout: '' }));
  return commit.stdout.trim();
}
