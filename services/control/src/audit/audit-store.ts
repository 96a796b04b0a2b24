import type { Queryable } from '@tailrace/database/database';
import { type AuditEntry, chainsMax, firstHash, hashOf } from './audit-entry.ts';

/** An entry with its place in its chain. */
export interface StoredEntry {
  readonly chain: number;
  readonly number: number;
  /** Hexadecimal. */
  readonly hash: string;
  readonly position: number;
  readonly entry: AuditEntry;
}

export interface AuditFilter {
  /** A device path, a pattern, or a whole target. */
  readonly target?: string | undefined;
  readonly subject?: string | undefined;
  readonly action?: string | undefined;
  readonly result?: 'done' | 'refused' | undefined;
  /** Epoch ms, inclusive and exclusive. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Only of an earlier position. */
  readonly before?: number | undefined;
  /** Only of a later position, the oldest first. */
  readonly after?: number | undefined;
  readonly limit: number;
}

interface EntryRow {
  readonly chain: number;
  readonly number: number;
  readonly hash: string;
  readonly position: number;
  readonly content: string;
}

const columns = `chain, number, encode(hash, 'hex') AS hash, position, content`;

/** Resolves with entries, the newest first; with `after` the oldest first. */
export async function listEntries(queryable: Queryable, filter: AuditFilter): Promise<readonly StoredEntry[]> {
  const { target, subject, action, result, from, to, before, after, limit } = filter;
  const parameters: unknown[] = [limit];
  const conditions: string[] = [];
  const add = (sql: string, value: unknown) => {
    if (value === undefined) return;
    parameters.push(value);
    conditions.push(sql.replaceAll('?', `$${parameters.length}`));
  };
  const isSubtree = target?.endsWith('>') ?? false;
  add(isSubtree ? 'starts_with(target, left(?, -1))' : 'target = ?', target);
  add('subject = ?', subject);
  add('action = ?', action);
  add('result = ?', result);
  add('at_ms >= ?', from);
  add('at_ms < ?', to);
  add('position < ?', before);
  add('position > ?', after);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const order = after === undefined ? 'DESC' : 'ASC';
  const sql = `SELECT ${columns} FROM audit_entries ${where} ORDER BY position ${order} LIMIT $1`;
  const { rows } = await queryable.query<EntryRow>(sql, parameters);
  return rows.map(({ content, ...place }) => ({ ...place, entry: JSON.parse(content) as AuditEntry }));
}

/** A place where a chain does not verify. */
export interface BrokenChain {
  readonly chain: number;
  readonly number: number;
  readonly reason: 'missing' | 'changed' | 'head';
}

export interface Verification {
  /** Entries that were read. */
  readonly entries: number;
  /** The last entry of each chain. */
  readonly heads: readonly { readonly chain: number; readonly number: number; readonly hash: string }[];
  /** The first broken place of each chain that has one. */
  readonly broken: readonly BrokenChain[];
}

const verifyRowsMax = 2_000;

/**
 * Computes the hashes of all entries again, chain by chain, and compares them. Resolves with the places where entries
 * are missing or were changed. Entries that are added meanwhile are not read.
 *
 * A person who may write the tables can compute all hashes of a chain again, too. The heads, and the topic
 * `<prefix>.audit`, kept elsewhere, show that.
 */
export async function verifyChains(queryable: Queryable): Promise<Verification> {
  const sql = `SELECT chain, number, encode(hash, 'hex') AS hash FROM audit_chains ORDER BY chain`;
  const { rows: heads } = await queryable.query<{ chain: number; number: number; hash: string }>(sql);
  const broken: BrokenChain[] = [];
  let entries = 0;
  for (let chain = 0; chain < chainsMax; chain++) {
    const head = heads.find((each) => each.chain === chain);
    if (head === undefined) {
      broken.push({ chain, number: 0, reason: 'head' });
      continue;
    }
    const found = await verifyChain(queryable, head);
    entries += found.entries;
    if (found.broken !== undefined) broken.push(found.broken);
  }
  return { entries, heads, broken };
}

async function verifyChain(
  queryable: Queryable,
  head: { readonly chain: number; readonly number: number; readonly hash: string },
): Promise<{ readonly entries: number; readonly broken: BrokenChain | undefined }> {
  const { chain } = head;
  let hash = firstHash(chain);
  let number = 0;
  const at = (place: number, reason: BrokenChain['reason']) => ({
    entries: number,
    broken: { chain, number: place, reason },
  });
  const sql = `SELECT ${columns} FROM audit_entries
    WHERE chain = $1 AND number > $2 AND number <= $3 ORDER BY number LIMIT ${verifyRowsMax}`;
  while (number < head.number) {
    const { rows } = await queryable.query<EntryRow>(sql, [chain, number, head.number]);
    if (rows.length === 0) return at(number + 1, 'missing');
    for (const row of rows) {
      if (row.number !== number + 1) return at(number + 1, 'missing');
      hash = hashOf(hash, row.number, row.content);
      if (hash.toString('hex') !== row.hash) return at(row.number, 'changed');
      number = row.number;
    }
  }
  return hash.toString('hex') === head.hash ? { entries: number, broken: undefined } : at(head.number, 'head');
}
