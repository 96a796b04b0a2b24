import type { EventLog, NewRecord } from '@tailrace/eventlog/event-log';
import type { MemoryEventLog } from '@tailrace/eventlog/memory';

/** What a process appends: the record with which it takes over a partition, what it has evaluated, or its state. */
export type AppendKind = 'owner' | 'events' | 'checkpoints';

/** A log whose appends wait while they are paused, as those of a process that is stopped by SIGSTOP. */
export interface PausableLog {
  readonly log: EventLog;
  pause(kind: AppendKind): void;
  resume(): void;
}

export function pausable(log: MemoryEventLog): PausableLog {
  const paused = new Map<AppendKind, Promise<void>>();
  let resumes: (() => void)[] = [];
  const append = async (topic: string, records: readonly NewRecord[]) => {
    const isOfPartition = records[0]!.key.startsWith('!');
    if (topic.endsWith('.alarms')) await paused.get('checkpoints');
    else await paused.get(isOfPartition ? 'owner' : 'events');
    return await log.append(topic, records);
  };
  const wrapped = new Proxy(log, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === 'append') return append;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return {
    log: wrapped,
    pause(kind) {
      paused.set(kind, new Promise((resolve) => resumes.push(resolve)));
    },
    resume() {
      for (const resume of resumes) resume();
      resumes = [];
      paused.clear();
    },
  };
}
