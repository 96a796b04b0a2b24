import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { Acceptance } from '../src/commands/acceptance.ts';
import { markedCommandsFrom } from '../src/commands/marked-commands.ts';
import type { ControlContext } from '../src/control-context.ts';
import {
  type ControlFixture,
  commandBody,
  createControlFixture,
  type RunningControl,
  tokenOf,
} from './control-fixture.ts';
import { FanoutNode } from './fanout-node.ts';
import { IngestNode } from './ingest-node.ts';

let fixture: ControlFixture;
let control: RunningControl;
let context: ControlContext;
let node: IngestNode;
let fanout: FanoutNode;
let anna: string;
let bob: string;

before(async () => {
  fixture = await createControlFixture();
  node = new IngestNode('ingest-0', await fixture.bus('ingest-0'));
  await node.start();
  fanout = new FanoutNode('fanout-0', await fixture.bus('fanout-0'), 3);
  const markedCommands = JSON.stringify([{ pattern: 'plant1.>', names: ['stop'] }]);
  control = await fixture.start('c1', {
    settings: { markedCommands, deviceOpenCommandsMax: 5, unconfirmedMs: 10_000 },
    routes: [
      (_api, received) => {
        context = received;
      },
    ],
  });
  anna = await tokenOf('anna');
  bob = await tokenOf('bob', { roles: ['supervisor'] });
});

after(() => {
  fanout.stop();
  return fixture.stop();
});

async function submit(fields: Readonly<Record<string, unknown>> = {}, token = anna) {
  const { status, body } = await control.request(token, 'POST', '/v1/commands', commandBody(fields));
  return { status, body };
}

async function statesOf(id: string): Promise<readonly string[]> {
  const { body } = await control.request(anna, 'GET', `/v1/commands/${id}`);
  return body.transitions.map(({ state, awaits, final }: { state: string; awaits?: string; final: boolean }) =>
    [state, awaits, final ? 'final' : undefined].filter(Boolean).join(' '),
  );
}

const reaches = (id: string, state: string) =>
  eventually(
    async () => {
      const states = await statesOf(id);
      assert.equal(states.at(-1), state, states.join(', '));
      return states;
    },
    { describe: `command ${id} is ${state}` },
  );

const sentOf = (device: string) => node.sent.filter((command) => command.device === device);

test('a command with the largest parameters that the audit takes has a final state, and can be canceled', async () => {
  // Each of these characters has six in JSON.
  let length = 2_725;
  const largest = async (device: string, forMs: number) => {
    for (; ; length--) {
      const params = { text: '\u0001'.repeat(length) };
      const answer = await submit({ device, deadline: Date.now() + forMs, params });
      if (answer.status === 202) return answer.body.id as string;
      assert.deepEqual([answer.status, answer.body.error.code], [413, 'too_large']);
    }
  };
  const canceled = await largest('plant1.large2', 60_000);
  const expired = await largest('plant1.large1', 1_500);
  assert.equal((await control.request(anna, 'POST', `/v1/commands/${canceled}/cancel`)).status, 200);
  await reaches(expired, 'expired final');
});

test('a command reaches its device, and its states the log, the audit and its sender, each once', async () => {
  const device = 'plant1.press1';
  node.connect(device);
  const { status, body } = await submit({ device });
  assert.equal(status, 202);
  assert.equal(body.state, 'accepted');
  const states = await reaches(body.id, 'done final');
  assert.deepEqual(states, ['accepted', 'sent', 'delivered', 'done final']);
  const [sent] = sentOf(device);
  assert.deepEqual([sent!.id, sent!.params, sent!.subject], [body.id, { speed: 12 }, 'anna']);
  const transitions = await eventually(async () => {
    const events = await fixture.events();
    const own = events.filter(({ key }) => key === device).map(({ event }) => event.commandTransition!);
    assert.equal(own.length, 4);
    return own;
  });
  assert.deepEqual(
    transitions.map(({ number }) => number),
    [1, 2, 3, 4],
  );
  assert.deepEqual(
    transitions.map(({ final }) => final),
    [false, false, false, true],
  );
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const audit = await control.request(auditor, 'GET', `/v1/audit?target=${device}`);
  assert.deepEqual(
    audit.body.entries.map(({ action, subject }: { action: string; subject: string }) => `${action} ${subject}`),
    ['command.done control', 'command.delivered control', 'command.sent control', 'command.accepted anna'],
  );
});

test('commands of many devices at one moment have their own states, each once', async () => {
  const devices = Array.from({ length: 30 }, (_, index) => `plant1.many${index}`);
  for (const device of devices) node.connect(device);
  const answers = await Promise.all(devices.map((device) => submit({ device })));
  for (const [index, { status, body }] of answers.entries()) {
    assert.deepEqual([status, body.device], [202, devices[index]]);
    assert.deepEqual(await reaches(body.id, 'done final'), ['accepted', 'sent', 'delivered', 'done final']);
    assert.equal(sentOf(devices[index]!).length, 1);
  }
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const { body } = await control.request(auditor, 'GET', '/v1/audit/verify');
  assert.deepEqual(body.broken, []);
});

test('a command with the same ID is the same command, and one with another content is refused', async () => {
  const device = 'plant1.press2';
  node.connect(device);
  const first = await submit({ device, id: 'same' });
  await reaches(first.body.id, 'done final');
  const again = await submit({ device, id: 'same' });
  assert.deepEqual([again.status, again.body.id, again.body.state], [202, first.body.id, 'done']);
  const other = await submit({ device, id: 'same', params: { speed: 99 } });
  assert.deepEqual([other.status, other.body.error.code], [409, 'conflict']);
  assert.equal(sentOf(device).length, 1);
  // The ID is of the sender: another one may use it.
  assert.equal((await submit({ device, id: 'same' }, bob)).status, 202);
});

test('commands for a device that is away wait in order, and reach it once it connects', async () => {
  const device = 'plant1.press3';
  const ids: string[] = [];
  for (const speed of [1, 2, 3]) ids.push((await submit({ device, params: { speed } })).body.id);
  await reaches(ids[0]!, 'queued device');
  assert.equal(sentOf(device).length, 0);
  node.connect(device);
  for (const id of ids) await reaches(id, 'done final');
  assert.deepEqual(
    sentOf(device).map(({ params }) => params['speed']),
    [1, 2, 3],
  );
});

test('a command that waits for its device is not worked on meanwhile, and the next one has its turn when it is canceled', async (t) => {
  const device = 'plant1.press17';
  const finds: string[] = [];
  node.beforeFind = (wanted) => void finds.push(wanted);
  t.after(() => {
    node.beforeFind = () => {};
  });
  const first = (await submit({ device })).body.id;
  const second = (await submit({ device })).body.id;
  await reaches(first, 'queued device');
  // Meanwhile, a command goes all the way.
  node.connect('plant1.press18');
  await reaches((await submit({ device: 'plant1.press18' })).body.id, 'done final');
  const of = (wanted: string) => finds.filter((each) => each === wanted).length;
  assert.deepEqual([of(device), of('plant1.press18')], [1, 1]);
  await control.request(anna, 'POST', `/v1/commands/${first}/cancel`);
  await reaches(second, 'queued device');
  assert.equal(of(device), 2);
});

test('a newer set point replaces those that were not sent', async () => {
  const device = 'plant1.press4';
  const first = (await submit({ device, params: { speed: 1 } })).body.id;
  const other = (await submit({ device, params: { pressure: 1 } })).body.id;
  await reaches(first, 'queued device');
  const last = (await submit({ device, params: { speed: 2 }, replaces: true })).body.id;
  await reaches(first, 'canceled final');
  node.connect(device);
  await reaches(other, 'done final');
  await reaches(last, 'done final');
  assert.deepEqual(
    sentOf(device).map(({ params }) => params),
    [{ pressure: 1 }, { speed: 2 }],
  );
});

test('a set point replaces what is open, also when one before it in its transaction has a key that is used', async () => {
  const device = 'plant1.press23';
  const acceptance = new Acceptance({ context, marked: markedCommandsFrom(''), deviceOpenMax: 5 });
  const requester = {
    ...{ subject: 'anna', tokenId: '', address: '', tenant: '', roles: [], traceparent: '' },
    ...{ command: ['plant1.>'], subscribe: ['plant1.>'] },
  };
  const accept = async (key: string, speed: number) => {
    const submission = {
      ...{ key, device, via: '', name: 'set', params: { speed }, qos: 1 as const, deadline: Date.now() + 60_000 },
      ...{ lease: 0, onlyIf: '', seen: {}, replaces: true, dryRun: false },
    };
    return (await acceptance.accept({ requester, submission, details: {} })).command.id;
  };
  const [first, again, last] = await Promise.all([accept('r1', 1), accept('r1', 1), accept('r2', 2)]);
  assert.equal(again, first);
  assert.equal((await statesOf(first)).at(-1), 'canceled final');
  assert.deepEqual(await statesOf(last), ['accepted']);
});

test('a command whose deadline passes while its device is away expires, and is not executed later', async () => {
  const device = 'plant1.press5';
  const request = { device, id: 'late', deadline: Date.now() + 300 };
  const { body } = await submit(request);
  await reaches(body.id, 'expired final');
  // As a client sends it that had no connection meanwhile.
  const again = await submit(request);
  assert.deepEqual([again.status, again.body.id, again.body.state], [202, body.id, 'expired'], again.body);
  node.connect(device);
  const next = await submit({ device });
  await reaches(next.body.id, 'done final');
  assert.equal(sentOf(device).length, 1);
});

test('a marked command waits for a second person with the role, who is not its sender', async () => {
  const device = 'plant1.press6';
  node.connect(device);
  const { body } = await submit({ device, name: 'stop', params: {} });
  assert.equal(body.awaits, 'confirmation');
  const confirm = (token: string) => control.request(token, 'POST', `/v1/commands/${body.id}/confirm`);
  assert.equal((await confirm(anna)).status, 403);
  // With the role, and the sender.
  const own = await tokenOf('anna', { roles: ['supervisor'] });
  assert.equal((await confirm(own)).body.error.code, 'forbidden');
  assert.equal(sentOf(device).length, 0);
  assert.equal((await confirm(bob)).status, 200);
  assert.deepEqual(await reaches(body.id, 'done final'), [
    ...['accepted confirmation', 'queued', 'sent', 'delivered', 'done final'],
  ]);
  assert.equal((await confirm(bob)).status, 409);
});

test('a command is canceled before it is sent, and not afterwards', async () => {
  const device = 'plant1.press8';
  const { body } = await submit({ device });
  await reaches(body.id, 'queued device');
  const canceled = await control.request(anna, 'POST', `/v1/commands/${body.id}/cancel`);
  assert.deepEqual([canceled.status, canceled.body.state], [200, 'canceled']);
  node.connect(device);
  node.onCommand = () => [{ state: 'delivered' }];
  const sent = await submit({ device });
  await reaches(sent.body.id, 'delivered');
  const late = await control.request(anna, 'POST', `/v1/commands/${sent.body.id}/cancel`);
  assert.deepEqual([late.status, late.body.state], [200, 'delivered']);
  node.onCommand = () => [{ state: 'delivered' }, { state: 'done' }];
  node.report(sentOf(device).at(-1)!, { state: 'done' });
  await reaches(sent.body.id, 'done final');
  assert.equal(sentOf(device).length, 1);
});

test('a command whose reply is lost is not sent again: its outcome is requested', async () => {
  const device = 'plant1.press9';
  node.connect(device);
  let isLost = true;
  node.beforeReply = (request) => {
    if (!isLost || !('command' in request)) return;
    isLost = false;
    throw new Error('the reply is lost');
  };
  node.onCommand = () => [];
  const { body } = await submit({ device });
  await eventually(() => assert.equal(sentOf(device).length, 1));
  await reaches(body.id, 'sent');
  node.report(sentOf(device)[0]!, { state: 'done' });
  await reaches(body.id, 'done final');
  assert.equal(sentOf(device).length, 1);
  node.onCommand = () => [{ state: 'delivered' }, { state: 'done' }];
});

test('a command that a restarted node does not know is unconfirmed, until its device reports it', async () => {
  const device = 'plant1.press10';
  node.connect(device);
  node.beforeReply = (request) => {
    if (!('command' in request)) return;
    node.beforeReply = () => {};
    node.forget();
    throw new Error('the node stops');
  };
  node.onCommand = () => [];
  const { body } = await submit({ device });
  const states = await reaches(body.id, 'unconfirmed outcome');
  assert.deepEqual(states, ['accepted', 'unconfirmed outcome']);
  // In its next session, to another node.
  node.report(sentOf(device)[0]!, { state: 'done', attempt: 0, session: 2, node: 'ingest-1' });
  await reaches(body.id, 'done final');
  assert.equal(sentOf(device).length, 1);
  node.onCommand = () => [{ state: 'delivered' }, { state: 'done' }];
});

test('a process that stops leaves its commands to another one, which sends none twice', async () => {
  const device = 'plant1.press11';
  node.connect(device);
  node.onCommand = () => [];
  const second = await fixture.start('c2');
  const { body } = await second.request(anna, 'POST', '/v1/commands', commandBody({ device }));
  await reaches(body.id, 'sent');
  await second.stop();
  node.report(sentOf(device)[0]!, { state: 'done' });
  // When its next check is due, after 5 s, the outcome is requested of the node.
  await reaches(body.id, 'done final');
  assert.equal(sentOf(device).length, 1);
  node.onCommand = () => [{ state: 'delivered' }, { state: 'done' }];
});

test('a dry run checks a command, and accepts none', async () => {
  const device = 'plant1.press12';
  const { status, body } = await submit({ device, dryRun: true });
  assert.deepEqual([status, body.id, body.number], [202, '', 0]);
  const list = await control.request(anna, 'GET', `/v1/commands?device=${device}`);
  assert.deepEqual(list.body.commands, []);
  assert.equal((await submit({ device, dryRun: true }, await tokenOf('carl', { command: [] }))).status, 403);
});

test('a deadline that has passed, one too far ahead, and an invalid expression are refused with what was expected', async () => {
  for (const [fields, message] of [
    [{ deadline: Date.now() - 1 }, /deadline: expected a time after/],
    [{ deadline: Date.now() + 90_000_000 }, /deadline: expected a time after/],
    [
      { onlyIf: 'temp > running >' },
      /^onlyIf, line 1, column 17: expected a value or a tag, got the end\ntemp.*\n {16}\^$/s,
    ],
    [{ onlyIf: 'temp + 1' }, /^onlyIf, line 1, column 1: expected a condition/],
    [{ onlyIf: `${'(1 + '.repeat(60)}1${')'.repeat(60)} > 0` }, /costs too much/],
  ] as const) {
    const { status, body } = await submit(fields);
    assert.equal(status, 400);
    assert.match(body.error.message, message);
  }
});

test('without a fanout node, a command with a condition is refused as unavailable, and not sent', async () => {
  const device = 'plant1.press14';
  node.connect(device);
  const { status, body } = await submit({ device, onlyIf: 'temp < 80' });
  assert.deepEqual([status, body.error.code, body.error.retryable], [503, 'unavailable', true]);
  assert.match(body.error.message, /onlyIf: expected the last values of plant1.press14/);
  assert.equal(sentOf(device).length, 0);
});

test('a command is refused unless its condition holds by the last values, with these and their positions', async () => {
  const device = 'plant1.press15';
  node.connect(device);
  fanout.set(device, { temp: 85, mode: 'auto' }, { seq: 7 });
  await fanout.start();
  const refused = async (fields: object, message: RegExp) => {
    const { status, body } = await submit({ device, ...fields });
    assert.deepEqual([status, body.error.code, body.error.retryable], [409, 'conflict', false]);
    assert.match(body.error.message, message);
  };
  // Its announcement is on its way.
  await eventually(async () => assert.equal((await submit({ device, onlyIf: 'temp > 80', dryRun: true })).status, 202));
  await refused({ onlyIf: 'temp < 80' }, /expected "temp < 80" of .* to hold, got false, temp = 85 at position 7$/);
  await refused({ onlyIf: 'temp < 80', dryRun: true }, /got false/);
  await refused({ onlyIf: 'pressure < 2' }, /got unknown, no value of pressure$/);
  await refused({ seen: { mode: 6 } }, /^seen.mode: expected 6 as the position of its last value, got 7, with "auto"$/);
  await refused({ onlyIf: 'temp > 80', seen: { pressure: 7 } }, /^seen.pressure: .*, got no value$/);
  assert.equal(sentOf(device).length, 0);
  const fields = { device, id: 'conditional', onlyIf: 'temp > 80', seen: { temp: 7, mode: 7 } };
  const { status, body } = await submit(fields);
  assert.equal(status, 202);
  await reaches(body.id, 'done final');
  // Its repetition is the same command, although the condition does not hold any more.
  fanout.set(device, { temp: 20 }, { seq: 8 });
  assert.equal((await submit(fields)).body.id, body.id);
  assert.equal((await submit({ ...fields, onlyIf: 'temp > 81' })).status, 409);
  assert.equal(sentOf(device).length, 1);
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const audit = await control.request(auditor, 'GET', `/v1/audit?target=${device}`);
  const accepted = audit.body.entries.find(({ action }: { action: string }) => action === 'command.accepted');
  assert.deepEqual(accepted.details.read, {
    temp: { value: 85, position: 7 },
    mode: { value: 'auto', position: 7 },
  });
});

test('a command that waits fails if its condition does not hold any more when its device connects', async () => {
  const device = 'plant1.press16';
  fanout.set(device, { temp: 70 }, { seq: 7 });
  const late = (await submit({ device, onlyIf: 'temp < 80' })).body.id;
  const seen = (await submit({ device, seen: { temp: 7 }, params: { speed: 13 } })).body.id;
  const good = (await submit({ device, onlyIf: 'temp > 60', params: { speed: 14 } })).body.id;
  await reaches(late, 'queued device');
  fanout.set(device, { temp: 90 }, { seq: 9 });
  node.connect(device);
  await reaches(late, 'failed final');
  await reaches(seen, 'failed final');
  await reaches(good, 'done final');
  const { body } = await control.request(anna, 'GET', `/v1/commands/${late}`);
  assert.deepEqual([body.code, body.message.includes('temp = 90 at position 9')], ['conflict', true]);
  assert.deepEqual(
    sentOf(device).map(({ params }) => params['speed']),
    [14],
  );
});

test('a device takes a bounded number of commands that wait', async () => {
  const device = 'plant1.press13';
  for (let index = 0; index < 5; index++) assert.equal((await submit({ device })).status, 202);
  const { status, body } = await submit({ device });
  assert.deepEqual([status, body.error.code, body.error.retryable], [429, 'rate_limited', true]);
});

test('of requests at one moment, each has its own answer', async () => {
  const [twice, limited, replacing] = ['plant1.press19', 'plant1.press20', 'plant1.press21'];
  const requests = [
    ...[1, 2].map(() => submit({ device: twice, id: 'twice' })),
    ...[1, 2, 3, 4, 5, 6, 7].map((speed) => submit({ device: limited, params: { speed } })),
    ...[1, 2, 3].map((speed) => submit({ device: replacing, params: { speed }, replaces: true })),
  ];
  const answers = await Promise.all(requests);
  const [first, second] = answers;
  assert.deepEqual([first!.status, second!.status, second!.body.id], [202, 202, first!.body.id]);
  const statuses = answers.slice(2, 9).map(({ status }) => status);
  assert.deepEqual(statuses.toSorted(), [202, 202, 202, 202, 202, 429, 429]);
  for (const device of [twice, limited, replacing]) node.connect(device!);
  await eventually(async () => {
    const ids = answers.slice(9).map(({ body }) => body.id);
    const states = await Promise.all(ids.map(async (id) => (await statesOf(id)).at(-1)));
    assert.deepEqual(states.toSorted(), ['canceled final', 'canceled final', 'done final']);
  });
  await reaches(first!.body.id, 'done final');
  await eventually(() =>
    assert.deepEqual(
      [twice, limited, replacing].map((device) => sentOf(device!).length),
      [1, 5, 1],
    ),
  );
});

test('a device that connects before it is stored that its command waits for it gets the command', async (t) => {
  const device = 'plant1.press22';
  const isHeld = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  t.after(() => {
    node.beforeFind = () => {};
    released.resolve();
  });
  node.beforeFind = async (wanted) => {
    if (wanted !== device) return;
    node.beforeFind = () => {};
    // The store has one connection: what control stores next waits until control has received the session.
    void fixture.database.transaction(async (transaction) => {
      await transaction.query('SELECT 1');
      isHeld.resolve();
      await released.promise;
    });
    await isHeld.promise;
    setTimeout(() => {
      node.connect(device);
      setTimeout(released.resolve, 100);
    }, 0);
  };
  const { body } = await submit({ device });
  await reaches(body.id, 'done final');
});

test('a command list has pages, the newest first, of the devices that a person may see', async () => {
  const device = 'plant1.press13';
  const first = await control.request(anna, 'GET', `/v1/commands?device=${device}&limit=3`);
  assert.equal(first.body.commands.length, 3);
  const rest = await control.request(anna, 'GET', `/v1/commands?device=${device}&limit=3&before=${first.body.next}`);
  assert.equal(rest.body.commands.length, 2);
  assert.equal(rest.body.next, undefined);
  const times = [...first.body.commands, ...rest.body.commands].map(({ accepted }: { accepted: number }) => accepted);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => b - a),
  );
});
