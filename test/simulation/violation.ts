/** Invariants that no fault may violate: docs/ARCHITECTURE.md, "Invariants". */
export type Invariant =
  | 'I1 once per ID'
  | 'I2 order'
  | 'I3 completeness'
  | 'I4 agreement'
  | 'I5 convergence'
  | 'I6 isolation'
  | 'I7 bounds'
  | 'I8 commands'
  | 'I8 interruption'
  | 'no errors';

export interface Violation {
  readonly invariant: Invariant;
  readonly facts: string;
}

/** Listed violations of one run: one error causes many. */
const violationsMax = 20;

export class Violations {
  readonly list: Violation[] = [];
  count = 0;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(invariant: Invariant, facts: string): void {
    this.count++;
    if (this.list.length < violationsMax)
      this.list.push({ invariant, facts: `${(this.#nowMs() / 1000).toFixed(3)} s: ${facts}` });
  }
}
