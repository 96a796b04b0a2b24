import type { Bus } from '@tailrace/bus/bus';
import type { MemoryNetwork } from '@tailrace/bus/memory';
import type { MemoryEventLog, MemoryLog } from '@tailrace/eventlog/memory';
import { createFanout, type Fanout, type FanoutNode } from '@tailrace/fanout/app';
import { type MemoryClient, type MemoryConnection, MemoryTransport } from '@tailrace/fanout/memory-transport';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import type { Claims } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import type { TailraceError } from '@tailrace/protocol/error';
import type { Chance } from './chance.ts';
import { deferMs, limits, sessionMs, settingsOf, workStepsMax } from './limits.ts';
import type { Link } from './link.ts';
import { busOf, logOf, transportOf, wiresOver } from './ports.ts';
import { Process, type Skew } from './process.ts';
import type { Scheduler } from './scheduler.ts';

export interface NodeParts {
  readonly name: string;
  /** Number of this start, counted over all nodes. */
  readonly startNumber: number;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly skew: Skew;
  readonly network: MemoryNetwork;
  readonly log: MemoryLog;
  /** Called before each operation on the log; an error fails it. */
  readonly logFault: () => TailraceError | undefined;
  /** Between the bus and the node: for the mutations. */
  readonly seam: (bus: Bus) => Bus;
  readonly verify: (token: string) => Promise<Claims>;
  readonly onError: (what: string, thrown: unknown) => void;
}

/** A client that connects. */
export interface Connecting extends MemoryClient {
  /** Whether it has given up meanwhile. */
  isLeft(): boolean;
  onConnection(connection: MemoryConnection): void;
  onOpen(): void;
  onRefused(): void;
}

/** One start of a fanout node: the product with a transport, a log, a bus and a clock of the simulation. */
export class SimulatedNode {
  readonly name: string;
  readonly startNumber: number;
  readonly process: Process;
  readonly bus: Bus;
  readonly #eventLog: MemoryEventLog;
  readonly #transport = new MemoryTransport({ socketBytesMax: limits.socketBytesMax });
  readonly #fanout: Fanout;
  #sessionsMade = 0;
  #isLeaving = false;

  constructor(parts: NodeParts) {
    const { name, scheduler, chance, network, log, onError } = parts;
    this.name = name;
    this.startNumber = parts.startNumber;
    this.process = new Process(scheduler, parts.skew);
    const { process } = this;
    this.#eventLog = log.connect({ injectError: parts.logFault });
    this.bus = network.createBus({ node: name, logger: silentLogger });
    const deferChance = chance.fork();
    const logger: Logger = {
      ...silentLogger,
      error: (facts, sentence) => onError(sentence, 'error' in facts ? facts.error : facts),
    };
    this.#fanout = createFanout({
      eventLog: logOf(process, this.#eventLog, scheduler, chance.fork()),
      bus: parts.seam(busOf(process, this.bus)),
      clock: process.clock,
      logger,
      metrics: createMetrics({ service: 'fanout', node: name, processMetrics: false }),
      tracing: noTracing,
      transport: transportOf(process, this.#transport),
      config: settingsOf(name),
      random: chance.fork().random,
      version: '1',
      defer: (call) => void process.clock.after(deferChance.between(deferMs.min, deferMs.max), call),
      verify: parts.verify,
      sessionId: () => `${this.startNumber}-${++this.#sessionsMade}`,
      workStepsMax,
    });
  }

  /** Rejects where the log or the bus is unavailable, as the service does, which exits then. */
  async start(): Promise<void> {
    await this.#eventLog.start();
    await this.bus.start();
    await this.#fanout.start();
  }

  /** The node for checks, read-only; undefined before it has started. */
  get inside(): FanoutNode | undefined {
    return this.#fanout.node;
  }

  get connections(): ReadonlySet<MemoryConnection> {
    return this.#transport.connections;
  }

  /** Whether clients can connect. */
  get isServing(): boolean {
    return this.#transport.isListening && !this.#isLeaving && this.process.state !== 'dead';
  }

  /** Connects a client. Returns false where the node does not listen. `target`: of the handshake. */
  accept(link: Link, target: string, client: Connecting): boolean {
    if (!this.isServing) return false;
    // Handshakes of a suspended process wait.
    this.process.call(() => {
      if (client.isLeft()) return;
      const connection = this.#transport.connect(
        { target },
        client,
        wiresOver(link, () => client.onOpen()),
      );
      if ('status' in connection) client.onRefused();
      else client.onConnection(connection);
    });
    return true;
  }

  /** Suspends it, as SIGSTOP does. The log notices after the session timeout. */
  pause(): void {
    this.process.pause();
    this.#eventLog.disconnect(sessionMs);
  }

  /** Resumes it, as SIGCONT does. */
  resume(): void {
    this.process.resume();
    this.#eventLog.reconnect();
  }

  /** Makes the log unreachable from this node. */
  isolateFromLog(): void {
    this.#eventLog.disconnect(sessionMs);
  }

  healLog(): void {
    if (this.process.state === 'running') this.#eventLog.reconnect();
  }

  /** Kills it, as SIGKILL does, or without `sendsReset` as a power failure of the machine does. */
  crash(sendsReset: boolean): void {
    this.process.kill();
    this.#eventLog.crash(sessionMs);
    void this.bus.close();
    for (const connection of this.connections) connection.crash(sendsReset);
  }

  /** Drains and leaves, as at SIGTERM, and stops the process. */
  async stop(): Promise<void> {
    this.#isLeaving = true;
    await this.#fanout.drain();
    await this.#fanout.stop();
    await this.bus.close();
    await this.#eventLog.close();
    this.process.kill();
  }
}
