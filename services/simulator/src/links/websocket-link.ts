import { type CommandAnswer, type DeviceAck, type DeviceCommand, DeviceConnection } from '@tailrace/client/device';
import type { PublisherStats } from '@tailrace/client/publish';
import type { WebSocketConstructor, WebSocketLike } from '@tailrace/client/websocket';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import type { PlantCommand } from '../plant/command.ts';
import { warningEveryMs } from './http-link.ts';
import type { PlantLink } from './plant-link.ts';

export interface WebSocketLinkOptions {
  /** Of ingest. */
  readonly url: string;
  readonly token: string;
  readonly devices: readonly string[];
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random?: (() => number) | undefined;
  readonly WebSocket?: WebSocketConstructor | undefined;
  /** As `Plant.command`. */
  command(device: string, command: PlantCommand): void;
}

interface ConnectedDevice {
  readonly connection: DeviceConnection;
  readonly cable: Cable;
}

/** Most reports of one device that wait for an answer: several minutes of them. */
const queueMessagesMax = 2_000;
const queueBytesMax = 1_048_576;

/**
 * Connects each device by a WebSocket of its own. What a device without its link reports waits in its queue. It is sent
 * with its own time once the link is back. Commands are obeyed at once.
 */
export class WebSocketLink implements PlantLink {
  readonly devices: readonly string[];
  readonly #options: WebSocketLinkOptions;
  readonly #connected: ReadonlyMap<string, ConnectedDevice>;
  readonly #onRejected: LimitedWarning;
  readonly #onLost: LimitedWarning;
  readonly #onStopped: LimitedWarning;

  constructor(options: WebSocketLinkOptions) {
    this.#options = options;
    this.devices = options.devices;
    this.#onRejected = this.#limited('ingest rejected readings of a device');
    this.#onLost = this.#limited('readings of a device were lost');
    this.#onStopped = this.#limited('a device does not connect any more');
    this.#connected = new Map(options.devices.map((device) => [device, this.#connect(device)]));
  }

  async start(): Promise<void> {
    for (const { connection } of this.#connected.values()) connection.start();
  }

  publish(reports: readonly Report[], isLinked: (device: string) => boolean): void {
    for (const [device, { connection, cable }] of this.#connected) {
      if (cable.isPlugged === isLinked(device)) continue;
      if (cable.isPlugged) cable.pull();
      else {
        cable.plug();
        connection.reconnect();
      }
    }
    for (const { device, readings, time, id } of reports) {
      const connection = this.#connected.get(device)?.connection;
      const options = { ...(time === undefined ? {} : { time }), ...(id === undefined ? {} : { id }) };
      connection?.status(readings, options).then(
        (ack) => this.#answered(device, ack),
        (thrown: unknown) => {
          const error = tailraceErrorFrom(thrown);
          // `conflict`: a repeated report whose first sending has no answer yet.
          if (error.code !== 'closed' && error.code !== 'conflict') this.#onLost.write(() => ({ device, error }));
        },
      );
    }
  }

  async drain(): Promise<void> {
    await Promise.all([...this.#connected.values()].map(({ connection }) => connection.drained()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#connected.values()].map(({ connection }) => connection.close()));
  }

  stats(): PublisherStats {
    const connections = [...this.#connected.values()].map(({ connection }) => connection);
    const sum = (of: (connection: DeviceConnection) => number) =>
      connections.reduce((total, connection) => total + of(connection), 0);
    return {
      queuedReports: sum(({ queuedMessages }) => queuedMessages),
      queuedReportsMax: connections.length * queueMessagesMax,
      queuedBytes: sum(({ queuedBytes }) => queuedBytes),
      queuedBytesMax: connections.length * queueBytesMax,
      accepted: sum(({ counts }) => counts.accepted + counts.duplicates),
      refused: sum(({ counts }) => counts.rejected),
      retries: sum(({ counts }) => counts.resent),
    };
  }

  #connect(device: string): ConnectedDevice {
    const { url, token, clock, random, WebSocket = globalThis.WebSocket } = this.#options;
    const cable = new Cable(WebSocket);
    const connection = new DeviceConnection({
      url,
      device,
      token,
      clock,
      queueMessagesMax,
      queueBytesMax,
      WebSocket: cable.WebSocket,
      ...(random ? { random } : {}),
      onCommand: (command, answer) => this.#obey(command, answer),
      onState: (state) => {
        if (state.name === 'stopped' && cable.isPlugged) this.#onStopped.write(() => ({ device, ...state.loss }));
      },
    });
    return { connection, cable };
  }

  #obey({ device, name, params }: DeviceCommand, answer: CommandAnswer): void {
    answer.delivered();
    try {
      this.#options.command(device, { name, params });
      answer.reply({ state: 'done' });
    } catch (thrown) {
      const { code, message } = tailraceErrorFrom(thrown);
      answer.reply({ state: 'failed', code, message });
    }
  }

  #answered(device: string, { status, code, message }: DeviceAck): void {
    if (status === 'rejected') this.#onRejected.write(() => ({ device, code, reason: message }));
  }

  #limited(sentence: string): LimitedWarning {
    const { logger, clock } = this.#options;
    return new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }
}

/** The network cable of one device. While it is pulled, its connection is closed and no other opens. */
class Cable {
  isPlugged = true;
  /** Of the connections of this device. */
  readonly WebSocket: WebSocketConstructor;
  #socket: WebSocketLike | undefined;

  constructor(WebSocket: WebSocketConstructor) {
    const open = (url: string, protocols: string) => {
      if (!this.isPlugged) throw new TailraceError('unavailable', 'the link of the device is interrupted');
      this.#socket = new WebSocket(url, protocols);
      return this.#socket;
    };
    this.WebSocket = class {
      constructor(url: string, protocols: string) {
        // biome-ignore lint/correctness/noConstructorReturn: the socket is that of the platform.
        return open(url, protocols);
      }
    } as unknown as WebSocketConstructor;
  }

  pull(): void {
    this.isPlugged = false;
    this.#socket?.close();
    this.#socket = undefined;
  }

  plug(): void {
    this.isPlugged = true;
  }
}
