/** A line of the table. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly against: string;
  readonly result: string;
  readonly target: string;
  readonly met: boolean;
  /** The result as a number, in the unit that the result names, where something is worked out from it. */
  readonly value?: number;
}
