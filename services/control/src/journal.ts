import { createHash } from 'node:crypto';
import type { Transaction } from '@tailrace/database/database';
import type { Clock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { type AuditEntry, chainOf, contentOf, controlItself, entryOf, nextHashSql } from './audit/audit-entry.ts';
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

/*
 * One statement. The update locks the chain until the commit, and the outbox rows take their positions after it, so
 * that rows of one chain have the order of their commits (docs/adr/0028).
 */
const appendSql = `
WITH head AS (
  UPDATE audit_chains
     SET number = number + 1,
         hash = ${nextHashSql}
   WHERE chain = $1::smallint
  RETURNING chain, number, hash
), entry AS (
  INSERT INTO audit_entries (chain, number, hash, content)
  SELECT chain, number, hash, $2::text FROM head
), audit AS (
  INSERT INTO outbox (topic, key, value, at_ms)
  SELECT 'audit', chain::text,
         convert_to('{"chain":' || chain || ',"number":' || number || ',"hash":"' || encode(hash, 'hex')
                    || '","entry":' || $2::text || '}', 'UTF8'),
         $3::double precision
    FROM head
)
INSERT INTO outbox (topic, key, value, traceparent, at_ms)
SELECT record.topic, record.key, decode(record.value, 'hex'), record.traceparent, $3::double precision
  FROM head, unnest($4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
       AS record (topic, key, value, traceparent, place)
 ORDER BY record.place`;

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
   * Appends acts, as the last statements of a transaction: other transactions with the same chains wait from here to
   * its commit. Call it once in a transaction, with all of its acts. Rejects as the database does, and with `too_large`
   * for an entry over 16,384 characters; of control itself, its details are truncated.
   */
  async append(transaction: Pick<Transaction, 'query'>, acts: readonly Act[]): Promise<void> {
    const nowMs = this.#options.clock.now();
    const prepared = acts.map((act) => ({ ...act, chain: chainOf(act.key), content: checkedContent(act.entry) }));
    // In the order of chains, so that two transactions do not wait for each other. Stable for acts of one key.
    prepared.sort((a, b) => a.chain - b.chain);
    for (const { key, chain, content, records = [] } of prepared) {
      const topics = records.map(({ topic }) => topic);
      const keys = records.map((record) => record.key ?? key);
      const values = records.map(({ value }) => Buffer.from(value).toString('hex'));
      const traceparents = records.map(({ traceparent = '' }) => traceparent);
      await transaction.query(appendSql, [chain, content, nowMs, topics, keys, values, traceparents]);
    }
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
