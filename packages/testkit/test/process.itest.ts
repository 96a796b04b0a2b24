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

test('a service is started when the line comes, and its output and environment are its own', async () => {
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

test('a service is started when its URL answers', async () => {
  const url = `http://127.0.0.1:${await freePort()}/`;
  const running = await startService({ args: [service, 'late', new URL(url).port], ready: { url } });
  assert.equal((await fetch(url)).status, 200);
  assert.deepEqual(await running.kill(), { code: null, signal: 'SIGKILL' });
});

test('a service that ends before it is ready is told with its code and its last words', async () => {
  const expected = { code: 'internal', message: /service\.ts ended \(7\) before[\s\S]*the disk is full/ };
  await assert.rejects(startService({ args: [service, 'fail'], ready: { line: /listening/ } }), expected);
  await assert.rejects(
    startService({ args: [service, 'fail'], ready: { url: `http://127.0.0.1:${await freePort()}/` } }),
    expected,
  );
});

test('the last words of a service are known when its end is, however much it said before', async () => {
  const running = await startService({ args: [service, 'chatty'] });
  assert.deepEqual(await running.exited, { code: 0, signal: null });
  assert.match(running.output(), /^(?:x{99}\n)+the end\n$/);
  assert.ok(running.output().length <= 1_000_000);
});

test('a service that does not get ready is killed and told with its output', async () => {
  const starting = startService({ args: [service], ready: { line: /never said/ }, deadlineMs: 2_000 });
  await assert.rejects(starting, {
    code: 'timeout',
    message: /did not write \/never said\/ within 2000 ms[\s\S]*listening on/,
  });
});

test('a service that does not obey SIGTERM is killed after the deadline', async () => {
  const running = await startService({ args: [service, 'stubborn'], ready: { line: /^listening/ } });
  assert.deepEqual(await running.stop({ deadlineMs: 100 }), { code: null, signal: 'SIGKILL' });
  assert.match(running.output(), /asked to stop/);
});

test('a paused service is stopped in order', async () => {
  const running = await startService({ args: [service], ready: { line: /^listening/ } });
  running.signal('SIGSTOP');
  assert.deepEqual(await running.stop(), { code: 0, signal: null });
});

test('a service dies with the process that started it, even if that is killed', async () => {
  const script = `
    import { isRunning, startService } from ${JSON.stringify(join(import.meta.dirname, '../src/process.ts'))};
    const inner = await startService({ args: [${JSON.stringify(service)}], ready: { line: /^listening/ } });
    process.stdout.write('inner ' + inner.pid + '\\n');
  `;
  const outer = await startService({ args: ['--input-type=module-typescript', '--eval', script] });
  const [, inner] = await outer.line(/^inner (\d+)$/);
  await outer.kill();
  await eventually(async () => !(await isRunning(Number(inner))), { describe: 'the inner service is gone' });
});

test('what a service started itself ends with it', async () => {
  const running = await startService({ args: [service, 'parent'] });
  const [, child] = await running.line(/^child (\d+)$/);
  assert.equal(await isRunning(Number(child)), true);
  await running.stop();
  await eventually(async () => !(await isRunning(Number(child))), { describe: 'the child is gone' });
});

test('a test file that leaves nothing passes', async () => {
  await run(process.execPath, ['--test', leaks], { deadlineMs: 20_000, env: outside({}) });
});

test('a test file that leaves a server, or a rejection that nobody caught, fails and says so', async () => {
  const leaving = (what: string) =>
    run(process.execPath, ['--test', leaks], { deadlineMs: 20_000, env: outside({ LEAVE: what }) });
  await assert.rejects(leaving('server'), ({ stdout }) =>
    /left over at the end:[\s\S]*1 × server that listens on a port/.test(stdout),
  );
  await assert.rejects(leaving('rejection'), ({ stdout }) =>
    /left over at the end:[\s\S]*nobody caught it: RangeError: nobody cares/.test(stdout),
  );
});

/** Without the variable by which node:test tells its children that they are such. */
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
