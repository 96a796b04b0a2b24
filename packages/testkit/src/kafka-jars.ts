import { createHash } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, missing } from './broker-source.ts';
import { cached, exists } from './cache.ts';
import type { Java } from './java.ts';
import { run, whyItFailed } from './run.ts';

export const kafkaVersion = '4.1.1';
const log4jVersion = '2.24.3';

// Without a binding SLF4J drops every line that Kafka logs, its reasons for not starting among them.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tailrace</groupId>
  <artifactId>test-kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>${log4jVersion}</version></dependency>
  </dependencies>
</project>
`;

const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** Returns the class path of Kafka, with the jars in a stable order: a class-data archive is bound to it. */
export async function classPathOf(kafkaDir: string): Promise<string> {
  const jars = (await readdir(join(kafkaDir, 'libs'))).filter((name) => name.endsWith('.jar')).sort();
  return jars.map((name) => join(kafkaDir, 'libs', name)).join(':');
}

/**
 * Returns the folder of Kafka's jars in the cache, fetched by Maven the first time (15 s, 54 MB). Rejects with
 * `not_found` (see `missing`) if they are missing and Maven cannot fetch them.
 */
export async function kafkaDir(cacheDir: string, env: Environment): Promise<string> {
  return await cached(cacheDir, `kafka-${kafkaVersion}`, async (dir) => {
    const pomFile = join(dir, 'pom.xml');
    await writeFile(pomFile, pom);
    const args = [
      '-q',
      '-B',
      '-f',
      pomFile,
      copyDependencies,
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(dir, 'libs')}`,
    ];
    try {
      await run('mvn', args, { env, deadlineMs: 300_000 });
    } catch (error) {
      throw missing(
        `no Kafka ${kafkaVersion} in ${cacheDir} and Maven cannot fetch it (mvn: ${whyItFailed(error)})`,
        error,
      );
    }
  });
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
