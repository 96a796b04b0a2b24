import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import { TailraceError } from '@tailrace/protocol/error';

/**
 * - `new`: `start` has not resolved yet.
 * - `open`: in use.
 * - `closing`: `close` was called. Subscriptions stop, and appends in progress complete.
 * - `closed`: final.
 */
type State = 'new' | 'open' | 'closing' | 'closed';

const transitions: Transitions<State> = {
  new: ['open', 'closing'],
  open: ['closing'],
  closing: ['closed'],
  closed: [],
};

/** The state of one connection to an event log, which its parts share. */
export class LogState {
  /** Changed by `enter` alone. A field, because each append reads it. */
  current: State = 'new';

  enter(state: State): void {
    assertTransition('event log', transitions, this.current, state);
    this.current = state;
  }

  /** Throws `closed` unless it is open. */
  assertOpen(operation: string): void {
    if (this.current !== 'open') throw this.notOpenError(operation);
  }

  /** Returns the error of an operation while the log is not open. */
  notOpenError(operation: string): TailraceError {
    if (this.current !== 'new') return closedError(operation);
    return new TailraceError('closed', `cannot ${operation}: the event log is not started: call start first`);
  }
}

export function closedError(operation: string): TailraceError {
  return new TailraceError('closed', `cannot ${operation}: the event log is closed`);
}
