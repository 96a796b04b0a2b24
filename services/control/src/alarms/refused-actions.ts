import type { Queryable } from '@tailrace/database/database';
import { type AuditEntry, controlItself, entryOf } from '../audit/audit-entry.ts';
import type { Act } from '../journal.ts';
import type { RefusedAction } from './alarm-event.ts';

/**
 * Resolves with the audit entries of actions on alarms that alarms has refused, each of the person whose action it was:
 * the entry of its acceptance has the person and what they requested. Of an entry that is gone, control itself.
 */
export async function refusedActs(
  queryable: Queryable,
  refused: readonly RefusedAction[],
  nowMs: number,
): Promise<readonly Act[]> {
  const acts: Act[] = [];
  for (const { action: id, device, rule, code, message } of refused) {
    const accepted = await acceptedEntry(queryable, device, id);
    const details = { rule, id, ...accepted?.details, code, message };
    const time = nowMs;
    const entry = entryOf(accepted ?? controlItself, {
      ...{ time, action: 'alarm.refused', target: device, result: 'refused' },
      details,
    });
    acts.push({ key: device, entry });
  }
  return acts;
}

async function acceptedEntry(queryable: Queryable, device: string, id: string): Promise<AuditEntry | undefined> {
  const sql = `SELECT content FROM audit_entries
    WHERE target = $1 AND result = 'done' AND starts_with(action, 'alarm.') AND strpos(content, $2) > 0
    ORDER BY position DESC LIMIT 1`;
  const { rows } = await queryable.query<{ content: string }>(sql, [device, `"id":${JSON.stringify(id)}`]);
  return rows[0] && (JSON.parse(rows[0].content) as AuditEntry);
}
