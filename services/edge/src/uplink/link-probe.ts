import { request as httpsRequest } from 'node:https';
import { endpointUrl } from '@tailrace/client/endpoint';
import type { Wire } from '@tailrace/mqtt/wire';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { mqttDial } from './mqtt-dial.ts';
import type { TlsFiles } from './tls-files.ts';

export interface LinkProbeOptions {
  /** Resolves with whether the server answers within `limitMs`. Never rejects. */
  readonly probe: (limitMs: number) => Promise<boolean>;
  /** Called when the server is reachable again: by a probe with an answer after one without. */
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
 * waits: a request every 0.4 s.
 */
export class LinkProbe {
  readonly #options: LinkProbeOptions;
  #timer: Timer | undefined;
  /** Of the probes since the start: the next one, the last one with an answer, the last one without. */
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

/** What a proxy answers while it has no server. */
const awayStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * Returns the probe of ingest: a request to the path of the WebSocket, whose answer does not matter. A connection alone
 * shows nothing, because a load balancer accepts it also while it has no server.
 */
export function httpProbe(
  url: string,
  path: '/v1/device' | '/v1/mqtt' = '/v1/device',
  tls?: TlsFiles,
): (limitMs: number) => Promise<boolean> {
  const target = endpointUrl(url, path).replace(/^ws/, 'http');
  return async (limitMs) => {
    const signal = AbortSignal.timeout(limitMs);
    try {
      if (tls !== undefined) return !awayStatuses.has(await secureStatus(target, tls, signal));
      const { status, body } = await fetch(target, { signal, redirect: 'manual' });
      await body?.cancel();
      return !awayStatuses.has(status);
    } catch {
      return false;
    }
  };
}

function secureStatus(url: string, tls: TlsFiles, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { ...tls.certificates(), signal, agent: false }, (response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    request.on('error', reject);
    request.end();
  });
}

/**
 * CONNECT of a level that no server has: the answer needs no credentials, and starts no session (MQTT-3.1.2-2). Ingest
 * does not count it as a protocol error.
 */
const probePacket = Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 6, 2, 0, 0, 0, 0]);

/**
 * Returns the probe of an MQTT listener: a CONNECT that every server refuses. As over HTTP, a connection alone shows
 * nothing.
 */
export function mqttProbe(url: string, tls?: TlsFiles): (limitMs: number) => Promise<boolean> {
  const dial = mqttDial(url, tls);
  return (limitMs) =>
    new Promise((resolve) => {
      let wire: Wire | undefined;
      const done = (isReachable: boolean) => {
        clearTimeout(timer);
        wire?.close();
        resolve(isReachable);
      };
      const timer = setTimeout(() => done(false), limitMs);
      try {
        wire = dial({ bytes: () => done(true), writable() {}, closed: () => done(false) });
        wire.send(probePacket);
      } catch {
        done(false);
      }
    });
}
