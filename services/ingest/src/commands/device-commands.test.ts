import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '@tailrace/platform/metrics';
import type { CommandOutcome, DeviceCommand } from '@tailrace/protocol/device-command';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { CommandReply, CommandSession, DeliveredCommand } from '../devices/device-command.ts';
import { createCommandCounts } from './command-metrics.ts';
import { DeviceCommands } from './device-commands.ts';

const press = 'plant1.line2.press7';

/** A session whose device answers when the test makes it. */
class TestSession implements CommandSession {
  readonly device: string;
  readonly number: number;
  readonly protocol = 'websocket';
  takesCommands = true;
  isFull = false;
  received: readonly string[] | undefined;
  readonly delivered: DeliveredCommand[] = [];

  constructor(number = 1, device = press) {
    this.number = number;
    this.device = device;
  }

  mayReceiveCommands(device: string): boolean {
    return this.received?.includes(device) ?? device === this.device;
  }

  deliver(command: DeliveredCommand): boolean {
    if (this.isFull) return false;
    this.delivered.push(command);
    return true;
  }

  /** Takes the IDs of the commands that were delivered. */
  ids(): string[] {
    return this.delivered.splice(0).map(({ id }) => id);
  }
}

function start({ deviceCommandsMax = 16, commandsMax = 100, outcomesMax = 100 } = {}) {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const sessions = new Map<string, TestSession>();
  const holders = new Map<string, string>();
  const published: CommandOutcome[] = [];
  let off: string | undefined;
  const commands = new DeviceCommands({
    node: 'ingest-0',
    clock,
    counts: createCommandCounts(metrics),
    limits: { deviceCommandsMax, commandsMax, outcomesMax },
    sessionOf: (device) => sessions.get(device),
    holderOf: (device) => holders.get(device),
    offReason: () => off,
    publish: (outcome) => void published.push(outcome),
  });
  const commandOf = (id: string, rest: Partial<DeviceCommand> = {}): DeviceCommand => ({
    ...{ id, device: press, name: 'set', params: { speed: 3 }, qos: 1, deadline: clock.now() + 10_000 },
    ...{ issued: 0, fence: 0, session: 0, subject: 'operator', traceparent: '', via: '' },
    ...rest,
  });
  return {
    clock,
    commands,
    sessions,
    holders,
    published,
    commandOf,
    switchOff(reason: string | undefined) {
      off = reason;
      commands.refuseOff();
    },
    /** Opens a session of the device. */
    open(session = new TestSession()): TestSession {
      sessions.set(session.device, session);
      commands.sessionOpened(session);
      return session;
    },
    /** Closes a session of the device. */
    lose(session: TestSession, successor = ''): void {
      if (sessions.get(session.device) === session) sessions.delete(session.device);
      commands.sessionClosed(session, successor);
    },
    /** Requests a command, and returns the state and code of the reply. */
    request: (id: string, rest: Partial<DeviceCommand> = {}): string =>
      textOf(commands.request({ command: commandOf(id, rest) })),
    /** Takes the published outcomes, as `ID state code`. */
    outcomes: (): string[] => published.splice(0).map((outcome) => `${outcome.id} ${textOf(outcome)}`),
  };
}

function textOf({ state, code }: CommandOutcome): string {
  return code === undefined ? state : `${state} ${code}`;
}

const replyOf = (id: string, rest: Partial<CommandReply> = {}): CommandReply => ({
  ...{ id, state: 'done', message: '' },
  ...rest,
});

test('a command is accepted, delivered, and done when its device has reported it', () => {
  const { commands, open, request, outcomes, published, clock } = start();
  const session = open();
  assert.equal(request('c1', { fence: 3 }), 'accepted');
  const deadline = clock.now() + 10_000;
  assert.deepEqual(session.delivered, [
    { id: 'c1', device: press, name: 'set', params: { speed: 3 }, qos: 1, deadline, expiresInMs: 10_000, fence: 3 },
  ]);
  assert.deepEqual(outcomes(), []);
  assert.equal(commands.commandReceived(session, 'c1'), true);
  assert.deepEqual(outcomes(), ['c1 delivered']);
  assert.equal(commands.commandReplied(session, press, replyOf('c1', { after: 3, message: 'set' })), true);
  assert.deepEqual(published, [
    {
      ...{ id: 'c1', device: press, state: 'done', time: clock.now(), node: 'ingest-0', session: 1, attempt: 1 },
      ...{ message: 'set', holder: '', after: 3, confirmedBy: 'device' },
    },
  ]);
  assert.equal(commands.size, 0);
  assert.equal(clock.pending(), 0);
});

test('a reply without a receipt counts as both, and a second reply changes nothing', () => {
  const { commands, open, request, outcomes } = start();
  const session = open();
  request('c1');
  commands.commandReplied(session, press, replyOf('c1', { state: 'failed', code: 'forbidden' }));
  assert.deepEqual(outcomes(), ['c1 failed forbidden']);
  assert.equal(commands.commandReplied(session, press, replyOf('c1')), true);
  assert.equal(commands.commandReceived(session, 'c1'), true);
  assert.deepEqual(outcomes(), []);
});

test('a command whose deadline has passed is refused, also one that arrives hours later', () => {
  const { clock, open, request } = start();
  const session = open();
  assert.equal(request('c1', { deadline: clock.now() }), 'expired timeout');
  assert.equal(request('c2', { deadline: clock.now() - 3 * 3_600_000 }), 'expired timeout');
  // The clock of the requester is three hours ahead: the time that it has set counts.
  const issued = clock.now() + 3 * 3_600_000;
  assert.equal(request('c3', { issued, deadline: issued + 10_000 }), 'accepted');
  assert.equal(session.delivered[0]!.expiresInMs, 10_000);
  assert.equal(request('c4', { deadline: clock.now() + 86_400_001 }), 'failed invalid_message');
});

test('a command that waits for a full socket expires there, and is not sent later', async () => {
  const { clock, open, request, outcomes } = start();
  const session = open();
  session.isFull = true;
  assert.equal(request('c1'), 'accepted');
  await clock.advance(9_950);
  assert.deepEqual(outcomes(), []);
  await clock.advance(50);
  assert.deepEqual(outcomes(), ['c1 expired timeout']);
  session.isFull = false;
  await clock.advance(60_000);
  assert.deepEqual(session.ids(), []);
});

test('a full socket is tried again, and the time left is computed again', async () => {
  const { clock, open, request } = start();
  const session = open();
  session.isFull = true;
  request('c1');
  await clock.advance(1_050);
  session.isFull = false;
  await clock.advance(50);
  assert.deepEqual(
    session.delivered.map(({ id, expiresInMs }) => `${id} ${expiresInMs}`),
    ['c1 8900'],
  );
});

test('a deadline counts although the wall clock is set back', async () => {
  const { clock, open, request, outcomes } = start();
  const session = open();
  session.isFull = true;
  request('c1');
  clock.setWallClock(clock.now() - 3_600_000);
  await clock.advance(10_000);
  assert.deepEqual(outcomes(), ['c1 expired timeout']);
});

test('a command without a receipt is sent three times, and is unconfirmed then', async () => {
  const { clock, open, request, outcomes } = start();
  const session = open();
  request('c1', { deadline: clock.now() + 60_000 });
  await clock.advance(5_000);
  await clock.advance(5_000);
  assert.deepEqual(
    session.delivered.map(({ id, expiresInMs }) => `${id} ${expiresInMs}`),
    ['c1 60000', 'c1 55000', 'c1 50000'],
  );
  await clock.advance(5_000);
  assert.deepEqual(outcomes(), ['c1 unconfirmed timeout']);
  assert.equal(clock.pending(), 0);
});

test('a command is not sent again within a second of its deadline', async () => {
  const { clock, open, request, outcomes } = start();
  const session = open();
  request('c1', { deadline: clock.now() + 5_900 });
  await clock.advance(5_000);
  assert.deepEqual(session.ids(), ['c1']);
  await clock.advance(900);
  assert.deepEqual(outcomes(), ['c1 unconfirmed timeout']);
});

test('a command of quality 0 is sent once, and is delivered when it is written', async () => {
  const { clock, open, lose, request, outcomes } = start();
  const session = open();
  request('c1', { qos: 0 });
  assert.deepEqual(outcomes(), ['c1 delivered']);
  await clock.advance(9_000);
  const next = new TestSession(2);
  open(next);
  lose(session);
  await clock.advance(1_000 + 5_000);
  assert.deepEqual([...session.ids(), ...next.ids()], ['c1']);
  assert.deepEqual(outcomes(), ['c1 unconfirmed timeout']);
});

test('a command that was delivered and not reported is unconfirmed five seconds after its deadline', async () => {
  const { clock, commands, open, request, outcomes } = start();
  const session = open();
  request('c1');
  commands.commandReceived(session, 'c1');
  outcomes();
  await clock.advance(14_999);
  assert.deepEqual(outcomes(), []);
  await clock.advance(1);
  assert.deepEqual(outcomes(), ['c1 unconfirmed timeout']);
});

test('a late report corrects unconfirmed once, within a minute', async () => {
  const { clock, commands, open, request, outcomes } = start();
  const session = open();
  for (const id of ['c1', 'c2']) {
    request(id);
    commands.commandReceived(session, id);
  }
  await clock.advance(15_000);
  assert.deepEqual(outcomes(), ['c1 delivered', 'c2 delivered', 'c1 unconfirmed timeout', 'c2 unconfirmed timeout']);
  await clock.advance(60_000);
  assert.equal(commands.commandReplied(session, press, replyOf('c1', { state: 'unconfirmed' })), true);
  assert.deepEqual(outcomes(), []);
  assert.equal(commands.commandReplied(session, press, replyOf('c1')), true);
  assert.deepEqual(outcomes(), ['c1 done']);
  assert.equal(commands.commandReplied(session, press, replyOf('c1', { state: 'failed' })), true);
  await clock.advance(1);
  assert.equal(commands.commandReplied(session, press, replyOf('c2')), true);
  assert.deepEqual(outcomes(), []);
});

test('a command ID that was sent is answered from memory, and is not delivered twice', async () => {
  const { clock, commands, open, request, outcomes } = start();
  const session = open();
  request('c1');
  assert.equal(request('c1', { fence: 9 }), 'accepted');
  commands.commandReceived(session, 'c1');
  assert.equal(request('c1'), 'delivered');
  commands.commandReplied(session, press, replyOf('c1'));
  assert.equal(request('c1'), 'done');
  assert.deepEqual(session.ids(), ['c1']);
  assert.deepEqual(outcomes(), ['c1 delivered', 'c1 done']);
  assert.equal(request('c1', { device: 'plant1.b' }), 'failed invalid_message');
  assert.equal(textOf(commands.request({ query: { id: 'c1', device: press } })), 'done');
  for (const query of [
    { id: 'c1', device: 'plant1.b' },
    { id: 'c2', device: press },
  ])
    assert.throws(() => commands.request({ query }), { code: 'not_found' });
  // Its deadline has passed when its outcome is forgotten.
  await clock.advance(3_600_000);
  request('c3');
  commands.commandReplied(session, press, replyOf('c3'));
  assert.equal(request('c1', { deadline: clock.now() - 3_590_000 }), 'expired timeout');
  assert.equal(commands.outcomes.size, 1);
});

test('a command that was refused before anything was sent may be sent with the same ID again', () => {
  const { open, lose, request, outcomes } = start();
  assert.equal(request('c1'), 'failed unavailable');
  const session = open();
  session.isFull = true;
  assert.equal(request('c1'), 'accepted');
  lose(session);
  assert.deepEqual(outcomes(), ['c1 failed unavailable']);
  const next = open(new TestSession(2));
  assert.equal(request('c1'), 'accepted');
  assert.deepEqual(next.ids(), ['c1']);
});

test('commands of a device are sent in order, the next one after the receipt of the one before', () => {
  const { commands, open, request } = start();
  const session = open();
  for (const id of ['c1', 'c2', 'c3']) assert.equal(request(id), 'accepted');
  assert.deepEqual(session.ids(), ['c1']);
  commands.commandReceived(session, 'c1');
  assert.deepEqual(session.ids(), ['c2']);
  // Without a receipt.
  commands.commandReplied(session, press, replyOf('c2'));
  assert.deepEqual(session.ids(), ['c3']);
});

test('a device without a session gets no commands, and the reply names the node that has it', () => {
  const { holders, request } = start();
  assert.equal(request('c1'), 'failed unavailable');
  holders.set(press, 'ingest-0');
  assert.equal(request('c2'), 'failed unavailable');
  holders.set(press, 'ingest-1');
  assert.equal(request('c3'), 'failed conflict');
});

test('a command is refused for a session that takes none, may not receive it, or is another one', () => {
  const { open, request } = start();
  const session = open(new TestSession(7));
  session.takesCommands = false;
  assert.equal(request('c1'), 'failed unavailable');
  session.takesCommands = true;
  session.received = ['plant1.b'];
  assert.equal(request('c2'), 'failed forbidden');
  session.received = undefined;
  assert.equal(request('c3', { session: 6 }), 'failed conflict');
  assert.equal(request('c4', { session: 7 }), 'accepted');
});

test('a lower fence than that of an earlier command is refused, also of one that waits', () => {
  const { commands, open, request, outcomes } = start();
  const session = open();
  request('c1', { fence: 5 });
  assert.equal(request('c2', { fence: 4 }), 'failed conflict');
  request('c3', { fence: 5 });
  request('c4', { fence: 6 });
  request('c5');
  commands.commandReplied(session, press, replyOf('c1'));
  assert.deepEqual(session.ids(), ['c1', 'c4']);
  assert.deepEqual(outcomes(), ['c1 done', 'c3 failed conflict']);
});

test('a fence that another node has seen meanwhile counts: a delayed request is refused in a later session of its device', () => {
  const first = start();
  const second = start();
  const found = first.open(new TestSession(7)).number;
  // The device moves. A later holder of its lease commands it on the other node, and it returns.
  first.lose(first.sessions.get(press)!, 'ingest-1');
  second.open(new TestSession(8));
  assert.equal(second.request('c2', { fence: 6, foundSession: 8 }), 'accepted');
  const session = first.open(new TestSession(9));
  const delayed = first.commands.request({ command: first.commandOf('c1', { fence: 5, foundSession: found }) });
  assert.deepEqual([textOf(delayed), delayed.holder, delayed.attempt], ['failed conflict', 'ingest-0', 0]);
  assert.deepEqual(session.ids(), []);
  // What was accepted goes to the next session as before.
  assert.equal(first.request('c3', { fence: 6, foundSession: 9 }), 'accepted');
  assert.deepEqual(session.ids(), ['c3']);
  const next = first.open(new TestSession(10));
  assert.deepEqual(next.ids(), ['c3']);
});

test('a command that waits is canceled, and its ID is not accepted again', async () => {
  const { clock, commands, open, request, outcomes } = start();
  const session = open();
  for (const id of ['c1', 'c2', 'c3']) request(id);
  assert.equal(textOf(commands.request({ cancel: { id: 'c2', device: press } })), 'failed canceled');
  assert.deepEqual(outcomes(), ['c2 failed canceled']);
  assert.equal(request('c2'), 'failed canceled');
  assert.equal(textOf(commands.request({ cancel: { id: 'c2', device: press } })), 'failed canceled', 'again');
  commands.commandReceived(session, 'c1');
  assert.deepEqual(session.ids(), ['c1', 'c3']);
  for (const cancel of [
    { id: 'c3', device: 'plant1.b' },
    { id: 'c9', device: press },
  ])
    assert.throws(() => commands.request({ cancel }), { code: 'not_found' });
  commands.close();
  assert.equal(clock.pending(), 0);
});

test('a command that was sent is not sent again once it is canceled, and what the device reports counts', async () => {
  const { clock, commands, open, request, outcomes } = start();
  const session = open();
  request('c1');
  assert.equal(textOf(commands.request({ cancel: { id: 'c1', device: press } })), 'accepted');
  await clock.advance(9_999);
  const next = open(new TestSession(2));
  assert.deepEqual([session.ids(), next.ids()], [['c1'], []]);
  commands.commandReplied(next, press, replyOf('c1'));
  assert.deepEqual(outcomes(), ['c1 done']);
  assert.equal(textOf(commands.request({ cancel: { id: 'c1', device: press } })), 'done');
});

test('a cancel lets the next command of its device be sent', async () => {
  const { clock, commands, open, request } = start();
  const session = open();
  session.isFull = true;
  request('c1');
  request('c2');
  session.isFull = false;
  commands.request({ cancel: { id: 'c1', device: press } });
  assert.deepEqual(session.ids(), ['c2']);
  await clock.advance(1_000);
  assert.deepEqual(session.ids(), []);
});

test('control that is off refuses commands, and those that were not sent', () => {
  const { commands, open, request, outcomes, switchOff } = start();
  const session = open();
  request('c1');
  request('c2');
  switchOff('maintenance');
  assert.deepEqual(outcomes(), ['c2 failed forbidden']);
  assert.equal(request('c3'), 'failed forbidden');
  commands.commandReplied(session, press, replyOf('c1'));
  assert.deepEqual(outcomes(), ['c1 done']);
  switchOff(undefined);
  assert.equal(request('c3'), 'accepted');
});

test('control that is off sends no command again, whose receipt is then unknown', async () => {
  const { clock, open, request, outcomes, switchOff } = start();
  const session = open();
  request('c1');
  assert.deepEqual(session.ids(), ['c1']);
  switchOff('maintenance');
  await clock.advance(9_000);
  // Not in a new session either.
  const next = open(new TestSession(2));
  await clock.advance(1_001);
  assert.deepEqual([session.ids(), next.ids()], [[], []]);
  assert.deepEqual(outcomes(), ['c1 unconfirmed timeout']);
});

test('limits of one device, of all, and of the outcomes that are needed', async () => {
  const { clock, commands, open, request } = start({ deviceCommandsMax: 2, commandsMax: 3, outcomesMax: 4 });
  const session = open();
  const other = open(new TestSession(2, 'plant1.b'));
  request('c1');
  request('c2');
  assert.equal(request('c3'), 'failed rate_limited');
  assert.equal(request('b1', { device: 'plant1.b' }), 'accepted');
  assert.equal(request('b2', { device: 'plant1.b' }), 'failed rate_limited');
  assert.equal(commands.mostOfOneDevice(), 2);
  for (const id of ['c1', 'c2']) commands.commandReplied(session, press, replyOf(id));
  commands.commandReplied(other, 'plant1.b', replyOf('b1'));
  assert.equal(request('c4'), 'accepted');
  commands.commandReplied(session, press, replyOf('c4'));
  assert.equal(request('c5'), 'failed rate_limited', 'four may be executed twice');
  await clock.advance(80_000);
  assert.equal(request('c5'), 'accepted');
});

test('a newer session on this node gets what waits, and a command without a receipt again', () => {
  const { commands, sessions, open, request, outcomes } = start();
  const session = open();
  for (const id of ['c1', 'c2', 'c3']) request(id);
  commands.commandReceived(session, 'c1');
  assert.deepEqual(session.ids(), ['c1', 'c2']);
  // As the registry does: the newer one has the device before it is live.
  const next = new TestSession(2);
  next.takesCommands = false;
  sessions.set(press, next);
  commands.sessionClosed(session, 'ingest-0');
  assert.deepEqual(next.ids(), []);
  next.takesCommands = true;
  commands.sessionOpened(next);
  assert.deepEqual(next.ids(), ['c2']);
  commands.commandReceived(next, 'c2');
  assert.deepEqual(next.ids(), ['c3']);
  commands.commandReplied(next, press, replyOf('c1'));
  assert.deepEqual(outcomes(), ['c1 delivered', 'c2 delivered', 'c1 done']);
});

test('a command that names a session is sent to no other one', async () => {
  const { clock, commands, sessions, open, request, outcomes } = start();
  const session = open();
  const ids = ['delivered', 'sent', 'waits'];
  for (const id of ids) request(id, { session: 1 });
  request('any');
  commands.commandReceived(session, 'delivered');
  assert.deepEqual(session.ids(), ['delivered', 'sent']);
  const next = new TestSession(2);
  sessions.set(press, next);
  commands.sessionClosed(session, 'ingest-0');
  commands.sessionOpened(next);
  assert.deepEqual(next.ids(), ['any']);
  assert.deepEqual(outcomes(), ['delivered delivered', 'sent unconfirmed conflict', 'waits failed conflict']);
  commands.commandReplied(next, press, replyOf('delivered'));
  commands.commandReplied(next, press, replyOf('any'));
  assert.deepEqual(outcomes(), ['delivered done', 'any done']);
  await clock.advance(60_000);
});

test('a command whose session is replaced before the newer one is live is not sent again to it', async () => {
  const { clock, commands, sessions, open, request, outcomes } = start();
  const session = open();
  request('c1', { session: 1 });
  assert.deepEqual(session.ids(), ['c1']);
  const next = new TestSession(2);
  sessions.set(press, next);
  commands.sessionClosed(session, 'ingest-0');
  // The time of its receipt has passed.
  await clock.advance(5_000);
  assert.deepEqual(next.ids(), []);
  assert.deepEqual(outcomes(), ['c1 unconfirmed conflict']);
});

test('a second command with the same ID and another content is refused, also while the device is away', () => {
  const { commands, open, lose, request, outcomes } = start();
  const session = open();
  request('c1');
  assert.equal(request('c1', { params: { speed: 4 } }), 'failed conflict');
  commands.commandReceived(session, 'c1');
  commands.commandReplied(session, press, replyOf('c1'));
  assert.equal(request('c1', { name: 'stop' }), 'failed conflict');
  lose(session);
  assert.equal(request('c1', { name: 'stop' }), 'failed conflict');
  assert.equal(request('c1'), 'done');
  assert.deepEqual(session.ids(), ['c1']);
  assert.deepEqual(outcomes(), ['c1 delivered', 'c1 done']);
});

test('a session on another node: what waits is refused with its name, and the rest is unconfirmed', () => {
  const { commands, open, lose, request, published } = start();
  const session = open();
  for (const id of ['c1', 'c2', 'c3']) request(id);
  commands.commandReceived(session, 'c1');
  published.splice(0);
  lose(session, 'ingest-1');
  assert.deepEqual(
    published.map(({ id, state, code, holder }) => `${id} ${state} ${code} ${holder}`),
    ['c1 unconfirmed unavailable ', 'c2 unconfirmed unavailable ', 'c3 failed conflict ingest-1'],
  );
  assert.equal(commands.size, 0);
});

test('a device reports a command that another node has sent, a limited number of times', () => {
  const { commands, open, outcomes, published } = start();
  const session = open();
  assert.equal(commands.commandReplied(session, press, replyOf('x1', { after: 5 })), true);
  assert.deepEqual(
    published.map(({ id, state, attempt, session: number, after }) => [id, state, attempt, number, after]),
    [['x1', 'done', 0, 1, 5]],
  );
  outcomes();
  assert.equal(commands.commandReplied(session, 'plant1.b', replyOf('x2')), false);
  assert.equal(commands.commandReplied(session, press, replyOf('x3', { state: 'unconfirmed' })), false);
  const answers = Array.from({ length: 20 }, (_, index) =>
    commands.commandReplied(session, press, replyOf(`y${index}`)),
  );
  assert.equal(answers.filter((isTaken) => isTaken).length, 15);
});

test('a device cannot report for another one', () => {
  const { commands, open, request, outcomes } = start();
  open();
  const other = open(new TestSession(2, 'plant1.b'));
  request('c1');
  assert.equal(commands.commandReceived(other, 'c1'), false);
  assert.equal(commands.commandReplied(other, 'plant1.b', replyOf('c1')), false);
  assert.deepEqual(outcomes(), []);
  other.received = [press];
  assert.equal(commands.commandReplied(other, press, replyOf('c1')), true);
  assert.deepEqual(outcomes(), ['c1 done']);
});

test('a session that takes commands only later gets those that wait for it', () => {
  const { commands, open, request } = start();
  const session = open();
  session.isFull = true;
  request('c1');
  session.isFull = false;
  session.takesCommands = false;
  commands.sessionOpened(session);
  assert.deepEqual(session.ids(), []);
  session.takesCommands = true;
  commands.sessionOpened(session);
  assert.deepEqual(session.ids(), ['c1']);
});

test('a refusal without a session names the gateway as a reason, unless the command names one', () => {
  const { commands, commandOf } = start();
  const messageOf = (via: string) => commands.request({ command: commandOf(`c${via}`, { via }) }).message;
  assert.equal(
    messageOf(''),
    `${press} has no session: it is away, or sends by HTTP, or is behind a gateway, which the command names as via`,
  );
  assert.equal(messageOf('plant1.edge1'), 'plant1.edge1 has no session: it is away, or sends by HTTP');
});

test('a command for a device behind a gateway goes to the session of the gateway', () => {
  const { commands, open, lose, request, outcomes } = start();
  const gateway = new TestSession(3, 'plant1.edge1');
  gateway.received = ['plant1.boiler', 'plant1.pump'];
  open(gateway);
  assert.equal(request('c0', { device: 'plant1.boiler' }), 'failed unavailable');
  const via = 'plant1.edge1';
  assert.equal(request('c1', { device: 'plant1.boiler', via }), 'accepted');
  assert.equal(request('c2', { device: 'plant1.boiler', via }), 'accepted');
  assert.equal(request('c3', { device: 'plant1.pump', via }), 'accepted');
  assert.equal(request('c4', { device: press, via }), 'failed forbidden');
  // Each device has its own order.
  assert.deepEqual(
    gateway.delivered.map(({ id, device }) => `${id} ${device}`),
    ['c1 plant1.boiler', 'c3 plant1.pump'],
  );
  commands.commandReplied(gateway, via, replyOf('c1'));
  assert.deepEqual(outcomes(), ['c1 done']);
  lose(gateway, 'ingest-1');
  assert.deepEqual(outcomes(), ['c2 unconfirmed unavailable', 'c3 unconfirmed unavailable']);
});
