import { type AsyncHook, AsyncResource, createHook } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import { TailraceError } from '@tailrace/protocol/error';
import { hasSuites } from './suites.ts';

/**
 * `node --require ./packages/testkit/src/untracked-tests.ts --test …`: the test runner of Node follows each promise by
 * an async hook, to find the suite of a test, and the test of an uncaught error. Under a fake clock that takes two
 * thirds of the processor time. This removes the hook where the file has no suites. An uncaught error still fails the
 * file, and is printed with its stack, but names no test.
 */
if (!isFileWithSuites(process.argv[1])) removeHook();

function isFileWithSuites(file: string | undefined): boolean {
  return file !== undefined && /\.i?test\.\w+$/.test(file) && hasSuites(readFileSync(file, 'utf8'));
}

function removeHook(): void {
  const prototype = Object.getPrototypeOf(createHook({})) as AsyncHook;
  const { enable } = prototype;
  prototype.enable = function (this: AsyncHook): AsyncHook {
    // Only that of the runner: AsyncLocalStorage and tests have their own.
    const caller = new Error().stack?.split('\n')[2];
    if (!caller?.includes('node:internal/test_runner/')) return enable.call(this);
    process.on('uncaughtExceptionMonitor', print);
    process.on('unhandledRejection', print);
    return this;
  };

  // Suites and tests of the runner are resources, and a suite calls its function by this.
  const { runInAsyncScope } = AsyncResource.prototype;
  AsyncResource.prototype.runInAsyncScope = function (this: AsyncResource, ...args: unknown[]) {
    if (this.constructor.name === 'Suite')
      throw new TailraceError('internal', 'expected tests without describe, whose tests would run outside of it');
    return runInAsyncScope.apply(this, args as Parameters<typeof runInAsyncScope>);
  } as typeof runInAsyncScope;
}

function print(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
}
