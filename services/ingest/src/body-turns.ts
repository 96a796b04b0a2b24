/** Does some of the work on a body. Returns whether all of it is done. Never throws. */
export type BodyStep = () => boolean;

/**
 * The work on large bodies: one step in a turn of the event loop, whatever waits, so that sockets, small bodies and
 * everything else of this process are served between two steps. Senders take turns; the bodies of one sender are
 * worked through in the order in which they came.
 */
export class BodyTurns {
  readonly #defer: (call: () => void) => void;
  /** By sender, the next one first. */
  readonly #queues = new Map<object, BodyStep[]>();
  #isDue = false;

  /** `defer` calls once, in a later turn of the event loop. Default: `setImmediate`. */
  constructor(defer: (call: () => void) => void = setImmediate) {
    this.#defer = defer;
  }

  /** Whether a body of the sender waits or is worked on: another one has to wait behind it. */
  has(sender: object): boolean {
    return this.#queues.has(sender);
  }

  add(sender: object, step: BodyStep): void {
    const queue = this.#queues.get(sender);
    if (queue === undefined) this.#queues.set(sender, [step]);
    else queue.push(step);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#defer(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isDue = false;
    for (const [sender, queue] of this.#queues) {
      // Behind the others, and still there while the step runs: an answer may bring the sender's next body at once.
      this.#queues.delete(sender);
      this.#queues.set(sender, queue);
      if (queue[0]!()) queue.shift();
      if (queue.length === 0) this.#queues.delete(sender);
      break;
    }
    if (this.#queues.size > 0) this.#schedule();
  };
}
