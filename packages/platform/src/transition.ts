import { TailraceError } from '@tailrace/protocol/error';

/** Which states may follow each state. */
export type Transitions<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Throws `internal` unless `to` may follow `from`. `name`: the object whose state changes, for the message. */
export function assertTransition<S extends string>(name: string, transitions: Transitions<S>, from: S, to: S): void {
  const expected = transitions[from];
  if (expected.includes(to)) return;
  const states = expected.length === 0 ? 'no state' : expected.join(' or ');
  throw new TailraceError('internal', `${name}: expected ${states} after ${from}, got ${to}`);
}
