import type { Clock } from '@tailrace/platform/clock';
import type { Store } from './store.ts';

/** What all subscriptions of a log inside this process share. */
export interface DeliveryContext {
  readonly store: Store;
  readonly clock: Clock;
  /** Runs the call soon, in a turn of its own, so that sockets are served between two calls to a subscriber. */
  schedule(call: () => void): void;
  /** The most that `queue()` says are waiting. */
  readonly queueRecordsMax: number;
  /** Most records in one call without a backlog. Default: see `callSize`. */
  readonly callRecordsMax?: number;
  /** Most bytes in one call. */
  readonly batchBytesMax: number;
}
