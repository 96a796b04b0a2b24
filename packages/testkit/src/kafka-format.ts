import { randomBytes, randomUUID } from 'node:crypto';
import { copyFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TailraceError } from '@tailrace/protocol/error';
import type { Environment } from './broker-source.ts';
import { exists } from './cache.ts';
import type { Java } from './java.ts';
import { javaFlags } from './kafka-jars.ts';
import { run, whyItFailed } from './run.ts';

const formatDeadlineMs = 60_000;
/** Kafka's names of the two files of a formatted folder. */
const recordsFile = 'bootstrap.checkpoint';
const propertiesFile = 'meta.properties';

/** Kafka and its Java, for any number of processes. */
export interface Installation {
  readonly java: Java;
  readonly dir: string;
  /** Of the Java processes, with the class path, which as an argument would fill every list of processes. */
  readonly env: Environment;
}

export interface DataFolder {
  readonly dataDir: string;
  /** The broker's `server.properties`. */
  readonly settingsFile: string;
  readonly clusterId: string;
  readonly scramUsers: Readonly<Record<string, string>>;
  /** Whether the settings are those of `kafkaSettings` alone, for the one broker of a cluster, without users. */
  readonly isPlain: boolean;
}

/**
 * Formats the data folder of a broker, unless it is formatted.
 *
 * StorageTool is a start of Java of its own, 0.7 s. Its first records depend on the version of Kafka alone where
 * settings and users are the default: they are kept beside the jars, and later plain folders are copies.
 */
export async function formatDataFolder(installation: Installation, folder: DataFolder): Promise<void> {
  const { dataDir, clusterId, isPlain } = folder;
  if (await exists(join(dataDir, propertiesFile))) return;
  const records = join(dataDir, recordsFile);
  const kept = join(installation.dir, recordsFile);
  if (isPlain && (await exists(kept))) {
    await copyFile(kept, records);
    const properties = { version: '1', 'cluster.id': clusterId, 'node.id': '1', 'directory.id': newClusterId() };
    const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`);
    await writeFile(join(dataDir, propertiesFile), lines.join(''));
    return;
  }
  await runStorageTool(installation, folder);
  if (!isPlain) return;
  // Renamed when complete: another process may read it at any time.
  const unfinished = `${kept}.${randomUUID()}.tmp`;
  await copyFile(records, unfinished);
  await rename(unfinished, kept);
}

async function runStorageTool({ java, dir, env }: Installation, folder: DataFolder): Promise<void> {
  const { dataDir, settingsFile, clusterId, scramUsers } = folder;
  const flags = await javaFlags(dir, java, { heapMb: 128, fullJit: false });
  const users = Object.entries(scramUsers).flatMap(([name, password]) => [
    '--add-scram',
    `SCRAM-SHA-512=[name=${name},password=${password}]`,
  ]);
  const what = ['--cluster-id', clusterId, '--config', settingsFile, ...users];
  const args = [...flags, 'kafka.tools.StorageTool', 'format', ...what];
  try {
    await run(java.command, args, { env, deadlineMs: formatDeadlineMs });
  } catch (error) {
    throw new TailraceError('internal', `Kafka's StorageTool cannot prepare ${dataDir}: ${whyItFailed(error)}`, {
      cause: error,
    });
  }
}

/**
 * Returns 16 random bytes in base64url. The first character is never a dash, which StorageTool would take for an
 * option.
 */
export function newClusterId(): string {
  return randomBytes(16).toString('base64url').replace(/^-/, 'A');
}
