import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchChromium } from '@tailrace/testkit/chromium';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { createTempDir } from '@tailrace/testkit/tempdir';
import type { Browser, Page } from 'playwright-core';
import { startNode, type TestNode } from '../services/fanout/test/node.ts';
import { type PageServer, startPageServer } from './page-server.ts';

/** The page of one device in a real browser: what it shows while the server reads nothing, and its charts. */
const devices = ['plant1.line1.press1', 'plant1.line1.press2'] as const;
const wide = { width: 1440, height: 900 };
const narrow = { width: 390, height: 844 };
const dir = await createTempDir('device page');
let node: TestNode;
let server: PageServer;
let browser: Browser;
let reporting: NodeJS.Timeout;
let isReporting = true;
let reportCount = 0;

before(async () => {
  node = await startNode();
  reporting = setInterval(() => {
    // Always rising: the difference of the extremes shows how much history the page has.
    if (isReporting) void node.appendAll(devices, [{ tag: 'temperature', value: 20 + reportCount++, unit: 'Cel' }]);
  }, 250);
  // The first node is down.
  const streamUrl = `ws://127.0.0.1:${await freePort()},ws://127.0.0.1:${node.port}`;
  server = await startPageServer(streamUrl, node.token);
  browser = await launchChromium();
});

after(async () => {
  clearInterval(reporting);
  await browser?.close();
  await server?.stop();
  await node?.stop();
  await dir.remove();
});

/** Opens a page that is closed after the test; an error in it fails the test. */
async function opened(
  t: { after(call: () => Promise<void>): void },
  viewport: { width: number; height: number },
  path = '',
): Promise<Page> {
  const page = await browser.newPage({ viewport });
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  t.after(async () => {
    await page.close();
    assert.deepEqual(errors, []);
  });
  await page.goto(`${server.url}/#/${path}`);
  return page;
}

const shot = (page: Page, name: string) =>
  page.screenshot({ path: `${process.env['TAILRACE_TEST_SCREENSHOTS'] ?? dir.path}/${name}.png` });
const textOf = async (page: Page, id: string) =>
  (await page.locator(`[data-testid=${id}]`).first().textContent({ timeout: 1000 })) ?? '';
const assertShows = (page: Page, id: string, words: RegExp, deadlineMs = 15_000) =>
  eventually(async () => assert.match(await textOf(page, id), words), { deadlineMs, pollMs: 50 });

// First: after a pause of reports the stale deadline of a device is longer, for about half a minute.
test('a device that stops reporting is shown as stale, in its header and in the list, and later as live again', async (t) => {
  const page = await opened(t, wide, devices[0]);
  t.after(() => {
    isReporting = true;
  });
  const row = page.locator(`[data-testid=device-item][data-device="${devices[0]}"]`);
  await assertShows(page, 'device-age', /^live/);
  // A device is checked once reports of three different seconds are known. A pause while the browser starts makes its
  // report interval longer, until regular ones outweigh it.
  await eventually(() => reportCount > 40, { deadlineMs: 20_000, pollMs: 50 });
  isReporting = false;
  await assertShows(page, 'device-age', /^stale/, 25_000);
  await eventually(async () => assert.equal(await row.getAttribute('data-presence'), 'stale'));
  await assertShows(page, 'summary', /2 not online/);
  await shot(page, 'stale');
  isReporting = true;
  await assertShows(page, 'device-age', /^live/);
  await eventually(async () => assert.equal(await row.getAttribute('data-presence'), 'online'));
});

test('while the server reads nothing, the page of a device on a wide and on a narrow screen shows that, and not that the device is stale', async (t) => {
  const pages = Object.entries({
    wide: await opened(t, wide, devices[0]),
    narrow: await opened(t, narrow, devices[0]),
  });
  const both = (check: (page: Page, name: string) => Promise<unknown>) =>
    Promise.all(pages.map(([name, page]) => check(page, name)));
  await both((page) => assertShows(page, 'device-age', /^live/));
  await both((page) => assertShows(page, 'connection-state', /^Live/));
  t.after(() => {
    isReporting = true;
    node.reconnectLog();
    return Promise.resolve();
  });
  isReporting = false;
  node.disconnectLog();
  await both((page) => assertShows(page, 'connection-state', /^Interrupted/));
  await both((page) => assertShows(page, 'device-age', /^interrupted/));
  // Longer than the stale deadline of a device that reports every 250 ms.
  await both((page) =>
    eventually(
      async () => {
        const text = await textOf(page, 'device-age');
        assert.match(text, /^interrupted/);
        assert.match(text, /1[1-9]/);
      },
      { deadlineMs: 20_000, pollMs: 100 },
    ),
  );
  await both(async (page, name) => {
    assert.match(await textOf(page, 'notice'), /^Interrupted\./);
    await shot(page, `interrupted-${name}`);
  });
  node.reconnectLog();
  isReporting = true;
  await both((page) => assertShows(page, 'connection-state', /^Live/));
  await both((page) => assertShows(page, 'device-age', /^live/));
});

test('a page with the URLs of two nodes shows devices and live values while one of them is down', async (t) => {
  for (let time = 0; time < 4; time++) {
    // It connects to one of them at random.
    const page = await opened(t, wide, devices[0]);
    await assertShows(page, 'summary', /^2 devices/);
    await assertShows(page, 'connection-state', /^Live/);
    await assertShows(page, 'device-age', /^live/);
  }
});

for (const [name, viewport] of Object.entries({ wide, narrow })) {
  test(`on a ${name} screen the time axis of a device with one tag is below its chart`, async (t) => {
    const page = await opened(t, viewport, devices[0]);
    await page.locator('[data-testid=chart] canvas').first().waitFor();
    const chart = await page.locator('[data-testid=chart]').boundingBox();
    const axis = await page.locator('.axis').boundingBox();
    assert.ok(chart !== null && axis !== null);
    const gap = axis.y - (chart.y + chart.height);
    assert.ok(gap >= 0 && gap < 20, `${gap} px between them`);
    assert.ok(chart.height >= 100, `the chart is ${chart.height} px high`);
    await shot(page, `axis-${name}`);
  });

  test(`on a ${name} screen a link to a device that does not exist leads back to the list`, async (t) => {
    const page = await opened(t, viewport, 'plant9.nothing');
    await page.locator('.empty h2', { hasText: 'No reports yet' }).waitFor();
    await shot(page, `unknown-${name}`);
    await page.locator('[data-testid=all-devices]').click();
    const first = page.locator(`[data-testid=device-item][data-device="${devices[0]}"]`);
    await first.waitFor();
    // A wide screen shows the first device next to the list.
    if (viewport === wide) await page.locator(`[data-device="${devices[0]}"][aria-selected=true]`).waitFor();
  });
}

/** Returns the first and the last x of the line of the first chart, as shares of the width of the chart. */
const lineOf = (page: Page) =>
  page.evaluate(`{
    const canvas = document.querySelector('[data-testid=chart] canvas');
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    const isColored = (at) => data[at + 3] > 200 && Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 60;
    let [first, last] = [1, 0];
    for (let x = 0; x < width; x++)
      for (let y = 0; y < height; y++)
        if (isColored(4 * (y * width + x))) {
          first = Math.min(first, x / width);
          last = Math.max(last, x / width);
        }
    [first, last];
  }`) as Promise<[number, number]>;

test('charts of a device that is selected while they are paused show the whole window, also after it is widened', async (t) => {
  const page = await opened(t, narrow, devices[0]);
  const spread = async () => {
    const [low = 0, high = 0] = ((await page.locator('.extremes').first().textContent({ timeout: 500 })) ?? '')
      .split(' to ')
      .map(Number);
    return high - low;
  };
  await eventually(async () => assert.ok((await spread()) > 24, `${await spread()}`), { deadlineMs: 30_000 });
  await page.locator('.pause').click();
  const known = await spread();
  // On a narrow screen the page subscribes to the selected device only: it has no data of the other one.
  await page.goto(`${server.url}/#/${devices[1]}`);
  await page.locator('[data-testid=chart] canvas').first().waitFor();
  await eventually(async () => assert.ok((await spread()) >= known - 2, `${await spread()} of ${known}`), {
    deadlineMs: 10_000,
  });
  let drawn = 0;
  await eventually(
    async () => {
      const [first, last] = await lineOf(page);
      drawn = last - first;
      // One report per 250 ms in a window of one minute.
      assert.ok(drawn > ((known / 240) * 2) / 3, `the line is ${drawn} of the width, ${known} reports`);
    },
    { deadlineMs: 5_000, pollMs: 100 },
  );
  await shot(page, 'paused');
  await page.getByRole('button', { name: '5 min', exact: true }).click();
  await eventually(
    async () => {
      const [first, last] = await lineOf(page);
      assert.ok(last - first < drawn / 2, `the line is still ${last - first} of the width, before ${drawn}`);
    },
    { deadlineMs: 5_000, pollMs: 100 },
  );
});
