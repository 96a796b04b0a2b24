const stopDeadlineMs = 30_000;

/** A run of a command: `stop` may be called at any time. */
export interface CommandRun {
  /** Resolves with whether all counts are within their bounds. */
  run(): Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * Runs a command of the chaos suites and exits: with 0 if all is within its bounds, with 130 after a signal, otherwise
 * with 1, also after `limitSeconds`. Stops the run before.
 */
export async function runCommand(run: CommandRun, limitSeconds: number): Promise<never> {
  const finish = async (code: number): Promise<never> => {
    await run.stop().catch((error: unknown) => process.stderr.write(`cannot stop the run: ${String(error)}\n`));
    process.exit(code);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void finish(130));
  setTimeout(() => {
    process.stderr.write(`The run took longer than ${limitSeconds} s and is stopped.\n`);
    // If stopping hangs, too: child processes exit with this one.
    setTimeout(() => process.exit(1), stopDeadlineMs).unref();
    void finish(1);
  }, limitSeconds * 1000).unref();
  try {
    return await finish((await run.run()) ? 0 : 1);
  } catch (error) {
    process.stderr.write(`The run failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return finish(1);
  }
}
