import { join } from 'node:path';
import { type Environment, missing } from './ladder.ts';
import { run, whyItFailed } from './run.ts';

export interface Java {
  readonly command: string;
  readonly major: number;
  /** The whole text of `java -version`: what a class-data archive depends on. */
  readonly version: string;
}

const majorMin = 17;

/** The Java of `JAVA_HOME`, else of the PATH, 17 or newer. `not_found` (see `missing`) says what is there instead. */
export async function findJava(env: Environment): Promise<Java> {
  const home = env['JAVA_HOME'];
  const command = home ? join(home, 'bin', 'java') : 'java';
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

/** `17` from `openjdk version "17.0.15" …`, `8` from `java version "1.8.0_392"`, 0 where there is no version in the text. */
export function javaMajorFrom(text: string): number {
  const found = /version "(?:1\.)?(\d+)/.exec(text);
  return found ? Number(found[1]) : 0;
}
