import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Environment, missing } from './broker-source.ts';
import { cacheDirFrom, cached } from './cache.ts';
import { run, whyItFailed } from './run.ts';
import { findTool, installAdvice } from './tool.ts';

const installDeadlineMs = 300_000;

/**
 * Returns the path of a Python that can make virtual environments: Debian has that part in a package of its own.
 * Rejects with `not_found` (see `missing`) and what to install where there is none.
 */
export async function findPython(env: Environment = process.env): Promise<string> {
  const python = await findTool('python3', env);
  try {
    await run(python, ['-c', 'import ensurepip, venv'], { env, deadlineMs: 20_000 });
  } catch (error) {
    throw missing(`${python} has no venv (${whyItFailed(error)}). ${installAdvice('python3')}`, error);
  }
  return python;
}

/**
 * Returns the path of a Python with these packages, as in `pysparkplug==0.6.1`, installed by pip into the cache the
 * first time (about 15 s). Name exact versions, dependencies included: the cache keeps what was installed. Rejects with
 * `not_found` (see `missing`) where there is no Python, or pip cannot install them.
 */
export async function pythonWith(requirements: readonly string[], env: Environment = process.env): Promise<string> {
  const python = await findPython(env);
  const cacheDir = cacheDirFrom(env);
  const key = createHash('sha256').update(requirements.join('\n')).digest('hex').slice(0, 12);
  const dir = await cached(cacheDir, `python-${key}`, async (unfinished) => {
    try {
      await run(python, ['-m', 'venv', unfinished], { env, deadlineMs: 180_000 });
      // Its interpreter finds the packages beside itself, so that the folder can be renamed. The scripts of pip cannot.
      const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements];
      await run(join(unfinished, 'bin', 'python'), args, { env, deadlineMs: installDeadlineMs });
    } catch (error) {
      const names = requirements.join(' ');
      throw missing(`no ${names} in ${cacheDir}, and pip cannot install them (${whyItFailed(error)})`, error);
    }
  });
  return join(dir, 'bin', 'python');
}
