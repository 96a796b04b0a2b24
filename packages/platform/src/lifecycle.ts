import { TailraceError } from '@tailrace/protocol/error';
import { type Clock, systemClock } from './clock.ts';
import { withinDeadline } from './deadline.ts';
import type { Logger } from './logger.ts';
import { assertTransition, type Transitions } from './transition.ts';

/**
 * A part of a service: a listener, a log, a subscription. All parts are started in order, drained in reverse order
 * (listeners before what they use), then stopped in reverse order. Every step has a deadline; a step beyond it is
 * logged and skipped.
 */
export interface Part {
  readonly name: string;
  /** Resolves when it is ready for work. A part that rejects has cleaned up: `stop` is not called then. */
  start?(): void | Promise<void>;
  /** Takes no new work; resolves when the work in progress is done. */
  drain?(): void | Promise<void>;
  /** Releases all resources. May be called while `start` or `drain` is pending. */
  stop?(): void | Promise<void>;
  /** Default: that of the lifecycle. */
  readonly startMs?: number;
  readonly drainMs?: number;
  readonly stopMs?: number;
}

/**
 * - `new`: before `start`.
 * - `starting`: parts start, one after the other. Not ready.
 * - `running`: all parts have started.
 * - `draining`: a stop was requested; no new work. Not ready.
 * - `stopping`: parts release their resources.
 * - `stopped`: nothing is left; the exit code is final.
 */
export type LifecycleState = 'new' | 'starting' | 'running' | 'draining' | 'stopping' | 'stopped';

const successors: Transitions<LifecycleState> = {
  new: ['starting', 'draining'],
  starting: ['running', 'draining'],
  running: ['draining'],
  draining: ['stopping'],
  stopping: ['stopped'],
  stopped: [],
};

/**
 * Exit codes of services. After a second signal it is 128 and its number, as in shells: 130 for SIGINT, 143 for
 * SIGTERM.
 */
export const exitCodes = {
  /** Stopped in order as requested; also `--help`, and `--check-config` without errors. */
  orderly: 0,
  /** Invalid settings, a part that did not start or cannot go on, or an uncaught error. */
  failure: 1,
  /** Stopped as requested, but a part exceeded its deadline or failed to drain or stop: work may be lost. */
  disorderly: 2,
} as const;

export interface LifecycleOptions {
  readonly parts: readonly Part[];
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Called with every state after the transition. */
  readonly onState?: (state: LifecycleState) => void;
  /** Deadline of the start of one part. Default: 30,000 ms, enough for a broker that is itself starting. */
  readonly startMs?: number;
  /** Default: 10,000 ms. All drains and stops together should take less than the 30 s of Kubernetes. */
  readonly drainMs?: number;
  /** Default: 5,000 ms. */
  readonly stopMs?: number;
}

export interface Lifecycle {
  readonly state: LifecycleState;
  /**
   * Starts all parts. Rejects with the error of the first part that fails, after those started before are stopped. Also
   * resolves if it is stopped meanwhile: see `state`.
   */
  start(): Promise<void>;
  /** Drains and stops; resolves with the exit code. Returns the same promise at each call. Never rejects. */
  stop(reason: string): Promise<number>;
  /** For an uncaught error: logs it, then stops with exit code 1. */
  fail(error: unknown, origin: string): Promise<number>;
  /**
   * For a part that cannot go on, while a new process can: logs why, then stops with exit code 1. Ignored during a
   * stop.
   */
  abandon(error: TailraceError): Promise<number>;
}

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  return new PartLifecycle(options);
}

class PartLifecycle implements Lifecycle {
  state: LifecycleState = 'new';
  readonly #parts: readonly Part[];
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #onState: (state: LifecycleState) => void;
  readonly #deadlines: { readonly startMs: number; readonly drainMs: number; readonly stopMs: number };
  /** In the order of their start; the last may still be starting, or be interrupted. */
  readonly #started: Part[] = [];
  #exitCode: number = exitCodes.orderly;
  #stop: Promise<number> | undefined;
  /** Resolves when a stop is requested, so that a pending start is not waited for. */
  readonly #stopRequested = Promise.withResolvers<'stop'>();

  constructor(options: LifecycleOptions) {
    this.#parts = options.parts;
    this.#logger = options.logger;
    this.#clock = options.clock ?? systemClock;
    this.#onState = options.onState ?? (() => {});
    this.#deadlines = {
      startMs: options.startMs ?? 30_000,
      drainMs: options.drainMs ?? 10_000,
      stopMs: options.stopMs ?? 5_000,
    };
  }

  async start(): Promise<void> {
    this.#enter('starting');
    for (const part of this.#parts) {
      try {
        await this.#startPart(part);
      } catch (error) {
        // The caller of `start` logs the error; the stop logs only its own errors.
        this.#exitCode = exitCodes.failure;
        await this.stop(`${part.name} did not start`);
        throw error;
      }
      if (this.#stop) return;
    }
    this.#enter('running');
    this.#logger.info({ parts: this.#parts.length }, 'running');
  }

  stop(reason: string): Promise<number> {
    if (!this.#stop) {
      // The state changes synchronously: from now on no part starts.
      this.#stop = Promise.resolve().then(() => this.#drainAndStop(reason));
      this.#enter('draining');
      this.#stopRequested.resolve('stop');
    }
    return this.#stop;
  }

  fail(error: unknown, origin: string): Promise<number> {
    this.#logger.error({ error, origin }, 'uncaught error; stopping');
    this.#exitCode = exitCodes.failure;
    return this.stop(origin);
  }

  abandon(error: TailraceError): Promise<number> {
    if (this.#stop) return this.#stop;
    this.#logger.error({ error }, `cannot go on, stopping: ${error.message}`);
    this.#exitCode = exitCodes.failure;
    return this.stop('cannot go on');
  }

  async #startPart(part: Part): Promise<void> {
    // Added before it has started: if the start is interrupted by a stop or exceeds its deadline, it may hold
    // resources.
    this.#started.push(part);
    if (!part.start) return;
    const limitMs = part.startMs ?? this.#deadlines.startMs;
    const started = withinDeadline(this.#clock, limitMs, async () => part.start?.());
    let outcome: 'done' | 'late' | 'stop';
    try {
      outcome = await Promise.race([started, this.#stopRequested.promise]);
    } catch (error) {
      this.#started.pop();
      throw error;
    }
    if (outcome === 'late') throw new TailraceError('timeout', `${part.name} did not start within ${limitMs} ms`);
  }

  async #drainAndStop(reason: string): Promise<number> {
    this.#logger.info({ reason }, 'draining');
    const parts = this.#started.toReversed();
    for (const part of parts) await this.#finish(part, 'drain', part.drainMs ?? this.#deadlines.drainMs);
    this.#enter('stopping');
    for (const part of parts) await this.#finish(part, 'stop', part.stopMs ?? this.#deadlines.stopMs);
    this.#enter('stopped');
    this.#logger.info({ exitCode: this.#exitCode }, 'stopped');
    return this.#exitCode;
  }

  async #finish(part: Part, step: 'drain' | 'stop', limitMs: number): Promise<void> {
    if (!part[step]) return;
    try {
      if ((await withinDeadline(this.#clock, limitMs, async () => part[step]?.())) === 'done') return;
      this.#logger.warn({ part: part.name, step, limitMs }, 'a part exceeded its deadline; continuing without it');
    } catch (error) {
      this.#logger.error({ part: part.name, step, error }, 'a part failed to drain or stop; continuing without it');
    }
    if (this.#exitCode === exitCodes.orderly) this.#exitCode = exitCodes.disorderly;
  }

  #enter(state: LifecycleState): void {
    assertTransition('lifecycle', successors, this.state, state);
    this.state = state;
    this.#onState(state);
  }
}
