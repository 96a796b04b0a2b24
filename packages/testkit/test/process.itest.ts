import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { launchChromium } from '../src/chromium.ts';
import { eventually } from '../src/eventually.ts';
import { freePort } from '../src/free-port.ts';
import { failOnLeaks } from '../src/leak-check.ts';
import { isRunning, startService } from '../src/process.ts';
import { run } from '../src/run.ts';

failOnLeaks();

const service = join(import.meta.dirname, 'fixtures', 'service.ts');
const leaks = join(import.meta.dirname, 'fixtures', 'leaks.ts');

test('a service is started when it writes the line, and has its own output and environment', async () => {
  const running = await startService({
    args: [service],
    env: { GREETING: 'hello' },
    ready: { line: /^listening on \d+$/ },
  });
  const [, port] = await running.line(/^listening on (\d+)$/);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'ok');
  await running.line(/^GREETING=hello$/);
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
  assert.match(running.output(), /^listening on \d+\nGREETING=hello\nasked to stop\n$/);
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
});

test('a service is started when its URL responds', async () => {
  const url = `http://127.0.0.1:${await freePort()}/`;
  const running = await startService({ args: [service, 'late', new URL(url).port], ready: { url } });
  assert.equal((await fetch(url)).status, 200);
  assert.deepEqual(await running.kill(), { code: null, signal: 'SIGKILL' });
});

test('a service that exits before it is ready is an error with its code and its last output', async () => {
  const expected = { code: 'internal', message: /service\.ts exited \(7\) before[\s\S]*the disk is full/ };
  await assert.rejects(startService({ args: [service, 'fail'], ready: { line: /listening/ } }), expected);
  await assert.rejects(
    startService({ args: [service, 'fail'], ready: { url: `http://127.0.0.1:${await freePort()}/` } }),
    expected,
  );
});

test('all output of a service is known when its exit is, however much it wrote before', async () => {
  const running = await startService({ args: [service, 'chatty'] });
  assert.deepEqual(await running.exited, { code: 0, signal: null });
  assert.match(running.output(), /^(?:x{99}\n)+the end\n$/);
  assert.ok(running.output().length <= 1_000_000);
});

test('a service that does not become ready is killed, and the error has its output', async () => {
  const starting = startService({ args: [service], ready: { line: /never written/ }, deadlineMs: 2_000 });
  await assert.rejects(starting, {
    code: 'timeout',
    message: /did not write \/never written\/ within 2000 ms[\s\S]*listening on/,
  });
});

test('a service that does not stop on SIGTERM is killed after the deadline', async () => {
  const running = await startService({ args: [service, 'stubborn'], ready: { line: /^listening/ } });
  assert.deepEqual(await running.stop({ deadlineMs: 100 }), { code: null, signal: 'SIGKILL' });
  assert.match(running.output(), /asked to stop/);
});

test('a paused service is stopped in order', async () => {
  const running = await startService({ args: [service], ready: { line: /^listening/ } });
  running.signal('SIGSTOP');
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
});

test('a service exits with the process that started it, even if that is killed', async () => {
  const script = `
    import { isRunning, startService } from ${JSON.stringify(join(import.meta.dirname, '../src/process.ts'))};
    const inner = await startService({ args: [${JSON.stringify(service)}], ready: { line: /^listening/ } });
    process.stdout.write('inner ' + inner.pid + '\\n');
  `;
  const outer = await startService({ args: ['--input-type=module-typescript', '--eval', script] });
  const [, inner] = await outer.line(/^inner (\d+)$/);
  await outer.kill();
  await eventually(async () => !(await isRunning(Number(inner))), { describe: 'the inner service has exited' });
});

test('the children of a service exit with it', async () => {
  const running = await startService({ args: [service, 'parent'] });
  const [, child] = await running.line(/^child (\d+)$/);
  assert.equal(await isRunning(Number(child)), true);
  await running.stop();
  await eventually(async () => !(await isRunning(Number(child))), { describe: 'the child has exited' });
});

test('a test file that leaves nothing open passes', async () => {
  await run(process.execPath, ['--test', leaks], { deadlineMs: 20_000, env: outside({}) });
});

test('a test file that leaves a server or an unhandled rejection fails with a message', async () => {
  const leaving = (what: string) =>
    run(process.execPath, ['--test', leaks], { deadlineMs: 20_000, env: outside({ LEAVE: what }) });
  await assert.rejects(leaving('server'), ({ stdout }) =>
    /left open at the end:[\s\S]*1 × server that listens on a port/.test(stdout),
  );
  await assert.rejects(leaving('rejection'), ({ stdout }) =>
    /left open at the end:[\s\S]*unhandled rejection: RangeError: left unhandled/.test(stdout),
  );
});

/** Returns the environment without the variable by which node:test recognizes its children. */
function outside(extra: Record<string, string>) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return { ...env, ...extra };
}

test('Chromium shows a page, with a fresh profile each time', async () => {
  const browser = await launchChromium();
  const page = await browser.newPage();
  await page.goto('data:text/html,<title>tailrace</title><script>document.title += " " + (1 + 1)</script>');
  assert.equal(await page.title(), 'tailrace 2');
  await browser.close();
});
