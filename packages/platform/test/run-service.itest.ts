import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly port?: number;
  readonly error?: { readonly message: string };
}

function started(t: TestContext, env: Record<string, string>, args: readonly string[] = []): ChildProcess {
  const child = fork(join(import.meta.dirname, 'example-service.ts'), args, {
    env: { PATH: process.env['PATH'], ...env },
    silent: true,
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

/** A running service, its URL, and the lines that it has written so far. */
async function running(t: TestContext) {
  const child = started(t, { TAILRACE_INTERNAL_PORT: '0', TAILRACE_INTERNAL_HOST: '127.0.0.1' });
  const lines: Line[] = [];
  const ready = Promise.withResolvers<void>();
  createInterface({ input: child.stderr! }).on('line', (line) => {
    lines.push(JSON.parse(line));
    if (lines.at(-1)?.message === 'running') ready.resolve();
  });
  await Promise.race([ready.promise, once(child, 'exit').then(() => assert.fail('it did not start'))]);
  const port = lines.find((line) => line.port)?.port;
  return { child, lines, url: `http://127.0.0.1:${port}` };
}

/** Resolves with its exit code, when all its output has been read. */
async function exitCode(child: ChildProcess): Promise<number | null> {
  const [code] = await once(child, 'close');
  return code;
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`a service is ready when it runs, and ${signal} stops it in order with 0`, async (t) => {
    const { child, lines, url } = await running(t);
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    assert.equal((await fetch(`${url}/livez`)).status, 200);
    child.kill(signal);
    assert.equal(await exitCode(child), 0);
    assert.equal(lines.at(-1)?.message, 'stopped');
  });
}

test('an uncaught error is logged, and the service stops in order with 1', async (t) => {
  const { child, lines } = await running(t);
  child.send('throw');
  assert.equal(await exitCode(child), 1);
  assert.ok(lines.some((line) => line.error?.message === 'uncaught'));
  assert.equal(lines.at(-1)?.message, 'stopped');
});

test('with a port in use the start fails with 1 and one line that names the setting', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.after(() => holder.close());
  const { port } = holder.address() as { port: number };
  const child = started(t, { TAILRACE_INTERNAL_PORT: `${port}`, TAILRACE_INTERNAL_HOST: '127.0.0.1' });
  const [written, code] = await Promise.all([text(child.stderr!), exitCode(child)]);
  assert.equal(code, 1);
  const errors = written
    .trim()
    .split('\n')
    .filter((line) => JSON.parse(line).level === 'error');
  assert.equal(errors.length, 1);
  assert.match(errors[0] ?? '', /example cannot start: port \d+ on 127\.0\.0\.1 is in use.*TAILRACE_INTERNAL_PORT/);
});

test('with invalid settings the start fails with 1 and all errors on standard error; --check-config prints valid ones', async (t) => {
  const invalid = started(t, { TAILRACE_INTERNAL_PORT: 'x', TAILRACE_LOG_LEVL: 'info' });
  const [errors, invalidCode] = await Promise.all([text(invalid.stderr!), exitCode(invalid)]);
  assert.equal(invalidCode, 1);
  assert.match(errors, /2 errors:[\s\S]*did you mean TAILRACE_LOG_LEVEL\?/);

  const checked = started(t, { TAILRACE_INTERNAL_PORT: '1234' }, ['--check-config']);
  const [listing, checkedCode] = await Promise.all([text(checked.stdout!), exitCode(checked)]);
  assert.equal(checkedCode, 0);
  assert.match(listing, /^internalPort = 1234$/m);
});
