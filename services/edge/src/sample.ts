import type { Quality, Reading } from '@tailrace/protocol/reading';

export type Value = Reading['value'];

/** One value of one tag, as a source read it. */
export interface Sample {
  /** Position of the tag in the list of the source. */
  readonly tag: number;
  /** Source time, epoch ms. Fractions are kept. */
  readonly time: number;
  /** Undefined: the source has no value, and `reason` has why. Then the quality is bad. */
  readonly value: Value | undefined;
  readonly quality: Quality;
  /** Why the quality is not good, in snake case: `no_answer`, `modbus_exception_2`. */
  readonly reason?: string;
}

/** Takes each sample in turn. It must not throw. */
export type SampleSink = (sample: Sample) => void;
