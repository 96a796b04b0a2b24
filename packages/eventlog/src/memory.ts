import type { Clock } from '@tailrace/platform/clock';
import { LocalLog } from './local/local-log.ts';
import { type ErrorInjector, MemoryEventLog } from './memory/event-log.ts';
import { MemoryStore } from './memory/store.ts';

export type { MemoryEventLog, MemoryOperation } from './memory/event-log.ts';

export interface MemoryLogOptions {
  readonly clock: Clock;
  /** Creates the epoch of a topic. Default: random; a simulation passes its own. */
  epoch?(): string;
  /** Most records that a subscription has read and not delivered. Default: 10,000. */
  readonly queueRecordsMax?: number;
  /**
   * Most records of one call to a subscriber without a backlog. Default: 500. A simulation uses fewer, for more calls.
   */
  readonly callRecordsMax?: number;
  /** How long a member may take to release a partition; then the next owner gets it anyway, ms. Default: 10,000. */
  readonly handoverMs?: number;
}

export interface MemoryConnectOptions {
  /** Called before each operation of this connection, which fails with the returned error. */
  readonly injectError?: ErrorInjector;
}

/** A log in memory, with a connection for each (simulated) process. Lost when the process exits. */
export interface MemoryLog {
  /**
   * Returns a connection that is not started yet. Its `crash`, `disconnect` and `reconnect` are for tests and the
   * simulation.
   */
  connect(options?: MemoryConnectOptions): MemoryEventLog;
}

/**
 * Creates the log in memory, for tests and the simulation.
 *
 * Deterministic under an injected clock: without its own timers, randomness and threads. Subscribers are called, and
 * groups rebalance, through `clock.after(0, …)` instead of microtasks: each is a separate event for the scheduler of a
 * simulation, which may reorder it.
 */
export function createMemoryLog(options: MemoryLogOptions): MemoryLog {
  const { clock } = options;
  const localLog = new LocalLog({
    store: new MemoryStore(clock, options.epoch ?? (() => crypto.randomUUID())),
    clock,
    schedule: (call) => void clock.after(0, call),
    queueRecordsMax: options.queueRecordsMax ?? 10_000,
    ...(options.callRecordsMax !== undefined && { callRecordsMax: options.callRecordsMax }),
    ...(options.handoverMs !== undefined && { handoverMs: options.handoverMs }),
  });
  return { connect: ({ injectError } = {}) => new MemoryEventLog(localLog, injectError ?? (() => undefined)) };
}
