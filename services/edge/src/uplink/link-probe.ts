import { connect } from 'node:net';
import type { Clock, Timer } from '@tailrace/platform/clock';

export interface LinkProbeOptions {
  /** Resolves with whether a connection was opened within `limitMs`. Never rejects. */
  readonly probe: (limitMs: number) => Promise<boolean>;
  /** Called when the server is reachable again: by a probe that connects after one that did not. */
  readonly onReachable: () => void;
  readonly clock: Pick<Clock, 'after'>;
  /** In [0, 1). */
  readonly random: () => number;
}

/** A probe starts after this time, and is given up after that one: two may run. */
const everyMs = 400;
const limitMs = 900;

/**
 * Finds out within a second that a lost link is back, whatever the backoff of the sender and of TCP, which doubles its
 * waits: a new connection every 0.4 s, each closed at once.
 */
export class LinkProbe {
  readonly #options: LinkProbeOptions;
  #timer: Timer | undefined;
  /** Of the probes since the start: the next one, the last one that connected, the last one that did not. */
  #next = 1;
  #connected = 0;
  #failed = 0;
  /** Changes at each start and stop. */
  #run = {};

  constructor(options: LinkProbeOptions) {
    this.#options = options;
  }

  /** No effect while it runs. */
  start(): void {
    if (this.#timer === undefined) this.#probe();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#run = {};
    this.#connected = 0;
    this.#failed = 0;
  }

  #probe(): void {
    const { probe, clock, random } = this.#options;
    const number = this.#next++;
    const run = this.#run;
    // Not all gateways of a site at the same time: ± 20 %.
    this.#timer = clock.after(everyMs * (0.8 + 0.4 * random()), () => this.#probe());
    void probe(limitMs).then((isReachable) => {
      if (this.#run === run) this.#finished(number, isReachable);
    });
  }

  #finished(number: number, isReachable: boolean): void {
    if (!isReachable) {
      // A probe that started before the link was back shows nothing.
      if (number > this.#connected) this.#failed = number;
      return;
    }
    const wasLost = this.#failed > this.#connected;
    this.#connected = Math.max(this.#connected, number);
    if (wasLost && number > this.#failed) this.#options.onReachable();
  }
}

/** Returns the probe of a server by TCP. The name is resolved each time. */
export function tcpProbe(url: string): (limitMs: number) => Promise<boolean> {
  const { hostname, port, protocol } = new URL(url);
  const isSecure = protocol === 'https:' || protocol === 'wss:';
  const options = { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (isSecure ? 443 : 80) : Number(port) };
  return (limit) =>
    new Promise((resolve) => {
      const socket = connect(options);
      const done = (isReachable: boolean) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(isReachable);
      };
      const timer = setTimeout(() => done(false), limit);
      socket.once('connect', () => done(true));
      socket.once('error', () => done(false));
    });
}
