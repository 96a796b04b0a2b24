import { sequenceNumbers } from './payload.ts';
import type { MessageType } from './topic.ts';

/** A message whose predecessor has not come. Its bytes are a copy, so that it holds no buffer of a socket. */
export interface HeldMessage {
  readonly seq: number;
  readonly type: MessageType;
  readonly device: string | undefined;
  readonly bytes: Uint8Array;
  readonly timestamp: number | undefined;
  readonly receivedMs: number;
  readonly traceparent?: string | undefined;
}

export interface ReorderLimits {
  /** How long a message waits for its predecessor. */
  readonly reorderMs: number;
  readonly messagesMax: number;
  readonly bytesMax: number;
}

export const defaultReorderLimits: ReorderLimits = { reorderMs: 5_000, messagesMax: 64, bytesMax: 1024 * 1024 };

/**
 * Messages of one node that came before their predecessors, in the order in which they came. Sparkplug orders the
 * messages of a node over several topics, and a broker orders only those of one topic.
 */
export class ReorderWindow {
  bytes = 0;
  readonly #limits: ReorderLimits;
  readonly #held: HeldMessage[] = [];

  constructor(limits: ReorderLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#held.length;
  }

  /** Whether a limit is exceeded: the gap must be accepted now. */
  get isFull(): boolean {
    return this.#held.length > this.#limits.messagesMax || this.bytes > this.#limits.bytesMax;
  }

  /** The time at which the gap must be accepted, by the clock of `receivedMs`; undefined without a held message. */
  get dueMs(): number | undefined {
    return this.#held.length === 0 ? undefined : this.#held[0]!.receivedMs + this.#limits.reorderMs;
  }

  has(seq: number, timestamp: number | undefined, byteLength: number): boolean {
    return this.#held.some(
      (held) => held.seq === seq && held.timestamp === timestamp && held.bytes.length === byteLength,
    );
  }

  hold(message: HeldMessage): void {
    this.#held.push(message);
    this.bytes += message.bytes.length;
  }

  /** Removes and returns the message with this sequence number; undefined if it has not come. */
  take(seq: number): HeldMessage | undefined {
    const index = this.#held.findIndex((held) => held.seq === seq);
    return index === -1 ? undefined : this.#remove(index);
  }

  /** Removes and returns the next message from this sequence number on; of two with one number the first to come. */
  takeNext(from: number): HeldMessage | undefined {
    let nearest = -1;
    for (let index = 0; index < this.#held.length; index++)
      if (nearest === -1 || this.#distance(index, from) < this.#distance(nearest, from)) nearest = index;
    return nearest === -1 ? undefined : this.#remove(nearest);
  }

  /** Removes and returns a message that was sent before this time, the first by sequence number. */
  takeOlder(timestamp: number, from: number): HeldMessage | undefined {
    let nearest = -1;
    for (let index = 0; index < this.#held.length; index++) {
      const sent = this.#held[index]!.timestamp;
      if (sent === undefined || sent >= timestamp) continue;
      if (nearest === -1 || this.#distance(index, from) < this.#distance(nearest, from)) nearest = index;
    }
    return nearest === -1 ? undefined : this.#remove(nearest);
  }

  #distance(index: number, from: number): number {
    return (this.#held[index]!.seq - from + sequenceNumbers) % sequenceNumbers;
  }

  #remove(index: number): HeldMessage {
    const [held] = this.#held.splice(index, 1);
    this.bytes -= held!.bytes.length;
    return held!;
  }
}
