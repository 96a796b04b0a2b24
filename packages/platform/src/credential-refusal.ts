import { TailraceError } from '@tailrace/protocol/error';

/** Why a credential is refused, for metrics. The message has the details. */
export type RefusalKind = 'invalid' | 'expired' | 'revoked';

/** Of errors with another kind than `invalid`. Not a field of the error: clients need none, and messages name it. */
const kinds = new WeakMap<object, RefusalKind>();

/** Returns an error `unauthorized` of this kind. */
export function refusal(kind: RefusalKind, message: string, cause?: unknown): TailraceError {
  const error = new TailraceError('unauthorized', message, { cause });
  if (kind !== 'invalid') kinds.set(error, kind);
  return error;
}

/** Returns the kind of an error of `refusal`; `invalid` for any other. */
export function refusalKindOf(error: unknown): RefusalKind {
  return (typeof error === 'object' && error !== null ? kinds.get(error) : undefined) ?? 'invalid';
}
