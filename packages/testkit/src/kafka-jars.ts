import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Environment } from './broker-source.ts';
import { exists } from './cache.ts';
import type { Java } from './java.ts';
import { mavenJars } from './maven.ts';

export const kafkaVersion = '4.1.1';
const log4jVersion = '2.24.3';

// Without a binding SLF4J drops every line that Kafka logs, its reasons for not starting among them.
const dependencies = [
  { name: `org.apache.kafka:kafka_2.13:${kafkaVersion}` },
  { name: `org.apache.logging.log4j:log4j-slf4j-impl:${log4jVersion}` },
];

/**
 * Returns the folder of Kafka's jars in the cache, fetched by Maven the first time (15 s, 54 MB). Rejects as
 * `mavenJars` does.
 */
export async function kafkaDir(cacheDir: string, env: Environment): Promise<string> {
  return await mavenJars(`kafka-${kafkaVersion}`, dependencies, { cacheDir, env });
}

/** Returns the path of the class-data archive of this Java for this Kafka, which may not exist yet. */
export function archiveFile(dir: string, java: Java): string {
  const key = createHash('sha256').update(java.version).digest('hex').slice(0, 12);
  return join(dir, `classes-${key}.jsa`);
}

/**
 * Returns the flags of Java for a quick start: the class-data archive if there is one, a small collector, the first
 * compiler only. `fullJit` leaves the compilers as they are, for measuring under load.
 */
export async function javaFlags(
  dir: string,
  java: Java,
  options: { heapMb: number; fullJit: boolean },
): Promise<string[]> {
  const archive = archiveFile(dir, java);
  return [
    `-Xmx${options.heapMb}m`,
    '-Xms64m',
    '-XX:+UseSerialGC',
    ...(options.fullJit ? [] : ['-XX:TieredStopAtLevel=1']),
    ...((await exists(archive)) ? [`-XX:SharedArchiveFile=${archive}`, '-Xshare:auto'] : []),
    // Its warnings about the archive would be the first lines of every log.
    '-Xlog:disable',
    '-Xlog:all=error:stderr',
  ];
}
