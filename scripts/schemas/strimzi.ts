import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface StrimziSource {
  readonly version: string;
  /** Classes by kind, below io.strimzi.api.kafka.model. */
  readonly kinds: Readonly<Record<string, string>>;
}

const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

const quiet: ExecFileSyncOptionsWithStringEncoding = { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' };

/**
 * Returns schemas of Strimzi's kinds, from the classes with which Strimzi parses them: no package registry has its
 * resource definitions.
 */
export function strimziSchemas(
  scratch: string,
  { version, kinds }: StrimziSource,
): { kind: string; schema: unknown }[] {
  const pom = join(scratch, 'pom.xml');
  writeFileSync(
    pom,
    `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>tailrace</groupId><artifactId>schemas</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency><groupId>io.strimzi</groupId><artifactId>api</artifactId><version>${version}</version></dependency></dependencies>
</project>\n`,
  );
  const libs = join(scratch, 'libs');
  const classes = join(scratch, 'classes');
  execFileSync('mvn', ['-q', '-B', '-f', pom, copyDependencies, `-DoutputDirectory=${libs}`], quiet);
  const sources = globSync('strimzi/**/*.java', { cwd: import.meta.dirname }).map((file) =>
    join(import.meta.dirname, file),
  );
  execFileSync('javac', ['-d', classes, '-cp', `${libs}/*`, ...sources], quiet);
  return Object.entries(kinds).map(([kind, type]) => {
    const program = ['-cp', `${classes}:${libs}/*`, 'StrimziSchemas', `io.strimzi.api.kafka.model.${type}`];
    return { kind, schema: JSON.parse(execFileSync('java', program, quiet)) as unknown };
  });
}
