import type { Clock } from '@tailrace/platform/clock';
import type { MessageIntake } from '../intake/message-intake.ts';
import type { DeviceEntry } from './device-entry.ts';

/** The first wait before messages are added to the intake again, and the longest one. */
const againMsMin = 100;
const againMsMax = 2_000;

/**
 * The messages of a session that the log has refused for now, of a protocol that cannot delay them: its device gets no
 * refusal that is not final. They are added to the intake again, in their order, once the log has settled the others.
 * That goes on when the session is closed, because a repetition on the next connection may be waiting for the outcome.
 */
export class KeptMessages {
  readonly #intake: Pick<MessageIntake, 'retry'>;
  readonly #clock: Pick<Clock, 'after'>;
  /** Called when all were added again. */
  readonly #onAgain: () => void;
  #entries: DeviceEntry[] = [];
  #againMs = againMsMin;
  #isAgainDue = false;
  /** Entries that the intake has. */
  #inIntake = 0;
  /** When the message was received that the log takes no longer, monotonic ms; undefined if it takes all. */
  #stalledFromMs: number | undefined;

  constructor(intake: Pick<MessageIntake, 'retry'>, clock: Pick<Clock, 'after'>, onAgain: () => void) {
    this.#intake = intake;
    this.#clock = clock;
    this.#onAgain = onAgain;
  }

  /** Returns the age of what the log has refused for now, ms; 0 if it has not. */
  stalledMs(nowMs: number): number {
    return this.#stalledFromMs === undefined ? 0 : nowMs - this.#stalledFromMs;
  }

  /** Messages were added to the intake. */
  added(count: number): void {
    this.#inIntake += count;
  }

  /** A message is in the log, or refused for good. */
  settled(): void {
    this.#inIntake--;
    if (this.#entries.length === 0) this.#stalledFromMs = undefined;
    this.#addAgain();
  }

  /**
   * The log has refused a message for now, or has not settled it at the deadline: then the intake still has it. Returns
   * whether it is kept here.
   */
  keep(entry: DeviceEntry): boolean {
    if (this.#stalledFromMs === undefined || entry.startedMs < this.#stalledFromMs) {
      this.#stalledFromMs = entry.startedMs;
    }
    if (entry.state === 'late') return false;
    this.#inIntake--;
    this.#entries.push(entry);
    this.#addAgain();
    return true;
  }

  #addAgain(): void {
    if (this.#entries.length === 0) {
      this.#againMs = againMsMin;
      return;
    }
    if (this.#inIntake > 0 || this.#isAgainDue) return;
    this.#isAgainDue = true;
    this.#clock.after(this.#againMs, () => {
      this.#isAgainDue = false;
      const entries = this.#entries;
      this.#entries = [];
      this.#againMs = Math.min(2 * this.#againMs, againMsMax);
      this.#inIntake += entries.length;
      for (const entry of entries) this.#intake.retry(entry);
      this.#onAgain();
    });
  }
}
