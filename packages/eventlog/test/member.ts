import assert from 'node:assert/strict';
import type { Assignment, EventLog, LogBatch, LogRecord, StartPositions, Subscription } from '../src/event-log.ts';
import { eventually } from './support.ts';

export interface MemberOptions {
  readonly topics: readonly string[];
  readonly group: string;
  readonly member: string;
  readonly flushMs?: number;
  /** Whether to commit every record. */
  readonly commits?: boolean;
  /** Returns the start positions of gained partitions. */
  start?(assignment: Assignment): StartPositions | undefined | Promise<StartPositions | undefined>;
  /** Called with each call, after it is checked. */
  onCall?(batches: readonly LogBatch[], callNumber: number): void | Promise<void>;
}

/** A member of a group that collects its records, and checks what must always hold. */
export interface Member {
  readonly name: string;
  readonly subscription: Subscription;
  readonly assignments: readonly Assignment[];
  readonly calls: readonly (readonly LogBatch[])[];
  readonly errors: readonly Error[];
  /** Its current partitions. */
  partitions(): readonly number[];
  generation(): number;
  /** All records of a partition, in the order received. */
  received(topic: string, partition: number): readonly LogRecord[];
  receivedCount(): number;
  /** Calls of `onBatches` in progress. */
  running(): number;
  /** Violations of what must always hold. */
  violations(): readonly string[];
}

export async function createMember(eventLog: EventLog, options: MemberOptions): Promise<Member> {
  const assignments: Assignment[] = [];
  const calls: (readonly LogBatch[])[] = [];
  const errors: Error[] = [];
  const violations: string[] = [];
  const received = new Map<string, LogRecord[]>();
  let owned: readonly number[] = [];
  let count = 0;
  let running = 0;
  // Before `subscribe` has resolved, commits of calls wait.
  let subscription: Subscription | undefined;
  const early: [string, number, number][] = [];

  function check(batches: readonly LogBatch[]): void {
    if (batches.length === 0) violations.push('a call without batches');
    for (const { topic, partition, records } of batches) {
      if (records.length === 0) violations.push(`an empty batch of ${topic}/${partition}`);
      if (!owned.includes(partition)) violations.push(`records of partition ${partition}, which is not assigned`);
      for (let n = 1; n < records.length; n++) {
        if (records[n]!.seq <= records[n - 1]!.seq) violations.push(`out of order within a batch of ${topic}/${partition}`);
      }
      const key = `${topic}/${partition}`;
      const list = received.get(key) ?? [];
      list.push(...records);
      received.set(key, list);
      count += records.length;
      if (options.commits === true && records.length > 0) {
        const next = records[records.length - 1]!.seq + 1;
        if (subscription === undefined) early.push([topic, partition, next]);
        else subscription.commit(topic, partition, next);
      }
    }
  }

  subscription = await eventLog.subscribe({
    topics: options.topics,
    group: options.group,
    member: options.member,
    flushMs: options.flushMs ?? 5,
    onAssigned(assignment) {
      const before = owned;
      for (const partition of assignment.gained) {
        if (before.includes(partition)) violations.push(`gained partition ${partition}, which it had`);
        if (!assignment.partitions.includes(partition)) violations.push(`gained partition ${partition}, which it has not`);
      }
      for (const partition of before) {
        if (!assignment.partitions.includes(partition) && !assignment.lost.includes(partition)) {
          violations.push(`partition ${partition} was lost without notification`);
        }
      }
      for (const partition of assignment.partitions) {
        if (!before.includes(partition) && !assignment.gained.includes(partition)) {
          violations.push(`partition ${partition} was gained without notification`);
        }
      }
      const last = assignments[assignments.length - 1];
      if (last !== undefined && assignment.generation <= last.generation) violations.push('the generation did not increase');
      if (running > 0) violations.push('onAssigned during onBatches');
      owned = assignment.partitions;
      assignments.push(assignment);
      return options.start?.(assignment);
    },
    async onBatches(batches) {
      running++;
      if (running > 1) violations.push('a second call while one was running');
      calls.push(batches);
      try {
        check(batches);
        await options.onCall?.(batches, calls.length);
      } finally {
        running--;
      }
    },
    onError: (error) => errors.push(error),
  });
  for (const [topic, partition, next] of early) subscription.commit(topic, partition, next);

  return {
    name: options.member,
    subscription,
    assignments,
    calls,
    errors,
    partitions: () => owned,
    generation: () => assignments[assignments.length - 1]?.generation ?? -1,
    received: (topic, partition) => received.get(`${topic}/${partition}`) ?? [],
    receivedCount: () => count,
    running: () => running,
    violations: () => violations,
  };
}

/** Resolves when every partition has exactly one owner, and all members have the same generation. */
export async function settled(members: readonly Member[], partitions: number, deadlineMs: number): Promise<void> {
  await eventually(`${members.length} members share ${partitions} partitions`, deadlineMs, () => {
    const owned = members.flatMap((member) => [...member.partitions()]).sort((a, b) => a - b);
    assert.deepEqual(
      owned,
      Array.from({ length: partitions }, (_, n) => n),
    );
    assert.equal(new Set(members.map((member) => member.generation())).size, 1);
    return true;
  });
}

/** Stops all members, in order, and asserts that none has violations. */
export async function stopAll(members: readonly Member[]): Promise<void> {
  for (const member of members) await member.subscription.stop();
  for (const member of members) assert.deepEqual(member.violations(), [], `violations of ${member.name}`);
}

export function seqsOf(records: readonly LogRecord[]): number[] {
  return records.map((record) => record.seq);
}
