import { tailrace } from '@tailrace/protocol/generated';
import type { Nonces } from '../devices/nonces.ts';

const { UsedNonces } = tailrace.v1;
/** Nonces of one message. */
const nonceMessageMax = 1_000;

/**
 * Publishes the nonces that this node has accepted, so that another one refuses a recorded `auth`, and takes those of
 * other nodes. Those of one turn of the event loop are one message. A message that is lost leaves the gap of a start:
 * a recorded `auth` with time and nonce is accepted by another node once, within a minute.
 */
export class NonceExchange {
  readonly #self: { readonly node: string; readonly boot: string };
  readonly #nonces: Pick<Nonces, 'merge'>;
  readonly #publish: (payload: Uint8Array) => void;
  #words: number[] = [];
  #untilMs: number[] = [];

  constructor(
    self: { readonly node: string; readonly boot: string },
    nonces: Pick<Nonces, 'merge'>,
    publish: (payload: Uint8Array) => void,
  ) {
    this.#self = self;
    this.#nonces = nonces;
    this.#publish = publish;
  }

  /** A new nonce of this node. */
  add(high: number, low: number, untilMs: number): void {
    if (this.#untilMs.length === 0) setImmediate(() => this.#flush());
    this.#words.push(low, high);
    this.#untilMs.push(untilMs);
    if (this.#untilMs.length >= nonceMessageMax) this.#flush();
  }

  /** Throws for a message that cannot be decoded. */
  received(payload: Uint8Array): void {
    const { node, boot, hashes, untilMs } = UsedNonces.decode(payload);
    if (node === this.#self.node && boot === this.#self.boot) return;
    const view = new DataView(hashes.buffer, hashes.byteOffset, hashes.byteLength);
    const count = Math.min(hashes.length >> 3, untilMs.length);
    for (let index = 0; index < count; index++)
      this.#nonces.merge(view.getUint32(8 * index + 4, true), view.getUint32(8 * index, true), untilMs[index]!);
  }

  #flush(): void {
    if (this.#untilMs.length === 0) return;
    const hashes = Buffer.allocUnsafe(4 * this.#words.length);
    for (const [index, word] of this.#words.entries()) hashes.writeUInt32LE(word, 4 * index);
    const payload = UsedNonces.encode({ ...this.#self, hashes, untilMs: this.#untilMs }).finish();
    this.#words = [];
    this.#untilMs = [];
    this.#publish(payload);
  }
}
