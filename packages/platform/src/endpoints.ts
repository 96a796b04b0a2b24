import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWholeFile } from './whole-file.ts';

/** The addresses of a running installation, for tests and tools. Numbers are process IDs. */
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
  /** Of control. The URL has the password. */
  readonly postgres?: { readonly url: string; readonly pid?: number };
  /** Its API; `/v1/docs` lists the requests. */
  readonly control?: { readonly url: string; readonly internal: string; readonly pid: number };
  readonly alarms?: readonly { readonly internal: string; readonly pid: number }[];
  readonly dashboard: { readonly url: string };
  /** Where devices connect by WebSocket. */
  readonly device: { readonly url: string };
  /** Where commands for devices are sent, without NATS: a socket of the file system. */
  readonly commands?: { readonly socket: string };
  /** Where devices connect by MQTT, if they can. */
  readonly mqtt?: { readonly url: string };
  /** The servers of the simulated plant, if it has them. */
  readonly modbus?: { readonly host: string; readonly port: number };
  readonly opcua?: { readonly url: string };
  /** Edge gateways. */
  readonly edge?: readonly { readonly internal: string; readonly pid: number }[];
  /** With all rights in this run. */
  readonly token: string;
  /** Of a second person, who confirms what one person alone may not do. */
  readonly supervisorToken?: string;
}

const fileName = 'endpoints.json';

/** Writes `endpoints.json` into a data folder atomically, readable by the owner only: it has a token. */
export async function writeEndpoints(dataDir: string, endpoints: Endpoints): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  await writeWholeFile(join(dataDir, fileName), `${JSON.stringify(endpoints, undefined, 2)}\n`);
}

/** Removes it, when the installation has stopped. */
export async function removeEndpoints(dataDir: string): Promise<void> {
  await rm(join(dataDir, fileName), { force: true });
}
