import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWholeFile } from './whole-file.ts';

/** Where the parts of a running installation are reached, for tests and tools. Numbers are process ids. */
export interface Endpoints {
  readonly kafka?: { readonly brokers: readonly string[]; readonly pid?: number };
  readonly nats?: { readonly url: string; readonly pid?: number };
  readonly ingest: readonly { readonly url: string; readonly internal: string; readonly pid: number }[];
  readonly fanout: readonly {
    readonly name: string;
    readonly url: string;
    readonly internal: string;
    readonly pid: number;
  }[];
  readonly dashboard: { readonly url: string };
  /** May do everything in this run. */
  readonly token: string;
}

const fileName = 'endpoints.json';

/** Writes `endpoints.json` into a data folder, whole or not at all, for the owner's eyes: there is a token in it. */
export async function writeEndpoints(dataDir: string, endpoints: Endpoints): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  await writeWholeFile(join(dataDir, fileName), `${JSON.stringify(endpoints, undefined, 2)}\n`);
}

/** Takes it away again: what runs there no longer does. */
export async function removeEndpoints(dataDir: string): Promise<void> {
  await rm(join(dataDir, fileName), { force: true });
}
