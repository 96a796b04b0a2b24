import type { DeviceAck } from './device-frames.ts';

/** A message, batch or reply that waits to be sent, or for its answer. */
export interface QueuedMessage {
  readonly id: string;
  /** As it is sent, each time. */
  readonly text: string;
  readonly bytes: number;
  /** Events are sent before what waits. */
  readonly isEvent: boolean;
  /** Without an answer: of `qos` 0. */
  readonly isAnswered: boolean;
  /** Order of the calls. */
  readonly number: number;
  /** How often it was sent. */
  attempts: number;
  settle(ack: DeviceAck): void;
}

export interface QueueLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/**
 * Messages that wait, and messages that were sent and have no answer. Both count for the limits. The order is that of
 * the calls, with events first; a message that is sent again goes back to its place.
 */
export class DeviceQueue {
  readonly #limits: QueueLimits;
  #events: QueuedMessage[] = [];
  #others: QueuedMessage[] = [];
  /** By ID, in the order in which they were sent. */
  readonly #unanswered = new Map<string, QueuedMessage>();
  #bytes = 0;
  #unansweredBytes = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Messages that wait or have no answer. */
  get messages(): number {
    return this.#events.length + this.#others.length + this.#unanswered.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get unanswered(): number {
    return this.#unanswered.size;
  }

  get unansweredBytes(): number {
    return this.#unansweredBytes;
  }

  has(id: string): boolean {
    return this.#unanswered.has(id);
  }

  hasSpaceFor(bytes: number): boolean {
    return this.messages < this.#limits.messagesMax && this.#bytes + bytes <= this.#limits.bytesMax;
  }

  add(message: QueuedMessage): void {
    (message.isEvent ? this.#events : this.#others).push(message);
    this.#bytes += message.bytes;
  }

  /** The message that is sent next; undefined if none waits. */
  get first(): QueuedMessage | undefined {
    return this.#events[0] ?? this.#others[0];
  }

  /** The first message was sent. */
  sent(): void {
    const message = (this.#events.shift() ?? this.#others.shift())!;
    message.attempts++;
    if (message.isAnswered) {
      this.#unanswered.set(message.id, message);
      this.#unansweredBytes += message.bytes;
    } else this.#bytes -= message.bytes;
  }

  /** Takes the message with this ID, which has its answer; undefined for another answer. */
  answered(id: string): QueuedMessage | undefined {
    const message = this.#unanswered.get(id);
    if (message === undefined) return undefined;
    this.#unanswered.delete(id);
    this.#unansweredBytes -= message.bytes;
    this.#bytes -= message.bytes;
    return message;
  }

  /** The message is sent again, before later ones. */
  again(message: QueuedMessage): void {
    const queue = message.isEvent ? this.#events : this.#others;
    const at = queue.findIndex(({ number }) => number > message.number);
    queue.splice(at < 0 ? queue.length : at, 0, message);
    this.#bytes += message.bytes;
  }

  /** All messages without an answer are sent again: the connection is lost. */
  allAgain(): void {
    const messages = [...this.#unanswered.values()];
    this.#unanswered.clear();
    this.#unansweredBytes = 0;
    const inOrder = (a: QueuedMessage, b: QueuedMessage) => a.number - b.number;
    this.#events = [...messages.filter(({ isEvent }) => isEvent), ...this.#events].sort(inOrder);
    this.#others = [...messages.filter(({ isEvent }) => !isEvent), ...this.#others].sort(inOrder);
  }

  /** Removes all messages, in their order. */
  clear(): QueuedMessage[] {
    const messages = [...this.#unanswered.values(), ...this.#events, ...this.#others];
    this.#unanswered.clear();
    this.#events = [];
    this.#others = [];
    this.#bytes = 0;
    this.#unansweredBytes = 0;
    return messages;
  }
}
