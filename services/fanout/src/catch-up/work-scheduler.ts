import type { Clock } from '@tailrace/platform/clock';
import { delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { FairQueue, Flow } from './fair-queue.ts';
import { MemoryBudget, type MemoryHolder, type Reservation } from './memory-budget.ts';

export interface WorkLimits {
  /** Of the event loop's time, as long as something else wants it, too. In (0, 1]. */
  readonly backgroundShare: number;
  /** Tasks of all users that wait. */
  readonly queuedTasksMax: number;
  /** Tasks of one user that wait. */
  readonly userQueuedTasksMax: number;
  /** Bytes that all background work holds together. */
  readonly catchUpBytesMax: number;
}

export interface WorkSchedulerOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Calls once in a later turn of the event loop, after what is ready now: `setImmediate`. */
  readonly defer: (call: () => void) => void;
  readonly limits: WorkLimits;
  /**
   * Steps in one turn of the event loop, whatever time they take: a bound for virtual time, in which no step
   * takes any. Default: none.
   */
  readonly stepsMax?: number | undefined;
}

/**
 * A part of a task, called again and again until it returns true. Each step takes well under a millisecond, and waits
 * for nothing.
 */
export type Step = () => boolean;

/** One turn of the event loop goes to background work for so long, and one step. */
export const sliceMs = 2;
/** A turn of the event loop in which everything else took less had nothing to do. */
const idleMs = 0.2;
/** Users that have gone, and are remembered for what they have used. */
const disconnectedUsersMax = 1_000;

/** Who causes work: clients, or other nodes for all of their clients. */
export type WorkCause = 'client' | 'node';

interface Task {
  readonly step: Step;
  readonly queuedAtMs: number;
  started: boolean;
  readonly done: () => void;
  readonly failed: (thrown: unknown) => void;
}

/** The tasks of one connection, in turns. */
class ConnectionFlow extends Flow {
  readonly user: WorkUser;
  readonly tasks: Task[] = [];

  constructor(user: WorkUser) {
    super();
    this.user = user;
  }
}

/** Clients' users, or nodes. */
class WorkClass extends Flow {
  readonly users = new FairQueue<WorkUser>();
}

class WorkUser extends Flow implements MemoryHolder {
  readonly workClass: WorkClass;
  readonly key: string;
  readonly name: string;
  readonly connections = new FairQueue<ConnectionFlow>();
  /** Queues of connections that are open. */
  queues = 0;
  /** Tasks that wait. */
  queued = 0;
  heldBytes = 0;

  constructor(workClass: WorkClass, key: string, name: string) {
    super();
    this.workClass = workClass;
    this.key = key;
    this.name = name;
  }
}

/**
 * Work that clients cause beside the live path: snapshots, resuming, replaying, catching up, consistent cuts. It shares
 * one event loop with live data, and live data goes first.
 *
 * **Slices.** In one turn of the event loop at most `sliceMs` of it runs, then everything else that is ready. Work is
 * made of steps, and is left off between two.
 * **Share.** While the rest of the loop has something to do, the rest gets its part of the time before the next slice
 * runs, as much as `backgroundShare` leaves it. A turn in which the rest had nothing to do stops that wait: what
 * nothing else wants is not left unused.
 * **Fairness.** Who is next is decided by `FairQueue`: between other nodes, which ask for all of their clients, and
 * clients, each of which gets half if it wants it; among the nodes or users; and among the connections of the user. Of
 * one connection the tasks take turns. The user that causes work is charged for the time that it took, so many small
 * tasks weigh as much as one large one.
 * **Bounds.** Beyond `userQueuedTasksMax` tasks a user, and `queuedTasksMax` in all, `rate_limited`. What is held in
 * memory meanwhile counts against `catchUpBytesMax` (`reserve`).
 *
 * Where nothing waits and the turn's slice is not used up, work runs at once, in the turn in which it is asked for.
 *
 * Compare CockroachDB's admission control for elastic CPU work, whose work yields in its own loops, too.
 */
export class WorkScheduler {
  readonly limits: WorkLimits;
  readonly memory: MemoryBudget;
  /** Milliseconds used, slices, and tasks that were refused. */
  readonly counts = { usedMs: 0, slices: 0, refused: 0 };
  /** From asking until the first step. A metric may put its own in the place of it. */
  waitSeconds = new Histogram(delayBoundsSeconds);
  /** Tasks that wait or are in progress. */
  queued = 0;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #defer: (call: () => void) => void;
  readonly #stepsMax: number;
  readonly #users = new Map<string, WorkUser>();
  readonly #fair = new FairQueue<WorkClass>();
  readonly #classes: Readonly<Record<WorkCause, WorkClass>> = { client: new WorkClass(), node: new WorkClass() };
  /** Without an open connection. */
  readonly #disconnected = new Set<WorkUser>();
  #isDeferred = false;
  #isRunning = false;
  /** Used in this turn of the event loop. */
  #usedMs = 0;
  #steps = 0;
  /** When background work last stopped, or last checked whether it may continue. */
  #leftAtMs = 0;
  /** The rest's time since the last slice, and how much of it it is to have before the next. */
  #restMs = 0;
  #owedMs = 0;

  constructor(options: WorkSchedulerOptions) {
    this.#clock = options.clock;
    this.#defer = options.defer;
    this.#stepsMax = options.stepsMax ?? Number.POSITIVE_INFINITY;
    this.limits = options.limits;
    this.memory = new MemoryBudget(options.limits.catchUpBytesMax);
  }

  /** For one connection, or another node's question. `user`: whom it is charged to. `close` it. */
  queue(user = '', cause: WorkCause = 'client'): WorkQueue {
    return new WorkQueue(this, this.open(user, cause), cause);
  }

  /** Users that are connected or remembered. */
  get users(): number {
    return this.#users.size;
  }

  /** Of the user that has most. */
  get userQueuedMost(): number {
    let most = 0;
    for (const { queued } of this.#users.values()) most = Math.max(most, queued);
    return most;
  }

  open(name: string, cause: WorkCause): WorkUser {
    const key = `${cause} ${name}`;
    let user = this.#users.get(key);
    if (user === undefined) {
      user = new WorkUser(this.#classes[cause], key, name);
      this.#users.set(key, user);
    }
    user.queues++;
    this.#disconnected.delete(user);
    return user;
  }

  leave(user: WorkUser): void {
    if (--user.queues > 0) return;
    this.#disconnected.add(user);
    if (this.queued === 0 || this.#disconnected.size > disconnectedUsersMax) this.#forgetDisconnected();
  }

  run(flow: ConnectionFlow, step: Step): Promise<void> | undefined {
    const started = this.queued === 0 && !this.#isRunning && this.#hasTime();
    if (started) {
      this.waitSeconds.observe(0);
      if (this.#runNow(flow, step)) return undefined;
    }
    return new Promise((done, failed) => this.#add(flow, { step, started, done, failed, queuedAtMs: this.#now() }));
  }

  measure(flow: ConnectionFlow, call: () => void): void {
    const startMs = this.#now();
    const { usedMs } = this.counts;
    try {
      call();
    } finally {
      // What it did by `run` has been charged.
      const runMs = this.counts.usedMs - usedMs;
      this.#charge(flow, Math.max(0, this.#now() - startMs - runMs));
    }
  }

  #charge(flow: ConnectionFlow, ms: number): void {
    const { user } = flow;
    this.counts.usedMs += ms;
    this.#fair.charge(user.workClass, ms);
    user.workClass.users.charge(user, ms);
    user.connections.charge(flow, ms);
  }

  /** In the turn of the caller. Returns whether it is done. */
  #runNow(flow: ConnectionFlow, step: Step): boolean {
    this.#isRunning = true;
    const startMs = this.#now();
    let nowMs = startMs;
    try {
      for (;;) {
        const isDone = step();
        this.#steps++;
        nowMs = this.#now();
        if (isDone) return true;
        if (this.#usedMs + nowMs - startMs >= sliceMs || this.#steps >= this.#stepsMax) return false;
      }
    } finally {
      this.#isRunning = false;
      this.#usedMs += nowMs - startMs;
      this.#charge(flow, nowMs - startMs);
      this.#leave(nowMs);
    }
  }

  #add(flow: ConnectionFlow, task: Task): void {
    const { user } = flow;
    const { queuedTasksMax, userQueuedTasksMax } = this.limits;
    if (user.queued >= userQueuedTasksMax || this.queued >= queuedTasksMax) {
      this.counts.refused++;
      const [who, max] =
        user.queued >= userQueuedTasksMax ? [shown(user.name), userQueuedTasksMax] : ['this node', queuedTasksMax];
      task.failed(
        new TailraceError('rate_limited', `expected at most ${max} tasks to wait for ${who}; try again later`),
      );
      return;
    }
    this.queued++;
    user.queued++;
    flow.tasks.push(task);
    this.#enqueue(flow);
    this.#arm();
  }

  #enqueue(flow: ConnectionFlow): void {
    const { user } = flow;
    const { workClass } = user;
    if (!flow.isQueued) user.connections.add(flow);
    if (!user.isQueued) workClass.users.add(user);
    if (!workClass.isQueued) this.#fair.add(workClass);
  }

  /** Another turn of the event loop. */
  #turn(): void {
    this.#isDeferred = false;
    const nowMs = this.#now();
    const restMs = nowMs - this.#leftAtMs;
    this.#restMs += restMs;
    this.#leftAtMs = nowMs;
    if (restMs >= idleMs && this.#restMs < this.#owedMs) {
      this.#arm();
      return;
    }
    this.#usedMs = 0;
    this.#steps = 0;
    this.#owedMs = 0;
    if (this.queued > 0) this.#slice(nowMs);
  }

  #slice(startMs: number): void {
    this.#isRunning = true;
    this.counts.slices++;
    let nowMs = startMs;
    try {
      while (this.queued > 0 && this.#hasTime()) {
        const user = this.#fair.take()!.users.take()!;
        const flow = user.connections.take()!;
        nowMs = this.#runTask(flow, flow.tasks.shift()!, nowMs);
      }
    } finally {
      this.#isRunning = false;
      this.#leave(nowMs);
    }
    if (this.queued > 0) return;
    this.#fair.idle();
    for (const { users } of Object.values(this.#classes)) users.idle();
    this.#forgetDisconnected();
  }

  /** Until it is done, or the slice is used up. Returns the time. */
  #runTask(flow: ConnectionFlow, task: Task, startMs: number): number {
    const { user } = flow;
    if (!task.started) {
      task.started = true;
      this.waitSeconds.observe(Math.max(0, startMs - task.queuedAtMs) / 1_000);
    }
    let nowMs = startMs;
    let isDone = false;
    let failure: { readonly thrown: unknown } | undefined;
    try {
      do {
        isDone = task.step();
        this.#steps++;
        nowMs = this.#now();
      } while (!isDone && this.#usedMs + nowMs - startMs < sliceMs && this.#steps < this.#stepsMax);
    } catch (thrown) {
      failure = { thrown };
      this.#steps++;
      nowMs = this.#now();
    }
    this.#usedMs += nowMs - startMs;
    this.#charge(flow, nowMs - startMs);
    if (isDone || failure !== undefined) {
      this.queued--;
      user.queued--;
      if (failure === undefined) task.done();
      else task.failed(failure.thrown);
    } else flow.tasks.push(task);
    const { workClass } = user;
    // The step may have asked for more work, and so have queued each of them already.
    if (flow.tasks.length > 0 && !flow.isQueued) user.connections.add(flow);
    else if (user.connections.size === 0) user.connections.idle();
    if (user.connections.size > 0 && !user.isQueued) workClass.users.add(user);
    if (workClass.users.size > 0 && !workClass.isQueued) this.#fair.add(workClass);
    return nowMs;
  }

  #hasTime(): boolean {
    return this.#usedMs < sliceMs && this.#steps < this.#stepsMax;
  }

  /** The rest of the loop has its turn. */
  #leave(nowMs: number): void {
    const { backgroundShare } = this.limits;
    this.#owedMs = (this.#usedMs * (1 - backgroundShare)) / backgroundShare;
    this.#restMs = 0;
    this.#leftAtMs = nowMs;
    this.#arm();
  }

  #arm(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#defer(() => this.#turn());
  }

  #forgetDisconnected(): void {
    for (const user of this.#disconnected) {
      if (user.queued > 0 || user.heldBytes > 0) continue;
      if (this.queued > 0 && !user.workClass.users.isSettled(user)) continue;
      this.#disconnected.delete(user);
      this.#users.delete(user.key);
    }
  }

  #now(): number {
    return this.#clock.monotonic();
  }
}

/** What one connection causes. */
export class WorkQueue {
  readonly #scheduler: WorkScheduler;
  readonly #cause: WorkCause;
  #user: WorkUser;
  /** Made with the first work: most connections are quiet. */
  #flow: ConnectionFlow | undefined;
  #closed = false;

  constructor(scheduler: WorkScheduler, user: WorkUser, cause: WorkCause) {
    this.#scheduler = scheduler;
    this.#cause = cause;
    this.#user = user;
  }

  /** Whom it is charged to. */
  get user(): string {
    return this.#user.name;
  }

  /** What comes from here on is charged to this user. */
  assign(user: string): void {
    if (this.#closed || this.#user.name === user) return;
    const before = this.#user;
    this.#user = this.#scheduler.open(user, this.#cause);
    this.#flow = undefined;
    this.#scheduler.leave(before);
  }

  /**
   * Runs `step` until it returns true, in slices. Undefined: it has, in this turn. Else resolves when it has; rejects
   * with what a step throws, and with `rate_limited` where too much waits. Work that is not wanted any more returns
   * true from its next step.
   */
  run(step: Step): Promise<void> | undefined {
    return this.#scheduler.run(this.#flowOf(), step);
  }

  /** Calls at once, beside `run`, and charges the time that it takes. */
  measure(call: () => void): void {
    this.#scheduler.measure(this.#flowOf(), call);
  }

  /** Bytes to hold while working, at once or when there is room: see `MemoryBudget`. `release` them. */
  reserve(bytes: number): Reservation | Promise<Reservation> {
    return this.#scheduler.memory.reserve(this.#user, bytes);
  }

  /** The connection has gone. What still waits is run, and charged. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#scheduler.leave(this.#user);
  }

  #flowOf(): ConnectionFlow {
    this.#flow ??= new ConnectionFlow(this.#user);
    return this.#flow;
  }
}
