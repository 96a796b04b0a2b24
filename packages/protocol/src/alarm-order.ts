import type { tailrace } from './generated/tailrace.js';

/** Rules at devices of one partition whose last number is known: about 100 bytes each. */
export const alarmNumbersMax = 100_000;

/**
 * Decides which transitions of alarms in one partition of the events count. For every reader of the events; one object
 * for each partition, which gets its events in the order of the log.
 *
 * - **Owners.** A process of alarms that takes over the partition writes an `AlarmOwner`, and its transitions have the
 *   position of that record. A process that has lost the partition, and does not know it yet, may still write: its
 *   records come after the `AlarmOwner` of the next owner, and are dropped. So the log decides who the owner is, as it
 *   does for the epochs of Kafka's transactional producers (KIP-98).
 * - **Numbers.** A writer without an answer writes again, so that a transition may be in the log twice. The second one
 *   has a number that is not above the known one of its rule at its device, and is dropped.
 *
 * Numbers are bounded: those of the alarms that have changed longest ago are forgotten. What is written twice is
 * written within one append, or since the last checkpoint: so many other alarms do not change between both.
 */
export class AlarmOrder {
  /** Position of the last `AlarmOwner`; 0: none was read. */
  owner: number;
  /** By device and rule: the number of the last transition. */
  readonly #numbers = new Map<string, number>();
  readonly #numbersMax: number;
  /** Numbers that were forgotten. */
  forgotten = 0;

  /** `owner`: the owner up to the position from which the events are read, if a checkpoint has it. */
  constructor(owner = 0, numbersMax: number = alarmNumbersMax) {
    this.owner = owner;
    this.#numbersMax = numbersMax;
  }

  /** Rules at devices whose last number is known. */
  get size(): number {
    return this.#numbers.size;
  }

  /** Takes the number of the last transition of a rule at a device, from a checkpoint. */
  restore(device: string, rule: string, number: number): void {
    this.#keep(keyOf(device, rule), number);
  }

  /** Removes what is known of a rule at a device. */
  forget(device: string, rule: string): void {
    this.#numbers.delete(keyOf(device, rule));
  }

  /** Returns the number of the last transition; 0: none. */
  numberOf(device: string, rule: string): number {
    return this.#numbers.get(keyOf(device, rule)) ?? 0;
  }

  /** Takes the `AlarmOwner` at this position. */
  takenOver(seq: number): void {
    this.owner = Math.max(this.owner, seq);
  }

  /** Returns whether a transition counts, and remembers it. */
  accepts({ owner, device, rule, number }: tailrace.v1.IAlarmTransition): boolean {
    if (!this.isOfOwner(owner)) return false;
    const key = keyOf(device ?? '', rule ?? '');
    const next = number ?? 0;
    if (next <= (this.#numbers.get(key) ?? 0)) return false;
    this.#keep(key, next);
    return true;
  }

  #keep(key: string, number: number): void {
    // The one that has changed last is the last.
    this.#numbers.delete(key);
    this.#numbers.set(key, number);
    if (this.#numbers.size <= this.#numbersMax) return;
    for (const oldest of this.#numbers.keys()) {
      this.#numbers.delete(oldest);
      this.forgotten++;
      return;
    }
  }

  /** Returns whether a transition or refusal is of the owner. Its `AlarmOwner` may be before the first event read. */
  isOfOwner(owner: number | null | undefined): boolean {
    if ((owner ?? 0) < this.owner) return false;
    this.owner = owner ?? 0;
    return true;
  }
}

/** Neither a device path nor a rule has a space. */
function keyOf(device: string, rule: string): string {
  return `${device} ${rule}`;
}
