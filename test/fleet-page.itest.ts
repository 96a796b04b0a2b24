import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launchChromium } from '@tailrace/testkit/chromium';
import { eventually } from '@tailrace/testkit/eventually';
import { createTempDir } from '@tailrace/testkit/tempdir';
import type { Browser, CDPSession, Page } from 'playwright-core';
import { startNode, type TestNode } from '../services/fanout/test/node.ts';
import { type PageServer, startPageServer } from './page-server.ts';

/** The dashboard in a real browser, with 20,000 devices that report all the time. */
const deviceCount = 20_000;
const devices = Array.from(
  { length: deviceCount },
  (_, n) => `site${1 + Math.floor(n / 5000)}.hall${1 + Math.floor((n % 5000) / 250)}.machine${n}`,
);
/** Report interval of each device, and the number of groups that report one after the other in it. */
const reportEveryMs = 5000;
const groups = 50;
const lastDevice = devices.at(-1)!;

const dir = await createTempDir('fleet page');
let node: TestNode;
let server: PageServer;
let browser: Browser;
let page: Page;
let session: CDPSession;
let reporting: NodeJS.Timeout;
/** Number of groups that have reported so far. */
let reported = 0;
const errors: string[] = [];
/** Traffic of the page's WebSockets. */
const received = { reports: 0, bytes: 0 };
const sent = { messages: 0, bytes: 0 };

before(async () => {
  node = await startNode({ telemetryPartitions: 8 });
  for (let from = 0; from < deviceCount; from += 1000) {
    await node.appendAll(devices.slice(from, from + 1000), [{ tag: 'temperature', value: 20.5, unit: 'Cel' }]);
  }
  reporting = setInterval(() => {
    const group = reported++ % groups;
    const some = devices.filter((_, n) => n % groups === group);
    void node.appendAll(some, [{ tag: 'temperature', value: 20 + (reported % 1000) / 100, unit: 'Cel' }]);
  }, reportEveryMs / groups);
  server = await startPageServer(`ws://127.0.0.1:${node.port}`, node.token);
  browser = await launchChromium();
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => {
      received.bytes += payload.length;
      const { data } = JSON.parse(String(payload)) as { data?: { reports: unknown[] } };
      received.reports += data?.reports.length ?? 0;
    });
    socket.on('framesent', ({ payload }) => {
      sent.messages++;
      sent.bytes += payload.length;
    });
  });
  await page.addInitScript(
    `globalThis.longTasks = [];
     new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)))
       .observe({ type: 'longtask', buffered: true });`,
  );
  session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  await page.goto(server.url);
});

after(async () => {
  clearInterval(reporting);
  await browser?.close();
  await server?.stop();
  await node?.stop();
  await dir.remove();
});

const list = () => page.locator('[data-testid=device-list]');
const row = (device: string) => page.locator(`[data-testid=device-item][data-device="${device}"]`);
const rows = () => page.locator('[data-testid=device-item]');
const longTasks = () => page.evaluate('longTasks.splice(0)') as Promise<number[]>;
/**
 * Returns the processor time that the page's main thread has used for tasks, ms, without that of other programs.
 */
async function taskMs(): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics');
  return 1000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN);
}
/** Scrolls to a share of the whole list. */
const scrollTo = (share: number) =>
  page.evaluate(`{
    const list = document.querySelector('[data-testid=device-list]');
    list.scrollTop = ${share} * list.scrollHeight;
  }`);

async function shownValue(device: string): Promise<string> {
  return (await row(device).locator('.values b').first().textContent({ timeout: 1000 })) ?? '';
}

test('all 20,000 devices are counted and listed, and the visible ones have values', async () => {
  await eventually(
    async () => assert.match((await page.locator('[data-testid=summary]').textContent()) ?? '', /^20,000 devices$/),
    { deadlineMs: 30_000 },
  );
  await row(devices[0]!).waitFor({ timeout: 10_000 });
  assert.equal(await row(devices[0]!).getAttribute('aria-setsize'), '20000');
  assert.equal(await row(devices[0]!).getAttribute('aria-posinset'), '1');
  await eventually(async () => assert.match(await shownValue(devices[0]!), /^\d+\.\d/), { deadlineMs: 10_000 });
  assert.ok((await rows().count()) < 60, `${await rows().count()} rows exist`);
  assert.equal(await page.locator('[data-testid=notice]').count(), 0);
});

test('after a scroll to the end the last device shows values, and they are updated', async () => {
  await scrollTo(1);
  await row(lastDevice).waitFor({ timeout: 10_000 });
  assert.equal(await row(lastDevice).getAttribute('aria-posinset'), '20000');
  await eventually(async () => assert.match(await shownValue(lastDevice), /^\d+\.\d/), { deadlineMs: 10_000 });
  const seen = new Set<string>();
  await eventually(
    async () => {
      seen.add(await shownValue(lastDevice));
      assert.ok(seen.size >= 3, `values so far: ${[...seen]}`);
    },
    { deadlineMs: 4 * reportEveryMs, pollMs: 200 },
  );
  await page.screenshot({ path: process.env['TAILRACE_TEST_SCREENSHOT'] ?? join(dir.path, 'fleet.png') });
});

test('without scrolling only reports of visible devices are received, and each second uses at most 200 ms of the processor', async (t) => {
  const shown = await rows().count();
  await longTasks();
  Object.assign(received, { reports: 0, bytes: 0 });
  const startReported = reported;
  let mostMs = 0;
  // A rate is measured over a time.
  for (let ms = 0, before = await taskMs(); ms < 2 * reportEveryMs; ms += 1000) {
    await page.waitForTimeout(1000);
    const now = await taskMs();
    mostMs = Math.max(mostMs, now - before);
    before = now;
  }
  const intervals = (reported - startReported) / groups;
  const { reports, bytes } = received;
  const longest = Math.max(0, ...(await longTasks()));
  // One more: the device that was selected at the start.
  const expected = (shown + 1) * intervals;
  const facts = `${reports} reports of ${shown} rows in ${intervals.toFixed(1)} report intervals, ${bytes} bytes, at most ${mostMs.toFixed()} ms of the processor in a second, longest task ${longest} ms`;
  t.diagnostic(facts);
  assert.ok(reports > 0.5 * expected && reports < 1.5 * expected + 20, facts);
  assert.ok(bytes < 500 * expected, facts);
  assert.ok(mostMs <= 200, facts);
});

test('with any scrolling the messages sent stay within the limits of the server', async (t) => {
  Object.assign(sent, { messages: 0, bytes: 0 });
  const startMs = performance.now();
  for (let n = 0; n < 60; n++) {
    await scrollTo(((n * 37) % 100) / 100);
    await page.waitForTimeout(50);
  }
  await scrollTo(0.5);
  const middle = devices[deviceCount / 2]!;
  await row(middle).waitFor({ timeout: 10_000 });
  await eventually(async () => assert.match(await shownValue(middle), /^\d+\.\d/), { deadlineMs: 20_000 });
  const seconds = (performance.now() - startMs) / 1000;
  const facts = `${sent.messages} messages, ${sent.bytes} bytes in ${seconds.toFixed(1)} s`;
  t.diagnostic(facts);
  // As in visible-devices.ts, and pings. The server accepts 50 messages per second, and a burst of 2,100.
  assert.ok(sent.messages <= 2 * (300 + 15 * seconds) + 20 + seconds, facts);
  assert.ok(sent.bytes < 100 * sent.messages, facts);
  assert.equal(await page.locator('[data-testid=connection-state]').getAttribute('data-state'), 'live');
});

test('a row keeps the focus when the list is scrolled', async () => {
  const middle = devices[deviceCount / 2]!;
  await row(middle).click();
  await scrollTo(0);
  await row(devices[0]!).waitFor({ timeout: 10_000 });
  const focused = await page.evaluate('document.activeElement?.dataset.device');
  assert.equal(focused, middle);
  const active = await list().getAttribute('aria-activedescendant');
  assert.equal(active, `device-${middle}`);
  assert.equal(await page.locator(`[id="${active}"]`).count(), 1);
  await page.keyboard.press('ArrowDown');
  await page.locator(`[data-device="${devices[deviceCount / 2 + 1]}"][aria-selected=true]`).waitFor();
});

test('a search covers all devices, not only visible ones', async (t) => {
  await longTasks();
  await page.locator('#search').fill('site3 machine12345');
  await row('site3.hall10.machine12345').waitFor({ timeout: 10_000 });
  assert.match((await page.locator('[data-testid=summary]').textContent()) ?? '', /^1 of 20,000 devices/);
  t.diagnostic(`longest task of a search: ${Math.max(0, ...(await longTasks()))} ms`);
  await eventually(async () => assert.match(await shownValue('site3.hall10.machine12345'), /^\d+\.\d/), {
    deadlineMs: 10_000,
  });
  await row('site3.hall10.machine12345').click();
  // Each report is 0.5 above the one before: the chart has several reports from before the search.
  await eventually(
    async () => {
      const text = (await page.locator('.extremes').first().textContent({ timeout: 500 })) ?? '';
      const [low = 0, high = 0] = text.split(' to ').map(Number);
      assert.ok(high - low >= 1.5, text);
    },
    { deadlineMs: reportEveryMs, describe: 'the chart shows the history of the device' },
  );
  await page.locator('#search').fill('');
});

test('a new device appears by itself', async () => {
  await node.appendAll(['site0.new.machine'], [{ tag: 'temperature', value: 1.25 }]);
  await scrollTo(0);
  await row('site0.new.machine').waitFor({ timeout: 15_000 });
  await eventually(async () => assert.equal(await shownValue('site0.new.machine'), '1.25'), { deadlineMs: 10_000 });
  assert.match((await page.locator('[data-testid=summary]').textContent()) ?? '', /^20,001 devices/);
  assert.deepEqual(errors, []);
});
