import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@tailrace/testkit/eventually';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';
import { type Block, isPrinted, type RunDirective } from './blocks.ts';

/** A block that failed, or did not print what its page expects. */
export class BlockError extends Error {
  override name = 'BlockError';
}

export interface TerminalsOptions {
  /** Where the first command runs. */
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** For scripts, outputs, and the state of the first terminal between two blocks. */
  readonly scratch: string;
}

/** For a block that stays to exit after Ctrl-C, ms. */
const exitDeadlineMs = 60_000;

/**
 * Terminals of a reader who copies commands. In the first, each block has the variables and the folder that the one
 * before left; a command that fails is an error. The others run blocks that stay, until Ctrl-C.
 */
export class Terminals {
  readonly #options: TerminalsOptions;
  readonly #state: string;
  #staying: Supervised[] = [];
  #count = 0;

  constructor(options: TerminalsOptions) {
    this.#options = options;
    this.#state = join(options.scratch, 'state');
  }

  /** Rejects with a `BlockError` that has the output. */
  async run(block: Block, directive: RunDirective): Promise<string> {
    if (directive.stopsOthers) await this.ctrlC();
    const file = join(this.#options.scratch, `${++this.#count}.out`);
    const running = await this.#start(block, file);
    const text = () => (existsSync(file) ? readFileSync(file, 'utf8') : '');
    const errorOf = (what: string) =>
      new BlockError(`${block.page}:${block.line}: ${what}\n--- the last part of its output\n${text().slice(-4000)}`);
    if (directive.ready === undefined) {
      await this.#waitForExit(running, directive.withinMs, errorOf);
    } else {
      this.#staying.push(running);
      const { ready, withinMs } = directive;
      await eventually(() => running.exit() !== undefined || isPrinted(ready, text()), {
        deadlineMs: withinMs,
        pollMs: 20,
        describe: `${block.page}:${block.line} prints ${ready}`,
      }).catch(() => Promise.reject(errorOf(`did not print ${ready} within ${withinMs} ms`)));
      if (running.exit() !== undefined) throw errorOf('exited, and should stay');
    }
    for (const expected of block.prints) if (!isPrinted(expected, text())) throw errorOf(`did not print ${expected}`);
    return text();
  }

  /** Presses Ctrl-C in all terminals but the first, the newest one first. Resolves when their processes have exited. */
  async ctrlC(): Promise<void> {
    const staying = this.#staying.toReversed();
    this.#staying = [];
    for (const each of staying) {
      if (each.exit() === undefined) process.kill(-each.pid, 'SIGINT');
      const timer = setTimeout(() => void each.stop({ signal: 'SIGKILL' }), exitDeadlineMs);
      await each.exited;
      clearTimeout(timer);
    }
  }

  /** Starts a new shell with the state of the last one: an error in a block does not affect later ones. */
  #start(block: Block, file: string): Promise<Supervised> {
    const { cwd, env, scratch } = this.#options;
    const script = join(scratch, `${this.#count}.sh`);
    const keeps = block.directive.setting !== 'not run' && block.directive.ready === undefined;
    writeFileSync(
      script,
      `set -eEuo pipefail
trap 'echo "line $((LINENO - 6)) of the block failed: $BASH_COMMAND" >&2' ERR
docs_names=$(compgen -v)
[ ! -e '${this.#state}' ] || . '${this.#state}'
cd "\${DOCS_CWD:-$PWD}"
: block
${block.text}
${keeps ? saveState(this.#state) : ''}
`,
    );
    return startSupervised({ command: 'bash', args: [script], cwd, env, output: { file } });
  }

  async #waitForExit(running: Supervised, withinMs: number, errorOf: (what: string) => BlockError): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      void running.stop({ deadlineMs: 2000 });
    }, withinMs);
    const { code, signal } = await running.exited;
    clearTimeout(timer);
    if (isLate) throw errorOf(`took longer than ${withinMs} ms`);
    if (code !== 0) throw errorOf(`exited with ${code ?? signal}`);
  }
}

/**
 * Writes the variables to `file`, and only those as exported that the blocks exported. So a command whose variable
 * lacks its `export` fails here as it does in the shell of a reader.
 */
function saveState(file: string): string {
  return `DOCS_CWD=$PWD; export DOCS_CWD
{ export -p; declare -p $(compgen -v | grep -vxF "$docs_names"$'\\n'docs_names) | grep -v '^declare -[a-zA-Z]*r'; } >'${file}' || true`;
}
