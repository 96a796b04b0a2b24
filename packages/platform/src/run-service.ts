import { TailraceError } from '@tailrace/protocol/error';
import type { z } from 'zod';
import { type Clock, systemClock } from './clock.ts';
import { configCommandFrom } from './config-command.ts';
import type { ConfigSchema } from './config-keys.ts';
import { createLifecycle, exitCodes, type LifecycleOptions, type Part } from './lifecycle.ts';
import type { Logger } from './logger.ts';

/** What a service needs of `process`. Only its main.ts has the real one. */
export interface ServiceProcess {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  on(event: string, listener: (fact: unknown) => void): unknown;
  exit(code: number): never;
}

/**
 * The settings, or the end of the process: `--help` and `--check-config` print and exit with 0, faulty settings are all printed to
 * standard error and exit with 1. For the first line of a main.ts.
 */
export function configOrExit<S extends ConfigSchema>(
  process: ServiceProcess,
  name: string,
  schema: S,
): Readonly<z.output<S>> {
  const command = configCommandFrom(name, schema, { env: process.env, args: process.argv.slice(2) });
  if (command.kind === 'run') return command.config;
  (command.code === 0 ? process.stdout : process.stderr).write(command.output);
  return process.exit(command.code);
}

export interface ServiceOptions extends Omit<LifecycleOptions, 'parts'> {
  readonly process: ServiceProcess;
  readonly name: string;
  readonly logger: Logger;
  /** Builds the parts; what it throws counts as a start that failed. `end`: see `ServiceBase`. */
  readonly parts: (end: (error: TailraceError) => void) => readonly Part[] | Promise<readonly Part[]>;
}

/**
 * The same signal this soon after the first, ms, is the first one over again: a terminal's Ctrl-C reaches both npm and the service, and
 * npm passes its own on.
 */
const sameSignalMs = 300;

const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs a service until it is told to stop, then exits the process with one of `exitCodes`.
 *
 * SIGTERM and SIGINT drain and stop in order; a second one exits at once with 128 and the signal's number. An error that nobody caught is
 * logged and stops in order with code 1, and so does a part that cannot go on. A start that fails says why in one line and exits with 1.
 */
export async function runService(options: ServiceOptions): Promise<void> {
  const { process, name, logger } = options;
  const clock = options.clock ?? systemClock;
  // Before anything is built: an error thrown while building is one that nobody caught as well.
  let stopAtFault = (error: unknown, origin: string): void => exitAtFault(process, logger, error, origin);
  process.on('uncaughtException', (error) => stopAtFault(error, 'uncaughtException'));
  process.on('unhandledRejection', (error) => stopAtFault(error, 'unhandledRejection'));
  try {
    const ended = Promise.withResolvers<TailraceError>();
    const lifecycle = createLifecycle({ ...options, parts: await options.parts(ended.resolve) });
    const exit = (code: number) => process.exit(code);
    void ended.promise.then((error) => lifecycle.abandon(error)).then(exit);
    stopAtFault = (error, origin) => void lifecycle.fail(error, origin).then(exit);
    onSignals(process, clock, (signal) => void lifecycle.stop(signal).then(exit));
    await lifecycle.start();
  } catch (error) {
    logger.error({ error }, `${name} cannot start: ${startFault(error)}`);
    process.exit(exitCodes.fault);
  }
}

function exitAtFault(process: ServiceProcess, logger: Logger, error: unknown, origin: string): void {
  logger.error({ error, origin }, 'an error that nobody caught before the start; exiting');
  process.exit(exitCodes.fault);
}

function onSignals(process: ServiceProcess, clock: Clock, onFirst: (signal: string) => void): void {
  let firstAtMs: number | undefined;
  for (const [signal, number] of Object.entries(signalNumbers)) {
    process.on(signal, () => {
      if (firstAtMs === undefined) {
        firstAtMs = clock.monotonic();
        onFirst(signal);
      } else if (clock.monotonic() - firstAtMs >= sameSignalMs) {
        process.exit(128 + number);
      }
    });
  }
}

/** Our own errors say what to do; any other gets the hint that it is no ordinary one. One line, whatever the error holds. */
function startFault(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ');
  return error instanceof TailraceError ? message : `${message} (unexpected; the error's stack is in this line)`;
}
