import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import nodeProcess from 'node:process';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { createManualClock } from '../test/manual-clock.ts';
import type { Part } from './lifecycle.ts';
import { type Logger, silentLogger } from './logger.ts';
import { configOrExit, runService, type ServiceProcess } from './run-service.ts';

/** A process that records its exit codes instead of exiting. */
class FakeProcess extends EventEmitter implements ServiceProcess {
  argv = ['node', 'main.ts'];
  env: Record<string, string> = {};
  written = '';
  readonly exits: number[] = [];
  readonly #exited = Promise.withResolvers<number>();
  readonly exited = this.#exited.promise;
  stdout = { write: (text: string) => this.#record(`out: ${text}`) };
  stderr = { write: (text: string) => this.#record(`err: ${text}`) };
  #record(text: string): void {
    this.written += text;
  }

  exit(code: number): never {
    this.exits.push(code);
    this.#exited.resolve(code);
    return undefined as never;
  }
}

function run(parts: readonly Part[] | (() => readonly Part[]), options: { logger?: Logger } = {}) {
  const process = new FakeProcess();
  const clock = createManualClock();
  const build = typeof parts === 'function' ? parts : () => parts;
  const started = runService({ process, name: 'ingest', logger: options.logger ?? silentLogger, clock, parts: build });
  return { process, clock, started };
}

function recordedLogger() {
  const errors: { facts: object; message: string }[] = [];
  const logger: Logger = { ...silentLogger, error: (facts, message) => void errors.push({ facts, message }) };
  return { logger, errors };
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} stops in order and exits with 0`, async () => {
    const steps: string[] = [];
    const { process, started } = run([{ name: 'a', stop: () => void steps.push('stop') }]);
    await started;
    process.emit(signal, signal);
    assert.equal(await process.exited, 0);
    assert.deepEqual(steps, ['stop']);
  });
}

test('a second signal exits at once with 128 and its number', async () => {
  const { process, clock, started } = run([{ name: 'a', drain: () => new Promise<void>(() => {}) }]);
  await started;
  process.emit('SIGTERM');
  clock.advance(1000);
  process.emit('SIGINT');
  assert.deepEqual(process.exits, [130]);
});

test('one Ctrl-C that is received twice, from the terminal and from npm, is one signal', async () => {
  const { process, started } = run([{ name: 'a' }]);
  await started;
  process.emit('SIGINT');
  process.emit('SIGINT');
  assert.deepEqual(process.exits, []);
  assert.equal(await process.exited, 0);
});

for (const event of ['uncaughtException', 'unhandledRejection']) {
  test(`${event} is logged, stops in order and exits with 1`, async () => {
    const steps: string[] = [];
    const { logger, errors } = recordedLogger();
    const { process, started } = run([{ name: 'a', stop: () => void steps.push('stop') }], { logger });
    await started;
    const error = new RangeError('odd');
    process.emit(event, error);
    assert.equal(await process.exited, 1);
    assert.deepEqual(steps, ['stop']);
    assert.deepEqual(errors[0]?.facts, { error, origin: event });
  });
}

test('a part that cannot go on stops the process in order with 1', async () => {
  const steps: string[] = [];
  const process = new FakeProcess();
  const ending = Promise.withResolvers<(error: TailraceError) => void>();
  const parts = (end: (error: TailraceError) => void): readonly Part[] => {
    ending.resolve(end);
    return [{ name: 'a', stop: () => void steps.push('stop') }];
  };
  await runService({ process, name: 'fanout', logger: silentLogger, clock: createManualClock(), parts });
  const end = await ending.promise;
  end(new TailraceError('conflict', 'the log is another'));
  assert.equal(await process.exited, 1);
  assert.deepEqual(steps, ['stop']);
});

test('a start that fails logs the reason in one line, and exits with 1', async () => {
  const { logger, errors } = recordedLogger();
  const startError = new TailraceError('address_in_use', 'port 8082 is in use;\n  set port to another');
  const { process, started } = run([{ name: 'server', start: () => Promise.reject(startError) }], { logger });
  await started;
  assert.deepEqual(process.exits, [1]);
  assert.deepEqual(
    errors.map(({ message }) => message),
    ['ingest cannot start: port 8082 is in use; set port to another'],
  );
});

test('an error while the parts are built is a start that fails', async () => {
  const { logger, errors } = recordedLogger();
  const { process, started } = run(
    () => {
      throw new TypeError('x is not a function');
    },
    { logger },
  );
  await started;
  assert.deepEqual(process.exits, [1]);
  assert.match(errors[0]?.message ?? '', /ingest cannot start: x is not a function \(unexpected/);
});

test('a signal during the start stops the service', async () => {
  const { process, started } = run([{ name: 'log', start: () => new Promise<void>(() => {}) }]);
  await new Promise((resolve) => setImmediate(resolve));
  process.emit('SIGTERM');
  assert.equal(await process.exited, 0);
  await started;
});

test('the process of Node.js is a ServiceProcess', () => {
  const real: ServiceProcess = nodeProcess;
  assert.equal(typeof real.exit, 'function');
});

test('--help is written to standard output with 0, invalid settings to standard error with 1', () => {
  const schema = z.object({ port: z.int().default(1).describe('r') });
  const helped = new FakeProcess();
  helped.argv.push('--help');
  configOrExit(helped, 'ingest', schema);
  assert.deepEqual(helped.exits, [0]);
  assert.match(helped.written, /^out: tailrace ingest/);

  const invalid = new FakeProcess();
  invalid.env = { TAILRACE_PORT: 'x' };
  configOrExit(invalid, 'ingest', schema);
  assert.deepEqual(invalid.exits, [1]);
  assert.match(invalid.written, /^err: ingest: the configuration has 1 error:\n {2}port = "x"/);
});
