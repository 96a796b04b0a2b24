import type { Acknowledger } from './sparkplug-broker.ts';

/**
 * The acknowledgment of one message, or of several that were processed together. It is sent when nothing is open any
 * more: each report and dead letter made of the messages is open until it is durable, and the processing itself until
 * it is finished.
 */
export class Receipt {
  readonly from: Acknowledger;
  readonly #tickets: number[] = [];
  #open = 0;

  constructor(from: Acknowledger) {
    this.from = from;
  }

  /** Adds a message above QoS 0. */
  add(ticket: number): void {
    this.#tickets.push(ticket);
  }

  open(): void {
    this.#open++;
  }

  /** Returns whether this acknowledges the messages: then the caller calls `from.flush`, once for many. */
  close(): boolean {
    if (--this.#open > 0) return false;
    for (const ticket of this.#tickets.splice(0)) this.from.settle(ticket, 0);
    return true;
  }
}
