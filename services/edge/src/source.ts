import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { WriteResult, WriteTurn } from './read-back.ts';
import type { FilterOptions } from './rules/tag-filter.ts';
import type { SampleSink, Value } from './sample.ts';
import type { WriteBounds } from './write-bounds.ts';

/** A tag of a source, at its position in the list of the source. */
export interface SourceTag {
  readonly device: string;
  readonly tag: string;
  /** UCUM; empty: none. */
  readonly unit: string;
  /** Undefined: every sample is sent. */
  readonly filter: FilterOptions | undefined;
  /** Undefined: the tag is read-only. */
  readonly write: WriteBounds | undefined;
}

/**
 * The port of a protocol: reads the tags of one entry of the sources file, and writes to them. It passes each sample to
 * its sink: a value that was read, also an unchanged one, which proves that the device works; and one bad sample for a
 * tag that cannot be read. What is sent of them is not its concern.
 */
export interface Source {
  readonly name: string;
  readonly tags: readonly SourceTag[];
  /** The state of its connection, in the words of its protocol. */
  readonly state: string;
  /** Whether values come. */
  readonly isLive: boolean;
  /** Tags whose last sample was bad. */
  readonly badTags: number;
  start(): void;
  /** Idempotent. Resolves within 3 s. */
  stop(): void | Promise<void>;
  /**
   * Returns what a sample of the tag at this position has where the device has the value: of a float of 32 bits the
   * nearest one, of an integer the nearest step of its scale.
   */
  heldValue(tag: number, value: Value): Value;
  /**
   * Writes a value to the tag at this position, if its bounds allow it, and reads it back. `deadlineMs`: time until it
   * must be sent. `turn`: released while an answer that was lost is resolved. Never rejects.
   */
  write(tag: number, value: Value, deadlineMs: number, turn?: WriteTurn): Promise<WriteResult>;
}

/** What every source takes, beside its entry of the sources file. */
export interface SourceOptions {
  readonly sink: SampleSink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Folder of the certificates of the gateway, and of the servers that it trusts. */
  readonly pkiPath: string;
}
