import { createHash, type Hash } from 'node:crypto';
import type { Bus } from '@tailrace/bus/bus';
import { createMemoryNetwork, type MemoryFaults, type MemoryNetwork } from '@tailrace/bus/memory';
import type { LogRecord } from '@tailrace/eventlog/event-log';
import { createMemoryLog, type MemoryEventLog, type MemoryLog } from '@tailrace/eventlog/memory';
import type { Claims } from '@tailrace/platform/token';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { patternMatches } from '@tailrace/protocol/pattern';
import { epoch, eventsTopic, stateTopic, topic } from '../../services/fanout/test/fanout-options.ts';
import { AlarmChecker, AlarmLoad } from './alarms.ts';
import { Chance } from './chance.ts';
import { Checker } from './checker.ts';
import { SimulatedClient } from './client.ts';
import { ControlSide, type ControlSideOptions } from './control-side.ts';
import { limits, partitions, replaceConstants } from './limits.ts';
import { Load } from './load.ts';
import { SimulatedNode } from './node.ts';
import type { Skew } from './process.ts';
import { Scheduler } from './scheduler.ts';
import { Violations } from './violation.ts';
import { WireChecker } from './wire-checker.ts';

export interface WorldOptions {
  readonly seed: number;
  /** For the mutations: wraps the bus of nodes, and replaces the verification of tokens. */
  readonly seam?: (bus: Bus) => Bus;
  readonly verify?: (token: string) => Promise<Claims>;
  /** For the mutations of control. */
  readonly control?: ControlSideOptions;
  /** Receives each event, with the virtual time. */
  readonly trace?: (line: string) => void;
}

const tenants = ['acme', 'zeta'];
const restartMs = 500;
/** 2023-11-14. */
export const epochMs = 1_700_000_000_000;

/** Every sixth seed has control, because its SQL takes four times as long as all the rest. */
export const controlEvery = 6;

/** A token is the list of its patterns, `acme.>,zeta.line1.>`, or the claims as JSON. */
async function verify(token: string): Promise<Claims> {
  if (token.startsWith('{')) return JSON.parse(token) as Claims;
  return { subject: 's', publish: [], subscribe: token.split(',') };
}

/** A whole installation from one seed: nodes, log, bus, devices and clients. */
export class World {
  readonly scheduler = new Scheduler(epochMs);
  readonly chance: Chance;
  readonly violations: Violations;
  readonly checker: Checker;
  readonly wire: WireChecker;
  readonly network: MemoryNetwork;
  readonly log: MemoryLog;
  readonly devices: readonly string[];
  /** Running and stopping nodes, by name. */
  readonly nodes = new Map<string, SimulatedNode>();
  readonly clients: SimulatedClient[] = [];
  /** While set, every operation on the log fails. */
  logFault: TailraceError | undefined;
  /** Whether the clocks of new machines are wrong. */
  skewed = false;
  frames = 0;
  load!: Load;
  readonly alarmChecker: AlarmChecker;
  alarmLoad!: AlarmLoad;
  /** Undefined: a seed without control. */
  readonly control: ControlSide | undefined;
  /** Draws of their own, so that the other events of a seed do not depend on alarms. */
  readonly #alarmChance: Chance;
  #writer!: MemoryEventLog;
  readonly #options: WorldOptions;
  readonly #hash: Hash = createHash('sha1');
  #starts = 0;
  #clientsMade = 0;

  constructor(options: WorldOptions) {
    replaceConstants();
    this.chance = new Chance(options.seed);
    this.#options = options;
    const { scheduler, chance } = this;
    this.violations = new Violations(() => scheduler.nowMs);
    this.checker = new Checker(this.violations, () => scheduler.nowMs, limits.idWindowMs);
    this.wire = new WireChecker(this.violations);
    this.alarmChecker = new AlarmChecker(this.violations);
    this.#alarmChance = new Chance(options.seed ^ 0x5bd1e995);
    scheduler.onError = (thrown) => this.error('uncaught error', thrown);
    this.network = createMemoryNetwork({ clock: scheduler.clock, random: chance.fork().random });
    // Each callback of the log runs at a time of its own.
    const tickChance = chance.fork();
    const logClock = {
      ...scheduler.clock,
      after: (delayMs: number, call: () => void) => scheduler.at(delayMs === 0 ? tickChance.random() : delayMs, call),
    };
    this.log = createMemoryLog({ clock: logClock, epoch: () => epoch, handoverMs: 2_000, callRecordsMax: 3 });
    if (options.seed % controlEvery === 0)
      this.control = new ControlSide(this, new Chance(options.seed ^ 0x2c1b3c6d), options.control ?? {});
    this.devices = tenants.flatMap((tenant) => Array.from({ length: 12 }, (_, i) => `${tenant}.line${i % 3}.m${i}`));
  }

  async start(): Promise<void> {
    this.#writer = this.log.connect({ injectError: () => this.logFault });
    await this.#writer.start();
    const retention = { retentionMs: 1e12, retentionBytes: 1e12, partitions };
    await this.#writer.ensureTopic({ name: topic, ...retention });
    await this.#writer.ensureTopic({ name: stateTopic, ...retention, compacted: true });
    const { scheduler, checker, devices, chance } = this;
    const everyMs = chance.between(20, 120);
    const draws = { chance: chance.fork(), damage: new Chance(~this.#options.seed) };
    this.load = new Load({ devices, everyMs, eventLog: this.#writer, scheduler, checker, ...draws });
    await this.#writer.ensureTopic({ name: eventsTopic, ...retention });
    const alarms = { devices, eventLog: this.#writer, scheduler, checker: this.alarmChecker };
    const alarmChance = this.#alarmChance;
    this.alarmLoad = new AlarmLoad({
      ...alarms,
      chance: alarmChance,
      everyMs: alarmChance.between(100, 500) * (this.control === undefined ? 1 : 5),
    });
    await this.control?.start();
  }

  note(what: string): void {
    const line = `${(this.scheduler.nowMs / 1000).toFixed(3)} ${what}`;
    this.#hash.update(line);
    this.#options.trace?.(line);
  }

  /** Returns the hash of all events so far. */
  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16);
  }

  error(what: string, thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : tailraceErrorFrom(thrown);
    this.violations.add('no errors', `${what}: ${error.stack ?? error.message}`);
  }

  startNode(name: string): void {
    this.note(`${name} starts`);
    const { scheduler, network, log, chance } = this;
    const node = new SimulatedNode({
      name,
      startNumber: ++this.#starts,
      scheduler,
      network,
      log,
      chance: chance.fork(),
      skew: this.#skew(),
      logFault: () => this.logFault,
      seam: this.#options.seam ?? ((bus) => bus),
      verify: this.#options.verify ?? verify,
      onError: (what, thrown) => this.error(what, thrown),
    });
    this.nodes.set(name, node);
    node.start().catch((thrown: unknown) => this.#startFailed(node, thrown));
  }

  /** The supervisor starts it again. */
  #startFailed(node: SimulatedNode, thrown: unknown): void {
    if (node.process.state === 'dead') return;
    if (tailraceErrorFrom(thrown).code !== 'unavailable') this.error(`${node.name} did not start`, thrown);
    this.crashNode(node, true);
    this.scheduler.at(restartMs, () => this.startNode(node.name));
  }

  /** Resolves when its process has exited. */
  async stopNode(node: SimulatedNode): Promise<void> {
    this.note(`${node.name} stops`);
    await node.stop();
    this.note(`${node.name} has stopped`);
    this.forget(node);
  }

  crashNode(node: SimulatedNode, sendsReset: boolean): void {
    this.note(`${node.name} dies${sendsReset ? '' : ' with its machine'}`);
    node.crash(sendsReset);
    this.forget(node);
  }

  forget(node: SimulatedNode): void {
    if (this.nodes.get(node.name) === node) this.nodes.delete(node.name);
  }

  setBusFaults(faults: MemoryFaults): void {
    this.note(`bus ${JSON.stringify(faults)}`);
    this.network.setFaults(faults);
  }

  /** Returns all records of a topic, of one partition after the other. */
  async records(name: string): Promise<readonly LogRecord[]> {
    const records: LogRecord[] = [];
    for (const [partition, { first, next }] of (await this.#writer.bounds(name)).entries())
      for await (const batch of this.#writer.read(name, partition, { from: first, until: next }))
        records.push(...batch);
    return records;
  }

  /** Removes older records of the log, as retention does. */
  async removeRecords(partition: number, olderMs: number): Promise<void> {
    const starts = await this.#writer.positionsAt(topic, this.scheduler.clock.now() - olderMs);
    const first = this.load.retentionStart(partition, starts[partition]!);
    this.note(`the log removes ${partition}:0 to ${first - 1}`);
    await this.#writer.forget(topic, partition, first);
  }

  addClient(): SimulatedClient {
    const { chance } = this;
    const rights = chance.happens(0.4) ? ['>'] : [`${chance.pick(tenants)}.>`];
    const client = this.createClient(`c${++this.#clientsMade}`, rights, chance.fork());
    this.clients.push(client);
    this.note(`${client.name} starts, with ${rights}`);
    for (let i = chance.whole(1, 3); i > 0; i--) this.subscribe(client, rights[0]!);
    if (this.#alarmChance.happens(0.6)) this.watchAlarms(client);
    return client;
  }

  /** Returns a program with the client library. `token`: default, that of its rights. */
  createClient(name: string, rights: readonly string[], chance: Chance, token?: string): SimulatedClient {
    const { scheduler, checker, wire, violations } = this;
    return new SimulatedClient({
      ...(token === undefined ? {} : { token }),
      name,
      scheduler,
      chance,
      skew: this.#skew(),
      rights,
      checker,
      wire,
      violations,
      reach: (url) => this.#reach(url),
      onFrame: (of, text) => {
        this.frames++;
        this.note(`${of} < ${text}`);
      },
      onError: (what, thrown) => this.error(what, thrown),
    });
  }

  removeClient(client: SimulatedClient): void {
    this.note(`${client.name} stops`);
    client.close();
    this.clients.splice(this.clients.indexOf(client), 1);
  }

  /** Subscribes to a channel within the rights. */
  subscribe(client: SimulatedClient, right: string): void {
    const { chance } = this;
    const own = right === '>' ? this.devices : this.devices.filter((device) => device.startsWith(right.slice(0, -1)));
    const device = chance.pick(own);
    const subtree = chance.happens(0.4) ? right : `${device.slice(0, device.lastIndexOf('.'))}.>`;
    const channel = chance.happens(0.5) ? device : subtree;
    if (client.channels.includes(channel)) return;
    this.note(`${client.name} subscribes to ${channel}`);
    client.subscribe(channel, chance.happens(0.4) ? 'loop' : 'callbacks');
  }

  /** Subscribes to the alarms of all that the client may see, or of a part. */
  watchAlarms(client: SimulatedClient): void {
    const [right] = client.rights;
    const own = this.devices.filter((device) => patternMatches(right!, device));
    const channel = this.#alarmChance.happens(0.5) ? right! : this.#alarmChance.pick(own);
    this.note(`${client.name} subscribes to the alarms of ${channel}`);
    client.watchAlarms(channel, this.alarmChecker.watch(client.name, channel));
  }

  /** Subscribes to a channel outside the rights, which must be refused. */
  intrude(client: SimulatedClient): void {
    const { chance } = this;
    const channel = chance.happens(0.5) ? '>' : chance.pick(this.devices);
    const [right] = client.rights;
    if (right === '>' || patternMatches(right!, channel)) return;
    this.note(`${client.name} requests ${channel}`);
    client.intrude(channel);
  }

  /** Returns the node at an address: its own, or that of a load balancer, which selects any node that listens. */
  #reach(url: string): SimulatedNode | undefined {
    const { hostname } = new URL(url);
    if (hostname !== 'any') return this.nodes.get(hostname);
    const serving = [...this.nodes.values()].filter((node) => node.isServing);
    return serving.length === 0 ? undefined : this.chance.pick(serving);
  }

  #skew(): Skew {
    if (!this.skewed) return { offsetMs: 0, rate: 1 };
    return { offsetMs: this.chance.between(-60_000, 60_000), rate: this.chance.between(0.98, 1.02) };
  }

  setLogUnavailable(isUnavailable: boolean): void {
    this.note(isUnavailable ? 'the log is unavailable' : 'the log is available again');
    this.logFault = isUnavailable ? new TailraceError('unavailable', 'the log is unavailable') : undefined;
  }
}
