import type { Queryable } from '@tailrace/database/database';

/**
 * Inserts the records of all rules, for a topic that has none: it is new, or was lost. Resolves with their number. A
 * rule whose record waits already has none: the last one that waits is of its present version. Rules are locked, so
 * that a change at the same time comes before or after.
 */
export async function appendAllRuleRecords(transaction: Queryable, nowMs: number): Promise<number> {
  const { rowCount } = await transaction.query(
    `INSERT INTO outbox (topic, key, value, at_ms)
     SELECT 'rules', id, convert_to(body, 'UTF8'), $1
     FROM (SELECT id, body FROM rules
           WHERE body <> '' AND NOT EXISTS (SELECT 1 FROM outbox WHERE topic = 'rules' AND key = rules.id)
           ORDER BY id FOR SHARE) AS rule`,
    [nowMs],
  );
  return rowCount;
}
