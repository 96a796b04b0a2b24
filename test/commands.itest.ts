import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createNatsBus } from '@tailrace/bus/nats';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { issueToken } from '@tailrace/platform/token';
import type { CommandOutcome, DeviceCommand } from '@tailrace/protocol/device-command';
import { CommandClient, type SendOptions } from '@tailrace/testkit/command-client';
import { eventually } from '@tailrace/testkit/eventually';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { StackService } from '../scripts/stack-service.ts';
import { loginDevice, type RawDevice } from '../services/ingest/test/raw-device.ts';
import { freePortBase } from './ports.ts';

const press = 'plant1.line2.press7';
const tokenSecret = 'a secret of the tests, long enough for HS256';
const cleanup: (() => Promise<unknown>)[] = [];
const nodes: StackService[] = [];
/** Serves operators. */
let fanout: StackService;

let kafka: KafkaBroker;
let nats: NatsServer;
let token: string;
let client: CommandClient;

before(async () => {
  [kafka, nats] = await Promise.all([startKafka(), startNats()]);
  const dir = await createTempDir('commands');
  cleanup.push(
    () => kafka.stop(),
    () => nats.stop(),
    () => dir.remove(),
  );
  const portBase = await freePortBase();
  for (const [index, name] of ['ingest-0', 'ingest-1'].entries()) {
    const settings = {
      TAILRACE_NODE: name,
      TAILRACE_TOKEN_SECRET: tokenSecret,
      TAILRACE_KAFKA_BROKERS: kafka.brokers.join(','),
      TAILRACE_NATS_SERVERS: nats.url,
      TAILRACE_TOPIC_PREFIX: `commands-${process.pid}`,
      TAILRACE_TELEMETRY_PARTITIONS: '1',
    };
    const script = 'services/ingest/src/main.ts';
    nodes.push(new StackService({ name, script, port: portBase + index, settings, data: dir.path }));
    if (index > 0) continue;
    const fanoutSettings = { ...settings, TAILRACE_NODE: 'fanout-0', TAILRACE_DRAIN_MS: '0' };
    const rest = { script: 'services/fanout/src/main.ts', port: portBase + 20, data: dir.path };
    fanout = new StackService({ ...rest, name: 'fanout-0', settings: fanoutSettings });
  }
  await Promise.all([...nodes, fanout].map((node) => node.start()));
  cleanup.push(() => Promise.all([...nodes, fanout].map((node) => node.stop())));
  const bus = createNatsBus({ servers: [nats.url], name: 'control', connectTimeoutMs: 5_000, logger: silentLogger });
  await bus.start();
  client = new CommandClient(bus, systemClock);
  await client.start();
  cleanup.push(() => bus.close());
  token = await issueToken({
    ...{ secret: tokenSecret, subject: 'press7', publish: [press], subscribe: [], expiresInMs: 3_600_000 },
  });
  // Both are connected to NATS: each replies.
  for (const { name } of nodes) await eventually(() => client.query('none', press, name), { deadlineMs: 10_000 });
});

after(async () => {
  for (const stop of cleanup.reverse()) await stop();
});

/** A device that counts how often it executes each command. It remembers them over its connections, as it should. */
class Machine {
  readonly executed = new Map<string, number>();
  /** Confirms the receipt of commands. */
  confirms = true;
  /** Replies to commands; others are not answered. */
  repliesTo: (id: string) => boolean = () => true;
  #connection: RawDevice | undefined;
  #received: Promise<void> = Promise.resolve();

  async connect(node: number): Promise<void> {
    const auth = { protocols: ['command'], instance: 'press7' };
    this.#connection = await loginDevice({ port: nodes[node]!.port, token, auth });
    this.#received = this.#receive(this.#connection);
  }

  reply(id: string): void {
    this.#connection!.send({ type: 'reply', msgid: `r-${id}`, qos: 1, payload: { command: id, state: 'done' } });
  }

  async close(): Promise<void> {
    this.#connection?.send({ type: 'bye' });
    await this.#received;
  }

  /** Resolves when the connection is closed. */
  async #receive(connection: RawDevice): Promise<void> {
    let isClosed = false;
    void connection.socket.closed.then(() => {
      isClosed = true;
    });
    for (;;) {
      const message = await connection.next(60_000).catch(() => undefined);
      if (message === undefined || isClosed) return;
      if (message.type !== 'command') continue;
      const id = message.msgid!;
      if (this.confirms) connection.send({ type: 'ack', msgid: id });
      if (!this.executed.has(id)) this.executed.set(id, 1);
      else continue;
      if (this.repliesTo(id)) this.reply(id);
    }
  }
}

let sent = 0;

function commandOf(seconds: number): DeviceCommand {
  const issued = Date.now();
  return {
    ...{ id: `c-${process.pid}-${++sent}`, device: press, name: 'set', params: { speed: 3 }, qos: 1 },
    ...{ issued, deadline: issued + seconds * 1_000, fence: 0, session: 0, subject: 'test', traceparent: '', via: '' },
  };
}

/**
 * Sends a command to a connected device, and calls `onState` with each outcome. Resolves with all, as `state node`,
 * without `accepted`, which a fast device overtakes. It is sent again while it fails: the claim of a
 * session reaches the other node after the welcome, and NATS selects the node.
 */
function send(
  command: DeviceCommand,
  onState: (outcome: CommandOutcome) => unknown = () => undefined,
  options: SendOptions = {},
): Promise<string[]> {
  const connected = async () => {
    const outcomes = await sendOnce(command, onState, options);
    assert.notEqual(outcomes[0]?.split(' ')[0], 'failed');
    return outcomes;
  };
  return eventually(connected, { deadlineMs: 60_000 });
}

async function sendOnce(
  command: DeviceCommand,
  onState: (outcome: CommandOutcome) => unknown = () => undefined,
  options: SendOptions = {},
): Promise<string[]> {
  const outcomes: string[] = [];
  for await (const outcome of client.send(command, options)) {
    if (outcome.state !== 'accepted') outcomes.push(`${outcome.state} ${outcome.node}`);
    await onState(outcome);
  }
  return outcomes;
}

test('a command reaches a device at another node than the one that was requested, and an unknown device gets none', async () => {
  const machine = new Machine();
  await machine.connect(1);
  // NATS selects the node; one in a thousand runs selects the same node each time.
  for (let count = 0; count < 10; count++) {
    const command = commandOf(10);
    const outcomes = await send(command);
    assert.deepEqual(outcomes, ['delivered ingest-1', 'done ingest-1']);
    assert.equal(machine.executed.get(command.id), 1);
  }
  await machine.close();
  const toUnknown = () => sendOnce({ ...commandOf(10), device: 'plant1.unknown' });
  const [outcome] = await eventually(toUnknown, { deadlineMs: 20_000 });
  assert.match(outcome!, /^failed ingest-/);
});

test('a device that moves to another node in the middle of a command reports it there', async () => {
  const machine = new Machine();
  machine.repliesTo = () => false;
  await machine.connect(0);
  const command = commandOf(10);
  const onState = async ({ state }: CommandOutcome) => {
    if (state === 'delivered') await machine.connect(1);
    if (state === 'unconfirmed') machine.reply(command.id);
  };
  const outcomes = await send(command, onState, { correctionMs: 20_000 });
  assert.deepEqual(outcomes, ['delivered ingest-0', 'unconfirmed ingest-0', 'done ingest-1']);
  assert.equal(machine.executed.get(command.id), 1);
  await machine.close();
});

/** Requests `/v1/command-switch` as an operator. */
async function commandSwitch(body?: object): Promise<Response> {
  const operator = await issueToken({
    ...{
      secret: tokenSecret,
      subject: 'anna',
      publish: [],
      subscribe: [],
      expiresInMs: 3_600_000,
      roles: ['operator'],
    },
  });
  return await fetch(`${fanout.url}/v1/command-switch`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${operator}`, connection: 'close' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** Returns the gauge of commands that are off, of each node. */
async function offGauges(): Promise<number[]> {
  const pages = nodes.map(async ({ internal }) => (await fetch(`${internal}/metrics`)).text());
  return (await Promise.all(pages)).map((page) =>
    Number(/^tailrace_ingest_disabled_commands\{.*\} (\d)$/m.exec(page)?.[1]),
  );
}

test('an operator turns commands off on all nodes, over their restarts, and on again; what waits for its device fails', async () => {
  assert.deepEqual(await (await commandSwitch()).json(), { commands: 'on' });
  const machine = new Machine();
  machine.confirms = false;
  machine.repliesTo = () => false;
  await machine.connect(1);
  const [sentBefore, waiting] = [commandOf(40), commandOf(40)];
  const first = send(sentBefore);
  await eventually(() => assert.ok(machine.executed.has(sentBefore.id)), { deadlineMs: 20_000 });
  // A node that does not know of the session yet accepts nothing.
  const turnedOff = async () => {
    const states: string[] = [];
    let answer: Response | undefined;
    for await (const { state, code, message } of client.send(waiting)) {
      states.push(`${state} ${code ?? ''} ${message}`);
      if (state === 'accepted') answer = await commandSwitch({ commands: 'off', reason: 'fire drill' });
    }
    assert.ok(answer !== undefined, states.join('; '));
    return { answer, states };
  };
  const { answer, states } = await eventually(turnedOff, { deadlineMs: 20_000 });
  assert.deepEqual([answer.status, await answer.json()], [202, { nodes: 1 }]);
  assert.match(states[1]!, /^failed forbidden commands are off since .*, by anna: fire drill$/);
  assert.equal(machine.executed.has(waiting.id), false);
  // What the device has received before, it still reports.
  machine.reply(sentBefore.id);
  assert.equal((await first).at(-1), 'done ingest-1');
  await eventually(async () => assert.deepEqual(await offGauges(), [1, 1]), { deadlineMs: 10_000 });

  await nodes[0]!.end('SIGTERM');
  await nodes[0]!.start();
  assert.deepEqual(await offGauges(), [1, 1], 'by the first request');
  const { time, ...state } = (await (await commandSwitch()).json()) as { time: number };
  assert.deepEqual(state, { commands: 'off', reason: 'fire drill', by: 'anna' });
  assert.ok(Math.abs(Date.now() - time) < 600_000);
  assert.match((await sendOnce(commandOf(10)))[0]!, /^failed /);

  machine.confirms = true;
  machine.repliesTo = () => true;
  assert.equal((await commandSwitch({ commands: 'on' })).status, 202);
  await eventually(async () => assert.deepEqual(await offGauges(), [0, 0]), { deadlineMs: 10_000 });
  assert.equal((await send(commandOf(10))).at(-1), 'done ingest-1');
  await machine.close();
});

test('kill -9 of the node in the middle of a command: the device reports it at the other node, or it is unconfirmed', async () => {
  const machine = new Machine();
  machine.repliesTo = () => false;
  await machine.connect(1);
  const [reported, unreported] = [commandOf(10), commandOf(4)];
  let killed: Promise<void> | undefined;
  const onDelivered = async (id: string | undefined) => {
    killed ??= nodes[1]!.end('SIGKILL');
    await killed;
    if (id === undefined) return;
    await machine.connect(0);
    machine.reply(id);
  };
  const delivered = new Set<string>();
  const both = async ({ state, id }: CommandOutcome) => {
    if (state !== 'delivered') return;
    delivered.add(id);
    if (delivered.size === 2) await onDelivered(reported.id);
  };
  const [first, second] = await Promise.all([send(reported, both), send(unreported, both, { graceMs: 1_000 })]);
  assert.deepEqual(first, ['delivered ingest-1', 'done ingest-0']);
  assert.deepEqual(second, ['delivered ingest-1', 'unconfirmed ingest-1']);
  for (const { id } of [reported, unreported]) assert.equal(machine.executed.get(id), 1);
  machine.repliesTo = () => true;
  assert.deepEqual((await send(commandOf(10))).at(-1), 'done ingest-0');
  await machine.close();
});
