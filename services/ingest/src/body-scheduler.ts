/** Does one step of the work on a body. Returns whether it was the last. Never throws. */
export type BodyStep = () => boolean;

/**
 * Bodies that are worked on at once. What JSON.parse makes of one takes up to forty times its bytes, and is held until
 * its last step.
 */
const startedMax = 4;

/**
 * Schedules the work on large bodies: one step in each turn of the event loop, so that sockets and small bodies are
 * served between two steps. At most `startedMax` senders have a started body; they alternate. The bodies of one sender
 * are processed in the order in which they were received.
 */
export class BodyScheduler {
  /** By sender, the body that is processed first. */
  readonly #queues = new Map<object, BodyStep[]>();
  /** Senders with a started body, at most `startedMax`, and senders that wait; the next one first. */
  readonly #started: object[] = [];
  readonly #waiting: object[] = [];
  #isDue = false;
  /** Senders with a body that is waiting or in progress. */
  senders = 0;

  /** Whether a body of the sender is waiting or in progress: the next one has to wait for it. */
  has(sender: object): boolean {
    return this.#queues.has(sender);
  }

  add(sender: object, step: BodyStep): void {
    const queue = this.#queues.get(sender);
    if (queue === undefined) {
      this.#queues.set(sender, [step]);
      this.senders++;
      this.#waiting.push(sender);
    } else queue.push(step);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#runStep);
  }

  readonly #runStep = (): void => {
    this.#isDue = false;
    this.#started.push(...this.#waiting.splice(0, startedMax - this.#started.length));
    const sender = this.#started.shift()!;
    const queue = this.#queues.get(sender)!;
    // Still queued while the step runs: an answer may bring the sender's next body at once.
    if (!queue[0]!()) this.#started.push(sender);
    else {
      queue.shift();
      if (queue.length > 0) this.#waiting.push(sender);
      else {
        this.#queues.delete(sender);
        this.senders--;
      }
    }
    if (this.senders > 0) this.#schedule();
  };
}
