import { contractSocketBytesMax, type TransportUnderTest, transportContract } from '../test/transport-contract.ts';
import { MemoryTransport, type Wire } from './memory-transport.ts';

/** A wire whose reader may pause. */
class PausableWire implements Wire {
  waitingBytes = 0;
  isPaused = false;
  readonly #onDrained: () => void;
  #waiting: { readonly bytes: number; readonly arrive: () => void }[] = [];

  constructor(onDrained: () => void) {
    this.#onDrained = onDrained;
  }

  send(bytes: number, arrive: () => void): void {
    this.#waiting.push({ bytes, arrive });
    this.waitingBytes += bytes;
    if (!this.isPaused) this.flush();
  }

  flush(): void {
    const waited = this.#waiting.length > 1;
    for (const { bytes, arrive } of this.#waiting.splice(0)) {
      this.waitingBytes -= bytes;
      arrive();
    }
    if (waited) this.#onDrained();
  }

  terminate(): void {
    this.#waiting = [];
    this.waitingBytes = 0;
  }
}

function startMemory(): TransportUnderTest {
  const transport = new MemoryTransport({ socketBytesMax: contractSocketBytesMax });
  return {
    transport,
    async connect(target, headers = {}) {
      const received: string[] = [];
      let closed: { code: number; reason: string } | undefined;
      let wire: PausableWire | undefined;
      const connection = transport.connect(
        { target, headers },
        {
          message: (frame) =>
            received.push(typeof frame === 'string' ? frame : `binary:${Buffer.from(frame).toString('hex')}`),
          closed: (code, reason) => {
            closed = { code, reason };
          },
        },
        (drained) => {
          wire = new PausableWire(drained);
          return { toClient: wire, toServer: new PausableWire(() => {}) };
        },
      );
      if ('status' in connection)
        return {
          status: connection.status,
          headers: Object.fromEntries(connection.headers),
          body: String(connection.body),
        };
      return {
        received,
        get closed() {
          return closed;
        },
        send: (data) => connection.sendMessage(data),
        leave: () => connection.leave(),
        stopReading() {
          wire!.isPaused = true;
        },
        startReading() {
          wire!.isPaused = false;
          wire!.flush();
        },
      };
    },
    async fetch(method, target, { headers = {}, body = '' } = {}) {
      const answer = await transport.fetch({ method, target, headers, body });
      return { status: answer.status, headers: Object.fromEntries(answer.headers), body: String(answer.body) };
    },
  };
}

transportContract('memory', startMemory);
