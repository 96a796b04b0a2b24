import { TailraceError } from '@tailrace/protocol/error';
import type { z } from 'zod';
import { type Clock, systemClock } from './clock.ts';
import { configCommandFrom } from './config-command.ts';
import type { ConfigSchema } from './config-keys.ts';
import { createLifecycle, exitCodes, type LifecycleOptions, type Part } from './lifecycle.ts';
import type { Logger } from './logger.ts';

/** The part of `process` that a service uses. Only its main.ts has the real one. */
export interface ServiceProcess {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  on(event: string, listener: (fact: unknown) => void): unknown;
  exit(code: number): never;
}

/**
 * Returns the settings, or exits: `--help` and `--check-config` print to standard output and exit with 0, the errors of
 * invalid settings are printed to standard error and exit with 1. For the first line of a main.ts. `check`: as that of
 * `configCommandFrom`. `args`: default, those after the script.
 */
export function configOrExit<S extends ConfigSchema>(
  process: ServiceProcess,
  name: string,
  schema: S,
  check?: (config: Readonly<z.output<S>>) => string,
  args: readonly string[] = process.argv.slice(2),
): Readonly<z.output<S>> {
  const command = configCommandFrom(name, schema, { env: process.env, args }, check);
  if (command.kind === 'run') return command.config;
  (command.code === 0 ? process.stdout : process.stderr).write(command.output);
  return process.exit(command.code);
}

export interface ServiceOptions extends Omit<LifecycleOptions, 'parts'> {
  readonly process: ServiceProcess;
  readonly name: string;
  readonly logger: Logger;
  /** Builds the parts; an error is a start that fails. `end`: see `ServiceBase`. */
  readonly parts: (end: (error: TailraceError) => void) => readonly Part[] | Promise<readonly Part[]>;
}

/**
 * A signal within this time after the first, ms, is the same one: a terminal's Ctrl-C is sent to both npm and the
 * service, and npm forwards its own.
 */
const sameSignalMs = 300;

const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs a service until it is stopped, then exits the process with one of `exitCodes`.
 *
 * SIGTERM and SIGINT drain and stop in order; a second one exits at once with 128 and the signal's number. An uncaught
 * error is logged and stops in order with code 1, and so does a part that cannot go on. A start that fails logs the
 * reason in one line and exits with 1.
 */
export async function runService(options: ServiceOptions): Promise<void> {
  const { process, name, logger } = options;
  const clock = options.clock ?? systemClock;
  // Before anything is built: an uncaught error may also come from the build.
  let onUncaught = (error: unknown, origin: string): void => exitUncaught(process, logger, error, origin);
  process.on('uncaughtException', (error) => onUncaught(error, 'uncaughtException'));
  process.on('unhandledRejection', (error) => onUncaught(error, 'unhandledRejection'));
  try {
    const abandoned = Promise.withResolvers<TailraceError>();
    const lifecycle = createLifecycle({ ...options, parts: await options.parts(abandoned.resolve) });
    const exit = (code: number) => process.exit(code);
    void abandoned.promise.then((error) => lifecycle.abandon(error)).then(exit);
    onUncaught = (error, origin) => void lifecycle.fail(error, origin).then(exit);
    onSignals(process, clock, (signal) => void lifecycle.stop(signal).then(exit));
    await lifecycle.start();
  } catch (error) {
    logger.error({ error }, `${name} cannot start: ${startErrorText(error)}`);
    process.exit(exitCodes.failure);
  }
}

function exitUncaught(process: ServiceProcess, logger: Logger, error: unknown, origin: string): void {
  logger.error({ error, origin }, 'uncaught error before the start; exiting');
  process.exit(exitCodes.failure);
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

/** Returns the message in one line; that of an unexpected error has a note. */
function startErrorText(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ');
  return error instanceof TailraceError ? message : `${message} (unexpected; the error's stack is in this line)`;
}
