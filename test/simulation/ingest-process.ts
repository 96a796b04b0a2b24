import type { Bus } from '@tailrace/bus/bus';
import type { MemoryNetwork } from '@tailrace/bus/memory';
import type { MemoryEventLog, MemoryLog } from '@tailrace/eventlog/memory';
import { createIngest, type Ingest } from '@tailrace/ingest/app';
import { type IngestSettings, ingestSettings } from '@tailrace/ingest/config';
import { MemoryDevice } from '@tailrace/ingest/devices/memory-sockets';
import { MemoryTransport } from '@tailrace/ingest/memory-transport';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import type { TokenVerifier } from '@tailrace/platform/token';
import { noTracing } from '@tailrace/platform/tracing';
import type { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import type { Chance } from './chance.ts';
import { partitions, retention, sessionMs } from './limits.ts';
import { type Link, Pipe } from './link.ts';
import { busOf, logOf } from './ports.ts';
import { Process } from './process.ts';
import type { Scheduler } from './scheduler.ts';

/** After this time without an answer of the other machine, its kernel closes a connection, ms. */
const userTimeoutMs = { min: 2_000, max: 8_000 };

export interface IngestParts {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly network: MemoryNetwork;
  readonly log: MemoryLog;
  readonly logFault: () => TailraceError | undefined;
  readonly seam: (bus: Bus) => Bus;
  readonly onError: (what: string, thrown: unknown) => void;
}

/** A token of a device is its path. */
const tokens: TokenVerifier = {
  cached: () => undefined,
  verify: async (device) => ({ subject: device, publish: [device], subscribe: [] }),
};

const config: IngestSettings = {
  ...z.object(ingestSettings).parse({ tokenSecret: 'a secret of the simulation: 32 bytes' }),
  ...{ telemetryPartitions: partitions, ...retention },
};

/** The socket of a device, as it sees it. */
export interface DeviceSide {
  onText(text: string): void;
  onClose(code: number): void;
}

/** A connection of a device. */
export interface DeviceWire {
  send(text: string): void;
  close(): void;
}

/** One start of an ingest node: the product, for the sessions and commands of devices. */
export class SimulatedIngest {
  readonly name: string;
  readonly process: Process;
  readonly #parts: IngestParts;
  readonly #eventLog: MemoryEventLog;
  readonly #bus: Bus;
  readonly #transport: MemoryTransport;
  readonly #ingest: Ingest;
  readonly #wires = new Set<{ crash(sendsReset: boolean): void }>();
  #isServing = false;

  constructor(parts: IngestParts) {
    const { name, scheduler, chance, network, log, onError } = parts;
    this.name = name;
    this.#parts = parts;
    this.process = new Process(scheduler, { offsetMs: 0, rate: 1 });
    const { process } = this;
    this.#eventLog = log.connect({ injectError: parts.logFault });
    this.#bus = network.createBus({ node: name, logger: silentLogger });
    const logger: Logger = {
      ...silentLogger,
      error: (facts, sentence) => onError(`${name}: ${sentence}`, 'error' in facts ? facts.error : facts),
    };
    this.#transport = new MemoryTransport({ clock: process.clock, logger });
    this.#ingest = createIngest({
      eventLog: logOf(process, this.#eventLog, scheduler, chance.fork()),
      bus: parts.seam(busOf(process, this.#bus)),
      ...{ clock: process.clock, logger, tracing: noTracing, transport: this.#transport, config, node: name, tokens },
      metrics: createMetrics({ service: 'ingest', node: name, processMetrics: false }),
      random: chance.fork().random,
    });
  }

  /** Rejects where the log is unavailable, as the service does, which exits then. */
  async start(): Promise<void> {
    await this.#eventLog.start();
    await this.#ingest.start();
    this.#isServing = true;
  }

  get isServing(): boolean {
    return this.#isServing && this.process.state !== 'dead';
  }

  /** Connects a device. `onOpen` is called when the handshake is answered. Returns undefined where it is refused. */
  connect(link: Link, side: DeviceSide, onOpen: () => void): DeviceWire | undefined {
    if (!this.isServing) return undefined;
    const { process } = this;
    let device: MemoryDevice | undefined;
    const toDevice = new Pipe(link, false, () => {});
    const toServer = new Pipe(link, false, () => {});
    let isClosed = false;
    const arrive = (code: number) => {
      if (isClosed) return;
      isClosed = true;
      toServer.close();
      this.#wires.delete(wire);
      toDevice.push(1, () => side.onClose(code));
    };
    const wire = {
      send: (text: string) => toServer.push(text.length, () => process.call(() => device?.send(text))),
      close: () => {
        toDevice.close();
        toServer.push(1, () => process.call(() => device?.close(1000)));
      },
      crash: (sendsReset: boolean) => {
        const { min, max } = userTimeoutMs;
        if (sendsReset) arrive(1006);
        else this.#parts.scheduler.at(this.#parts.chance.between(min, max), () => arrive(1006));
      },
    };
    this.#wires.add(wire);
    toDevice.push(1, onOpen);
    process.call(() => {
      const connected = this.#transport.connectDevice({ target: '/v1/device' }, ['tailrace.device.v1.json']);
      if (!(connected instanceof MemoryDevice)) {
        arrive(1006);
        return;
      }
      device = connected;
      for (const text of connected.messages.splice(0)) toDevice.push(text.length, () => side.onText(String(text)));
      connected.onMessage = (data) => toDevice.push(data.length, () => side.onText(String(data)));
      void connected.closed.then(({ code }) => {
        if (process.state !== 'dead') arrive(code);
      });
    });
    return wire;
  }

  pause(): void {
    this.process.pause();
    this.#eventLog.disconnect(sessionMs);
  }

  resume(): void {
    this.process.resume();
    this.#eventLog.reconnect();
  }

  /** Kills it, as SIGKILL does, or without `sendsReset` as a power failure of the machine does. */
  crash(sendsReset: boolean): void {
    this.process.kill();
    this.#eventLog.crash(sessionMs);
    void this.#bus.close();
    for (const wire of [...this.#wires]) wire.crash(sendsReset);
  }

  /** Sends its devices to others, and stops, as at SIGTERM. */
  async stop(): Promise<void> {
    this.#isServing = false;
    await this.#ingest.drain();
    await this.#ingest.stop();
    await this.#eventLog.close();
    this.process.kill();
  }
}
