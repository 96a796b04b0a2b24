import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { launchChromium } from '@tailrace/testkit/chromium';
import { eventually } from '@tailrace/testkit/eventually';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';
import { createTempDir } from '@tailrace/testkit/tempdir';
import type { Browser, Locator, Page } from 'playwright-core';
import { type PageServer, startPageServer } from './page-server.ts';
import { freePortBase } from './ports.ts';

/** What people do on the dashboard about alarms, commands and scenes, in a real browser, on the whole demo. */

const root = resolve(import.meta.dirname, '..');
const dir = await createTempDir('control-page');
let demo: ServiceProcess;
let endpoints: Endpoints;
let browser: Browser;
/** Of the operator, whom the dashboard of the demo signs in, and of a second person with the role `supervisor`. */
let operator: Page;
let supervisor: Page;
let secondPage: PageServer;
const errors: string[] = [];

async function newPage(url: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(url);
  return page;
}

before(async () => {
  const data = join(dir.path, 'data');
  demo = await startService({
    args: [join(root, 'services/standalone/src/main.ts')],
    env: {
      TAILRACE_DATA_DIR: data,
      TAILRACE_PORT_BASE: String(await freePortBase()),
      TAILRACE_HOST_READINGS: 'false',
      TAILRACE_LOG_LEVEL: 'warn',
    },
    ready: { line: /Tailrace is running/ },
    deadlineMs: 60_000,
  });
  const read = async () => JSON.parse(await readFile(join(data, 'endpoints.json'), 'utf8')) as Endpoints;
  endpoints = await eventually(read, { deadlineMs: 60_000, describe: 'the demo writes endpoints.json' });
  browser = await launchChromium();
  secondPage = await startPageServer(endpoints.fanout[0]!.url, endpoints.supervisorToken!, endpoints.control!.url);
  [operator, supervisor] = await Promise.all([newPage(endpoints.dashboard.url), newPage(secondPage.url)]);
});

after(async () => {
  await browser?.close();
  await secondPage?.stop();
  await demo?.stop();
  await dir.remove();
});

/** A request with the rights of the owner. */
async function request(url: string, method: string, path: string, body?: object): Promise<unknown> {
  const headers = { authorization: `Bearer ${endpoints.token}`, 'content-type': 'application/json' };
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  const answer = await fetch(url + path, init);
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

const toControl = (method: string, path: string, body?: object) => request(endpoints.control!.url, method, path, body);

const publish = (device: string, temperature: number) =>
  request(endpoints.ingest[0]!.url, 'POST', '/v1/ingest', {
    ...{ device, time: Date.now(), readings: [{ tag: 'temperature', value: temperature, unit: 'Cel' }] },
  });

const alarmOf = (page: Page, device: string) =>
  page.locator(`[data-testid=alarm][data-device="${device}"][data-rule=boiler-hot]`);
const open = (page: Page, section: 'alarms' | 'scenes') => page.locator(`[data-section=${section}]`).click();
const stateOf = (element: Locator, state: string) =>
  eventually(async () => assert.equal(await element.getAttribute('data-state', { timeout: 2_000 }), state), {
    deadlineMs: 20_000,
    describe: `the state ${state}`,
  });

test('the seed of the demo is on the page', async () => {
  await open(operator, 'scenes');
  for (const scene of ['away', 'night', 'line-stop']) {
    await operator.locator(`[data-testid=scene][data-scene=${scene}]`).waitFor();
  }
  assert.match((await operator.locator('[data-scene=night] .schedule').textContent()) ?? '', /next .*22:30:00/);
  assert.match((await operator.locator('[data-scene=away] .schedule').textContent()) ?? '', /paused/);
});

test('a reading beyond its limit is an alarm on the page within a second', async (t) => {
  await toControl('PUT', '/v1/rules/boiler-hot?version=0&force=true', {
    devices: ['test.>'],
    condition: { kind: 'limits', tag: 'temperature', limits: { H: { value: 80, hysteresis: 2 } } },
    ...{ priority: 2, message: 'The boiler is at {value} {unit}' },
  });
  await open(operator, 'alarms');
  // A rule waits for the next reading of its tag.
  await eventually(async () => {
    await publish('test.first', 90);
    assert.equal(await alarmOf(operator, 'test.first').count(), 1);
  });
  const times: number[] = [];
  for (const device of ['test.boiler1', 'test.boiler2', 'test.boiler3']) {
    await publish(device, 60);
    const startMs = performance.now();
    await publish(device, 91.5);
    await alarmOf(operator, device).waitFor();
    times.push(performance.now() - startMs);
  }
  t.diagnostic(`reading to alarm on the page: ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  assert.ok(Math.min(...times) <= 1_000, `${times}`);
  const alarm = alarmOf(operator, 'test.boiler1');
  assert.match((await alarm.textContent()) ?? '', /Priority 2, high.*The boiler is at 91\.5.*Unacknowledged/);
});

test('an alarm is acknowledged on the page, which a reload and another person see, too', async () => {
  const device = 'test.boiler1';
  await alarmOf(operator, device).locator('[data-action=acknowledge]').click();
  await stateOf(alarmOf(operator, device), 'acknowledged');
  await operator.reload();
  await stateOf(alarmOf(operator, device), 'acknowledged');
  assert.match((await alarmOf(operator, device).textContent()) ?? '', /Acknowledged by dashboard/);
  await open(supervisor, 'alarms');
  await stateOf(alarmOf(supervisor, device), 'acknowledged');
  await publish(device, 60);
  await alarmOf(operator, device).waitFor({ state: 'detached' });
});

test('an alarm is shelved with a reason and a time, by the keyboard alone', async () => {
  const alarm = alarmOf(operator, 'test.boiler2');
  await alarm.locator('[data-action=shelve]').focus();
  await operator.keyboard.press('Enter');
  await operator.locator('dialog[open] input[name=text]').waitFor();
  // The reason is required.
  await operator.keyboard.press('Enter');
  assert.equal(await operator.locator('dialog[open]').count(), 1);
  await operator.keyboard.type('test run');
  await operator.keyboard.press('Enter');
  await stateOf(alarm, 'shelved');
  assert.match((await alarm.textContent()) ?? '', /Shelved until .* by dashboard: test run/);
  await alarm.locator('[data-action=unshelve]').click();
  await stateOf(alarm, 'acknowledged');
});

test('an action on an alarm that has changed meanwhile is refused, and the page shows why', async () => {
  // A note is required: the page does not know it before.
  await toControl('PUT', '/v1/rules/noted?version=0&force=true', {
    devices: ['test.noted'],
    condition: { kind: 'limits', tag: 'temperature', limits: { H: { value: 80 } } },
    class: { name: 'safety', noteRequired: true },
  });
  const alarm = operator.locator('[data-testid=alarm][data-rule=noted]');
  await eventually(async () => {
    await publish('test.noted', 95);
    assert.equal(await alarm.count(), 1);
  });
  await alarm.locator('[data-action=acknowledge]').click();
  const refusal = alarm.locator('.refusal');
  assert.match((await refusal.textContent()) ?? '', /note/);
  await refusal.locator('button').click();
  await operator.locator('dialog[open] input[name=text]').fill('seen by the test');
  await operator.locator('dialog[open] button[type=submit]').click();
  await stateOf(alarm, 'acknowledged');
});

/** Opens a device, and waits for its values. */
async function openDevice(page: Page, device: string): Promise<void> {
  await page.evaluate(`location.hash = '#/${device}'`);
  await page.locator(`main[aria-label="Device ${device}"] [data-testid=value]`).first().waitFor();
}
const shownValue = async (page: Page, tag: string) =>
  (await page.locator(`[data-testid=value][data-tag="${tag}"]`).textContent({ timeout: 5_000 })) ?? '';

test('a command on the page of a lamp is executed by it, and the reading shows it', async () => {
  await openDevice(operator, 'home.lamps.kitchen');
  await operator.getByRole('button', { name: 'Command…' }).click();
  const form = operator.locator('[data-testid=command-form]');
  for (const value of ['on', 'off']) {
    await form.locator('[name=tag]').fill('on');
    await form.locator('[name=value]').fill(value);
    await form.locator('button[type=submit]').click();
    const command = operator.locator('[data-testid=command]').first();
    await eventually(async () => {
      const text = `${await command.textContent()} ${await command.getAttribute('data-state')}`;
      assert.match(text, new RegExp(`set on = ${value === 'on'}.*done`));
    });
    await eventually(async () =>
      assert.equal((await shownValue(operator, 'on')).trim(), value === 'on' ? 'yes' : 'no'),
    );
    await eventually(async () => assert.equal(await form.locator('[role=status]').textContent(), 'done'));
  }
});

test('a command that the device refuses has its reason on the page', async () => {
  const form = operator.locator('[data-testid=command-form]');
  await form.locator('[name=tag]').fill('brightness');
  await form.locator('[name=value]').fill('101');
  await form.locator('button[type=submit]').click();
  const command = operator.locator('[data-testid=command]').first();
  await stateOf(command, 'failed');
  assert.match((await command.textContent()) ?? '', /expected 1 to 100, got 101/);
});

test('who takes control of a device is shown to watchers, whose commands it refuses, until it is released', async () => {
  const leaseOf = (page: Page) => page.locator('[data-testid=lease]');
  const holderOf = (page: Page, holder: string) =>
    eventually(async () => assert.equal(await leaseOf(page).getAttribute('data-holder'), holder));
  await openDevice(supervisor, 'home.lamps.kitchen');
  await supervisor.locator('[data-action=acquire]').click();
  for (const page of [supervisor, operator]) await holderOf(page, 'supervisor');
  assert.match((await leaseOf(supervisor).textContent()) ?? '', /^You control it until \d+:\d+:\d+/);
  assert.match((await leaseOf(operator).textContent()) ?? '', /^supervisor controls it until \d+:\d+:\d+: only they/);
  const form = operator.locator('[data-testid=command-form]');
  await form.locator('[name=value]').fill('50');
  await form.locator('button[type=submit]').click();
  const refused = /expected no other lease, got .* until (\d+ \w+ )?\d+:\d+:\d+$/;
  await eventually(async () => assert.match((await form.locator('[role=status]').textContent()) ?? '', refused));
  await supervisor.locator('[data-action=release]').click();
  for (const page of [supervisor, operator]) await holderOf(page, '');
});

test('"line stop" waits for a second person; the presses stop when they confirm it, and start again by its undo', async () => {
  await open(operator, 'scenes');
  await operator.locator('[data-scene=line-stop] button[type=submit]').click();
  const run = (page: Page, cause = 'api') =>
    page.locator(`[data-testid=scene-run][data-scene=line-stop][data-cause=${cause}]`).first();
  await stateOf(run(operator), 'confirming');
  // Beside the button, too: the list of runs may be out of view.
  const besideButton = operator.locator('[data-scene=line-stop] [data-testid=scene-state]');
  assert.match((await besideButton.textContent()) ?? '', /^waits for a second person/);
  assert.equal(await run(operator).getByRole('button', { name: 'Confirm' }).count(), 0, 'not by the same person');
  await open(supervisor, 'scenes');
  await run(supervisor).getByRole('button', { name: 'Confirm' }).click();
  for (const page of [operator, supervisor]) await stateOf(run(page), 'done');
  assert.match((await run(operator).textContent()) ?? '', /dashboard, confirmed by supervisor/);
  const isEnabled = async (shown: string) => {
    await openDevice(operator, 'plant1.line2.press1');
    await eventually(async () => assert.equal((await shownValue(operator, 'enabled')).trim(), shown));
    await open(operator, 'scenes');
  };
  await isEnabled('no');
  await run(operator).getByRole('button', { name: 'Undo' }).click();
  // It acts on the plant as well, so it needs a second person, too.
  await run(supervisor, 'undo').getByRole('button', { name: 'Confirm' }).click();
  await stateOf(run(operator, 'undo'), 'done');
  await isEnabled('yes');
});

test('the scene "away" switches the lamps off, and lowers the heating by its parameter', async () => {
  await operator.locator('[data-scene=away] input').fill('15');
  await operator.locator('[data-scene=away] button[type=submit]').click();
  const run = operator.locator('[data-testid=scene-run][data-scene=away]').first();
  await eventually(async () => assert.match((await run.getAttribute('data-state')) ?? '', /^(done|partial)$/), {
    deadlineMs: 20_000,
  });
  await openDevice(supervisor, 'home.heating.living');
  await eventually(async () => assert.match(await shownValue(supervisor, 'target'), /^15 /));
  assert.deepEqual(errors, []);
});
