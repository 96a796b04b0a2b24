import type { Timer } from '@tailrace/platform/clock';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { callSize } from '../call-size.ts';
import type { LogBatch, SubscribeOptions, Subscription } from '../eventlog.ts';
import { CommitBuffer } from './commitbuffer.ts';
import { Cursors } from './cursors.ts';
import type { DeliveryContext } from './deliverycontext.ts';
import type { StoredTopic } from './store.ts';
import { Waiters } from './waiters.ts';

/** Pause after a rejection: this, doubled each time, up to the most. */
const retryMs = 50;
const retryMsMax = 5_000;

/**
 * `idle`: everything is handed over; `wake` ends it.
 * `due`: a step is scheduled; it hands over whatever is there by then.
 * `assigning`: `onAssigned` has been called and has not answered.
 * `calling`: `onBatches` has been called and has not answered. No other call begins.
 * `pausing`: a call was rejected; the step after the pause repeats it.
 * `ended`: stopped or dead. No call ever comes again.
 */
type State = 'idle' | 'due' | 'assigning' | 'calling' | 'pausing' | 'ended';

interface NextAssignment {
  readonly generation: number;
  readonly partitions: readonly number[];
  /** Told once, also when `onAssigned` rejects: one member's fault must not hold up the group. */
  told(): void;
}

/**
 * One member of a group: hands the records of its partitions to the subscriber, one call at a time.
 *
 * It pulls: nothing is copied into a queue, the log itself is the queue, and back-pressure is not asking. What has been
 * appended while a call runs comes with the next one, all partitions together.
 *
 * When nothing is running, new records are handed over at once. Only where calls come thick and fast is anything held back: a call
 * that took d ms is followed by a pause of 3 · d, at most `flushMs`, so that a subscriber spends at most a quarter of the time
 * on the fixed cost of being called, and no record waits longer than it asked for.
 */
export class Delivery implements Subscription {
  readonly options: SubscribeOptions;
  readonly #context: DeliveryContext;
  readonly #cursors: Cursors;
  readonly #commits: CommitBuffer;
  readonly #leave: () => void;
  readonly #blocked: () => Error | undefined;
  #state: State = 'idle';
  #timer: Timer | undefined;
  #next: NextAssignment | undefined;
  /** Handed over and not accepted yet: being dealt with while `calling`, else to be handed over again. */
  #inHand: readonly LogBatch[] | undefined;
  #rejections = 0;
  #calledAtMs = 0;
  #notBeforeMs = 0;
  /** So many times the group has told it what it has. */
  #assignments = 0;
  #stopping = false;
  #expelled = false;
  #stopped: Promise<void> | undefined;
  readonly #atBoundary = new Waiters();
  readonly #onReached = new Waiters();

  constructor(
    context: DeliveryContext,
    topics: readonly StoredTopic[],
    options: SubscribeOptions,
    hooks: { leave(): void; blocked(): Error | undefined },
  ) {
    this.options = options;
    this.#context = context;
    this.#cursors = new Cursors({
      store: context.store,
      topics,
      group: options.group,
      report: (error) => this.report(error),
      onBegun: () => this.wake(),
    });
    this.#leave = hooks.leave;
    this.#blocked = hooks.blocked;
    this.#commits = new CommitBuffer(context, options.group, hooks.blocked, (error) => this.report(error));
  }

  get member(): string {
    return this.options.member;
  }

  report(thrown: unknown): void {
    this.options.onError?.(thrown instanceof Error ? thrown : tailraceErrorFrom(thrown));
  }

  commit(topic: string, partition: number, next: number): void {
    // A partition that went to somebody else keeps what its new owner commits.
    if (this.#state === 'ended' || !this.#cursors.owns(topic, partition)) return;
    this.#commits.note(topic, partition, next);
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    const recordsMax = this.#context.queueRecordsMax;
    let records = this.#cursors.waiting();
    if (this.#state !== 'calling') for (const batch of this.#inHand ?? []) records += batch.records.length;
    return { records: Math.min(recordsMax, records), recordsMax };
  }

  /** There may be new records. */
  wake(): void {
    if (this.#state === 'idle') this.#schedule();
  }

  /**
   * The group is about to take these partitions away: nothing more of them is handed over. Resolves when no call is running
   * and what the member committed is written, so that the heir starts behind it.
   */
  async release(partitions: readonly number[]): Promise<void> {
    // Who cannot be reached cannot let go: the group waits until it is back, or expelled, or the time for it is over.
    const assignments = this.#assignments;
    if (this.#blocked() !== undefined) await this.#onReached.wait();
    // The group has not waited so long, and has assigned anew since.
    if (assignments !== this.#assignments) return;
    this.#cursors.withhold(partitions);
    this.#giveBack(partitions);
    await this.#boundary();
    await this.#commits.flush();
    this.seize(partitions);
  }

  /** These belong to somebody else now, whether or not this member has let go: what it commits does not count any more. */
  seize(partitions: readonly number[] = this.#cursors.partitions()): void {
    this.#cursors.withhold(partitions);
    this.#cursors.disown(partitions);
    this.#commits.drop(partitions);
  }

  /** Others have had its partitions while it could not be reached: before the next assignment it is told that all are lost. */
  expel(): void {
    this.#expelled = true;
    this.seize();
    this.#next?.told();
    this.#next = undefined;
    this.#onReached.release();
  }

  /** What blocked it may be over: does not wait for the end of a pause, and if something else does now, pauses as for the first time. */
  resume(): void {
    this.#rejections = 0;
    this.#onReached.release();
    this.#hurry();
  }

  /** Resolves when the member has been told and has answered where to start. */
  assign(generation: number, partitions: readonly number[]): Promise<void> {
    if (this.#state === 'ended' || this.#stopping) return Promise.resolve();
    this.#assignments++;
    return new Promise((told) => {
      this.#next?.told();
      this.#next = { generation, partitions, told };
      this.#hurry();
    });
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Ends at once and silently, as a process that dies: nothing is written, nobody is told. */
  kill(): void {
    this.#state = 'ended';
    this.#timer?.cancel();
    this.#commits.discard();
    this.#next?.told();
    this.#atBoundary.release();
    this.#onReached.release();
  }

  async #stop(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#stopping = true;
    await this.#boundary();
    this.#timer?.cancel();
    this.#state = 'ended';
    await this.#commits.flush();
    this.#commits.discard();
    this.#next?.told();
    this.#onReached.release();
    this.#leave();
  }

  #hurry(): void {
    if (this.#state === 'pausing') this.#timer?.cancel();
    if (this.#state === 'idle' || this.#state === 'pausing') this.#schedule();
  }

  /** Resolves when no call is running. */
  async #boundary(): Promise<void> {
    if (this.#state === 'calling' || this.#state === 'assigning') await this.#atBoundary.wait();
  }

  #schedule(): void {
    this.#state = 'due';
    const waitMs = this.#next !== undefined ? 0 : this.#notBeforeMs - this.#context.clock.monotonic();
    // Timers are no finer than a millisecond; less is not worth one.
    if (waitMs < 1) this.#context.schedule(this.#step);
    else this.#timer = this.#context.clock.after(waitMs, this.#step);
  }

  readonly #step = (): void => {
    if (this.#state === 'ended' || this.#stopping) return;
    const blocked = this.#blocked();
    if (blocked !== undefined) {
      this.#pause(blocked);
      return;
    }
    this.#onReached.release();
    if (this.#next !== undefined) {
      void this.#tell(this.#next);
      return;
    }
    const { queueRecordsMax, callRecordsMax, batchBytesMax, clock } = this.#context;
    const recordsMax = Math.min(queueRecordsMax, callSize(this.#cursors.waiting(), callRecordsMax));
    const batches = this.#inHand ?? this.#cursors.take(recordsMax, batchBytesMax);
    if (batches.length === 0) {
      this.#state = 'idle';
      return;
    }
    this.#state = 'calling';
    this.#inHand = batches;
    this.#calledAtMs = clock.monotonic();
    try {
      const answer = this.options.onBatches(batches);
      if (answer === undefined) this.#accepted();
      else answer.then(this.#accepted, this.#rejected);
    } catch (thrown) {
      this.#rejected(thrown);
    }
  };

  readonly #accepted = (): void => {
    if (this.#state === 'ended') return;
    this.#inHand = undefined;
    this.#rejections = 0;
    const nowMs = this.#context.clock.monotonic();
    const pauseMs = Math.min(this.options.flushMs, 3 * (nowMs - this.#calledAtMs));
    // A backlog is not held back: its calls are as large as they may be.
    this.#notBeforeMs = this.#cursors.tookAll() ? nowMs + pauseMs : nowMs;
    this.#state = 'idle';
    this.#atBoundary.release();
    if (!this.#stopping && (this.#next !== undefined || this.#cursors.waiting() > 0)) this.#schedule();
  };

  readonly #rejected = (thrown: unknown): void => {
    if (this.#state === 'ended') return;
    this.#pause(thrown);
  };

  #pause(thrown: unknown): void {
    this.#state = 'pausing';
    this.#timer = this.#context.clock.after(Math.min(retryMsMax, retryMs * 2 ** this.#rejections), this.#step);
    this.#rejections = Math.min(this.#rejections + 1, 10);
    // A partition that is on its way to another member is not repeated here.
    this.#giveBack(this.#cursors.withheld());
    this.#atBoundary.release();
    this.report(thrown);
  }

  /** Gives batches of these partitions back unseen, for the case that the partition stays here after all. */
  #giveBack(partitions: readonly number[]): void {
    if (this.#inHand === undefined || this.#state === 'calling') return;
    const kept = this.#inHand.filter((batch) => !partitions.includes(batch.partition));
    for (const batch of this.#inHand) if (!kept.includes(batch)) this.#cursors.rewind(batch);
    this.#inHand = kept.length === 0 ? undefined : kept;
  }

  async #tell(next: NextAssignment): Promise<void> {
    this.#state = 'assigning';
    this.#next = undefined;
    const { generation, partitions } = next;
    try {
      if (this.#expelled) await this.#tellExpelled(generation - 1);
      if (this.#isEnded()) return;
      const change = this.#cursors.changeTo(partitions);
      const starts = await this.options.onAssigned({ generation, partitions, ...change });
      if (this.#isEnded()) return;
      // What was refused and is not this member's any more is the heir's.
      this.#giveBack(change.lost);
      this.#cursors.move(partitions, starts);
      this.#rejections = 0;
      this.#state = 'idle';
      this.#atBoundary.release();
      if (!this.#stopping) this.#schedule();
    } catch (thrown) {
      if (this.#isEnded()) return;
      this.#next ??= { ...next, told: () => undefined };
      this.#pause(thrown);
    } finally {
      next.told();
    }
  }

  async #tellExpelled(generation: number): Promise<void> {
    const lost = [...this.#cursors.partitions()];
    if (lost.length > 0) await this.options.onAssigned({ generation, partitions: [], gained: [], lost });
    this.#cursors.move([], undefined);
    this.#inHand = undefined;
    this.#expelled = false;
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }
}
