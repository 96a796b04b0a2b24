import type { Queryable } from '@tailrace/database/database';

/** The compacted topics that control writes from its store. */
export type CompactedTopic = 'rules' | 'devices';

/**
 * Rows with `key` and `value` of all records that a topic has now. They are locked, so that a change at the same time
 * comes before or after.
 */
const present: Readonly<Record<CompactedTopic, string>> = {
  rules: `SELECT id AS key, body AS value FROM rules WHERE body <> '' ORDER BY id FOR SHARE`,
  devices: `SELECT path AS key, json_build_object('kind', kind, 'labels', labels)::text AS value FROM registry_devices
            WHERE state = 'active' AND (kind <> '' OR labels <> '{}'::jsonb) ORDER BY path FOR SHARE`,
};

/**
 * Inserts the records of all rules or devices, for a topic that has none: it is new, or was lost. Resolves with their
 * number. What has a record that waits in the outbox gets no other one: the last one that waits is the present one.
 */
export async function appendAllRecords(transaction: Queryable, topic: CompactedTopic, nowMs: number): Promise<number> {
  const { rowCount } = await transaction.query(
    `INSERT INTO outbox (topic, key, value, at_ms)
     SELECT $1::text, key, convert_to(value, 'UTF8'), $2 FROM (${present[topic]}) AS record
     WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.topic = $1::text AND outbox.key = record.key)
     ORDER BY key`,
    [topic, nowMs],
  );
  return rowCount;
}
