import { type Clock, systemClock } from './clock.ts';
import { createEventLoopLag } from './event-loop-lag.ts';
import type { LifecycleState } from './lifecycle.ts';

/** Returns why a part cannot take work (`no broker since 12 s`); undefined: it can. Synchronous and without I/O. */
export type ReadinessCheck = () => string | undefined;

export interface Liveness {
  readonly alive: boolean;
  readonly eventLoop: { readonly medianMs: number; readonly worstMs: number; readonly medianMsMax: number };
}

export interface Readiness {
  readonly ready: boolean;
  readonly state: LifecycleState;
  /** Each check by name: `ok`, or the reason. */
  readonly checks: Readonly<Record<string, string>>;
}

export interface Health {
  /** Adds a check of readiness, or replaces the one of that name. Returns a function that removes it. */
  check(name: string, check: ReadinessCheck): () => void;
  /** For a lifecycle's `onState`: only `running` is ready. */
  setState(state: LifecycleState): void;
  /** Returns the liveness, which does not depend on brokers: a restart of this process does not repair them. */
  live(): Liveness;
  /** Returns the readiness: whether the process can take work now. */
  ready(): Readiness;
  /** Stops the measurement of the event loop. */
  stop(): void;
}

export interface HealthOptions {
  readonly clock?: Clock;
  /** Median lag of the event loop over ten seconds, above which the process counts as dead, ms. Default: 2,000. */
  readonly eventLoopMedianMsMax?: number;
}

const healthCheckPaths: ReadonlySet<string> = new Set(['/', '/healthz', '*']);
const healthCheckMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Returns whether a request to a public port is a health check of a load balancer, by the paths that these use by
 * default. `*` is the path of `OPTIONS *` (RFC 9110, section 9.3.7).
 */
export function isHealthCheck(method: string, path: string): boolean {
  return healthCheckPaths.has(path) && healthCheckMethods.has(method);
}

/** Creates the health of /livez and /readyz. A check that throws counts as not ready, with its message. */
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
