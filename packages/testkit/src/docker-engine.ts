import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Environment, missing } from './ladder.ts';

const pingDeadlineMs = 3000;

/**
 * The address of the Docker engine that answers: that of `DOCKER_HOST`, else the usual sockets (of the system, of
 * Docker Desktop). `not_found` (see `missing`) names the engine that does not answer and says why. Costs one small
 * request.
 */
export async function findDockerEngine(env: Environment): Promise<string> {
  const engine = env['DOCKER_HOST'] || usualEngine(env);
  try {
    await ping(engine);
  } catch (error) {
    throw missing(`no Docker engine answers at ${engine} (${(error as Error).message})`, error);
  }
  return engine;
}

function usualEngine(env: Environment): string {
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
