import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launchChromium } from '@tailrace/testkit/chromium';
import { eventually } from '@tailrace/testkit/eventually';
import { bundle } from './bundle.ts';

type Browser = Awaited<ReturnType<typeof launchChromium>>;
type Page = Awaited<ReturnType<Browser['newPage']>>;

let browser: Browser;
let page: Page;
const errors: string[] = [];

before(async () => {
  const { code } = await bundle(readFileSync(join(import.meta.dirname, 'page/page.ts'), 'utf8'), [], 'development');
  browser = await launchChromium();
  page = await browser.newPage();
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.setContent('<!doctype html><div id="root"></div>');
  await page.addScriptTag({ content: code, type: 'module' });
});
after(() => browser.close());

/** Evaluates in the page, where `page` is the object of page.ts. */
const inPage = <T>(expression: string): Promise<T> => page.evaluate(expression) as Promise<T>;
const text = (id: string) => inPage<string | undefined>(`page.textOf('${id}')`);
const shows = (id: string, expected: string) => eventually(async () => assert.equal(await text(id), expected));

test('in strict mode each component has its reading, by one subscription per device', async () => {
  await shows('connection', 'live');
  await shows('list', 'live first');
  await shows('temperature', 'undefined undefined undefined stale');
  await inPage("page.server.publish('plant1.a', { temperature: 20.5, running: true }, 5), page.server.settled()");
  await shows('temperature', '20.5 good 5 fresh');
  await shows('running', 'true good 5 fresh');
  // Strict mode subscribes twice and unsubscribes once.
  const channels = await inPage<string[]>(
    "page.server.received.filter((m) => 'subscribe' in m).map((m) => m.subscribe.channel)",
  );
  assert.equal(channels.filter((channel) => channel === 'plant1.a').length, 1);
});

test('a thousand reports before the next frame cause one render, of the components that use them', async () => {
  const before = await inPage<Record<string, number>>('({ ...page.renders })');
  await inPage(
    "for (let n = 0; n < 1000; n++) page.server.publish('plant1.a', { temperature: n, running: true }, 1000 + n); page.server.settled()",
  );
  await shows('temperature', '999 good 1999 fresh');
  const after = await inPage<Record<string, number>>('({ ...page.renders })');
  // Two components, each rendered twice by strict mode; the frame may fall in between.
  assert.ok(after['reading']! - before['reading']! <= 8, `${after['reading']! - before['reading']!} renders`);
  assert.equal(after['other'], before['other'], 'uses another device');
  assert.equal(after['list'], before['list'], 'reports go to the listener');
  assert.equal(await inPage('page.listed()'), 1001);
});

test('readings are stale for a stale device and after a disconnect', async () => {
  await inPage("page.server.stale('plant1.a')");
  await shows('temperature', '999 good 1999 stale');
  await inPage("page.server.online('plant1.a')");
  await shows('temperature', '999 good 1999 fresh');
  await inPage('page.server.setReachable(false), page.server.drop()');
  await shows('temperature', '999 good 1999 stale');
  await shows('list', 'waiting first');
  await inPage('page.server.setReachable(true), page.server.clock.advance(60_000)');
  await shows('temperature', '999 good 1999 fresh');
  await shows('connection', 'live');
});

test('on a stream that the server has closed, all subscriptions are failed, also new ones', async () => {
  await inPage('page.server.drop(4401)');
  await shows('list', 'failed first');
  await inPage("page.render('later', true, 'plant2.>')");
  await shows('list', 'failed later');
  await inPage('page.stream.reconnect(), page.server.settled()');
  await shows('list', 'live later');
  await inPage("page.render('first')");
  await shows('list', 'live first');
});

test('a new listener does not subscribe again, and unmounted components are unsubscribed', async () => {
  const subscribed = "page.server.received.filter((m) => 'subscribe' in m).length";
  const before = await inPage<number>(subscribed);
  await inPage("page.render('second', false)");
  await shows('list', 'live second');
  assert.equal(await inPage(subscribed), before);
  await eventually(async () =>
    assert.deepEqual(await inPage('[...page.server.channels].sort()'), ['plant1.>', 'plant1.b']),
  );
  await inPage('page.unmount()');
  await eventually(async () => assert.equal(await inPage('page.server.channels.length'), 0));
  assert.deepEqual(errors, []);
});

test('the example of the README runs', async () => {
  const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
  const example = /<!-- react\.tsx -->\n```tsx\n(.*?)```/s.exec(readme)?.[1] ?? '';
  const network = await bundle(
    "import { createTestServer } from '@tailrace/client/testing'; globalThis.server = createTestServer(); globalThis.WebSocket = server.WebSocket;",
  );
  const fresh = await browser.newPage();
  await fresh.setContent('<!doctype html><div id="root"></div>');
  await fresh.addScriptTag({ content: network.code, type: 'module' });
  await fresh.addScriptTag({ content: (await bundle(example, [], 'development')).code, type: 'module' });
  await fresh.waitForFunction("globalThis.server?.channels.includes('plant1.line3.press7')");
  await fresh.evaluate(
    "server.publish('plant1.line3.press7', [{ tag: 'temperature', value: 42.5, unit: 'Cel' }]), server.settled()",
  );
  await fresh.waitForFunction("document.querySelector('output')?.textContent === '42.5 Cel'");
  await fresh.waitForFunction("document.querySelector('p')?.textContent === 'live'");
  await fresh.close();
});
