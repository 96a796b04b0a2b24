import type { Clock } from '@tailrace/platform/clock';
import { LocalLog } from './local/local-log.ts';
import { MemoryEventLog, type MemoryFault } from './memory/event-log.ts';
import { MemoryStore } from './memory/store.ts';

export type { MemoryEventLog, MemoryOperation } from './memory/event-log.ts';

export interface MemoryLogOptions {
  readonly clock: Clock;
  /** Creates a topic's epoch. Default: random; a simulation gives its own. */
  epoch?(): string;
  /** Bound of what a subscription has read and not delivered, records. Default 10,000. */
  readonly queueRecordsMax?: number;
  /**
   * Most records of one call to a subscriber without a backlog. Default 500. A simulation has fewer, and so more calls.
   */
  readonly callRecordsMax?: number;
  /**
   * How long a member may take to release a partition before its next owner gets it all the same, ms. Default 10,000.
   */
  readonly handoverMs?: number;
}

export interface MemoryConnectOptions {
  /** Called before each operation of this connection, which fails with the error returned. */
  readonly fault?: MemoryFault;
}

/** One log in memory, with as many connections as there are (simulated) processes. Gone when the process ends. */
export interface MemoryLog {
  /**
   * Returns a connection that is not started yet. `crash`, `cutOff` and `reconnect` are for tests and the simulation.
   */
  connect(options?: MemoryConnectOptions): MemoryEventLog;
}

/**
 * The log in memory: for tests and for the simulation.
 *
 * Deterministic under an injected clock: it has no timers, randomness or threads of its own. Subscribers are called and
 * groups rebalance through `clock.after(0, …)`, not in microtasks: so each is an event of its own in the scheduler of a
 * simulation, which may put it before or after any other.
 */
export function createMemoryLog(options: MemoryLogOptions): MemoryLog {
  const { clock } = options;
  const store = new MemoryStore(clock, options.epoch ?? (() => crypto.randomUUID()), (topic) =>
    localLog.appended(topic),
  );
  const localLog = new LocalLog({
    store,
    clock,
    schedule: (call) => void clock.after(0, call),
    queueRecordsMax: options.queueRecordsMax ?? 10_000,
    ...(options.callRecordsMax !== undefined && { callRecordsMax: options.callRecordsMax }),
    ...(options.handoverMs !== undefined && { handoverMs: options.handoverMs }),
  });
  return { connect: ({ fault } = {}) => new MemoryEventLog(localLog, fault ?? (() => undefined)) };
}
