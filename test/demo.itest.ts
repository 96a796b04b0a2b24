import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '@tailrace/platform/clock';
import type { Endpoints } from '@tailrace/platform/endpoints';
import type { CommandOutcome } from '@tailrace/protocol/device-command';
import { deviceCommandFromJson } from '@tailrace/protocol/device-command-json';
import { launchChromium } from '@tailrace/testkit/chromium';
import { CommandClient } from '@tailrace/testkit/command-client';
import { eventually } from '@tailrace/testkit/eventually';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { connectCommandSocket } from '../scripts/command-socket-bus.ts';
import { blocksOfDemo } from './docs/pages.ts';
import { Terminals } from './docs/terminals.ts';
import { freePortBase } from './ports.ts';
import { createWatcher } from './watcher.ts';

/** `make demo`, used by a browser, curl and the commands that it prints. */
const root = resolve(import.meta.dirname, '..');
const run = promisify(execFile);
const dir = await createTempDir('demo');
// Where the commands of the README find it.
const data = join(dir.path, 'data', 'demo');
const startedMs = systemClock.now();
const output = join(dir.path, 'demo.log');
let demo: Supervised;
let endpoints: Endpoints;

async function startDemo(portBase: number): Promise<void> {
  // Of a process that was killed.
  const former = endpoints?.control?.pid;
  demo = await startSupervised({
    command: 'make',
    args: ['--no-print-directory', 'demo', `DATA=${data}`, `PORT_BASE=${portBase}`],
    cwd: root,
    // For the page about notifications.
    env: { ...process.env, TAILRACE_NOTIFICATION_NETWORKS: '127.0.0.0/8' },
    output: { file: output },
  });
  endpoints = await eventually(
    async () => {
      assert.equal(demo.exit(), undefined, await readFile(output, 'utf8'));
      const found = JSON.parse(await readFile(join(data, 'endpoints.json'), 'utf8')) as Endpoints;
      assert.notEqual(found.control?.pid, former, 'the process before it');
      return found;
    },
    { deadlineMs: 60_000, describe: 'the demo writes endpoints.json' },
  );
}

/** Sends a request to the API of control, by default with the token of the owner. */
async function control(method: string, path: string, body?: object, token = endpoints.token) {
  const answer = await fetch(endpoints.control!.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: the assertions name the fields
  return { status: answer.status, body: (await answer.json()) as any };
}

before(async () => startDemo(await freePortBase()));
after(async () => {
  await demo.stop({ deadlineMs: 20_000 });
  await dir.remove();
});

test("the dashboard shows changing values of this host's CPU, and that it is live", async () => {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(endpoints.dashboard.url);
    const cpu = page.locator(`[data-testid=device-item][data-device$=".cpu"][data-device^="host."]`);
    await cpu.waitFor({ timeout: 60_000 });
    await cpu.click();
    const chart = page.locator('[data-testid=chart]').first();
    await chart.waitFor({ timeout: 60_000 });
    // Of all its tags: the total of a busy machine stays at 100 %.
    const values = page.locator('[data-testid=value]');
    const picture = process.env['TAILRACE_TEST_SCREENSHOT'];
    // The screenshot of the docs needs more values.
    const wanted = picture === undefined ? 3 : 30;
    const seen = new Set<string>();
    await eventually(
      async () => {
        seen.add((await values.allTextContents()).join(' '));
        assert.ok(seen.size >= wanted, `values so far: ${[...seen]}`);
      },
      { deadlineMs: 90_000, describe: `${wanted} different values`, pollMs: 100 },
    );
    assert.match((await page.locator('[data-testid=connection-state]').textContent()) ?? '', /live/i);
    assert.ok(await page.locator('[data-testid=data-age]').first().isVisible());
    await eventually(async () => (await chart.locator('canvas').count()) > 0, { deadlineMs: 5_000 });
    await page.screenshot({ path: picture ?? join(dir.path, 'dashboard.png') });
    assert.deepEqual(errors, []);
  } finally {
    await browser.close();
  }
});

/** A machine of each part of the plant, and a tag that changes from report to report. */
const machines = [
  { device: 'plant1.line1.spindle1', by: 'HTTP' },
  { device: 'plant1.line2.spindle1', by: 'device WebSocket' },
  { device: 'plant1.line3.spindle1', by: 'MQTT' },
  { device: 'plant1.cell1.meter1', by: 'Sparkplug B' },
  { device: 'plant1.utility.pump1', by: 'Modbus' },
  { device: 'plant1.utility.compressor1', by: 'OPC UA' },
] as const;

test('every part of the plant moves on the page', async () => {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    for (const { device, by } of machines) {
      await page.goto(`${endpoints.dashboard.url}/#/${device}`);
      const seen = new Set<string>();
      await eventually(
        async () => {
          const values = (await page.locator('[data-testid=value]').allTextContents()).join(' ');
          if (values !== '') seen.add(values);
          assert.ok(seen.size >= 3, `values so far: ${[...seen]}`);
          assert.match((await page.locator('[data-testid=device-age]').first().textContent()) ?? '', /^live/);
        },
        { deadlineMs: 40_000, pollMs: 100, describe: `${device}, by ${by}, changes on the page` },
      );
    }
    assert.deepEqual(errors, []);
  } finally {
    await browser.close();
  }
  const isComplete = async () => {
    const metrics = await (await fetch(`${endpoints.ingest[0]!.internal}/metrics`)).text();
    const sessions = metrics.split('\n').find((line) => line.startsWith('tailrace_ingest_device_sessions{'));
    // By WebSocket: the ten machines of line 2, the simulator, the gateway, and the nine devices of the house.
    assert.match(sessions ?? 'no metric', / 21$/);
    const ofGateway = await (await fetch(`${endpoints.edge![0]!.internal}/metrics`)).text();
    for (const source of ['utility', 'air']) {
      assert.match(ofGateway, new RegExp(`tailrace_edge_live_sources\\{.*source="${source}".*\\} 1`), source);
      assert.match(ofGateway, new RegExp(`tailrace_edge_bad_tags\\{.*source="${source}".*\\} 0`), source);
    }
  };
  await eventually(isComplete, { deadlineMs: 20_000, pollMs: 100, describe: 'all machines are connected' });
});

/** Has the alarm of the README. */
const pressDevice = 'plant1.line2.press1';

test('the commands of the README work unchanged: a rule, a command that raises its alarm, and both are listed', async () => {
  const page = await readFile(join(root, 'README.md'), 'utf8');
  const [, block] = /```sh\n(CONTROL=.*?)```/s.exec(page)!;
  const [variables, ...commands] = block!.trim().split('\n\n');
  const answers = [/"version":1/, /"key":"faster-1"/, /"key":"faster-1".*"state":"done"/, /"state":"unacknowledged"/];
  assert.equal(commands.length, answers.length);
  const { rules } = (await control('GET', '/v1/rules')).body;
  for (const [i, command] of commands.entries()) {
    // The first two are sent once, and what follows is requested until it is there.
    const once = i < 2;
    let runs = 0;
    // The command is sent when the rule is in force: an alarm that does not need the command is raised before it.
    if (i === 1) await eventually(() => haveRules(rules.length + 1), { deadlineMs: 10_000, pollMs: 50 });
    const isAnswered = async () => {
      if (once) assert.equal(runs++, 0);
      const { stdout } = await run('bash', ['-c', `${variables}\n${command}`], { cwd: dir.path });
      assert.match(stdout, answers[i]!);
    };
    await eventually(isAnswered, { deadlineMs: once ? 10_000 : 30_000, pollMs: 100, describe: command });
  }
  const [sent] = (await control('GET', `/v1/commands?device=${pressDevice}`)).body.commands;
  const { transitions } = (await control('GET', `/v1/alarms/history?pattern=${pressDevice}&rule=press-fast`)).body;
  const raised = transitions.map(({ cause, value, time }: Record<string, unknown>) => {
    return [cause, value, (time as number) >= sent.accepted];
  });
  assert.deepEqual(raised, [['raised', sent.params.stroke_rate_setpoint, true]], 'the command raises the alarm');
});

async function haveRules(count: number): Promise<void> {
  const metrics = await (await fetch(`${endpoints.alarms![0]!.internal}/metrics`)).text();
  assert.match(metrics, new RegExp(`^tailrace_alarms_rules\\{.*\\} ${count}$`, 'm'));
}

test('an alarm reaches a WebSocket, which acknowledges it', async () => {
  const socket = new WebSocket(`${endpoints.fanout[0]!.url}/v1/stream`, ['tailrace.v1.json']);
  const messages: Record<string, unknown>[] = [];
  socket.onmessage = ({ data }) => messages.push(JSON.parse(String(data)) as Record<string, unknown>);
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  const send = (message: object) => socket.send(JSON.stringify(message));
  send({ auth: { token: endpoints.token } });
  send({ subscribe: { id: 'a', channel: pressDevice, alarms: true } });
  const transition = (state: string) =>
    eventually(
      () => {
        const events = messages.flatMap(
          ({ alarm }) => (alarm as { events: { transition?: Record<string, unknown> }[] } | undefined)?.events ?? [],
        );
        const found = events.findLast((event) => event.transition?.['rule'] === 'press-fast')?.transition;
        assert.equal(found?.['state'], state, JSON.stringify(messages.slice(-5)));
        return found!;
      },
      { deadlineMs: 20_000, pollMs: 20, describe: `the alarm is ${state} at the client` },
    );
  const { rule, device, alarm, number } = await transition('unacknowledged');
  send({ acknowledge: { id: 'r', device, rule, alarm, number, note: 'slower now' } });
  assert.equal((await transition('acknowledged'))['by'], 'owner');
  socket.close();
});

test('a dry run of the rule finds its alarm in the log, and one of all machines finds more', async () => {
  const rule = (await control('GET', '/v1/rules/press-fast')).body;
  const dryRun = async (changes: object) => {
    const { status, body } = await control('POST', '/v1/rules/dry-run', {
      ...{ rule: { ...rule, ...changes }, from: startedMs, warmUpMs: 0 },
    });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.leftOut, body.evaluated.rejected], [[], 0]);
    return body;
  };
  const same = await dryRun({});
  assert.ok(same.raised >= 1 && same.devices[0].device === pressDevice, JSON.stringify(same));
  const wider = await dryRun({ devices: ['plant1.>'], condition: { ...rule.condition, limits: { H: { value: 1 } } } });
  assert.ok(wider.devicesRaised > same.devicesRaised, JSON.stringify(wider));
});

for (const page of ['docs/CONTROL.md', 'docs/NOTIFICATIONS.md'])
  test(`the commands of ${page} work unchanged, one after the other`, async () => {
    const env = { ...process.env, PORT_BASE: String(await freePortBase()) };
    const scratch = join(dir.path, basename(page));
    await mkdir(scratch);
    const terminals = new Terminals({ cwd: dir.path, env, scratch });
    const blocks = blocksOfDemo(page);
    assert.ok(blocks.length >= 2, `${blocks.length} blocks`);
    try {
      for (const { block, directive } of blocks) await terminals.run(block, directive);
    } finally {
      await terminals.ctrlC();
    }
  });

test('machines obey commands, refuse what they may not do, and a command changes the mood', async () => {
  const watcher = await createWatcher({ url: endpoints.fanout[0]!.url, token: endpoints.token, channel: 'plant1.>' });
  const socket = await connectCommandSocket(endpoints.commands!.socket);
  const client = new CommandClient(socket.bus, systemClock);
  await client.start();
  const command = async (device: string, name: string, params: object = {}, via = '') => {
    const issued = systemClock.now();
    const times = { issued, deadline: issued + 10_000 };
    const request = { id: randomUUID(), device, via, name, params, qos: 1, subject: 'test', ...times };
    let last: CommandOutcome | undefined;
    for await (const outcome of client.send(deviceCommandFromJson(request))) last = outcome;
    return last!;
  };
  /** As `command`, by `make command`, which takes a second. */
  const typed = async (device: string, name: string, params: object = {}) => {
    const args = ['--silent', 'command', `DEVICE=${device}`, `NAME=${name}`, `DATA=${data}`];
    const { code, stdout } = await run('make', [...args, `PARAMS=${JSON.stringify(params)}`], { cwd: root }).then(
      (finished) => ({ code: 0, ...finished }),
      (failed: { code: number; stdout: string }) => failed,
    );
    const last = stdout.trim().split('\n').at(-1) ?? '';
    return { code, ...(JSON.parse(last) as { state: string; message: string }) };
  };
  const reported = (device: string, tag: string, value: unknown) =>
    eventually(
      () => {
        // A gateway sends the tags of a machine in several reports.
        const readings = watcher.logReports
          .filter(({ report }) => report.device === device)
          .flatMap(({ report }) => report.readings);
        assert.equal(readings.findLast((each) => each.tag === tag)?.value, value);
      },
      { deadlineMs: 30_000, describe: `${device} reports ${tag} ${value}` },
    );

  const press = 'plant1.line2.press1';
  const { code, state } = await typed(press, 'set', { stroke_rate_setpoint: 12 });
  assert.deepEqual([code, state], [0, 'done']);
  await reported(press, 'stroke_rate_setpoint', 12);
  assert.equal((await command(press, 'stop')).state, 'done');
  await reported(press, 'enabled', false);
  const tooFast = await typed(press, 'set', { stroke_rate_setpoint: 99 });
  assert.deepEqual(
    [tooFast.state, tooFast.message],
    ['failed', 'params.stroke_rate_setpoint: expected 0 to 26, got 99'],
  );
  const conveyor = 'plant1.line3.conveyor1';
  assert.equal((await command(conveyor, 'set', { speed_setpoint: 0.25 })).state, 'done');
  await reported(conveyor, 'speed_setpoint', 0.25);
  assert.equal((await command('plant1.line3.oven1', 'start')).state, 'failed');
  const gateway = 'plant1.edge1';
  const pump = 'plant1.utility.pump1';
  assert.equal((await command(pump, 'set', { pressure_setpoint: 3.5 }, gateway)).state, 'done');
  await reported(pump, 'pressure_setpoint', 3.5);
  assert.equal((await command(pump, 'stop', {}, gateway)).state, 'done');
  await reported(pump, 'enabled', false);
  const [compressor, oven] = ['plant1.utility.compressor1', 'plant1.utility.oven1'];
  assert.equal((await command(compressor, 'stop', {}, gateway)).state, 'done');
  await reported(compressor, 'enabled', false);
  assert.equal((await command(oven, 'set', { temperature_setpoint: 120 }, gateway)).state, 'done');
  await reported(oven, 'temperature_setpoint', 120);
  assert.equal((await command(oven, 'set', { temperature_setpoint: 400 }, gateway)).state, 'failed');
  const cell = 'plant1.cell1';
  assert.equal((await command(`${cell}.conveyor1`, 'set', { speed_setpoint: 0.5 }, cell)).state, 'done');
  await reported(`${cell}.conveyor1`, 'speed_setpoint', 0.5);
  // The gate is locked while the robot moves.
  assert.equal((await command(`${cell}.robot1`, 'set', { enabled: false }, cell)).state, 'done');
  await reported(`${cell}.door1`, 'locked', false);
  assert.equal((await command(`${cell}.door1`, 'set', { open: true }, cell)).state, 'done');
  await reported(`${cell}.door1`, 'open', true);
  // Over HTTP there is no way to a machine.
  assert.equal((await command('plant1.line1.press1', 'stop')).state, 'failed');

  assert.equal((await command('plant1.simulator', 'set', { mood: 'drift' })).state, 'done');
  await reported('plant1.simulator', 'mood', 'drift');
  watcher.close();
  await client.stop();
  await socket.close();
});

test('a marked scene waits for the second person, whose token is beside the first', async () => {
  const supervisor = (await readFile(join(data, 'token.supervisor'), 'utf8')).trim();
  const { status, body } = await control('POST', '/v1/scenes/line-stop/run', {});
  assert.equal(status, 202, JSON.stringify(body));
  const path = `/v1/scene-runs/${body.id}`;
  await eventually(async () => assert.equal((await control('GET', path)).body.state, 'confirming'));
  assert.equal((await control('POST', `${path}/confirm`)).status, 403, 'by the same person');
  const confirmed = await control('POST', `${path}/confirm`, undefined, supervisor);
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
  await eventually(
    async () => {
      const run = (await control('GET', path)).body;
      assert.match(run.state, /^(done|partial)$/, JSON.stringify(run));
    },
    { deadlineMs: 30_000, pollMs: 100 },
  );
});

test('the metrics of the process include those of control and its store', async () => {
  const metrics = await (await fetch(`${endpoints.control!.internal}/metrics`)).text();
  for (const name of ['acts_total', 'database_reachable_servers', 'outbox_rows', 'open_commands'])
    assert.match(metrics, new RegExp(`^tailrace_control_${name}\\{.*\\} \\d`, 'm'), name);
});

test('another client receives the plant, the house and this host too', async () => {
  const watcher = await createWatcher({ url: endpoints.fanout[0]!.url, token: endpoints.token, channel: '>' });
  const isComplete = () => {
    const devices = new Set(watcher.logReports.map(({ report }) => report.device));
    for (const prefix of ['plant1.line1.', 'home.lamps.', 'host.'])
      assert.ok(
        [...devices].some((device) => device.startsWith(prefix)),
        `${prefix} of ${[...devices]}, host ${hostname()}`,
      );
  };
  await eventually(isComplete, { deadlineMs: 20_000, describe: 'reports of the plant, the house and this host' });
  watcher.close();
});

test('a device by WebSocket sends, and its reading reaches a socket of a browser', async () => {
  const device = 'home.attic';
  const watcher = await createWatcher({ url: endpoints.fanout[0]!.url, token: endpoints.token, channel: device });
  const socket = new WebSocket(endpoints.device.url, ['tailrace.device.v1.json']);
  const acks: string[] = [];
  const send = (type: string, payload: object, msgid?: string) => socket.send(JSON.stringify({ type, msgid, payload }));
  socket.onmessage = ({ data }) => {
    const { type, msgid, payload } = JSON.parse(String(data));
    const { token } = endpoints;
    if (type === 'hello') send('auth', { device, token, challenge: payload.challenge });
    else if (type === 'welcome') {
      for (const value of [1, 2, 3]) send('status', { readings: [{ tag: 'temperature', value }] }, `m${value}`);
      // Sent again, as after a lost answer.
      send('status', { readings: [{ tag: 'temperature', value: 3 }] }, 'm3');
      send('event', { name: 'window_open' }, 'e1');
    } else acks.push(`${msgid} ${payload.status}`);
  };
  await watcher.until(4, 20_000);
  assert.deepEqual(watcher.values(device), [1, 2, 3, true]);
  await eventually(() => acks.length === 4, { deadlineMs: 20_000, describe: `four answers, got ${acks}` });
  assert.deepEqual([...acks].sort(), ['e1 accepted', 'm1 accepted', 'm2 accepted', 'm3 accepted']);
  socket.close();
  watcher.close();
});

test('the commands that the demo prints work unchanged: curl publishes, a WebSocket watches', async () => {
  const printed = await readFile(output, 'utf8');
  const line = (start: string) => {
    const found = printed.split('\n').find((each) => each.trim().startsWith(start));
    assert.ok(found !== undefined, `no line that starts with ${start} in\n${printed}`);
    return found.trim();
  };
  const { stdout: answer } = await run('bash', ['-c', line('curl')], { cwd: root });
  assert.equal((JSON.parse(answer) as { accepted: number }).accepted, 1, answer);
  assert.ok(answer.endsWith('\n'), 'the prompt is on a line of its own');
  // The last values come at once; the command itself watches for ever.
  const watching = await startSupervised({
    command: 'bash',
    args: ['-c', line('npx')],
    cwd: root,
    output: { file: join(dir.path, 'watch.log') },
  });
  await eventually(async () => (await readFile(join(dir.path, 'watch.log'), 'utf8')).includes('"home.kitchen"'), {
    deadlineMs: 20_000,
    describe: 'the WebSocket line shows home.kitchen',
  });
  await watching.stop();
});

test('the gateway starts again after it was killed, and reads on', async () => {
  const { pid } = endpoints.edge![0]!;
  process.kill(pid, 'SIGKILL');
  const watcher = await createWatcher({
    url: endpoints.fanout[0]!.url,
    token: endpoints.token,
    channel: 'plant1.utility.pump1',
  });
  const before = watcher.logReports.length;
  await eventually(() => watcher.logReports.length >= before + 3, { deadlineMs: 40_000, describe: 'reports again' });
  watcher.close();
});

test('Ctrl-C stops it cleanly, and published reports are there after the next start', async () => {
  // As a terminal does: to make and its child processes.
  process.kill(-demo.pid, 'SIGINT');
  await demo.exited;
  assert.ok(!existsSync(join(data, 'endpoints.json')), await readFile(output, 'utf8'));
  const { pid } = endpoints.ingest[0]!;
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'the process still runs');
  const logged = (await readFile(output, 'utf8')).split('\n').filter((line) => /[!✗] (standalone|edge)/.test(line));
  // The test has killed the gateway. A machine that pauses loses connections to time-outs, and they are opened again.
  const expected = /the edge gateway has exited|! .*(connecting again|reconnecting|no connection to the OPC UA server)/;
  assert.deepEqual(
    logged.filter((line) => !expected.test(line)),
    [],
    'errors, and warnings of anything but a lost connection',
  );
  await startDemo(await freePortBase());
  const watcher = await createWatcher({
    url: endpoints.fanout[0]!.url,
    token: endpoints.token,
    channel: 'home.kitchen',
  });
  await eventually(() => assert.deepEqual(watcher.snapshot('home.kitchen'), [21.5]), { deadlineMs: 10_000 });
  watcher.close();
  await keepsControl();
});

// After the stop above: the store is recovered.
test('after a kill of the process the next start has the rule, the alarm and a valid audit', async () => {
  const { pid } = endpoints.control!;
  process.kill(pid, 'SIGKILL');
  await demo.exited;
  await startDemo(await freePortBase());
  await keepsControl();
});

async function keepsControl(): Promise<void> {
  const { version, author } = (await control('GET', '/v1/rules/press-fast')).body;
  assert.deepEqual([version, author], [1, 'owner']);
  const acted = (await control('GET', '/v1/audit?subject=owner&limit=100')).body.entries;
  const actions = new Set(acted.map(({ action }: { action: string }) => action));
  assert.ok(actions.size >= 3, `actions of the owner: ${[...actions]}`);
  const { valid } = (await control('GET', '/v1/audit/verify')).body;
  assert.equal(valid, true);
  const isStored = async () => {
    const { transitions } = (await control('GET', `/v1/alarms/history?pattern=${pressDevice}&rule=press-fast`)).body;
    const causes = transitions.map(({ cause, by = '' }: { cause: string; by?: string }) => `${cause} ${by}`.trim());
    assert.deepEqual(causes.filter((cause: string) => !cause.startsWith('returned')).reverse(), [
      'raised',
      'acknowledged owner',
    ]);
  };
  // The machine starts with its own set point, below the limit: nothing is raised again.
  await eventually(isStored, { deadlineMs: 20_000, describe: 'the transitions of the alarm' });
}
