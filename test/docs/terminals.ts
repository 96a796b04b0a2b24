import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@tailrace/testkit/eventually';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';
import { type Block, isPrinted, type RunMark } from './blocks.ts';

/** A block that did not do what its page says. */
export class BlockFault extends Error {
  override name = 'BlockFault';
}

export interface TerminalsOptions {
  /** Where the first command runs. */
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** For scripts, outputs, and what the first terminal knows between two blocks. */
  readonly scratch: string;
}

/** How long what stays may take to end after Ctrl-C. */
const endDeadlineMs = 60_000;

/**
 * Terminals of a person who copies commands. In the first, each block goes on with the variables and the folder that
 * the one before left; a command that fails is a fault. In the others runs what stays, until Ctrl-C.
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

  /** Rejects with a `BlockFault` that has the output. */
  async run(block: Block, mark: RunMark): Promise<string> {
    if (mark.ends) await this.ctrlC();
    const file = join(this.#options.scratch, `${++this.#count}.out`);
    const running = await this.#start(block, file);
    const text = () => (existsSync(file) ? readFileSync(file, 'utf8') : '');
    const fault = (what: string) =>
      new BlockFault(`${block.page}:${block.line}: ${what}\n--- its output ends with\n${text().slice(-4000)}`);
    if (mark.ready === undefined) {
      await this.#ended(running, mark.withinMs, fault);
    } else {
      this.#staying.push(running);
      const { ready, withinMs } = mark;
      await eventually(() => running.exit() !== undefined || isPrinted(ready, text()), {
        deadlineMs: withinMs,
        pollMs: 20,
        describe: `${block.page}:${block.line} prints ${ready}`,
      }).catch(() => Promise.reject(fault(`did not print ${ready} within ${withinMs} ms`)));
      if (running.exit() !== undefined) throw fault('ended, and should stay');
    }
    for (const expected of block.prints) if (!isPrinted(expected, text())) throw fault(`did not print ${expected}`);
    return text();
  }

  /** Ctrl-C in all but the first terminal, the last that was opened first, and what runs there gone. */
  async ctrlC(): Promise<void> {
    const staying = this.#staying.toReversed();
    this.#staying = [];
    for (const each of staying) {
      if (each.exit() === undefined) process.kill(-each.pid, 'SIGINT');
      const cut = setTimeout(() => void each.stop({ signal: 'SIGKILL' }), endDeadlineMs);
      await each.exited;
      clearTimeout(cut);
    }
  }

  /** A shell of its own with what the last one left: a fault in a block cannot take the terminal with it. */
  #start(block: Block, file: string): Promise<Supervised> {
    const { cwd, env, scratch } = this.#options;
    const script = join(scratch, `${this.#count}.sh`);
    const keeps = block.mark.setting !== 'not run' && block.mark.ready === undefined;
    writeFileSync(
      script,
      `set -eEuo pipefail
trap 'echo "line $((LINENO - 6)) of the block failed: $BASH_COMMAND" >&2' ERR
[ ! -e '${this.#state}' ] || . '${this.#state}'
cd "\${DOCS_CWD:-$PWD}"
set -a
: block
${block.text}
set +a
${keeps ? `DOCS_CWD=$PWD; export DOCS_CWD; export -p >'${this.#state}'` : ''}
`,
    );
    return startSupervised({ command: 'bash', args: [script], cwd, env, output: { file } });
  }

  async #ended(running: Supervised, withinMs: number, fault: (what: string) => BlockFault): Promise<void> {
    let late = false;
    const cut = setTimeout(() => {
      late = true;
      void running.stop({ deadlineMs: 2000 });
    }, withinMs);
    const { code, signal } = await running.exited;
    clearTimeout(cut);
    if (late) throw fault(`took longer than ${withinMs} ms`);
    if (code !== 0) throw fault(`ended with ${code ?? signal}`);
  }
}
