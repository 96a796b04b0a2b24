import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const projectRoot: string = dirname(import.meta.dirname);
const mains = ['src/main.ts', 'server/main.ts'];

/** Returns the names of the services with an image: each is a folder of services/ with a main.ts. */
export function serviceNames(): string[] {
  return readdirSync(join(projectRoot, 'services')).filter((name) => findMain(name) !== undefined);
}

/** Returns the main.ts of a service, relative to the project. */
export function mainOf(service: string): string {
  const main = findMain(service);
  if (main === undefined)
    throw new Error(`service: expected one of ${serviceNames().join(', ')}, got ${JSON.stringify(service)}`);
  return main;
}

function findMain(service: string): string | undefined {
  if (!/^[a-z][a-z0-9-]*$/.test(service)) return undefined;
  return mains.map((main) => `services/${service}/${main}`).find((path) => existsSync(join(projectRoot, path)));
}
