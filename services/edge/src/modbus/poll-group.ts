import type { ModbusTag } from './modbus-tag.ts';
import { type ReadBlock, type ReadLimits, readPlan, splitBlock } from './read-plan.ts';
import type { Table } from './register-address.ts';

/** How often tags that a device refuses are tried alone, ms, and how often the plan is tried whole again. */
const refusedRetryMs = 60_000;
const wholePlanMs = 600_000;

/** The tags of one unit, table and interval, and the requests that read them. */
export class PollGroup {
  readonly table: Table;
  readonly pollMs: number;
  /** Cycles that were skipped, since the one before was not finished. */
  overruns = 0;
  readonly #plan: readonly ReadBlock[];
  #blocks: ReadBlock[];
  /** Blocks that cannot be split further and were refused → monotonic ms of the next attempt. */
  readonly #refused = new Map<ReadBlock, number>();
  #unfinished = 0;
  #splitAtMs: number | undefined;

  constructor(table: Table, pollMs: number, tags: readonly ModbusTag[], limits: ReadLimits) {
    this.table = table;
    this.pollMs = pollMs;
    const items = tags.map(({ index, address, length }) => ({ index, start: address, length }));
    this.#plan = readPlan(items, limits);
    this.#blocks = [...this.#plan];
  }

  get blocks(): readonly ReadBlock[] {
    return this.#blocks;
  }

  /** Starts a cycle: returns its blocks; none if blocks of the cycle before still wait. */
  cycle(nowMs: number): readonly ReadBlock[] {
    if (this.#unfinished > 0) {
      this.overruns++;
      return [];
    }
    if (this.#splitAtMs !== undefined && nowMs - this.#splitAtMs >= wholePlanMs) {
      this.#blocks = [...this.#plan];
      this.#refused.clear();
      this.#splitAtMs = undefined;
    }
    const due = [...this.#blocks];
    for (const [block, atMs] of this.#refused) if (atMs <= nowMs) due.push(block);
    this.#unfinished = due.length;
    return due;
  }

  /** The block was read, or its request failed: its next attempt is in the next cycle. */
  finished(block: ReadBlock, isRead: boolean): void {
    this.#unfinished--;
    // A block that was refused is accepted again.
    if (isRead && this.#refused.delete(block)) this.#blocks.push(block);
  }

  /**
   * The device refuses the block. Returns the smaller blocks to read in this cycle; undefined if it cannot be split:
   * then it is tried again every 60 s alone.
   */
  refused(block: ReadBlock, nowMs: number): readonly ReadBlock[] | undefined {
    this.#unfinished--;
    this.#splitAtMs ??= nowMs;
    this.#blocks = this.#blocks.filter((each) => each !== block);
    const parts = splitBlock(block);
    if (parts === undefined) {
      this.#refused.set(block, nowMs + refusedRetryMs);
      return undefined;
    }
    this.#blocks.push(...parts);
    this.#unfinished += parts.length;
    return parts;
  }
}
