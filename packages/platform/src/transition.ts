import { TailraceError } from '@tailrace/protocol/error';

/** Which states may follow each state. */
export type Transitions<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Throws `internal` unless `to` may follow `from`. `name`: of the object whose state changes, for the message. */
export function assertTransition<S extends string>(name: string, transitions: Transitions<S>, from: S, to: S): void {
  if (!transitions[from].includes(to)) throw new TailraceError('internal', `${name}: ${to} cannot follow ${from}`);
}
