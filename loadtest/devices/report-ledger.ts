const acknowledgedBit = 1;
const deliveredBit = 2;

/** What became of the reports of one device, by counter: a byte each. */
export class ReportLedger {
  acknowledged = 0;
  delivered = 0;
  /** Delivered again. */
  doubled = 0;
  /** Delivered after a later one. */
  disordered = 0;
  #states = new Uint8Array(64);
  #lastDelivered = 0;

  addAcknowledged(counter: number): void {
    if (this.#setBit(counter, acknowledgedBit)) this.acknowledged++;
  }

  addDelivered(counter: number): void {
    if (!this.#setBit(counter, deliveredBit)) {
      this.doubled++;
      return;
    }
    this.delivered++;
    if (counter < this.#lastDelivered) this.disordered++;
    else this.#lastDelivered = counter;
  }

  /** Reports that were acknowledged, and not delivered so far. */
  get missing(): number {
    let missing = 0;
    for (const state of this.#states) if (state === acknowledgedBit) missing++;
    return missing;
  }

  /** Returns whether the bit is new. */
  #setBit(counter: number, bit: number): boolean {
    if (counter >= this.#states.length) {
      const larger = new Uint8Array(Math.max(counter + 1, 2 * this.#states.length));
      larger.set(this.#states);
      this.#states = larger;
    }
    const before = this.#states[counter]!;
    this.#states[counter] = before | bit;
    return (before & bit) === 0;
  }
}
