import type { Wire, WireHandlers } from './wire.ts';

/** One side of a connection in memory, for tests and simulations. */
export interface MemoryWire extends Wire {
  /** Set it before the other end sends. */
  handlers: WireHandlers;
  /** Bytes that were sent to this end, and wait because it is paused. */
  readonly waitingBytes: number;
  /** Above it, `send` returns false until the other end has read. Default: no limit. */
  highWaterBytes: number;
  /** Closes without delivering what waits, as a network does that fails. */
  fail(error: Error): void;
}

const noHandlers: WireHandlers = { bytes() {}, writable() {}, closed() {} };

/**
 * Returns both sides of a connection. Bytes are delivered during `send`. What a handler sends meanwhile is delivered
 * after it has returned, so that no handler is called while one runs.
 */
export function wirePair(): [MemoryWire, MemoryWire] {
  const calls: (() => void)[] = [];
  let isDelivering = false;
  const deliver = (call: () => void) => {
    calls.push(call);
    if (isDelivering) return;
    isDelivering = true;
    try {
      for (let next = calls.shift(); next !== undefined; next = calls.shift()) next();
    } finally {
      isDelivering = false;
    }
  };
  const first = new End(deliver);
  const second = new End(deliver);
  first.peer = second;
  second.peer = first;
  return [first, second];
}

class End implements MemoryWire {
  handlers: WireHandlers = noHandlers;
  highWaterBytes: number = Number.POSITIVE_INFINITY;
  peer!: End;
  readonly #deliver: (call: () => void) => void;
  #waiting: Buffer[] = [];
  waitingBytes = 0;
  #isPaused = false;
  #isClosing = false;
  #isClosed = false;
  #isPeerFull = false;

  constructor(deliver: (call: () => void) => void) {
    this.#deliver = deliver;
  }

  send(bytes: Uint8Array): boolean {
    if (this.#isClosing) return true;
    const { peer } = this;
    const chunk = Buffer.from(bytes);
    this.#deliver(() => peer.#receive(chunk));
    if (peer.waitingBytes <= this.highWaterBytes) return true;
    this.#isPeerFull = true;
    return false;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#deliver(() => this.#drain());
  }

  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#deliver(() => {
      this.#finish(undefined);
      this.peer.#finish(undefined);
    });
  }

  fail(error: Error): void {
    this.#isClosing = true;
    this.#deliver(() => {
      this.#waiting = [];
      this.peer.#waiting = [];
      this.#finish(error);
      this.peer.#finish(error);
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#waiting.push(chunk);
    this.waitingBytes += chunk.length;
    this.#drain();
  }

  #drain(): void {
    while (!this.#isPaused && !this.#isClosed && this.#waiting.length > 0) {
      const chunk = this.#waiting.shift()!;
      this.waitingBytes -= chunk.length;
      this.handlers.bytes(chunk);
    }
    const { peer } = this;
    if (peer.#isPeerFull && this.waitingBytes <= peer.highWaterBytes) {
      peer.#isPeerFull = false;
      if (!peer.#isClosed) peer.handlers.writable();
    }
  }

  #finish(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosing = true;
    this.#isClosed = true;
    this.handlers.closed(error);
  }
}
