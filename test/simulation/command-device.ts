import { type CommandAnswer, type DeviceCommand, DeviceConnection } from '@tailrace/client/device';
import type { WebSocketConstructor } from '@tailrace/client/websocket';
import type { Clock } from '@tailrace/platform/clock';
import type { Chance } from './chance.ts';
import type { CommandChecker } from './command-checker.ts';
import type { DeviceWire, SimulatedIngest } from './ingest-process.ts';
import { Link } from './link.ts';
import { Process, type Skew } from './process.ts';
import type { Scheduler } from './scheduler.ts';

/** How long a device takes to execute a command, ms. */
const workMs = { min: 0, max: 600 };
/** Share of commands that a device refuses. */
const refused = 0.08;
/** A refused connection is known after this long, ms. */
const refusalMs = 5;

export interface CommandDeviceParts {
  readonly path: string;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly skew: Skew;
  readonly checker: CommandChecker;
  /** An ingest node that a load balancer selects; undefined: there is none. */
  readonly reach: () => SimulatedIngest | undefined;
  readonly note: (what: string) => void;
}

/**
 * A device with the client library, which executes a command once, and not after its deadline. It does not look at
 * fences: ingest has to.
 */
export class CommandDevice {
  readonly path: string;
  readonly link: Link;
  readonly #parts: CommandDeviceParts;
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #connection: DeviceConnection;
  #wire: DeviceWire | undefined;

  constructor(parts: CommandDeviceParts) {
    const { path, scheduler, chance } = parts;
    this.path = path;
    this.#parts = parts;
    this.link = new Link(scheduler, chance.fork());
    this.#chance = chance.fork();
    this.#clock = new Process(scheduler, parts.skew).clock;
    this.#connection = new DeviceConnection({
      ...{ url: 'ws://ingest', device: path, token: path, clock: this.#clock, random: chance.fork().random },
      ...{ backoff: { baseMs: 100, capMs: 1_500 }, WebSocket: this.#sockets() },
      onCommand: (command, answer) => this.#take(command, answer),
      onState: ({ name }) => parts.note(`${path} is ${name}`),
    });
  }

  get isLive(): boolean {
    return this.#connection.state.name === 'live';
  }

  start(): void {
    this.#connection.start();
  }

  /** Its connection breaks; both sides are notified. */
  disconnect(): void {
    this.#wire?.close();
    this.#connection.reconnect({ force: true });
  }

  /** A short test at the end of a run needs it at once. */
  reconnect(): void {
    this.#connection.reconnect();
  }

  #take(command: DeviceCommand, answer: CommandAnswer): void {
    const { checker, scheduler, path } = this.#parts;
    const { id, fence, expiresAtMs, params } = command;
    checker.received(path, id);
    answer.delivered();
    scheduler.at(this.#chance.between(workMs.min, workMs.max), () => {
      if (this.#clock.monotonic() >= expiresAtMs) {
        answer.reply({ state: 'expired', code: 'timeout' });
        return;
      }
      if (this.#chance.happens(refused)) {
        answer.reply({ state: 'failed', code: 'forbidden', message: 'the interlock is open' });
        return;
      }
      checker.executed(path, id, { fence, key: String(params['key']) });
      answer.reply({ state: 'done' });
    });
  }

  #sockets(): WebSocketConstructor {
    const device = this;
    const { scheduler, reach } = this.#parts;
    return class {
      readonly #listeners = new Map<string, (event: never) => void>();
      #opened: DeviceWire | undefined;
      #left = false;

      constructor() {
        const { link } = device;
        const arrive = () => {
          if (this.#left) return;
          if (link.isDown) {
            scheduler.at(200, arrive);
            return;
          }
          const side = {
            onText: (text: string) => this.#emit('message', { data: text }),
            onClose: (code: number) => this.#emit('close', { code, reason: '' }),
          };
          this.#opened = reach()?.connect(link, side, () => this.#emit('open', {}));
          device.#wire = this.#opened;
          if (this.#opened === undefined)
            scheduler.at(refusalMs, () => this.#emit('close', { code: 1006, reason: '' }));
        };
        scheduler.at(device.#chance.between(link.delayMs.min, link.delayMs.max), arrive);
      }

      addEventListener(type: string, listener: (event: never) => void): void {
        this.#listeners.set(type, listener);
      }

      send(text: string): void {
        this.#opened?.send(text);
      }

      close(): void {
        if (this.#left) return;
        this.#left = true;
        this.#opened?.close();
      }

      #emit(type: string, event: object): void {
        if (this.#left) return;
        if (type === 'close') this.#left = true;
        this.#listeners.get(type)?.(event as never);
      }
    };
  }
}
