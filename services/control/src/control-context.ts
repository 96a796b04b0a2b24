import type { Database, Transaction } from '@tailrace/database/database';
import { retryTransaction } from '@tailrace/database/retry-transaction';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { type ErrorCode, isTailraceError, type TailraceError } from '@tailrace/protocol/error';
import { type AuditEntry, entryOf } from './audit/audit-entry.ts';
import type { RefusalLimit } from './audit/refusal-limit.ts';
import type { Api } from './http/api.ts';
import type { Act, Journal } from './journal.ts';
import type { Requester } from './requester.ts';

/** What every part of control gets. */
export interface ControlContext {
  readonly database: Database;
  readonly journal: Journal;
  /** Bounds the entries of refusals. */
  readonly refusals: RefusalLimit;
  /** Wakes the outbox after a commit, so that its records reach the log within milliseconds. */
  readonly wakeOutbox: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** In [0, 1]. */
  readonly random: () => number;
  /** Name of this process, unique in the installation. */
  readonly worker: string;
  /** Returns an ID that nothing else has. */
  readonly uniqueId: () => string;
}

/** What a transaction that is journaled needs. */
export type ActContext = Pick<ControlContext, 'database' | 'journal' | 'refusals' | 'wakeOutbox' | 'clock' | 'random'>;

/** A part of control with routes: registry, scenes, schedules, rules. `createControl` calls each once. */
export type RegisterRoutes = (api: Api, context: ControlContext) => void;

/** What a transaction returns: its result, and what it has done, which is journaled before the commit. */
export interface Done<T> {
  readonly result: T;
  readonly acts: readonly Act[];
}

/**
 * Runs a transaction that does something, journals it, commits, and wakes the outbox. `work` reads and writes; its acts
 * are the last statements. Retried after serialization failures and deadlocks, so that `work` must only use the
 * transaction.
 */
export async function act<T>(context: ActContext, work: (transaction: Transaction) => Promise<Done<T>>): Promise<T> {
  const { database, journal, wakeOutbox, clock, random } = context;
  let acts: readonly Act[] = [];
  const result = await retryTransaction(database, { clock, random }, async (transaction) => {
    const done = await work(transaction);
    acts = done.acts;
    if (acts.length > 0) await journal.append(transaction, acts);
    return done.result;
  });
  if (acts.length > 0) wakeOutbox();
  return result;
}

/** Refusals by rights, and by what others do. Further ones are errors in a request, or of the installation. */
const auditedRefusals: ReadonlySet<ErrorCode> = new Set(['forbidden', 'conflict']);
/** Refusals that have their entry, or are counted. */
const journaled = new WeakSet<object>();

/** What was refused, for its entry. */
export type Refused = Pick<AuditEntry, 'action' | 'target'> & Partial<Pick<AuditEntry, 'details'>>;

/**
 * Runs `work`, and journals its refusal. Rejects with the refusal; with the error of the database if it cannot be
 * journaled.
 */
export async function orRefused<T>(
  context: ActContext,
  requester: Requester,
  refused: Refused,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isTailraceError(error)) await journalRefusal(context, requester, refused, error);
    throw error;
  }
}

/**
 * Journals an error, once, if it is a refusal: `forbidden` and `conflict`. Of a subject that is refused too often
 * further ones are counted, and the next entry has their number. Rejects as the database does.
 */
export async function journalRefusal(
  context: ActContext,
  requester: Requester,
  { action, target, details }: Refused,
  error: TailraceError,
): Promise<void> {
  const { code, message } = error;
  if (!auditedRefusals.has(code) || journaled.has(error)) return;
  journaled.add(error);
  const omitted = context.refusals.take(requester.subject);
  if (omitted === undefined) return;
  const entry = entryOf(requester, {
    ...{ time: context.clock.now(), action, target, result: 'refused' },
    details: { ...details, code, message, ...(omitted === 0 ? {} : { omittedBefore: omitted }) },
  });
  await act(context, async () => ({ result: undefined, acts: [{ key: target, entry }] }));
}
