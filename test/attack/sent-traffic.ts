import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Traffic of all connections of a process in one interval. */
export interface TrafficStep {
  /** Time since the start, ms. */
  readonly atMs: number;
  readonly opened: number;
  readonly closed: number;
  /** Bytes sent on all connections together. */
  readonly bytes: number;
  /** Number of connections that sent something. */
  readonly senders: number;
}

export const stepMs = 50;

/** A client socket of Node.js, as `node:diagnostics_channel` publishes it. */
interface NewSocket {
  readonly socket: Socket;
}

/**
 * Records what a process sends, so that the same can be sent to a server that ignores it. It sees every client socket
 * of the process, of all libraries.
 */
export class SentTraffic {
  readonly steps: TrafficStep[] = [];
  readonly #sent = new Map<Socket, number>();
  readonly #closed: Socket[] = [];
  #opened = 0;
  #startedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #onSocket = (message: unknown) => {
    const { socket } = message as NewSocket;
    this.#opened++;
    this.#sent.set(socket, 0);
    socket.once('close', () => this.#closed.push(socket));
  };

  start(): void {
    this.#startedAtMs = performance.now();
    subscribe('net.client.socket', this.#onSocket);
    this.#timer = setInterval(() => this.#step(), stepMs);
  }

  /** Returns the traffic since the start. */
  stop(): readonly TrafficStep[] {
    unsubscribe('net.client.socket', this.#onSocket);
    clearInterval(this.#timer);
    this.#step();
    this.#sent.clear();
    return this.steps;
  }

  #step(): void {
    let [bytes, senders] = [0, 0];
    for (const [socket, before] of this.#sent) {
      const now = socket.bytesWritten;
      if (now === before) continue;
      bytes += now - before;
      senders++;
      this.#sent.set(socket, now);
    }
    for (const socket of this.#closed) this.#sent.delete(socket);
    const step = { opened: this.#opened, closed: this.#closed.length, bytes, senders };
    this.#closed.length = 0;
    this.#opened = 0;
    this.steps.push({ atMs: performance.now() - this.#startedAtMs, ...step });
  }
}

export function bytesOf(steps: readonly TrafficStep[]): number {
  return steps.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function connectionsOf(steps: readonly TrafficStep[]): number {
  return steps.reduce((sum, { opened }) => sum + opened, 0);
}

const zeros = Buffer.alloc(65_536);

/** Sends the same number of bytes on as many connections, at the same times, to a port that only reads. */
export async function replayTraffic(steps: readonly TrafficStep[], port: number): Promise<void> {
  const startedAtMs = performance.now();
  const open: Socket[] = [];
  for (const { atMs, opened, closed, bytes, senders } of steps) {
    await sleep(Math.max(0, startedAtMs + atMs - performance.now()));
    for (let i = 0; i < opened; i++) open.push(connect({ port, host: '127.0.0.1' }).on('error', () => {}));
    const writers = open.slice(-Math.max(1, senders));
    for (const socket of writers) send(socket, Math.ceil(bytes / writers.length));
    for (const socket of open.splice(0, closed)) socket.end();
  }
  for (const socket of open) socket.destroy();
}

function send(socket: Socket, bytes: number): void {
  for (let left = bytes; left > 0; left -= zeros.length) socket.write(zeros.subarray(0, Math.min(left, zeros.length)));
}
