import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type {
  EventLog,
  LogRecord,
  NewRecord,
  PartitionBounds,
  Position,
  ReadRange,
  RecordSettled,
  SubscribeOptions,
  Subscription,
  TopicInfo,
  TopicSpec,
} from '../event-log.ts';
import { GroupMember } from '../group-member.ts';
import type { Commit, Membership } from '../group-ports.ts';
import { LogState } from '../log-state.ts';
import { RecordBuffer } from '../record-buffer.ts';
import { assertName, assertSamePartitions, assertTopicSpec, recordBytes } from '../topic.ts';
import type { Group, LocalGroupMember } from './group.ts';
import type { LocalLog } from './local-log.ts';
import { LocalSource, type LocalSourceOptions } from './local-source.ts';
import type { Store, StoredPartition, StoredTopic } from './store.ts';

/** Most bytes that a member has read and not delivered. */
const queueBytesMax = 4_000_000;
/** How long a committed position may wait to be written. */
const commitMs = 200;
const readRecordsMax = 1_000;
const readBytesMax = 1_000_000;
/** Most records and bytes of a background batch: half a millisecond on disk. */
const backgroundRecordsMax = 250;
const backgroundBytesMax = 128_000;

/** One member of this connection, with its source. */
export interface LocalMember {
  readonly member: GroupMember;
  readonly source: LocalSource;
  /** Its interface for the group. */
  readonly peer: LocalGroupMember;
}

export interface LocalMemberOptions {
  readonly topics: readonly StoredTopic[];
  readonly subscriber: SubscribeOptions;
  /** Called when the member has stopped. */
  onStopped(): void;
}

export interface LocalPorts {
  createSource?(options: LocalSourceOptions): LocalSource;
  commit?(commits: readonly Commit[]): Promise<void>;
}

/** A connection to a log within this process. */
export class LocalEventLog implements EventLog {
  protected readonly localLog: LocalLog;
  protected readonly members = new Map<LocalMember, Group>();
  readonly #appends = new Set<Promise<unknown>>();
  readonly #state = new LogState();
  #opened: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(localLog: LocalLog) {
    this.localLog = localLog;
  }

  get isAppending(): boolean {
    return this.#appends.size > 0;
  }

  async start(): Promise<void> {
    if (this.#state.current === 'new') {
      this.#opened = this.localLog.options.store.open();
      await this.#opened;
      // It may have been closed in the meantime.
      if (this.#state.current === 'new') this.#state.enter('open');
    }
    this.#state.assertOpen('start');
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#state.enter('closing');
    await Promise.all([...this.members.keys()].map(({ member }) => member.stop()));
    this.#state.enter('closed');
    await Promise.allSettled([this.#opened, ...this.#appends]);
    await this.localLog.options.store.close();
  }

  async ensureTopic(spec: TopicSpec): Promise<TopicInfo> {
    this.assertOpen('ensureTopic');
    assertTopicSpec(spec);
    return (await this.localLog.ensureTopic(spec)).info;
  }

  async describeTopic(topic: string): Promise<TopicInfo> {
    this.assertOpen('describeTopic');
    return this.localLog.topic(topic).info;
  }

  async append(topicName: string, records: readonly NewRecord[], sender?: object): Promise<readonly Position[]> {
    this.assertOpen('append');
    const topic = this.localLog.topic(topicName);
    for (const record of records) recordBytes(record);
    if (records.length === 0) return [];
    const answer = this.localLog.options.store.append(topic, records, sender);
    this.#appends.add(answer);
    try {
      return await answer;
    } finally {
      this.#appends.delete(answer);
    }
  }

  appendEach(topicName: string, records: readonly NewRecord[], settled: RecordSettled): void {
    void this.#appendEach(topicName, records, settled);
  }

  /** One append for all records that are not too large: a disk takes or refuses all. Rejects if `settled` throws. */
  async #appendEach(topicName: string, records: readonly NewRecord[], settled: RecordSettled): Promise<void> {
    const tooLarge: (TailraceError | undefined)[] = [];
    for (let index = 0; index < records.length; index++) {
      try {
        recordBytes(records[index]!);
      } catch (thrown) {
        tooLarge[index] = tailraceErrorFrom(thrown);
      }
    }
    const isAll = tooLarge.length === 0;
    let positions: readonly Position[] = [];
    let error: TailraceError | undefined;
    try {
      positions = await this.append(topicName, isAll ? records : records.filter((_, n) => tooLarge[n] === undefined));
    } catch (thrown) {
      error = tailraceErrorFrom(thrown);
    }
    let appended = 0;
    for (let index = 0; index < records.length; index++) {
      const refused = isAll ? undefined : tooLarge[index];
      if (refused !== undefined) settled(index, refused, -1, -1);
      else if (error !== undefined) settled(index, error, -1, -1);
      else {
        const { partition, seq } = positions[appended++]!;
        settled(index, undefined, partition, seq);
      }
    }
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.assertOpen('subscribe');
    // Not while the log closes: nothing would stop the subscription.
    this.#state.assertOpen('subscribe');
    assertName('group', options.group);
    assertName('member', options.member);
    const topics = options.topics.map((name) => this.localLog.topic(name));
    assertSamePartitions(topics.map(({ info }) => info));
    const group = this.localLog.group(options.group, topics);
    const local = this.createMember({ topics, subscriber: options, onStopped: () => this.remove(local) });
    this.members.set(local, group);
    this.localLog.addSource(local.source, options.topics);
    group.join(local.peer);
    return local.member;
  }

  read(topicName: string, partition: number, range: ReadRange): AsyncIterable<readonly LogRecord[]> {
    // The end at the time of the call. An error rejects the first step, as with every asynchronous iterable.
    let topic: StoredTopic | undefined;
    let error: unknown;
    try {
      topic = this.#partitionOf(topicName, partition);
    } catch (thrown) {
      error = thrown;
    }
    if (topic === undefined) return rejecting(error);
    const end = topic.partitions[partition]!.next;
    return this.#read(topic, partition, { ...range, until: Math.min(range.until ?? end, end) });
  }

  async bounds(topicName: string, partitions?: readonly number[]): Promise<readonly PartitionBounds[]> {
    this.assertOpen('bounds');
    return ofPartitions(this.localLog.topic(topicName), partitions, ({ first, next }) => ({ first, next }));
  }

  async endOffsets(topicName: string, _waitMs: number): Promise<readonly number[]> {
    this.assertOpen('bounds');
    return this.localLog.topic(topicName).partitions.map(({ next }) => next);
  }

  async positionsAt(topicName: string, timeMs: number, partitions?: readonly number[]): Promise<readonly number[]> {
    this.assertOpen('positionsAt');
    const topic = this.localLog.topic(topicName);
    const { store } = this.localLog.options;
    return ofPartitions(topic, partitions, (_, partition) => store.positionAt(topic, partition, timeMs));
  }

  async lag(group: string, topicName: string): Promise<readonly number[]> {
    this.assertOpen('lag');
    const topic = this.localLog.topic(topicName);
    return topic.partitions.map(({ first, next }, partition) => {
      const committed = this.localLog.options.store.committed(group, topicName, partition) ?? first;
      return Math.max(0, next - Math.max(first, committed));
    });
  }

  /** Deletes the records of a partition before `first`, as retention does, except its last one. */
  async forget(topicName: string, partition: number, first: number): Promise<void> {
    const topic = this.#partitionOf(topicName, partition);
    if (topic.spec.compacted === true) {
      throw new TailraceError('conflict', `topic ${topicName} is compacted: it keeps the last record of every key`);
    }
    await this.localLog.options.store.forget(topic, partition, first);
  }

  /** `ports`: replacements of the default source and commits. */
  protected createMember(options: LocalMemberOptions, ports: LocalPorts = {}): LocalMember {
    const { topics, subscriber, onStopped } = options;
    const { store, clock, schedule, queueRecordsMax, callRecordsMax } = this.localLog.options;
    const { createSource = (sourceOptions) => new LocalSource(sourceOptions) } = ports;
    const { commit = (commits) => store.commit(subscriber.group, commits) } = ports;
    const onError = (thrown: unknown) =>
      subscriber.onError?.(thrown instanceof Error ? thrown : tailraceErrorFrom(thrown));
    const buffer = new RecordBuffer({ recordsMax: queueRecordsMax, bytesMax: queueBytesMax });
    const source = createSource({ store, topics, buffer, schedule, report: onError });
    const membership: Membership = {
      committed: async (partitions) => committedBy(store, subscriber, partitions),
      commit,
      leave: async () => onStopped(),
    };
    const member = new GroupMember({
      clock,
      subscriber,
      buffer,
      source,
      membership,
      schedule,
      ...(callRecordsMax !== undefined && { callRecordsMax }),
      windowMs: subscriber.flushMs,
      commitMs,
      onError,
    });
    const peer: LocalGroupMember = {
      name: member.name,
      assign: (generation, partitions) => member.assign({ generation, partitions, expelled: false }),
      release: (partitions) => member.release(partitions),
      revoke: (partitions) => member.revoke(partitions),
      abort: () => member.abort(),
      report: (thrown) => member.report(thrown),
    };
    return { member, source, peer };
  }

  protected remove(local: LocalMember): void {
    this.members.get(local)?.leave(local.peer);
    this.members.delete(local);
    this.localLog.removeSource(local.source, local.member.topics);
  }

  async *#read(
    topic: StoredTopic,
    partition: number,
    { from, until, background }: ReadRange & { readonly until: number },
  ): AsyncGenerator<LogRecord[]> {
    const { store, schedule } = this.localLog.options;
    const limits = background
      ? { recordsMax: backgroundRecordsMax, bytesMax: backgroundBytesMax }
      : { recordsMax: readRecordsMax, bytesMax: readBytesMax };
    let seq = Math.max(0, from);
    while (seq < until) {
      this.assertOpen('read');
      const records = store.slice(topic, partition, { from: seq, until, ...limits });
      if (records.length === 0) return;
      yield records;
      seq = records[records.length - 1]!.seq + 1;
      // A long range must not block the event loop.
      if (seq < until) await new Promise<void>((resolve) => schedule(resolve));
    }
  }

  #partitionOf(topicName: string, partition: number): StoredTopic {
    this.assertOpen('read');
    const topic = this.localLog.topic(topicName);
    if (topic.partitions[partition] !== undefined) return topic;
    const expected = `expected partition 0 to ${topic.info.partitions - 1}`;
    throw new TailraceError('not_found', `topic ${shown(topicName)}: ${expected}, got ${shown(partition)}`);
  }

  /** Also passes while the log closes: the subscribers that it stops may still call it. */
  protected assertOpen(operation: string): void {
    const { current } = this.#state;
    if (current !== 'open' && current !== 'closing') throw this.#state.notOpenError(`call ${operation}`);
  }
}

function committedBy(
  store: Store,
  { group, topics }: SubscribeOptions,
  partitions: readonly number[],
): Map<string, Map<number, number>> {
  const committed = new Map<string, Map<number, number>>();
  for (const topic of topics) {
    const positions = new Map<number, number>();
    for (const partition of partitions) {
      const position = store.committed(group, topic, partition);
      if (position !== undefined) positions.set(partition, position);
    }
    committed.set(topic, positions);
  }
  return committed;
}

/** Returns the values by partition number, with holes for partitions that are not requested. */
function ofPartitions<T>(
  { partitions }: StoredTopic,
  only: readonly number[] | undefined,
  read: (bounds: StoredPartition, partition: number) => T,
): T[] {
  const found: T[] = [];
  for (const partition of only ?? partitions.keys()) {
    const bounds = partitions[partition];
    if (bounds !== undefined) found[partition] = read(bounds, partition);
  }
  return found;
}

function rejecting(thrown: unknown): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(thrown) }) };
}
