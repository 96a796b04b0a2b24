import type { Clock, Timer } from '@tailrace/platform/clock';
import type { SampleSink, Value } from '../sample.ts';
import { lateMsOf } from './connection.ts';
import { ModbusTag, type ModbusTagOptions } from './modbus-tag.ts';
import { type Reply, type Request, readRequest } from './pdu.ts';
import { PollGroup } from './poll-group.ts';
import type { ReadBlock, ReadLimits } from './read-plan.ts';
import { isBitTable, type Table } from './register-address.ts';

/*
 * One unit of a connection, with one request in flight.
 *
 * - `idle`: the next request may be sent: a write before a read. While a write holds the unit, no read.
 * - `busy`: a request is in flight.
 * - `backing_off`: the unit did not answer, or refused for now. Then the smallest block that is due is the probe.
 *
 * A timeout is repeated once at once if the last ten requests were answered. Then the unit waits
 * min(30 s, timeoutMs · 2^failures) ± 20 %, and after three failures its tags are bad. A write is never repeated.
 */

export interface ModbusUnitOptions {
  /** 0 to 255. */
  readonly unit: number;
  readonly tags: readonly ModbusTagOptions[];
  readonly limitsOf: (table: Table) => ReadLimits;
  readonly timeoutMs: number;
  /** Whether late replies are found by their transaction ID: then a read may be repeated at once. */
  readonly hasTransactions: boolean;
  readonly send: (unit: number, request: Request, timeoutMs: number) => Promise<Reply>;
  /** Called when a request may be sent that could not be before. */
  readonly onReady: () => void;
  readonly sink: SampleSink;
  readonly clock: Clock;
  readonly random: () => number;
}

export type UnitState = 'idle' | 'busy' | 'backing_off';

/** A reply, or that the request was not sent before its deadline. */
export type ExchangeReply = Reply | { readonly kind: 'not_sent' };

interface DueBlock {
  readonly group: PollGroup;
  readonly block: ReadBlock;
  /** Attempts that got an exception 5 or 6, "later". */
  busyReplies: number;
}

interface Exchange {
  readonly request: Request;
  readonly timer: Timer;
  resolve(reply: ExchangeReply): void;
}

const backoffMsMax = 30_000;
const failuresUntilBad = 3;
const goodUntilRepeat = 10;
/** Of exceptions 5 and 6: a device that works on something. */
const busyMs = 200;
const busyRepliesMax = 5;
/** Most requests that wait before the reads, as of commands. */
const exchangesMax = 64;

export class ModbusUnit {
  readonly unit: number;
  readonly groups: readonly PollGroup[];
  readonly tags: readonly ModbusTag[];
  /** 64-bit integers that were converted to the nearest number. */
  inexactValues = 0;
  readonly #options: ModbusUnitOptions;
  readonly #due: DueBlock[] = [];
  readonly #exchanges: Exchange[] = [];
  #state: UnitState = 'idle';
  #timer: Timer | undefined;
  #failures = 0;
  #good = 0;
  #hasAnswered = false;
  /** Writes that hold it. */
  #holds = 0;
  #isStopped = false;

  constructor(options: ModbusUnitOptions) {
    this.#options = options;
    this.unit = options.unit;
    this.tags = options.tags.map((tag, index) => new ModbusTag(tag, index));
    const groups = Map.groupBy(this.tags, ({ table, pollMs }) => `${table} ${pollMs}`);
    this.groups = [...groups.values()].map((members) => {
      const { table, pollMs } = members[0]!;
      return new PollGroup(table, pollMs, members, options.limitsOf(table));
    });
  }

  get state(): UnitState {
    return this.#state;
  }

  get badTags(): number {
    let count = 0;
    for (const { badReason } of this.tags) if (badReason !== undefined) count++;
    return count;
  }

  /** Whether it has answered, and not failed too often since. */
  get isAnswering(): boolean {
    return this.#hasAnswered && this.#failures < failuresUntilBad;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Whether `runNext` would send a request. */
  get isReady(): boolean {
    if (this.#state !== 'idle') return false;
    return this.#exchanges.length > 0 || (this.#due.length > 0 && this.#holds === 0);
  }

  /** Whether a write holds it that goes on as soon as its request is answered. */
  get isHeld(): boolean {
    return this.#holds > 0 && this.#state !== 'backing_off';
  }

  /** Whether a request of a command waits, which is sent before reads. */
  get hasExchange(): boolean {
    return this.#exchanges.length > 0;
  }

  /** Starts a cycle of a group. */
  poll(group: PollGroup): void {
    for (const block of group.cycle(this.#options.clock.monotonic())) this.#due.push({ group, block, busyReplies: 0 });
  }

  /**
   * Sends a request before all reads. While the unit backs off or has no connection, it waits. Resolves with `not_sent`
   * after `deadlineMs`, if too many requests wait, or at the stop.
   */
  exchange(request: Request, deadlineMs: number): Promise<ExchangeReply> {
    if (this.#isStopped || this.#exchanges.length >= exchangesMax) return Promise.resolve({ kind: 'not_sent' });
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(deadlineMs, () => {
        this.#exchanges.splice(this.#exchanges.indexOf(exchange), 1);
        resolve({ kind: 'not_sent' });
      });
      const exchange: Exchange = { request, timer, resolve };
      this.#exchanges.push(exchange);
      this.#options.onReady();
    });
  }

  /**
   * Holds the reads of this unit, so that the requests of a write follow each other: each would wait for a read, and
   * the value could be read back late. Returns a function that releases it; idempotent.
   */
  hold(): () => void {
    let isHeld = true;
    this.#holds++;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds--;
      if (!this.#isStopped) this.#options.onReady();
    };
  }

  /** Sends the next request. Resolves when it is answered and handled. Only while `isReady`. */
  async runNext(): Promise<void> {
    const exchange = this.#exchanges.shift();
    this.#state = 'busy';
    if (exchange === undefined) {
      const due = this.#takeDue();
      const { block, group } = due;
      const reply = await this.#send(readRequest(group.table, block.start, block.length));
      this.#handleBlock(due, reply);
    } else {
      exchange.timer.cancel();
      const reply = await this.#send(exchange.request);
      // A write's exception is for its sender, and no sign of a unit that does not answer.
      if (isFailure(reply)) this.#failed(reply);
      else this.#succeeded();
      exchange.resolve(reply);
    }
  }

  /** Reports all tags as bad, each once: as when the connection is lost. */
  allBad(reason: string): void {
    for (const tag of this.tags) this.#bad(tag, reason);
  }

  /** Requests that wait resolve as `not_sent`. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const { timer, resolve } of this.#exchanges.splice(0)) {
      timer.cancel();
      resolve({ kind: 'not_sent' });
    }
    this.#due.length = 0;
  }

  #send(request: Request): Promise<Reply> {
    return this.#options.send(this.unit, request, this.#options.timeoutMs);
  }

  /** A unit that did not answer gets its smallest block, which costs the others least. */
  #takeDue(): DueBlock {
    let at = 0;
    if (this.#failures > 0) {
      for (let index = 1; index < this.#due.length; index++) {
        if (this.#due[index]!.block.length < this.#due[at]!.block.length) at = index;
      }
    }
    return this.#due.splice(at, 1)[0]!;
  }

  #handleBlock(due: DueBlock, reply: Reply): void {
    const { group, block } = due;
    switch (reply.kind) {
      case 'data':
        this.#succeeded();
        group.finished(block, true);
        this.#emit(group.table, block, reply.data);
        return;
      case 'exception':
        this.#handleException(due, reply);
        return;
      case 'disconnected':
        // It is read when there is a connection again.
        this.#state = 'idle';
        this.#due.unshift(due);
        return;
      default:
        if (reply.kind === 'timeout' && this.#options.hasTransactions && this.#good >= goodUntilRepeat) {
          this.#good = 0;
          this.#state = 'idle';
          this.#due.unshift(due);
          return;
        }
        group.finished(block, false);
        this.#failed(reply);
    }
  }

  #handleException(due: DueBlock, reply: Reply & { kind: 'exception' }): void {
    const { group, block } = due;
    const { exception } = reply;
    if ((exception === 5 || exception === 6) && ++due.busyReplies <= busyRepliesMax) {
      this.#due.unshift(due);
      this.#backOff(busyMs);
      return;
    }
    if (isFailure(reply)) {
      group.finished(block, false);
      this.#failed(reply);
      return;
    }
    this.#succeeded();
    if (exception < 1 || exception > 3) {
      group.finished(block, false);
      this.#blockBad(block, exception);
      return;
    }
    const parts = group.refused(block, this.#options.clock.monotonic());
    if (parts === undefined) this.#blockBad(block, exception);
    else this.#due.unshift(...parts.map((part) => ({ group, block: part, busyReplies: 0 })));
  }

  #succeeded(): void {
    this.#hasAnswered = true;
    this.#failures = 0;
    this.#good++;
    this.#state = 'idle';
  }

  #failed(reply: Reply): void {
    this.#good = 0;
    if (reply.kind === 'disconnected') {
      this.#state = 'idle';
      return;
    }
    this.#failures++;
    if (this.#failures >= failuresUntilBad) {
      this.allBad(reply.kind === 'malformed' ? 'malformed_reply' : 'no_answer');
    }
    const { timeoutMs, random, hasTransactions } = this.#options;
    const waitMs = Math.min(backoffMsMax, timeoutMs * 2 ** Math.min(this.#failures, 20)) * (0.8 + 0.4 * random());
    // Without transaction IDs the reply to the request that timed out must not meet the next one of this unit.
    this.#backOff(hasTransactions ? waitMs : Math.max(waitMs, lateMsOf(timeoutMs) / 10));
  }

  #backOff(waitMs: number): void {
    this.#state = 'backing_off';
    this.#timer = this.#options.clock.after(waitMs, () => {
      this.#state = 'idle';
      this.#options.onReady();
    });
  }

  #emit(table: Table, block: ReadBlock, data: Uint8Array): void {
    const time = this.#options.clock.now();
    const isBits = isBitTable(table);
    for (const { index, start } of block.items) {
      const tag = this.tags[index]!;
      const at = start - block.start;
      const value: Value | undefined = isBits ? ((data[at >> 3]! >> (at & 7)) & 1) === 1 : tag.codec.read(data, 2 * at);
      if (value === undefined) {
        this.#bad(tag, tag.codec.reason);
        continue;
      }
      if (!isBits && !tag.codec.isExact) this.inexactValues++;
      tag.badReason = undefined;
      this.#options.sink({ tag: tag.tag, time, value, quality: 'good' });
    }
  }

  #blockBad(block: ReadBlock, exception: number): void {
    for (const { index } of block.items) this.#bad(this.tags[index]!, `modbus_exception_${exception}`);
  }

  #bad(tag: ModbusTag, reason: string): void {
    if (tag.badReason === reason) return;
    tag.badReason = reason;
    this.#options.sink({ tag: tag.tag, time: this.#options.clock.now(), value: undefined, quality: 'bad', reason });
  }
}

/** Whether the unit did not answer: itself, or by its gateway (exceptions 10 and 11), or not to this request. */
function isFailure(reply: Reply): boolean {
  if (reply.kind === 'exception') return reply.exception === 10 || reply.exception === 11;
  return reply.kind !== 'data';
}
