import { ExpiryHeap } from '@tailrace/platform/expiry-heap';
import type { CommandOutcome } from '@tailrace/protocol/device-command';

/** How long the outcome of a command can be queried after it is needed for nothing else. */
export const outcomeRetentionMs = 600_000;

/** What is remembered of a command. */
export interface RememberedCommand {
  readonly outcome: CommandOutcome;
  /** Of the command, as `commandContentOf` returns it. */
  readonly content: string;
  /** Whether the device may have executed it. If not, a command with the same ID may be accepted again. */
  readonly wasSent: boolean;
  /** Until when it is needed, monotonic ms: later, a command with the same ID is refused by its deadline. */
  readonly neededMs: number;
  /** When it was put in, monotonic ms. */
  readonly atMs: number;
}

/**
 * The last outcomes of the commands of this process, by command ID. One that is needed is never forgotten, because the
 * command could be executed twice: at the limit no further commands are accepted instead.
 */
export class CommandOutcomes {
  readonly #max: number;
  readonly #byId = new Map<string, RememberedCommand>();
  readonly #byNeed = new ExpiryHeap<RememberedCommand>((entry) => this.#byId.get(entry.outcome.id) === entry);

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): RememberedCommand | undefined {
    return this.#byId.get(id);
  }

  /** Returns whether there is place for a further command; forgets those that are not needed. */
  hasPlace(nowMs: number): boolean {
    while (this.#byId.size >= this.#max && this.#byNeed.first() <= nowMs) this.#forgetFirst();
    return this.#byId.size < this.#max;
  }

  put(entry: RememberedCommand): void {
    this.#byId.set(entry.outcome.id, entry);
    this.#byNeed.add(entry.neededMs, entry);
    while (this.#byNeed.first() + outcomeRetentionMs <= entry.atMs) this.#forgetFirst();
  }

  #forgetFirst(): void {
    const entry = this.#byNeed.pop();
    if (entry !== undefined) this.#byId.delete(entry.outcome.id);
  }
}
