import type { Bus } from '@tailrace/bus/bus';
import type { MemoryNetwork } from '@tailrace/bus/memory';
import type { LocalEventLog } from '@tailrace/eventlog/local/local';
import type { MemoryLog } from '@tailrace/eventlog/memory';
import { Migration } from '@tailrace/fanout/placement/migration';
import { RingPlacement } from '@tailrace/fanout/placement/placement';
import type { SessionParts } from '@tailrace/fanout/sessions/session';
import { Session } from '@tailrace/fanout/sessions/session';
import { SessionCounts } from '@tailrace/fanout/sessions/sessioncounts';
import { Sessions } from '@tailrace/fanout/sessions/sessions';
import { StreamSocket } from '@tailrace/fanout/sessions/stream-socket';
import { silentLog } from '@tailrace/platform/log';
import type { Claims } from '@tailrace/platform/token';
import type { TailraceError } from '@tailrace/protocol/error';
import { type Assembly, assembleNode } from '../../services/fanout/test/assembly.ts';
import { freeAccess } from '../../services/fanout/test/freeaccess.ts';
import type { Chance } from './chance.ts';
import { type ClientSide, ServerConnection, Topics } from './connection.ts';
import { limits, partitions, sessionMs, turnMs, workStepsMax } from './limits.ts';
import type { Link } from './link.ts';
import { busOf, logOf } from './ports.ts';
import { Process, type Skew } from './process.ts';
import type { Scheduler } from './scheduler.ts';

export interface NodeParts {
  readonly name: string;
  /** Counts the starts of all nodes. */
  readonly incarnation: number;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly skew: Skew;
  readonly network: MemoryNetwork;
  readonly log: MemoryLog;
  /** Asked before each operation on the log. */
  readonly logFault: () => TailraceError | undefined;
  /** Between the bus and the node: for the mutations. */
  readonly seam: (bus: Bus) => Bus;
  readonly verify: (token: string) => Promise<Claims>;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** One start of a fanout node: everything but uWebSockets.js and HTTP. */
export class SimulatedNode {
  readonly name: string;
  readonly incarnation: number;
  readonly process: Process;
  readonly assembly: Assembly;
  readonly sessions: Sessions;
  readonly connections = new Set<ServerConnection>();
  readonly bus: Bus;
  readonly #parts: NodeParts;
  readonly #log: LocalEventLog;
  readonly #topics = new Topics();
  readonly #sockets = new Set<StreamSocket>();
  /** That lost a frame and have not been cut yet. */
  readonly #lost: StreamSocket[] = [];
  readonly #migration: Migration;
  #publishedBytes = 0;
  readonly #session: SessionParts;
  #sessionsMade = 0;
  #isServing = false;

  constructor(parts: NodeParts) {
    const { name, scheduler, chance, network, log, onFault } = parts;
    this.#parts = parts;
    this.name = name;
    this.incarnation = parts.incarnation;
    this.process = new Process(scheduler, parts.skew);
    this.#log = log.connect({ fault: parts.logFault });
    this.bus = network.createBus({ node: name, log: silentLog });
    this.sessions = new Sessions(this.process.clock, limits);
    const turns = chance.fork();
    this.assembly = assembleNode({
      node: name,
      eventLog: logOf(this.process, this.#log, scheduler, chance.fork()),
      bus: parts.seam(busOf(this.process, this.bus)),
      clock: this.process.clock,
      random: chance.fork().random,
      partitions,
      broadcast: { publish: (topic, frame) => this.#publish(topic, frame) },
      limits,
      connections: () => this.sessions.size,
      reachable: true,
      stepsMax: workStepsMax,
      turnMs: () => turns.between(turnMs.min, turnMs.max),
    });
    const placement = new RingPlacement({ ring: this.assembly.ownership.ring, node: name, partitions });
    this.#migration = new Migration({
      clock: this.process.clock,
      random: chance.fork().random,
      limits,
      placement,
      residents: () => this.sessions.all(),
    });
    this.assembly.ownership.onOwner = (partition, owner) => this.#migration.changed(partition, owner);
    this.#session = {
      ...limits,
      hub: this.assembly.hub,
      work: this.assembly.work,
      placement,
      verify: parts.verify,
      now: () => this.process.clock.now(),
      node: name,
      version: '1',
      counts: new SessionCounts(),
      access: freeAccess((session) => this.sessions.watch(session)),
      logger: { ...silentLog, error: (facts, sentence) => onFault(sentence, 'error' in facts ? facts.error : facts) },
    };
  }

  /** Rejects where the log or the bus is away, as the service does, which ends then. */
  async start(): Promise<void> {
    await this.#log.start();
    await this.bus.start();
    this.sessions.start();
    this.#isServing = true;
    await this.assembly.ownership.start();
  }

  /** Clients may come. */
  get isServing(): boolean {
    return this.#isServing && this.process.state !== 'dead';
  }

  /** Undefined where it takes no clients. */
  accept(link: Link, client: ClientSide, onOpen: () => void): ServerConnection | undefined {
    if (!this.isServing) return undefined;
    const connection = new ServerConnection(link, this.#topics, client, limits.socketBytesMax);
    // A process that stands still has its handshakes wait.
    this.process.call(() => this.#open(connection, onOpen));
    return connection;
  }

  /** As the stream server does it, with uWebSockets.js. */
  #publish(topic: string, frame: string | Uint8Array): void {
    this.#cutLost();
    this.#topics.publish(topic, frame);
    this.#cutLost();
    const before = this.#publishedBytes;
    this.#publishedBytes += frame.length;
    if (before < limits.socketMarkBytes && this.#publishedBytes >= limits.socketMarkBytes)
      queueMicrotask(() => this.#look());
  }

  #look(): void {
    this.#publishedBytes = 0;
    for (const socket of [...this.#sockets]) socket.check();
  }

  #cutLost(): void {
    for (const socket of this.#lost.splice(0)) socket.cut();
  }

  #open(connection: ServerConnection, onOpen: () => void): void {
    const { process, sessions } = this;
    const socket = new StreamSocket(connection, limits, process.clock);
    this.#sockets.add(socket);
    const session = new Session(`${this.incarnation}-${++this.#sessionsMade}`, 'json', socket, this.#session);
    this.connections.add(connection);
    connection.open(
      {
        onMessage: (text) =>
          process.call(() => {
            sessions.heard(session);
            session.onMessage(text);
          }),
        onPong: () => process.call(() => sessions.heard(session)),
        // Always in the middle of a call of this process.
        onDropped: () => {
          if (socket.lose()) this.#lost.push(socket);
        },
        onDrain: () => process.call(() => socket.drained()),
        onClose: () =>
          process.call(() => {
            this.connections.delete(connection);
            this.#sockets.delete(socket);
            socket.closed();
            sessions.remove(session);
            session.onClose();
          }),
      },
      onOpen,
    );
    sessions.add(session);
  }

  /** As SIGSTOP. The log notices after its session timeout. */
  pause(): void {
    this.process.pause();
    this.#log.cutOff(sessionMs);
  }

  /** As SIGCONT. */
  resume(): void {
    this.process.resume();
    this.#log.reconnect();
  }

  /** The log cannot be reached from here. */
  cutLog(): void {
    this.#log.cutOff(sessionMs);
  }

  healLog(): void {
    if (this.process.state === 'running') this.#log.reconnect();
  }

  /** As SIGKILL, or (`isTold` false) as when the machine loses its power. */
  crash(isTold: boolean): void {
    this.process.kill();
    this.#log.crash(sessionMs);
    void this.bus.close();
    for (const connection of this.connections) connection.die(isTold);
    this.connections.clear();
  }

  /** Drains and leaves, as at SIGTERM. Ends the process whatever happens meanwhile. */
  async stop(): Promise<void> {
    this.#isServing = false;
    this.#migration.stop();
    await Promise.all([
      this.sessions.drain(limits.drainMs, this.#parts.chance.random),
      this.assembly.ownership.handOver(),
    ]);
    this.sessions.stop();
    this.assembly.hub.stop();
    await this.assembly.ownership.stop();
    await this.bus.close();
    await this.#log.close();
    this.process.kill();
  }
}
