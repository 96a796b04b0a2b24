import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const projectRoot: string = dirname(import.meta.dirname);
const mains = ['src/main.ts', 'server/main.ts'];

/** Services that run from a clone alone: without an image, and a section of deploy/compose.yaml and of the chart. */
const unpackaged: readonly string[] = ['control'];

/** Returns the names of the services with an image: each is a folder of services/ with a main.ts. */
export function serviceNames(): string[] {
  return readdirSync(join(projectRoot, 'services')).filter((name) => isPackaged(name) && findMain(name) !== undefined);
}

/** Whether a service has an image, and a section of deploy/compose.yaml and of the chart. */
export function isPackaged(name: string): boolean {
  return !unpackaged.includes(name);
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
