import { createHash } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Environment, missing } from './broker-source.ts';
import { cacheDirFrom, cached } from './cache.ts';
import { findJava } from './java.ts';
import { run, whyItFailed } from './run.ts';

const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** A Java library: `group:artifact:version`, and the artifacts that it is not to bring along. */
export interface MavenDependency {
  readonly name: string;
  readonly without?: readonly string[];
}

/**
 * Returns the folder of the cache with the jars of the dependencies in `libs`, fetched by Maven the first time. `name`:
 * of the folder. Rejects with `not_found` (see `missing`) if they are missing and Maven cannot fetch them.
 */
export async function mavenJars(
  name: string,
  dependencies: readonly MavenDependency[],
  { cacheDir, env }: { readonly cacheDir: string; readonly env: Environment },
): Promise<string> {
  return await cached(cacheDir, name, async (dir) => {
    const pom = join(dir, 'pom.xml');
    await writeFile(pom, pomOf(name, dependencies));
    const output = `-DoutputDirectory=${join(dir, 'libs')}`;
    try {
      await run('mvn', ['-q', '-B', '-f', pom, copyDependencies, '-DincludeScope=runtime', output], {
        env,
        deadlineMs: 300_000,
      });
    } catch (error) {
      throw missing(`no ${name} in ${cacheDir} and Maven cannot fetch it (mvn: ${whyItFailed(error)})`, error);
    }
  });
}

/** Returns the class path of a folder of `mavenJars`, with the jars in a stable order. */
export async function classPathOf(dir: string): Promise<string> {
  const jars = (await readdir(join(dir, 'libs'))).filter((name) => name.endsWith('.jar')).sort();
  return jars.map((name) => join(dir, 'libs', name)).join(':');
}

/** The compiler is a library too: a Java without it is enough. */
const compiler = { name: 'org.eclipse.jdt:ecj:3.33.0' };

/**
 * Returns the command and arguments that run a Java program of one file, compiled into the cache when its text is new.
 * Rejects as `mavenJars` and `findJava` do, and with the errors of the compiler.
 */
export async function javaProgram(
  source: string,
  text: string,
  dependencies: readonly MavenDependency[],
  env: Environment = process.env,
): Promise<{ readonly command: string; readonly args: readonly string[] }> {
  const place = { cacheDir: cacheDirFrom(env), env };
  const [java, tools, libs] = await Promise.all([
    findJava(env),
    mavenJars('ecj-3.33.0', [compiler], place),
    mavenJars(`java-${hashOf(JSON.stringify(dependencies))}`, dependencies, place),
  ]);
  const classPath = await classPathOf(libs);
  const program = basename(source, '.java');
  const classes = await cached(place.cacheDir, `${program}-${hashOf(classPath + text)}`, async (dir) => {
    const args = ['-cp', await classPathOf(tools), 'org.eclipse.jdt.internal.compiler.batch.Main'];
    await run(java.command, [...args, '-17', '-nowarn', '-cp', classPath, '-d', dir, source], {
      env,
      deadlineMs: 120_000,
    });
  });
  const quick = ['-Xmx96m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];
  return { command: java.command, args: [...quick, '-cp', `${classes}:${classPath}`, program] };
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function pomOf(name: string, dependencies: readonly MavenDependency[]): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tailrace</groupId>
  <artifactId>test-${name}</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>${dependencies.map(dependencyOf).join('')}
  </dependencies>
</project>
`;
}

function dependencyOf({ name, without = [] }: MavenDependency): string {
  const [group, artifact, version] = name.split(':');
  const exclusions = without.map((each) => {
    const [from, what] = each.split(':');
    return `<exclusion><groupId>${from}</groupId><artifactId>${what}</artifactId></exclusion>`;
  });
  return `
    <dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version><exclusions>${exclusions.join('')}</exclusions></dependency>`;
}
