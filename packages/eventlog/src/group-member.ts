import type { Clock, Timer } from '@tailrace/platform/clock';
import { withinDeadline } from '@tailrace/platform/deadline';
import { type BackoffOptions, backoffMs, noJitter } from '@tailrace/protocol/backoff';
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
  /** The group had expelled this member: others may have had its partitions in the generations in between. */
  readonly expelled: boolean;
}

export interface GroupMemberOptions {
  readonly clock: Clock;
  readonly subscriber: SubscribeOptions;
  readonly buffer: RecordBuffer;
  readonly source: Source;
  readonly membership: Membership;
  /**
   * Runs the call in a later turn of the event loop, so that sockets are served between two calls to the subscriber.
   */
  schedule(call: () => void): void;
  /** Most records of one call without a backlog. Default: see `callSize`. */
  readonly callRecordsMax?: number;
  /** The longest pause between two calls, ms. 0 if the source itself delays records. */
  readonly windowMs: number;
  /** How long a committed position may wait to be written, ms. After a crash at most this much is delivered again. */
  readonly commitMs: number;
  onError(thrown: unknown): void;
}

/**
 * `idle`: there is nothing to deliver, until new records or a change of the assignment.
 * `due`: a step is scheduled, which delivers the records of that time.
 * `calling`: `onBatches` runs. No other call starts, and `onAssigned` is not called.
 * `pausing`: a call was rejected. Its batches are in flight, and delivered again after a pause.
 * `stopped`: there are no further calls.
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
 * `held`: the group may assign it to another member. Nothing is delivered; commits still count.
 * `revoked`: another member has it, or may have it, and the subscriber is not notified yet. Commits do not count.
 *
 * Each may change into each other. A partition that the subscriber knows to be lost has no status.
 */
type PartitionStatus = 'active' | 'held' | 'revoked';

/** One partition number of all topics, after `onAssigned` was called with it. */
interface MemberPartition {
  readonly number: number;
  status: PartitionStatus;
  /** By topic. Undefined before its start positions are known. */
  queues: readonly RecordQueue[] | undefined;
}

/** An assignment of which the subscriber is not notified yet. */
interface PendingAssignment {
  readonly generation: number;
  /** Without those that the group has taken back in the meantime. */
  partitions: readonly number[];
  /** Called when the subscriber has answered, or has rejected once, or a newer assignment replaces this one. */
  settle(): void;
}

const callBackoff: BackoffOptions = { baseMs: 50, capMs: 5_000 };
const assignBackoff: BackoffOptions = { baseMs: 100, capMs: 5_000 };
const startRetryMs = 5_000;
/** How long `stop` waits for the last commits. */
const lastCommitMs = 2_000;

/**
 * One member of a consumer group: its partitions, and the delivery of their records to the subscriber, one call at a
 * time. Used for Kafka and for a log within this process, with different adapters of `Source` and `Membership`.
 *
 * Three activities run concurrently:
 *
 * Delivery (`State`). The source pushes records into the buffer. Each step takes up to `callSize` records of the
 * partitions that are not held, and calls `onBatches`. After a rejection the same batches are delivered again, except
 * those of partitions that are held by then: they return to the buffer. A call of d ms is followed by a pause of 3 · d,
 * at most `windowMs`, so that a subscriber spends at most a quarter of the time on the fixed cost of calls. There is no
 * pause while records wait that did not fit into the call.
 *
 * Assignment (`PartitionStatus`, `#notifyAll`). Before a change the group may call `release`: the partitions are no
 * longer delivered, and it resolves at a boundary, when no call runs and commits are written. `assign` affects delivery
 * and commits at once; the subscriber is notified at the next boundary. If the group changes again before that,
 * assignments in between are skipped. Retained partitions are delivered while the subscriber determines where the
 * gained ones start. A start position that is a promise delays its own partition alone. A partition that another member
 * may have had in a skipped generation is first lost, then gained: all of them, if the group had expelled this member.
 *
 * Commits. Positions are written every `commitMs`, at `release` and at `stop`, independently of delivery: a commit
 * after every batch costs more than the batch (measured on Kafka: p50 of delivery 74 ms instead of 3 ms).
 */
export class GroupMember implements Subscription {
  readonly #options: GroupMemberOptions;
  readonly #partitions = new Map<number, MemberPartition>();
  #state: State = 'idle';
  #isStopping = false;
  #stopped: Promise<void> | undefined;
  #timer: Timer | undefined;

  /** Taken from the buffer and not accepted: the subscriber processes them while `calling`. */
  #inFlight: readonly QueuedBatch[] | undefined;
  #rejections = 0;
  #calledAtMs = 0;
  #notBeforeMs = 0;
  #isBehind = false;
  #atBoundary: (() => void)[] = [];

  /** The last assignment of which the subscriber was notified. */
  #notified: Assigned = { generation: -1, partitions: [] };
  #pending: PendingAssignment | undefined;
  #isNotifying = false;
  /** Of the last call of `onAssigned`, which may not have answered yet. */
  #calledGeneration = -1;
  /** Partitions that are lost before the next assignment. */
  #lostFirst: ReadonlySet<number> = new Set();
  /** Between `release` of all partitions and the next assignment: partitions gained in the meantime are held too. */
  #isReleased = false;
  readonly #sleepers = new Set<() => void>();

  #uncommitted = new Map<string, Commit>();
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
    this.#uncommitted.set(`${topic}/${partition}`, { topic, partition, next });
    this.#commitLater();
  }

  queue(): { readonly records: number; readonly recordsMax: number } {
    const { recordsMax } = this.#options.buffer;
    let { records } = this.#options.buffer;
    if (this.#state !== 'calling') for (const batch of this.#inFlight ?? []) records += batch.records.length;
    return { records: Math.min(records, recordsMax), recordsMax };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  report(thrown: unknown): void {
    this.#options.onError(thrown);
  }

  // Called by the group.

  /** Resolves when the subscriber has answered, or has rejected once: one member must not block its group. */
  assign({ generation, partitions, expelled }: GroupAssignment): Promise<void> {
    if (this.#isStoppingOrStopped()) return Promise.resolve();
    const skipsGenerations = generation - 1 > this.#calledGeneration;
    const lostFirst = new Set(this.#lostFirst);
    for (const { number, status } of this.#partitions.values())
      if (skipsGenerations && (expelled || (status === 'revoked' && partitions.includes(number))))
        lostFirst.add(number);
    this.#lostFirst = lostFirst;
    this.#isReleased = false;
    for (const partition of this.#partitions.values()) {
      const isRetained = !lostFirst.has(partition.number) && partitions.includes(partition.number);
      this.#setStatus(partition, isRetained ? 'active' : 'revoked');
    }
    this.#dropCommits();
    return new Promise((settle) => {
      this.#pending?.settle();
      this.#pending = { generation, partitions, settle };
      if (!this.#isNotifying) void this.#notifyAll();
    });
  }

  /** Holds these partitions, or all. Resolves when no call runs and commits are written. */
  async release(partitions?: readonly number[]): Promise<void> {
    this.#isReleased ||= partitions === undefined;
    if (partitions !== undefined) this.#withdraw(partitions);
    for (const partition of this.#partitions.values()) {
      if (partition.status !== 'active' || !(partitions?.includes(partition.number) ?? true)) continue;
      this.#setStatus(partition, 'held');
    }
    await this.#boundary();
    await this.flush();
  }

  /** Revokes these partitions, or all, whether or not they were released: another member has them. */
  revoke(partitions?: readonly number[]): void {
    this.#withdraw(partitions);
    for (const partition of this.#partitions.values()) {
      if (partitions?.includes(partition.number) ?? true) this.#setStatus(partition, 'revoked');
    }
    this.#dropCommits();
  }

  /** Removes partitions from the pending assignment, unless the subscriber was notified that it has them. */
  #withdraw(partitions?: readonly number[]): void {
    if (this.#pending === undefined) return;
    const isTaken = (number: number) => (partitions?.includes(number) ?? true) && !this.#partitions.has(number);
    this.#pending.partitions = this.#pending.partitions.filter((number) => !isTaken(number));
  }

  /** Stops without commits and notifications, as a process that crashes. */
  abort(): void {
    if (this.#state === 'stopped') return;
    this.#uncommitted.clear();
    this.#terminate();
  }

  // Delivery.

  #wake(): void {
    if (this.#state === 'idle' && !this.#isStopping) this.#schedule();
  }

  #schedule(): void {
    this.#changeTo('due');
    const waitMs = this.#notBeforeMs - this.#options.clock.monotonic();
    // Timers have a resolution of a millisecond.
    if (waitMs < 1) this.#options.schedule(this.#step);
    else this.#timer = this.#options.clock.after(waitMs, this.#step);
  }

  readonly #step = (): void => {
    if (this.#state === 'stopped') return;
    const { subscriber, clock } = this.#options;
    const batches = this.#isStopping ? [] : (this.#inFlight ?? this.#take());
    if (batches.length === 0) {
      this.#changeTo('idle');
      return;
    }
    this.#changeTo('calling');
    this.#inFlight = batches;
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
    const { recordsMax, bytesMax } = callSize(buffer.records, callRecordsMax);
    const batches = buffer.take(recordsMax, bytesMax);
    this.#isBehind = buffer.hasBacklog;
    return batches;
  }

  readonly #accepted = (): void => {
    if (this.#state === 'stopped') return;
    const { clock, windowMs, buffer } = this.#options;
    this.#inFlight = undefined;
    this.#rejections = 0;
    const nowMs = clock.monotonic();
    this.#notBeforeMs = this.#isBehind ? nowMs : nowMs + Math.min(windowMs, 3 * (nowMs - this.#calledAtMs));
    this.#changeTo('idle');
    this.#passBoundary();
    if (buffer.records > 0) this.#wake();
  };

  readonly #rejected = (thrown: unknown): void => {
    if (this.#state === 'stopped') return;
    const pauseMs = backoffMs(this.#rejections++, noJitter, callBackoff);
    this.#changeTo('pausing');
    this.#timer = this.#options.clock.after(pauseMs, () => {
      this.#changeTo('due');
      this.#step();
    });
    this.#putBackHeld();
    this.#passBoundary();
    this.report(thrown);
  };

  /** Returns batches of held partitions to the buffer: they may be another member's. */
  #putBackHeld(): void {
    if (this.#inFlight === undefined || this.#state === 'calling') return;
    const retained: QueuedBatch[] = [];
    for (const batch of this.#inFlight) {
      if (batch.queue.isHeld || batch.queue.isClosed) this.#options.buffer.putBack(batch);
      else retained.push(batch);
    }
    this.#inFlight = retained.length === 0 ? undefined : retained;
  }

  /** Resolves when no call runs, in the same turn of the event loop. */
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
    let failures = 0;
    while (this.#pending !== undefined && !this.#isStoppingOrStopped()) {
      const next = this.#pending;
      try {
        await this.#boundary();
        if (this.#isStoppingOrStopped() || this.#pending !== next) continue;
        if (this.#lostFirst.size > 0) {
          await this.#notifyLoss(next.generation - 1);
          continue;
        }
        await this.#notify(next.generation, next.partitions);
        if (this.#pending === next) this.#pending = undefined;
        failures = 0;
        next.settle();
      } catch (thrown) {
        next.settle();
        this.report(thrown);
        await this.#sleep(backoffMs(failures++, noJitter, assignBackoff));
      }
    }
    this.#isNotifying = false;
  }

  async #notifyLoss(generation: number): Promise<void> {
    const lost = this.#lostFirst;
    // An assignment in the meantime adds others.
    this.#lostFirst = new Set();
    try {
      const isRetained = (number: number) => !lost.has(number) && this.#commitsCount(number);
      const retained = this.#notified.partitions.filter(isRetained);
      await this.#notify(generation, retained);
    } catch (thrown) {
      this.#lostFirst = new Set([...lost, ...this.#lostFirst]);
      throw thrown;
    }
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
    this.#calledGeneration = generation;
    const starts = await this.#options.subscriber.onAssigned({ generation, partitions, gained, lost });
    this.#notified = { generation, partitions };
    const isLater = ({ number }: MemberPartition) => startsLater(this.topics, number, starts);
    // Also if the member has stopped in the meantime, since it handles a rejection of these promises.
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

  /** Starts the partition when its start positions are known. A rejection leaves it unread. */
  async #startLater(partition: MemberPartition, starts: StartPositions): Promise<void> {
    try {
      const known = await resolvedStarts(this.topics, partition.number, starts);
      await this.#start([partition], known);
    } catch (thrown) {
      if (this.#isOwn(partition)) this.report(thrown);
    }
  }

  /** Retries until it succeeds or the partitions are lost: an unreachable broker does not call the subscriber again. */
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
    return !this.#isStoppingOrStopped() && this.#partitions.get(partition.number) === partition;
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
    for (const [key, { partition }] of this.#uncommitted)
      if (!this.#commitsCount(partition)) this.#uncommitted.delete(key);
  }

  /** Resolves when commits are written, or the error is reported and they are kept for the next time. */
  async flush(): Promise<void> {
    this.#commitTimer?.cancel();
    this.#commitTimer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#uncommitted.size === 0) return;
    this.#writing = this.#writeCommits();
    await this.#writing;
  }

  async #writeCommits(): Promise<void> {
    const uncommitted = this.#uncommitted;
    this.#uncommitted = new Map();
    try {
      await this.#options.membership.commit([...uncommitted.values()]);
    } catch (thrown) {
      if (this.#state === 'stopped') return;
      // Commits since then are newer. A rebalance rejects commits: they are written in the next generation, except
      // those of partitions that other members have by then.
      this.#uncommitted = new Map([...uncommitted, ...this.#uncommitted]);
      this.#dropCommits();
      if (this.#uncommitted.size > 0) this.#commitLater();
      this.report(thrown);
    } finally {
      this.#writing = undefined;
    }
  }

  async #stop(): Promise<void> {
    if (this.#isStoppingOrStopped()) return;
    this.#isStopping = true;
    await this.#boundary();
    this.#options.source.close();
    const result = await withinDeadline(this.#options.clock, lastCommitMs, () => this.flush());
    if (result === 'late') {
      const late = `the last commits: expected an answer within ${lastCommitMs} ms, got none`;
      this.report(new TailraceError('timeout', `${late}; the next member may read some records again`));
    }
    // Aborted in the meantime.
    if (this.#state === 'stopped') return;
    this.#terminate();
    await this.#options.membership.leave();
  }

  #terminate(): void {
    this.#changeTo('stopped');
    this.#timer?.cancel();
    this.#commitTimer?.cancel();
    this.#options.source.close();
    this.#options.buffer.close();
    this.#pending?.settle();
    this.#passBoundary();
    for (const wake of this.#sleepers) wake();
  }

  #isStoppingOrStopped(): boolean {
    return this.#isStopping || this.#state === 'stopped';
  }

  /** Resolves after the delay, or when the member stops. */
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
