/** Does some of the work on a body. Returns whether all of it is done. Never throws. */
export type BodyStep = () => boolean;

/**
 * Bodies that are worked on at once. What JSON.parse makes of one takes up to forty times its bytes, and is held until
 * its last step.
 */
const startedMax = 4;

/**
 * The work on large bodies: one step in a turn of the event loop, whatever waits, so that sockets, small bodies and
 * everything else of this process are served between two steps. Senders take turns, a few of them at a time; the bodies
 * of one sender are worked through in the order in which they came.
 */
export class BodyTurns {
  readonly #defer: (call: () => void) => void;
  /** By sender, the one that is worked on first. */
  readonly #queues = new Map<object, BodyStep[]>();
  /** Senders of the bodies that are started, at most `startedMax`, and those that wait; the next one first. */
  readonly #started: object[] = [];
  readonly #waiting: object[] = [];
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
    if (queue === undefined) {
      this.#queues.set(sender, [step]);
      this.#waiting.push(sender);
    } else queue.push(step);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#defer(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isDue = false;
    this.#started.push(...this.#waiting.splice(0, startedMax - this.#started.length));
    const sender = this.#started.shift()!;
    const queue = this.#queues.get(sender)!;
    // Still there while the step runs: an answer may bring the sender's next body at once.
    if (!queue[0]!()) this.#started.push(sender);
    else {
      queue.shift();
      if (queue.length > 0) this.#waiting.push(sender);
      else this.#queues.delete(sender);
    }
    if (this.#queues.size > 0) this.#schedule();
  };
}
