import type { Clock, Timer } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { TailraceError } from '@tailrace/protocol/error';
import { callSize } from './call-size.ts';
import type { StartPositions, SubscribeOptions, Subscription } from './event-log.ts';
import type { Commit, Membership, Source } from './group-ports.ts';
import type { QueuedBatch, RecordBuffer, RecordQueue } from './record-buffer.ts';
import { type KnownPositions, resolvedStarts, startPositionsOf, startsLater } from './start-positions.ts';

interface Assigned {
  readonly generation: number;
  readonly partitions: readonly number[];
}

export interface GroupAssignment extends Assigned {
  /** The group had expelled this member. In the generations in between, others may have had its partitions. */
  readonly expelled: boolean;
}

export interface GroupMemberOptions {
  readonly clock: Clock;
  readonly subscriber: SubscribeOptions;
  readonly buffer: RecordBuffer;
  readonly source: Source;
  readonly membership: Membership;
  /** Runs the call soon, in a turn of its own, so that sockets are served between two calls to the subscriber. */
  schedule(call: () => void): void;
  /** Most records of one call without a backlog. Default: see `callSize`. */
  readonly callRecordsMax?: number;
  /** The longest pause between two calls, ms. 0 where the source itself holds records back. */
  readonly windowMs: number;
  /** How long a committed position may wait to be written, ms. A crash repeats at most so much. */
  readonly commitMs: number;
  onError(thrown: unknown): void;
}

/**
 * `idle`: there is nothing to deliver, or not yet. Records and changes of the assignment end it.
 * `due`: a step is scheduled. It delivers what is there by then.
 * `calling`: `onBatches` runs. No other call starts, and `onAssigned` is not called.
 * `pausing`: a call was rejected. Its batches are in hand and delivered again after a pause.
 * `stopped`: no call ever comes again.
 */
type State = 'idle' | 'due' | 'calling' | 'pausing' | 'stopped';

const nextStates: Readonly<Record<State, readonly State[]>> = {
  idle: ['due', 'stopped'],
  due: ['idle', 'calling', 'stopped'],
  calling: ['idle', 'pausing', 'stopped'],
  pausing: ['due', 'stopped'],
  stopped: [],
};

/**
 * `active`: its records are delivered, its commits count.
 * `held`: the group may be about to give it to another member. Nothing is delivered; commits still count.
 * `revoked`: another member has it, or may have it, and the subscriber does not know yet. Commits do not count.
 *
 * The group may change each into each other. A partition that the subscriber was notified to have lost has no status.
 */
type PartitionStatus = 'active' | 'held' | 'revoked';

/** One partition number of all topics, since `onAssigned` was called with it. */
interface MemberPartition {
  readonly number: number;
  status: PartitionStatus;
  /** By topic. Undefined until its start positions are known. */
  queues: readonly RecordQueue[] | undefined;
}

/** An assignment that the subscriber does not know yet. */
interface PendingAssignment extends Assigned {
  /** The subscriber has answered, or has rejected once, or a newer assignment takes its place. */
  settle(): void;
}

const retryFirstMs = 50;
const retryMaxMs = 5_000;
const assignRetryFirstMs = 100;
const startRetryMs = 5_000;
/** How long `stop` waits for the last commits. */
const lastCommitMs = 2_000;

/**
 * One member of a consumer group: what it owns, and the delivery of its records to the subscriber, one call at a time.
 * The same on Kafka and on a log inside this process; the two differ in the `Source` and the `Membership`.
 *
 * Three things go on side by side:
 *
 * Delivery (`State`). The source pushes records into the buffer. Each step takes as much as `callSize` allows, of all
 * partitions that are not held, and calls `onBatches`. After a rejection the same batches are delivered again, except
 * those of partitions that are held by then: they go back into the buffer. A call that took d ms is followed by a pause
 * of 3 · d, at most `windowMs`, so that a subscriber spends at most a quarter of the time on the fixed cost of calls.
 * There is no pause while records wait that did not fit.
 *
 * Assignment (`PartitionStatus`, `#notifyAll`). Before a change the group may call `release`: nothing more of the
 * partitions is delivered, and it resolves at a boundary, when no call runs and commits are written. `assign` takes
 * effect on delivery and commits at once; the subscriber is notified at the next boundary. If the group changes again
 * before that, assignments in between are left out. Kept partitions are delivered while the subscriber works out where
 * the gained ones start. A start position that is a promise holds up its own partition alone. A member that comes back
 * after it was expelled first loses all its partitions: others may have had them.
 *
 * Commits. Noted positions are written every `commitMs`, at `release` and at `stop`, away from the path of the records:
 * a commit after every batch costs more than the batch (measured on Kafka: p50 of delivery 74 ms instead of 3 ms).
 */
export class GroupMember implements Subscription {
  readonly #options: GroupMemberOptions;
  readonly #partitions = new Map<number, MemberPartition>();
  #state: State = 'idle';
  #isStopping = false;
  #stopped: Promise<void> | undefined;
  #timer: Timer | undefined;

  /** Taken out of the buffer and not accepted: the subscriber works on them while `calling`. */
  #inHand: readonly QueuedBatch[] | undefined;
  #rejections = 0;
  #calledAtMs = 0;
  #notBeforeMs = 0;
  #isBehind = false;
  #atBoundary: (() => void)[] = [];

  /** The last assignment that the subscriber has answered. */
  #notified: Assigned = { generation: -1, partitions: [] };
  #pending: PendingAssignment | undefined;
  #isNotifying = false;
  /** All partitions are lost before anything is assigned. */
  #losesAll = false;
  /** Between `release` of everything and the next assignment: what is gained meanwhile is held too. */
  #isReleased = false;
  readonly #sleepers = new Set<() => void>();

  #noted = new Map<string, Commit>();
  #commitTimer: Timer | undefined;
  #writing: Promise<void> | undefined;

  constructor(options: GroupMemberOptions) {
    this.#options = options;
    options.buffer.onRecords = () => this.#wake();
  }

  get name(): string {
    return this.#options.subscriber.member;
  }

  get topics(): readonly string[] {
    return this.#options.subscriber.topics;
  }

  commit(topic: string, partition: number, next: number): void {
    if (this.#state === 'stopped' || !this.#commitsCount(partition)) return;
    this.#noted.set(`${topic}/${partition}`, { topic, partition, next });
    this.#commitLater();
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    const { recordsMax } = this.#options.buffer;
    let { records } = this.#options.buffer;
    if (this.#state !== 'calling') for (const batch of this.#inHand ?? []) records += batch.records.length;
    return { records: Math.min(records, recordsMax), recordsMax };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  report(thrown: unknown): void {
    this.#options.onError(thrown);
  }

  // What the group calls.

  /** Resolves when the subscriber has answered, or has rejected once: one member must not hold up its group. */
  assign({ generation, partitions, expelled }: GroupAssignment): Promise<void> {
    if (this.#isEnding()) return Promise.resolve();
    if (expelled && generation - 1 > this.#notified.generation && this.#partitions.size > 0) this.#losesAll = true;
    this.#isReleased = false;
    for (const partition of this.#partitions.values()) {
      const isKept = !this.#losesAll && partitions.includes(partition.number);
      this.#setStatus(partition, isKept ? 'active' : 'revoked');
    }
    this.#dropCommits();
    return new Promise((settle) => {
      this.#pending?.settle();
      this.#pending = { generation, partitions, settle };
      if (!this.#isNotifying) void this.#notifyAll();
    });
  }

  /** Holds these partitions, or all. Resolves when no call runs and what was committed is written. */
  async release(partitions?: readonly number[]): Promise<void> {
    this.#isReleased ||= partitions === undefined;
    for (const partition of this.#partitions.values()) {
      if (partition.status !== 'active' || !(partitions?.includes(partition.number) ?? true)) continue;
      this.#setStatus(partition, 'held');
    }
    await this.#boundary();
    await this.flush();
  }

  /** These partitions, or all, are another member's, whether or not they were released. */
  revoke(partitions?: readonly number[]): void {
    for (const partition of this.#partitions.values()) {
      if (partitions?.includes(partition.number) ?? true) this.#setStatus(partition, 'revoked');
    }
    this.#dropCommits();
  }

  /** Stops as a process that dies: writes nothing, notifies no one. */
  abort(): void {
    if (this.#state === 'stopped') return;
    this.#noted.clear();
    this.#end();
  }

  // Delivery.

  #wake(): void {
    if (this.#state === 'idle' && !this.#isStopping) this.#schedule();
  }

  #schedule(): void {
    this.#changeTo('due');
    const waitMs = this.#notBeforeMs - this.#options.clock.monotonic();
    // Timers are no finer than a millisecond.
    if (waitMs < 1) this.#options.schedule(this.#step);
    else this.#timer = this.#options.clock.after(waitMs, this.#step);
  }

  readonly #step = (): void => {
    if (this.#state === 'stopped') return;
    const { subscriber, clock } = this.#options;
    const batches = this.#isStopping ? [] : (this.#inHand ?? this.#take());
    if (batches.length === 0) {
      this.#changeTo('idle');
      return;
    }
    this.#changeTo('calling');
    this.#inHand = batches;
    this.#calledAtMs = clock.monotonic();
    try {
      const answer = subscriber.onBatches(batches);
      if (answer === undefined) this.#accepted();
      else answer.then(this.#accepted, this.#rejected);
    } catch (thrown) {
      this.#rejected(thrown);
    }
  };

  #take(): readonly QueuedBatch[] {
    const { buffer, callRecordsMax } = this.#options;
    const recordsMax = callSize(buffer.records, callRecordsMax);
    const batches = buffer.take(recordsMax);
    let left = recordsMax;
    for (const { records } of batches) left -= records.length;
    this.#isBehind = left === 0;
    return batches;
  }

  readonly #accepted = (): void => {
    if (this.#state === 'stopped') return;
    const { clock, windowMs, buffer } = this.#options;
    this.#inHand = undefined;
    this.#rejections = 0;
    const nowMs = clock.monotonic();
    this.#notBeforeMs = this.#isBehind ? nowMs : nowMs + Math.min(windowMs, 3 * (nowMs - this.#calledAtMs));
    this.#changeTo('idle');
    this.#passBoundary();
    if (buffer.records > 0) this.#wake();
  };

  readonly #rejected = (thrown: unknown): void => {
    if (this.#state === 'stopped') return;
    const pauseMs = Math.min(retryMaxMs, retryFirstMs * 2 ** this.#rejections);
    this.#rejections = Math.min(this.#rejections + 1, 10);
    this.#changeTo('pausing');
    this.#timer = this.#options.clock.after(pauseMs, () => {
      this.#changeTo('due');
      this.#step();
    });
    this.#putBackHeld();
    this.#passBoundary();
    this.report(thrown);
  };

  /** What was rejected is not delivered again while it is not known whose partition it is. */
  #putBackHeld(): void {
    if (this.#inHand === undefined || this.#state === 'calling') return;
    const kept: QueuedBatch[] = [];
    for (const batch of this.#inHand) {
      if (batch.queue.isHeld || batch.queue.isClosed) this.#options.buffer.putBack(batch);
      else kept.push(batch);
    }
    this.#inHand = kept.length === 0 ? undefined : kept;
  }

  /** Resolves, in the same turn of the event loop, when no call runs. */
  #boundary(): Promise<void> {
    if (this.#state !== 'calling') return Promise.resolve();
    return new Promise((resolve) => this.#atBoundary.push(resolve));
  }

  #passBoundary(): void {
    const passed = this.#atBoundary;
    this.#atBoundary = [];
    for (const resolve of passed) resolve();
  }

  // Assignment.

  #setStatus(partition: MemberPartition, status: PartitionStatus): void {
    partition.status = status;
    for (const queue of partition.queues ?? []) queue.isHeld = status !== 'active';
    if (status === 'active') this.#wake();
    else this.#putBackHeld();
  }

  async #notifyAll(): Promise<void> {
    this.#isNotifying = true;
    let pauseMs = assignRetryFirstMs;
    while (this.#pending !== undefined && !this.#isEnding()) {
      const next = this.#pending;
      try {
        await this.#boundary();
        if (this.#isEnding() || this.#pending !== next) continue;
        if (this.#losesAll) {
          await this.#notify(next.generation - 1, []);
          this.#losesAll = false;
          continue;
        }
        await this.#notify(next.generation, next.partitions);
        if (this.#pending === next) this.#pending = undefined;
        pauseMs = assignRetryFirstMs;
        next.settle();
      } catch (thrown) {
        next.settle();
        this.report(thrown);
        await this.#sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, retryMaxMs);
      }
    }
    this.#isNotifying = false;
  }

  async #notify(generation: number, partitions: readonly number[]): Promise<void> {
    const { partitions: before } = this.#notified;
    const gained = partitions.filter((partition) => !before.includes(partition));
    const lost = before.filter((partition) => !partitions.includes(partition));
    for (const partition of this.#partitions.values())
      if (!partitions.includes(partition.number)) this.#drop(partition);
    const status = this.#isReleased ? 'held' : 'active';
    const added = gained.map((number): MemberPartition => ({ number, status, queues: undefined }));
    for (const partition of added) this.#partitions.set(partition.number, partition);
    const starts = await this.#options.subscriber.onAssigned({ generation, partitions, gained, lost });
    this.#notified = { generation, partitions };
    const isLater = ({ number }: MemberPartition) => startsLater(this.topics, number, starts);
    // Also where the member has ended meanwhile: a rejection of these promises is handled there.
    for (const partition of added) if (isLater(partition)) void this.#startLater(partition, starts!);
    const known = added.filter((partition) => !isLater(partition));
    void this.#start(known, starts);
  }

  #drop(partition: MemberPartition): void {
    this.#partitions.delete(partition.number);
    for (const queue of partition.queues ?? []) {
      this.#options.buffer.remove(queue);
      this.#options.source.stop(queue);
    }
    this.#putBackHeld();
  }

  /** When the subscriber knows all start positions of the partition. A rejection leaves it unread. */
  async #startLater(partition: MemberPartition, starts: StartPositions): Promise<void> {
    try {
      const known = await resolvedStarts(this.topics, partition.number, starts);
      await this.#start([partition], known);
    } catch (thrown) {
      if (this.#isOwn(partition)) this.report(thrown);
    }
  }

  /** Tries until it works, or the partitions are lost: the subscriber is not asked twice because a broker is away. */
  async #start(added: readonly MemberPartition[], given: StartPositions | undefined): Promise<void> {
    const { membership, source } = this.#options;
    for (;;) {
      const own = added.filter((partition) => this.#isOwn(partition));
      if (own.length === 0) return;
      const partitions = own.map(({ number }) => number);
      const report = (error: TailraceError) => this.report(error);
      try {
        const { topics } = this;
        const positions = await startPositionsOf({ topics, partitions, given, membership, source, report });
        for (const partition of own) if (this.#isOwn(partition)) this.#open(partition, positions);
        return;
      } catch (thrown) {
        this.report(thrown);
        await this.#sleep(startRetryMs);
      }
    }
  }

  #open(partition: MemberPartition, positions: KnownPositions): void {
    const { buffer, source } = this.#options;
    partition.queues = this.topics.map((topic) => buffer.open(topic, partition.number));
    this.#setStatus(partition, partition.status);
    for (const queue of partition.queues) source.start(queue, positions.get(queue.topic)![partition.number]!);
  }

  #isOwn(partition: MemberPartition): boolean {
    return !this.#isEnding() && this.#partitions.get(partition.number) === partition;
  }

  // Commits.

  #commitsCount(partition: number): boolean {
    const { status = 'revoked' } = this.#partitions.get(partition) ?? {};
    return status !== 'revoked';
  }

  #commitLater(): void {
    this.#commitTimer ??= this.#options.clock.after(this.#options.commitMs, () => void this.flush());
  }

  #dropCommits(): void {
    for (const [key, { partition }] of this.#noted) if (!this.#commitsCount(partition)) this.#noted.delete(key);
  }

  /** Resolves when what was noted is written, or the error is reported and it stays noted for the next time. */
  async flush(): Promise<void> {
    this.#commitTimer?.cancel();
    this.#commitTimer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#noted.size === 0) return;
    this.#writing = this.#writeCommits();
    await this.#writing;
  }

  async #writeCommits(): Promise<void> {
    const noted = this.#noted;
    this.#noted = new Map();
    try {
      await this.#options.membership.commit([...noted.values()]);
    } catch (thrown) {
      if (this.#state === 'stopped') return;
      // What was noted meanwhile is newer. A rebalance rejects commits: they are written in the next generation, but
      // not those of partitions that went to other members meanwhile.
      this.#noted = new Map([...noted, ...this.#noted]);
      this.#dropCommits();
      if (this.#noted.size > 0) this.#commitLater();
      this.report(thrown);
    } finally {
      this.#writing = undefined;
    }
  }

  async #stop(): Promise<void> {
    if (this.#isEnding()) return;
    this.#isStopping = true;
    await this.#boundary();
    this.#options.source.close();
    await withinDeadline(this.#options.clock, lastCommitMs, () => this.flush());
    // Aborted meanwhile.
    if (this.#state === 'stopped') return;
    this.#end();
    await this.#options.membership.leave();
  }

  #end(): void {
    this.#changeTo('stopped');
    this.#timer?.cancel();
    this.#commitTimer?.cancel();
    this.#options.source.close();
    this.#options.buffer.close();
    this.#pending?.settle();
    this.#passBoundary();
    for (const wake of this.#sleepers) wake();
  }

  #isEnding(): boolean {
    return this.#isStopping || this.#state === 'stopped';
  }

  /** Cut short by the end. */
  async #sleep(delayMs: number): Promise<void> {
    if (this.#state === 'stopped') return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(delayMs, resolve);
    this.#sleepers.add(resolve);
    await promise;
    timer.cancel();
    this.#sleepers.delete(resolve);
  }

  #changeTo(state: State): void {
    if (!nextStates[this.#state].includes(state)) {
      throw new TailraceError('internal', `group member: expected ${nextStates[this.#state]}, got ${state}`);
    }
    this.#state = state;
  }
}
