import { type Clock, systemClock } from './clock.ts';
import { createEventLoopLag } from './event-loop-lag.ts';
import type { LifecycleState } from './lifecycle.ts';

/** Why a part cannot take work, in a few words (`no broker since 12 s`); undefined: it can. Reads state only: no I/O, no promise. */
export type ReadinessCheck = () => string | undefined;

export interface Liveness {
  readonly alive: boolean;
  readonly eventLoop: { readonly medianMs: number; readonly worstMs: number; readonly medianMsMax: number };
}

export interface Readiness {
  readonly ready: boolean;
  readonly state: LifecycleState;
  /** Each check by name: `ok`, or why not. */
  readonly checks: Readonly<Record<string, string>>;
}

export interface Health {
  /** Adds a named condition of readiness. A name that is taken is replaced. The function returned takes it away again. */
  check(name: string, check: ReadinessCheck): () => void;
  /** For a lifecycle's `onState`: only `running` is ready. */
  setState(state: LifecycleState): void;
  /** Whether the process works at all. Never looks at brokers: restarting us does not mend them. */
  live(): Liveness;
  /** Whether it can take work now. */
  ready(): Readiness;
  /** Ends the measuring of the event loop. */
  stop(): void;
}

export interface HealthOptions {
  readonly clock?: Clock;
  /** Median lateness of the event loop over ten seconds from which the process counts as dead, ms. Default: 2,000. */
  readonly eventLoopMedianMsMax?: number;
}

/** What /livez and /readyz say. A check that throws counts as not ready, with its message. */
export function createHealth(options: HealthOptions = {}): Health {
  const medianMsMax = options.eventLoopMedianMsMax ?? 2_000;
  const lag = createEventLoopLag(options.clock ?? systemClock);
  const checks = new Map<string, ReadinessCheck>();
  let state: LifecycleState = 'new';
  return {
    check(name, check) {
      checks.set(name, check);
      return () => {
        if (checks.get(name) === check) checks.delete(name);
      };
    },
    setState(next) {
      state = next;
    },
    live() {
      const medianMs = Math.round(lag.medianMs());
      return {
        alive: medianMs <= medianMsMax,
        eventLoop: { medianMs, worstMs: Math.round(lag.worstMs()), medianMsMax },
      };
    },
    ready() {
      const results = [...checks].map(([name, check]) => [name, resultOf(check)] as const);
      const ready = state === 'running' && results.every(([, result]) => result === 'ok');
      return { ready, state, checks: Object.fromEntries(results) };
    },
    stop: () => lag.stop(),
  };
}

function resultOf(check: ReadinessCheck): string {
  try {
    return check() ?? 'ok';
  } catch (error) {
    return `the check itself failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}
