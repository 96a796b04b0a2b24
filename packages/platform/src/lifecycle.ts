import { TailraceError } from '@tailrace/protocol/error';
import { type Clock, systemClock } from './clock.ts';
import { withinDeadline } from './deadline.ts';
import type { Logger } from './logger.ts';
import { assertTransition, type Transitions } from './transition.ts';

/**
 * One thing a service is made of: a listener, a log, a subscription. Started in the order given, drained in the reverse order (the door
 * before the hall), then stopped in the reverse order. Every step has a deadline; one that is missed is logged and passed over.
 */
export interface Part {
  readonly name: string;
  /** Ready for work when it resolves. A rejection cleans up after itself: `stop` is not called then. */
  start?(): void | Promise<void>;
  /** Takes no new work; resolves when what was taken is done. */
  drain?(): void | Promise<void>;
  /** Lets go of everything. Must bear being called while `start` or `drain` is still pending. */
  stop?(): void | Promise<void>;
  /** Default: that of the lifecycle. */
  readonly startMs?: number;
  readonly drainMs?: number;
  readonly stopMs?: number;
}

/**
 * - `new`: nothing has happened; only `start` may come.
 * - `starting`: parts are started, one after the other. Readiness is false.
 * - `running`: all parts have started.
 * - `draining`: a stop was asked for; no new work. Readiness is false.
 * - `stopping`: parts let go.
 * - `stopped`: nothing is left; the exit code stands.
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

/** What a process of ours exits with. A second signal adds 128 to its number, as shells do: 130 for SIGINT, 143 for SIGTERM. */
export const exitCodes = {
  /** Stopped as asked, everything in order; also `--help` and a faultless `--check-config`. */
  orderly: 0,
  /** A fault: bad settings, a part that would not start or cannot go on, an error that nobody caught. */
  fault: 1,
  /** Stopped as asked, but a part missed its deadline or failed at draining or stopping: work may be lost. */
  disorderly: 2,
} as const;

export interface LifecycleOptions {
  readonly parts: readonly Part[];
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Told of every state, once it holds. */
  readonly onState?: (state: LifecycleState) => void;
  /** How long one part may take to start. Default: 30,000 ms: a broker that is itself just starting is waited for. */
  readonly startMs?: number;
  /** Default: 10,000 ms. All drains and stops together should stay under the 30 s that Kubernetes grants. */
  readonly drainMs?: number;
  /** Default: 5,000 ms. */
  readonly stopMs?: number;
}

export interface Lifecycle {
  readonly state: LifecycleState;
  /**
   * Starts all parts. Rejects with the first part's error, once those already started are stopped again. Resolves also where a stop
   * came in between: see `state`.
   */
  start(): Promise<void>;
  /** Drains and stops; resolves with the exit code. Asked again it gives the same promise. Never rejects. */
  stop(reason: string): Promise<number>;
  /** For an error that nobody caught: logs it, then stops with the code of a fault. */
  fail(error: unknown, origin: string): Promise<number>;
  /** For a part that cannot go on, where another process in its place can: says why, then stops with the code of a fault. Nothing new while it stops. */
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
  /** In the order of starting; the last may still be at it, or have been cut short. */
  readonly #started: Part[] = [];
  #exitCode: number = exitCodes.orderly;
  #stop: Promise<number> | undefined;
  /** Resolves when a stop is asked for, so that a pending start is not waited for. */
  readonly #stopAsked = Promise.withResolvers<'stop'>();

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
        // Said once, by whoever called start; the stop itself says only what goes wrong in it.
        this.#exitCode = exitCodes.fault;
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
      // The state changes before anyone can ask: from here on nothing new begins.
      this.#stop = Promise.resolve().then(() => this.#drainAndStop(reason));
      this.#enter('draining');
      this.#stopAsked.resolve('stop');
    }
    return this.#stop;
  }

  fail(error: unknown, origin: string): Promise<number> {
    this.#logger.error({ error, origin }, 'an error that nobody caught; stopping');
    this.#exitCode = exitCodes.fault;
    return this.stop(origin);
  }

  abandon(error: TailraceError): Promise<number> {
    if (this.#stop) return this.#stop;
    this.#logger.error({ error }, `cannot go on, stopping: ${error.message}`);
    this.#exitCode = exitCodes.fault;
    return this.stop('cannot go on');
  }

  async #startPart(part: Part): Promise<void> {
    // Listed before it has started: a stop that cuts the start short, or a start that comes too late, may leave it holding something.
    this.#started.push(part);
    if (!part.start) return;
    const limitMs = part.startMs ?? this.#deadlines.startMs;
    const started = withinDeadline(this.#clock, limitMs, async () => part.start?.());
    let outcome: 'done' | 'late' | 'stop';
    try {
      outcome = await Promise.race([started, this.#stopAsked.promise]);
    } catch (error) {
      this.#started.pop();
      throw error;
    }
    if (outcome === 'late') throw new TailraceError('timeout', `${part.name} did not start within ${limitMs} ms`);
  }

  async #drainAndStop(reason: string): Promise<number> {
    this.#logger.info({ reason }, 'draining');
    const parts = this.#started.toReversed();
    for (const part of parts) await this.#end(part, 'drain', part.drainMs ?? this.#deadlines.drainMs);
    this.#enter('stopping');
    for (const part of parts) await this.#end(part, 'stop', part.stopMs ?? this.#deadlines.stopMs);
    this.#enter('stopped');
    this.#logger.info({ exitCode: this.#exitCode }, 'stopped');
    return this.#exitCode;
  }

  async #end(part: Part, step: 'drain' | 'stop', limitMs: number): Promise<void> {
    if (!part[step]) return;
    try {
      if ((await withinDeadline(this.#clock, limitMs, async () => part[step]?.())) === 'done') return;
      this.#logger.warn({ part: part.name, step, limitMs }, 'a part missed its deadline; going on without it');
    } catch (error) {
      this.#logger.error({ part: part.name, step, error }, 'a part failed at its end; going on without it');
    }
    if (this.#exitCode === exitCodes.orderly) this.#exitCode = exitCodes.disorderly;
  }

  #enter(state: LifecycleState): void {
    assertTransition('lifecycle', successors, this.state, state);
    this.state = state;
    this.#onState(state);
  }
}
