import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics } from '@tailrace/platform/metrics';
import type { CommandOutcome, DeviceCommand } from '@tailrace/protocol/device-command';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { fuzzSeeds } from '@tailrace/testkit/fuzz';
import { seededRandom } from '@tailrace/testkit/random';
import type { CommandReply, CommandSession, DeliveredCommand } from '../devices/device-command.ts';
import { createCommandCounts } from './command-metrics.ts';
import { DeviceCommands } from './device-commands.ts';

const device = 'plant1.line2.press7';
const seeds = fuzzSeeds(150);
const commandsPerSeed = 40;

type Random = () => number;

/** Delivers frames late, and in any order; loses some, and delivers some twice. */
class Link {
  readonly #clock: FakeClock;
  readonly #random: Random;

  constructor(clock: FakeClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  send(deliver: () => void, isDoubled: boolean): void {
    const chance = this.#random();
    if (chance < 0.12) return;
    this.#clock.after(this.#delayMs(), deliver);
    if (isDoubled && chance < 0.6) this.#clock.after(this.#delayMs(), deliver);
  }

  /** Mostly short, sometimes longer than the deadlines of the receipts and of the commands. */
  #delayMs(): number {
    return this.#random() < 0.8 ? this.#random() * 50 : this.#random() * 30_000;
  }
}

/** A device that follows the rules of docs/PROTOCOL.md. It remembers commands, but for those of quality 0. */
class Device {
  readonly executed = new Map<string, number>();
  readonly lateMs: number[] = [];
  readonly #clock: FakeClock;
  readonly #random: Random;
  readonly #link: Link;
  readonly #known = new Map<string, CommandReply | undefined>();
  node: Node | undefined;
  session: Session | undefined;

  constructor(clock: FakeClock, random: Random, link: Link) {
    this.#clock = clock;
    this.#random = random;
    this.#link = link;
  }

  receive(command: DeliveredCommand): void {
    const { id, qos, deadline } = command;
    this.#up((node, session) => node.commands.commandReceived(session, id));
    if (qos > 0 && this.#known.has(id)) {
      const reply = this.#known.get(id);
      if (reply !== undefined) this.#report(reply);
      return;
    }
    this.#known.set(id, undefined);
    if (this.#clock.now() >= deadline) {
      this.#finish({ id, state: 'expired', message: '' });
      return;
    }
    if (this.#random() < 0.1) {
      this.#finish({ id, state: 'failed', code: 'forbidden', message: '' });
      return;
    }
    this.executed.set(id, (this.executed.get(id) ?? 0) + 1);
    this.lateMs.push(this.#clock.now() - deadline);
    this.#clock.after(this.#random() * 3_000, () => this.#finish({ id, state: 'done', message: '' }));
  }

  #finish(reply: CommandReply): void {
    this.#known.set(reply.id, reply);
    this.#report(reply);
  }

  #report(reply: CommandReply): void {
    this.#up((node, session) => node.commands.commandReplied(session, device, reply));
  }

  #up(deliver: (node: Node, session: Session) => void): void {
    const { node, session } = this;
    if (node === undefined || session === undefined) return;
    // What comes on a session that has closed is not read.
    this.#link.send(() => {
      if (session.isOpen) deliver(node, session);
    }, true);
  }
}

class Session implements CommandSession {
  readonly device = device;
  readonly protocol = 'websocket';
  readonly takesCommands = true;
  readonly number: number;
  isOpen = true;
  readonly #to: Device;
  readonly #link: Link;
  readonly #clock: FakeClock;

  constructor(number: number, to: Device, link: Link, clock: FakeClock) {
    this.#clock = clock;
    this.number = number;
    this.#to = to;
    this.#link = link;
  }

  mayReceiveCommands(): boolean {
    return true;
  }

  deliver(command: DeliveredCommand): boolean {
    assert.ok(this.#clock.now() < command.deadline && command.expiresInMs > 0, `${command.id} is sent late`);
    // A stream loses and delays, and delivers nothing twice; a device of quality 0 relies on that.
    this.#link.send(() => this.#to.receive(command), command.qos > 0);
    return true;
  }
}

class Node {
  readonly name: string;
  readonly commands: DeviceCommands;
  readonly published: CommandOutcome[] = [];
  session: Session | undefined;

  constructor(name: string, clock: FakeClock, holderOf: () => string | undefined) {
    this.name = name;
    const metrics = createMetrics({ service: 'ingest', node: name, processMetrics: false });
    this.commands = new DeviceCommands({
      ...{ node: name, clock, counts: createCommandCounts(metrics), holderOf, offReason: () => undefined },
      limits: { commandsMax: 1_000, deviceCommandsMax: 8, outcomesMax: 1_000 },
      sessionOf: () => this.session,
      publish: (outcome) => void this.published.push(outcome),
    });
  }

  open(session: Session): void {
    const former = this.session;
    this.session = session;
    if (former !== undefined) this.#close(former, this.name);
    this.commands.sessionOpened(session);
  }

  lose(session: Session, successor: string): void {
    if (this.session === session) this.session = undefined;
    if (session.isOpen) this.#close(session, successor);
  }

  #close(session: Session, successor: string): void {
    session.isOpen = false;
    this.commands.sessionClosed(session, successor);
  }
}

async function run(seed: number): Promise<{ executed: number; outcomes: number }> {
  const random = seededRandom(seed);
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const link = new Link(clock, random);
  const machine = new Device(clock, random, link);
  const nodes: readonly Node[] = ['ingest-0', 'ingest-1'].map(
    (name) => new Node(name, clock, () => nodes.find((node) => node.session === machine.session)?.name),
  );
  const other = (node: Node) => nodes.find((each) => each !== node)!;
  let number = 0;

  const connect = () => {
    const node = nodes[random() < 0.5 ? 0 : 1]!;
    const session = new Session(++number, machine, link, clock);
    const { node: former, session: before } = machine;
    machine.node = node;
    machine.session = session;
    node.open(session);
    // The claim comes late, or the node notices itself that the connection is lost.
    if (former !== undefined && former !== node)
      clock.after(random() * 3_000, () => former.lose(before!, random() < 0.5 ? node.name : ''));
  };
  const disconnect = () => {
    const { node, session } = machine;
    machine.node = undefined;
    machine.session = undefined;
    if (session !== undefined) clock.after(random() * 5_000, () => node!.lose(session, ''));
  };

  /** Commands whose request arrived at most once, and the replies to it. */
  const single = new Map<string, CommandOutcome[]>();
  const request = (id: string) => {
    const qos = random() < 0.3 ? 0 : random() < 0.5 ? 1 : 2;
    const issued = clock.now();
    const command: DeviceCommand = {
      ...{ id, device, name: 'set', params: { value: 1 }, qos, issued, deadline: issued + 500 + random() * 20_000 },
      // Of quality 0: the device does not recognize a command that comes from a second node.
      ...{ fence: 0, session: qos === 0 ? number : 0, subject: 'operator', traceparent: '', via: '' },
    };
    const isDoubled = random() < 0.4;
    const replies: CommandOutcome[] = [];
    if (!isDoubled) single.set(id, replies);
    const deliver = (node: Node, mayFollow: boolean) => {
      const outcome = node.commands.request({ command });
      replies.push(outcome);
      if (outcome.holder !== '' && mayFollow) link.send(() => deliver(other(node), false), false);
    };
    link.send(() => deliver(nodes[random() < 0.5 ? 0 : 1]!, true), isDoubled);
  };

  connect();
  for (let index = 0; index < commandsPerSeed; index++) {
    request(`c${index}`);
    await clock.advance(random() * 4_000);
    const chance = random();
    if (chance < 0.1) connect();
    else if (chance < 0.15) disconnect();
  }
  await clock.advance(200_000);

  for (const [id, times] of machine.executed) assert.equal(times, 1, `${id} of seed ${seed} was executed twice`);
  for (const lateMs of machine.lateMs)
    assert.ok(lateMs < 0, `a command of seed ${seed} was executed ${lateMs} ms late`);
  const published = nodes.flatMap((node) => node.published);
  for (const outcome of published)
    if (outcome.state === 'done') assert.ok(machine.executed.has(outcome.id), `${outcome.id} of seed ${seed}`);
  for (const [id, replies] of single) {
    const all = [...replies, ...published.filter((outcome) => outcome.id === id)];
    const last = all.at(-1);
    const isRefused = last !== undefined && (last.state === 'failed' || last.state === 'expired');
    if (isRefused) assert.ok(!machine.executed.has(id), `${id} of seed ${seed} was executed, and ${last.state}`);
    if (replies.some(({ state }) => state === 'accepted'))
      assert.ok(last!.state !== 'accepted' && last!.state !== 'delivered', `${id} of seed ${seed} has no outcome`);
  }
  for (const { commands } of nodes) assert.equal(commands.size, 0);
  assert.equal(clock.pending(), 0);
  return { executed: machine.executed.size, outcomes: published.length };
}

test('a command is executed at most once and never late, whatever is lost, doubled or late between the two sides', async () => {
  let [executed, outcomes] = [0, 0];
  for (const seed of seeds) {
    const result = await run(seed);
    executed += result.executed;
    outcomes += result.outcomes;
  }
  // Else the test proves nothing.
  assert.ok(executed > seeds.length * commandsPerSeed * 0.3, `only ${executed} were executed`);
  assert.ok(outcomes > executed);
});
