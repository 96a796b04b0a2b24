import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fuzzVariables } from '@tailrace/testkit/fuzz';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';

export interface FuzzOptions {
  /** Folder of the repository. */
  readonly root: string;
  /** Test files, absolute. */
  readonly files: readonly string[];
  /** The first seed. Each next pass over the files has the next one. */
  readonly seed: number;
  /** After this time nothing is started, and what runs is stopped and not counted, ms. 0: one pass over the files. */
  readonly limitMs: number;
  /** How many times as many cases as in `make test`. */
  readonly factor: number;
  /** Files at the same time. */
  readonly jobs: number;
  /** For the output of what has failed. */
  readonly data: string;
  readonly print: (text: string) => void;
}

const outputCharactersMax = 6_000;

/** Repeats test files with one seed after the other, each file as a process. A file that fails is not repeated. */
export class FuzzRun {
  readonly #options: FuzzOptions;
  readonly #running = new Set<Supervised>();
  readonly #failed = new Set<string>();
  #passed = 0;
  #next = 0;
  #isStopped = false;

  constructor(options: FuzzOptions) {
    this.#options = options;
  }

  /** Resolves with whether nothing has failed. */
  async run(): Promise<boolean> {
    const { files, seed, limitMs, factor, jobs, data, print } = this.#options;
    await mkdir(data, { recursive: true });
    const until = limitMs === 0 ? 'one pass' : `${limitMs / 1000} s`;
    print(`${files.length} files from seed ${seed}, ${factor} times the cases of make test, ${until}.`);
    const timer = limitMs === 0 ? undefined : setTimeout(() => this.stop(), limitMs);
    await Promise.all(Array.from({ length: jobs }, () => this.#work()));
    clearTimeout(timer);
    const last = seed + Math.max(0, Math.ceil(this.#next / files.length) - 1);
    print(`${this.#passed} runs of files passed, ${this.#failed.size} failed, seeds ${seed} to ${last}.`);
    return this.#failed.size === 0;
  }

  /** Starts nothing more, and stops what runs. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    for (const each of this.#running) void each.stop({ signal: 'SIGKILL' });
  }

  async #work(): Promise<void> {
    const { files, seed, limitMs } = this.#options;
    while (!this.#isStopped && this.#failed.size < files.length) {
      if (limitMs === 0 && this.#next >= files.length) return;
      const turn = this.#next++;
      const file = files[turn % files.length]!;
      if (!this.#failed.has(file)) await this.#test(file, seed + Math.floor(turn / files.length));
    }
  }

  async #test(file: string, seed: number): Promise<void> {
    const { root, factor, data, print } = this.#options;
    const name = relative(root, file);
    const log = join(data, `${name.replaceAll('/', '_')}-${seed}.log`);
    const variables = { [fuzzVariables.seed]: `${seed}`, [fuzzVariables.factor]: `${factor}` };
    const running = await startSupervised({
      command: process.execPath,
      args: ['--test', '--test-reporter=spec', file],
      // Of a test that starts this one: its runner would take the results for its own.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...variables },
      cwd: root,
      output: { file: log },
    });
    this.#running.add(running);
    if (this.#isStopped) await running.stop({ signal: 'SIGKILL' });
    const { code } = await running.exited;
    this.#running.delete(running);
    if (this.#isStopped) return;
    if (code === 0) {
      this.#passed++;
      await rm(log);
      return;
    }
    this.#failed.add(file);
    const output = await readFile(log, 'utf8');
    print(`\nFAILED: ${name} with seed ${seed}. The whole output is in ${log}. Its end:`);
    print(output.slice(-outputCharactersMax));
    print(`To repeat it: make fuzz SEED=${seed} SECONDS=0 FACTOR=${factor} ONLY=${name}\n`);
  }
}
