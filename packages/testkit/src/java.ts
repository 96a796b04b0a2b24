import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Environment, missing } from './broker-source.ts';
import { run, whyItFailed } from './run.ts';

export interface Java {
  readonly command: string;
  readonly major: number;
  /** The whole text of `java -version`: what a class-data archive depends on. */
  readonly version: string;
}

const majorMin = 17;
/** Homebrew puts no Java on the PATH, where macOS has a program of that name that only reports that there is none. */
const brewed = ['/opt/homebrew/opt/openjdk/bin/java', '/usr/local/opt/openjdk/bin/java'];

/**
 * Returns the Java of `JAVA_HOME`, else of the PATH, else of Homebrew, 17 or newer; `not_found` names what is there.
 */
export async function findJava(env: Environment): Promise<Java> {
  const home = env['JAVA_HOME'];
  if (home) return await javaAt(join(home, 'bin', 'java'), env);
  try {
    return await javaAt('java', env);
  } catch (error) {
    const other = brewed.find((file) => existsSync(file));
    if (other === undefined) throw error;
    return await javaAt(other, env);
  }
}

async function javaAt(command: string, env: Environment): Promise<Java> {
  let version: string;
  try {
    version = (await run(command, ['-version'], { env, deadlineMs: 20_000 })).stderr;
  } catch (error) {
    throw missing(`no Java (${command}: ${whyItFailed(error)})`, error);
  }
  const major = javaMajorFrom(version);
  if (major < majorMin) throw missing(`Java ${major} is too old (${command}); Kafka needs ${majorMin} or newer`);
  return { command, major, version };
}

/**
 * `17` from `openjdk version "17.0.15" …`, `8` from `java version "1.8.0_392"`, 0 where there is no version in the
 * text.
 */
export function javaMajorFrom(text: string): number {
  const found = /version "(?:1\.)?(\d+)/.exec(text);
  return found ? Number(found[1]) : 0;
}
