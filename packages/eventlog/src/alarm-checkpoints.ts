import { isTailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { boundsOf, type EventLog } from './event-log.ts';

const { AlarmCheckpoint } = tailrace.v1;

/** What the checkpoints of alarms have of one partition, for those who show alarms. */
export interface CheckpointedAlarms {
  /** The last transition of each alarm. */
  readonly transitions: readonly tailrace.v1.IAlarmTransition[];
  /** Position of the last `AlarmOwner`; 0: none is known. */
  readonly owner: number;
}

/**
 * Reads the checkpoints of alarms of a partition, whose topic may be missing: then there are none. One that cannot be
 * decoded has no alarms. One of a process that has lost the partition does not replace that of a later owner. Rejects
 * as `bounds` and `read` do.
 *
 * Alarms writes a transition before the checkpoint that has it: read the end of the topic of events afterwards.
 */
export async function readCheckpointedAlarms(
  eventLog: Pick<EventLog, 'bounds' | 'read'>,
  topic: string,
  partition: number,
): Promise<CheckpointedAlarms> {
  const found = await eventLog.bounds(topic, [partition]).catch((error: unknown) => {
    if (isTailraceError(error) && error.code === 'not_found') return undefined;
    throw error;
  });
  if (found === undefined) return { transitions: [], owner: 0 };
  const { first, next } = boundsOf(found, partition);
  const byKey = new Map<string, CheckpointedAlarms>();
  let last = 0;
  for await (const records of eventLog.read(topic, partition, { from: first, until: next })) {
    for (const { key, value } of records) {
      if (key === '') continue;
      const checkpoint = checkpointFrom(value);
      last = Math.max(last, checkpoint.owner);
      if (value.length === 0) byKey.delete(key);
      else if (checkpoint.owner >= (byKey.get(key)?.owner ?? 0)) byKey.set(key, checkpoint);
    }
  }
  return { transitions: [...byKey.values()].flatMap(({ transitions }) => transitions), owner: last };
}

function checkpointFrom(value: Uint8Array): CheckpointedAlarms {
  try {
    const { transitions, owner } = AlarmCheckpoint.decode(value);
    return { transitions, owner };
  } catch {
    return { transitions: [], owner: 0 };
  }
}
