import type { Clock } from '@tailrace/platform/clock';
import { delayBoundsSeconds, Histogram } from '@tailrace/platform/measures';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { FairQueue, Flow } from './fair-queue.ts';
import { MemoryBudget, type MemoryHolder, type Reservation } from './memory-budget.ts';

export interface WorkLimits {
  /** Share of the event loop's time while other work needs it, too. In (0, 1]. */
  readonly backgroundShare: number;
  /** Queued tasks of all users. */
  readonly queuedTasksMax: number;
  /** Queued tasks of one user. */
  readonly userQueuedTasksMax: number;
  /** Bytes that all background work holds together. */
  readonly catchUpBytesMax: number;
}

export interface WorkSchedulerOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Calls once in a later turn of the event loop, after everything that is ready now: `setImmediate`. */
  readonly defer: (call: () => void) => void;
  readonly limits: WorkLimits;
  /**
   * Whether a report waits for the disk of this process: it needs the event loop at once when that answers, although
   * the turns until then are idle. Default: never.
   */
  readonly isLiveWaiting?: () => boolean;
  /**
   * Maximum of the steps in one turn of the event loop, for virtual time, in which no step takes any. Default: none.
   */
  readonly stepsMax?: number | undefined;
}

/**
 * One step of a task, called repeatedly until it returns true. Takes well under a millisecond, and waits for nothing.
 */
export type Step = () => boolean;

/** Time for background work in one turn of the event loop, ms; exceeded by at most one step. */
export const sliceMs = 2;
/** A turn of the event loop is idle if all other work in it took less than this, ms. */
const idleMs = 0.2;
/** Maximum of the users without a connection whose usage is remembered. */
const disconnectedUsersMax = 1_000;

/** The cause of a task: a client, or another node for all of its clients. */
export type WorkCause = 'client' | 'node';

interface Task {
  readonly step: Step;
  readonly queuedAtMs: number;
  started: boolean;
  readonly done: () => void;
  readonly failed: (thrown: unknown) => void;
}

/** The tasks of one connection, which alternate. */
class ConnectionFlow extends Flow {
  readonly user: WorkUser;
  readonly tasks: Task[] = [];

  constructor(user: WorkUser) {
    super();
    this.user = user;
  }
}

/** All users of clients, or all nodes. */
class WorkClass extends Flow {
  readonly users = new FairQueue<WorkUser>();
}

class WorkUser extends Flow implements MemoryHolder {
  readonly workClass: WorkClass;
  readonly key: string;
  readonly name: string;
  readonly connections = new FairQueue<ConnectionFlow>();
  /** Number of open queues of its connections. */
  queues = 0;
  /** Number of its queued tasks. */
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
 * Schedules background work, which clients cause beside the live path: snapshots, resuming, replay, catching up,
 * consistent cuts. It shares one event loop with live data, which goes first.
 *
 * **Slices.** In one turn of the event loop at most `sliceMs` of background work runs, then everything else that is
 * ready. Tasks consist of steps, and are interrupted between two.
 * **Share.** While the loop has other work, that gets its share of the time before the next slice: what
 * `backgroundShare` leaves. An idle turn skips this wait, so that no time stays unused, unless a report waits for the
 * disk.
 * **Fairness.** `FairQueue` selects the next task on three levels. Other nodes and clients get half of the time each,
 * if both need it. Then the nodes or users share it, then the connections of a user. The tasks of a connection
 * alternate. A user is charged for the time of its tasks, so many small tasks count as much as one large one.
 * **Limits.** Beyond `userQueuedTasksMax` tasks of a user, or `queuedTasksMax` in all, a task gets `rate_limited`. The
 * memory of tasks counts against `catchUpBytesMax` (`reserve`).
 *
 * If nothing is queued and the slice of this turn is not used up, a task runs at once.
 *
 * CockroachDB's admission control of elastic CPU work also lets work yield in its own loops.
 */
export class WorkScheduler {
  readonly limits: WorkLimits;
  readonly memory: MemoryBudget;
  /** Milliseconds used, slices, and refused tasks. */
  readonly counts = { usedMs: 0, slices: 0, refused: 0 };
  /** Time from `run` until the first step. The metrics replace it with their own. */
  waitSeconds = new Histogram(delayBoundsSeconds);
  /** Tasks that are queued or in progress. */
  queued = 0;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #defer: (call: () => void) => void;
  readonly #isLiveWaiting: () => boolean;
  readonly #stepsMax: number;
  readonly #users = new Map<string, WorkUser>();
  readonly #fair = new FairQueue<WorkClass>();
  readonly #classes: Readonly<Record<WorkCause, WorkClass>> = { client: new WorkClass(), node: new WorkClass() };
  /** Users without an open connection. */
  readonly #disconnected = new Set<WorkUser>();
  #isDeferred = false;
  #isRunning = false;
  /** Time used in this turn of the event loop, ms. */
  #usedMs = 0;
  #steps = 0;
  /** When background work last stopped, or last checked whether it may continue, monotonic ms. */
  #leftAtMs = 0;
  /** Time of other work since the last slice, and the time that it is to have before the next one, ms. */
  #restMs = 0;
  #owedMs = 0;

  constructor(options: WorkSchedulerOptions) {
    this.#clock = options.clock;
    this.#defer = options.defer;
    this.#isLiveWaiting = options.isLiveWaiting ?? (() => false);
    this.#stepsMax = options.stepsMax ?? Number.POSITIVE_INFINITY;
    this.limits = options.limits;
    this.memory = new MemoryBudget(options.limits.catchUpBytesMax);
  }

  /** Returns a queue for one connection, or for a request of another node. `user`: who is charged. To be closed. */
  queue(user = '', cause: WorkCause = 'client'): WorkQueue {
    return new WorkQueue(this, this.open(user, cause), cause);
  }

  /** Number of users that are connected or remembered. */
  get users(): number {
    return this.#users.size;
  }

  /** Queued tasks of the user that has most. */
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
      // The time of `run` within the call is charged already.
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

  /** Runs steps in the turn of the caller. Returns whether the task is done. */
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

  /** Called in each turn of the event loop while there is work. */
  #turn(): void {
    this.#isDeferred = false;
    const nowMs = this.#now();
    const restMs = nowMs - this.#leftAtMs;
    this.#restMs += restMs;
    this.#leftAtMs = nowMs;
    if (this.#restMs < this.#owedMs && (restMs >= idleMs || this.#isLiveWaiting())) {
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

  /** Runs a task until it is done, or the slice is used up. Returns the time, monotonic ms. */
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
    // The step may have added tasks, and so have queued each of them already.
    if (flow.tasks.length > 0 && !flow.isQueued) user.connections.add(flow);
    else if (user.connections.size === 0) user.connections.idle();
    if (user.connections.size > 0 && !user.isQueued) workClass.users.add(user);
    if (workClass.users.size > 0 && !workClass.isQueued) this.#fair.add(workClass);
    return nowMs;
  }

  #hasTime(): boolean {
    return this.#usedMs < sliceMs && this.#steps < this.#stepsMax;
  }

  /** Stops the slice: other work follows. */
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

/** The tasks of one connection. */
export class WorkQueue {
  readonly #scheduler: WorkScheduler;
  readonly #cause: WorkCause;
  #user: WorkUser;
  /** Created with the first task: most connections cause none. */
  #flow: ConnectionFlow | undefined;
  #closed = false;

  constructor(scheduler: WorkScheduler, user: WorkUser, cause: WorkCause) {
    this.#scheduler = scheduler;
    this.#cause = cause;
    this.#user = user;
  }

  /** The user who is charged. */
  get user(): string {
    return this.#user.name;
  }

  /** Charges later tasks to this user. */
  assign(user: string): void {
    if (this.#closed || this.#user.name === user) return;
    const before = this.#user;
    this.#user = this.#scheduler.open(user, this.#cause);
    this.#flow = undefined;
    this.#scheduler.leave(before);
  }

  /**
   * Runs `step` in slices until it returns true. Returns undefined if that was in this turn. Otherwise resolves when it
   * has returned true; rejects with what a step throws, and with `rate_limited` at the limit of the queue. A step that
   * is not needed any more returns true.
   */
  run(step: Step): Promise<void> | undefined {
    return this.#scheduler.run(this.#flowOf(), step);
  }

  /** Calls at once, outside the slices, and charges the time of the call. */
  measure(call: () => void): void {
    this.#scheduler.measure(this.#flowOf(), call);
  }

  /** Reserves memory, at once or as soon as it is free: see `MemoryBudget`. To be released. */
  reserve(bytes: number): Reservation | Promise<Reservation> {
    return this.#scheduler.memory.reserve(this.#user, bytes);
  }

  /** Closes the queue of a connection. Queued tasks still run, and are charged. Idempotent. */
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
