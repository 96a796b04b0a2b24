import type { EventLog, LogBatch, NewRecord, SubscribeOptions } from '@tailrace/eventlog/event-log';
import type { MemoryEventLog } from '@tailrace/eventlog/memory';

/** What a process appends: the record with which it takes over a partition, what it has evaluated, or its state. */
export type AppendKind = 'owner' | 'events' | 'checkpoints';

/** A log whose appends wait while they are paused, as those of a process that is stopped by SIGSTOP. */
export interface PausableLog {
  readonly log: EventLog;
  pause(kind: AppendKind): void;
  resume(): void;
  /** Delivers no further reports to the group until `releaseReports`; events are delivered. */
  holdReports(): void;
  releaseReports(): Promise<void>;
}

function eachRecord(batch: LogBatch): readonly LogBatch[] {
  return batch.records.map((record) => ({ ...batch, records: [record] }));
}

/** Each record is delivered as a batch of its own, as the first records of a long backlog are. */
export function pausable(log: MemoryEventLog): PausableLog {
  const paused = new Map<AppendKind, Promise<void>>();
  let resumes: (() => void)[] = [];
  const append = async (topic: string, records: readonly NewRecord[]) => {
    const isOfPartition = records[0]!.key.startsWith('!');
    if (topic.endsWith('.alarms')) await paused.get('checkpoints');
    else await paused.get(isOfPartition ? 'owner' : 'events');
    return await log.append(topic, records);
  };
  let held: LogBatch[] | undefined;
  let deliver: SubscribeOptions['onBatches'];
  const subscribe = (options: SubscribeOptions) => {
    deliver = options.onBatches;
    const onBatches = (batches: readonly LogBatch[]) => {
      const isHeld = ({ topic }: LogBatch) => held !== undefined && topic.endsWith('.telemetry');
      held?.push(...batches.filter(isHeld));
      return options.onBatches(batches.filter((batch) => !isHeld(batch)).flatMap(eachRecord));
    };
    return log.subscribe({ ...options, onBatches });
  };
  const wrapped = new Proxy(log, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === 'append') return append;
      if (name === 'subscribe') return subscribe;
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
    holdReports() {
      held = [];
    },
    async releaseReports() {
      const batches = held ?? [];
      held = undefined;
      await deliver(batches);
    },
  };
}
