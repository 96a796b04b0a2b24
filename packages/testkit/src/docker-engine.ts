import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Environment, missing } from './broker-source.ts';

const pingDeadlineMs = 3000;

/**
 * Returns the address of a Docker engine that responds: `DOCKER_HOST`, else the default socket of the system or of
 * Docker Desktop. Rejects with `not_found` (see `missing`), with the engine that does not respond and why. Costs one
 * small request.
 */
export async function findDockerEngine(env: Environment): Promise<string> {
  const engine = env['DOCKER_HOST'] || defaultEngine(env);
  try {
    await ping(engine);
  } catch (error) {
    throw missing(`no Docker engine answers at ${engine} (${(error as Error).message})`, error);
  }
  return engine;
}

function defaultEngine(env: Environment): string {
  const sockets = ['/var/run/docker.sock', join(env['HOME'] || homedir(), '.docker', 'run', 'docker.sock')];
  return `unix://${sockets.find((path) => existsSync(path)) ?? sockets[0]!}`;
}

/** `GET /_ping` (Docker Engine API). */
function ping(engine: string): Promise<void> {
  const url = URL.parse(engine);
  if (url?.protocol !== 'unix:' && url?.protocol !== 'tcp:' && url?.protocol !== 'http:') {
    return Promise.reject(missing('only unix:// and tcp:// addresses are understood'));
  }
  const target =
    url.protocol === 'unix:' ? { socketPath: url.pathname } : { host: url.hostname, port: url.port || 2375 };
  return new Promise((resolve, reject) => {
    const asked = request(
      { ...target, path: '/_ping', agent: false, signal: AbortSignal.timeout(pingDeadlineMs) },
      (answer) => {
        answer.resume();
        if (answer.statusCode === 200) resolve();
        else reject(missing(`it answers with status ${answer.statusCode}`));
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}
