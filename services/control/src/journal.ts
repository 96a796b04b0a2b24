import { createHash } from 'node:crypto';
import type { Transaction } from '@tailrace/database/database';
import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { type AuditEntry, chainOf, contentOf, controlItself, entryOf } from './audit/audit-entry.ts';
import type { Requester } from './requester.ts';

/** Topics that control writes, without the prefix of the installation. */
export type OutboxTopic = 'events' | 'rules' | 'devices' | 'audit' | 'control';

/** A record for the log. */
export interface OutboxRecord {
  readonly topic: OutboxTopic;
  /** Default: the key of the act. In any case the records have the order of the acts of that key. */
  readonly key?: string;
  /** Empty: a tombstone. */
  readonly value: Uint8Array;
  /** W3C Trace Context; default: none. */
  readonly traceparent?: string;
}

/** What was done about one thing: its audit entry, and the records for the log. */
export interface Act {
  /**
   * Key of the records: a device path, the ID of a rule. Acts of one key reach the log in the order of their commits.
   */
  readonly key: string;
  readonly entry: AuditEntry;
  /** Default: none. */
  readonly records?: readonly OutboxRecord[];
}

/** Returns the function that returns acts about things of a kind, such as `scene`: each an audit entry alone. */
export function actsAbout(
  kind: string,
): (
  actor: Pick<Requester, 'subject' | 'tokenId' | 'address'>,
  nowMs: number,
  action: string,
  id: string,
  details: AuditEntry['details'],
) => Act {
  return (actor, nowMs, action, id, details) => {
    const target = `${kind}/${id}`;
    return { key: target, entry: entryOf(actor, { time: nowMs, action, target, details }) };
  };
}

/** Of the content of an audit entry, with its details. */
const contentCharactersMax = 16_384;
/** Of details that are too large: what an entry of control itself has of their JSON. */
const startCharacters = 4_000;

export interface JournalOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** Called after each append, before the commit. */
  readonly onAppended?: (acts: readonly Act[]) => void;
}

/**
 * Writes what was done into the transaction that does it: the audit entry, chained by hash, and the records for the
 * log. If it fails, the transaction does, and nothing was done.
 */
export class Journal {
  readonly #options: JournalOptions;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /**
   * Appends acts, as the last statement of a transaction: other transactions with the same chains wait from here to its
   * commit. Call it once in a transaction, with all of its acts. Rejects as the database does, and with `too_large` for
   * an entry over 16,384 characters; of control itself, its details are truncated.
   */
  async append(transaction: Pick<Transaction, 'query'>, acts: readonly Act[]): Promise<void> {
    const listed = acts.map(({ key, entry, records = [] }) => ({
      chain: chainOf(key),
      content: checkedContent(entry),
      records: records.map((record) => ({
        topic: record.topic,
        key: record.key ?? key,
        value: Buffer.from(record.value).toString('hex'),
        traceparent: record.traceparent ?? '',
      })),
    }));
    const nowMs = this.#options.clock.now();
    await transaction.query('SELECT append_acts($1::jsonb, $2)', [JSON.stringify(listed), nowMs]);
    this.#options.onAppended?.(acts);
  }
}

function checkedContent(entry: AuditEntry): string {
  const content = contentOf(entry);
  if (content.length <= contentCharactersMax) return content;
  // A deadline that has passed, or a run that has finished, cannot be refused: it would be tried for good.
  if (entry.subject === controlItself.subject && entry.address === controlItself.address)
    return contentOf({ ...entry, details: truncated(JSON.stringify(entry.details)) });
  throw new TailraceError(
    'too_large',
    `audit entry of ${entry.action}: expected at most ${contentCharactersMax} characters, got ${content.length}`,
  );
}

/** Returns the details of an entry that has only the start of them, and a hash of all. */
function truncated(details: string): AuditEntry['details'] {
  const sha256 = createHash('sha256').update(details).digest('hex');
  return { start: details.slice(0, startCharacters).toWellFormed(), characters: details.length, sha256 };
}
