import type { Timer } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type {
  EventLog,
  LogRecord,
  NewRecord,
  PartitionBounds,
  Position,
  ReadRange,
  SubscribeOptions,
  Subscription,
  TopicInfo,
  TopicSpec,
} from '../eventlog.ts';
import { assertName, assertTopicSpec, recordBytes } from '../topic.ts';
import { Delivery } from './delivery.ts';
import type { Group } from './group.ts';
import type { LocalLog } from './locallog.ts';
import type { PartitionEnds, StoredTopic } from './store.ts';

/** What happens on the way to a log inside this process; a hook may let it fail. */
export type LocalOperation =
  | 'start'
  | 'ensureTopic'
  | 'describeTopic'
  | 'append'
  /** The records are written; the answer is on its way. */
  | 'answer'
  | 'subscribe'
  | 'deliver'
  | 'read'
  | 'bounds'
  | 'positionsAt'
  | 'lag';

/** Of one call to a subscriber, beside the number of its records. */
const batchBytesMax = 4_000_000;
const readRecordsMax = 1_000;
const readBytesMax = 1_000_000;
/** Of a batch in the background: half a millisecond on disk. */
const backgroundRecordsMax = 250;
const backgroundBytesMax = 128_000;

/** `new`: not started. `open`: works. `cut`: every call is `unavailable`. `closed`: closed, or dead. */
type ConnectionState = 'new' | 'open' | 'cut' | 'closed';

/** One process's connection to a log inside this process. */
export class LocalEventLog implements EventLog {
  readonly #log: LocalLog;
  readonly #fault: (operation: LocalOperation) => TailraceError | undefined;
  readonly #members = new Map<Delivery, Group>();
  readonly #expelled = new Set<Delivery>();
  readonly #answers = new Set<Promise<unknown>>();
  #state: ConnectionState = 'new';
  #session: Timer | undefined;

  constructor(log: LocalLog, fault: (operation: LocalOperation) => TailraceError | undefined) {
    this.#log = log;
    this.#fault = fault;
  }

  async start(): Promise<void> {
    if (this.#state === 'closed') this.#assert('start');
    const fault = this.#fault('start');
    if (fault !== undefined) throw fault;
    await this.#log.options.store.open();
    this.#state = 'open';
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#session?.cancel();
    await Promise.all([...this.#members.keys()].map((delivery) => delivery.stop()));
    this.#state = 'closed';
    await Promise.allSettled([...this.#answers]);
    await this.#log.options.store.close();
  }

  async ensureTopic(spec: TopicSpec): Promise<TopicInfo> {
    this.#assert('ensureTopic');
    assertTopicSpec(spec);
    return (await this.#log.ensureTopic(spec)).info;
  }

  async describeTopic(topic: string): Promise<TopicInfo> {
    this.#assert('describeTopic');
    return this.#log.topic(topic).info;
  }

  async append(topicName: string, records: readonly NewRecord[]): Promise<readonly Position[]> {
    this.#assert('append');
    const topic = this.#log.topic(topicName);
    for (const record of records) recordBytes(record);
    if (records.length === 0) return [];
    const answer = this.#log.options.store.append(topic, records);
    this.#answers.add(answer);
    try {
      const positions = await answer;
      const fault = this.#fault('answer');
      if (fault !== undefined) throw fault;
      return positions;
    } finally {
      this.#answers.delete(answer);
    }
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.#assert('subscribe');
    assertName('group', options.group);
    assertName('member', options.member);
    const topics = options.topics.map((name) => this.#log.topic(name));
    const counts = new Set(topics.map((topic) => topic.info.partitions));
    if (counts.size !== 1) {
      const had = topics.map((topic) => `${topic.info.name} has ${topic.info.partitions}`).join(', ');
      const right = 'topics that are read together have the same number of partitions';
      throw new TailraceError('invalid_config', `${right}; ${had || 'no topic is named'}`);
    }
    const group = this.#log.group(options.group, topics);
    const delivery: Delivery = new Delivery({ ...this.#log.options, batchBytesMax }, topics, options, {
      blocked: () => (this.#state === 'cut' ? this.#cutError() : this.#fault('deliver')),
      leave: () => this.#forget(delivery, group),
    });
    this.#members.set(delivery, group);
    this.#log.addSubscriber(delivery);
    group.join(delivery);
    return delivery;
  }

  read(topicName: string, partition: number, range: ReadRange): AsyncIterable<readonly LogRecord[]> {
    // The end is that at the time of the call; a fault is met at the first step, as with every asynchronous iterable.
    let topic: StoredTopic | undefined;
    let fault: unknown;
    try {
      topic = this.#partitionOf(topicName, partition);
    } catch (thrown) {
      fault = thrown;
    }
    if (topic === undefined) return rejecting(fault);
    const end = topic.partitions[partition]!.next;
    return this.#read(topic, partition, { ...range, until: Math.min(range.until ?? end, end) });
  }

  async bounds(topicName: string, partitions?: readonly number[]): Promise<readonly PartitionBounds[]> {
    this.#assert('bounds');
    return ofPartitions(this.#log.topic(topicName), partitions, ({ first, next }) => ({ first, next }));
  }

  async ends(topicName: string, _waitMs: number): Promise<readonly number[]> {
    this.#assert('bounds');
    return this.#log.topic(topicName).partitions.map(({ next }) => next);
  }

  async positionsAt(topicName: string, timeMs: number, partitions?: readonly number[]): Promise<readonly number[]> {
    this.#assert('positionsAt');
    const topic = this.#log.topic(topicName);
    const { store } = this.#log.options;
    return ofPartitions(topic, partitions, (_, partition) => store.positionAt(topic, partition, timeMs));
  }

  async lag(group: string, topicName: string): Promise<readonly number[]> {
    this.#assert('lag');
    const topic = this.#log.topic(topicName);
    return topic.partitions.map(({ first, next }, partition) => {
      const committed = this.#log.options.store.committed(group, topicName, partition) ?? first;
      return Math.max(0, next - Math.max(first, committed));
    });
  }

  /** Deletes the records of a partition before `first`, as retention does; its last record stays. */
  async forget(topicName: string, partition: number, first: number): Promise<void> {
    const topic = this.#partitionOf(topicName, partition);
    if (topic.spec.compacted === true) {
      throw new TailraceError('conflict', `topic ${topicName} is compacted: it keeps the last record of every key`);
    }
    await this.#log.options.store.forget(topic, partition, first);
  }

  /** As if the process died: no call comes any more, and the groups notice after `sessionMs`. */
  crash(sessionMs: number): void {
    this.#state = 'closed';
    this.#session?.cancel();
    const members = [...this.#members];
    for (const [delivery] of members) delivery.kill();
    this.#log.options.clock.after(sessionMs, () => {
      for (const [delivery, group] of members) this.#forget(delivery, group);
    });
  }

  /** As if the network were cut: calls are `unavailable`; after `sessionMs` others have the partitions, which nobody tells here. */
  cutOff(sessionMs: number): void {
    if (this.#state !== 'open') return;
    this.#state = 'cut';
    this.#session = this.#log.options.clock.after(sessionMs, () => {
      for (const [delivery, group] of this.#members) {
        this.#expelled.add(delivery);
        delivery.expel();
        group.leave(delivery);
      }
    });
  }

  /** The end of `cutOff`. Members that were expelled meanwhile lose what they had, and join again. */
  reconnect(): void {
    if (this.#state !== 'cut') return;
    this.#state = 'open';
    this.#session?.cancel();
    for (const [delivery, group] of this.#members) {
      if (this.#expelled.delete(delivery)) group.rejoin(delivery);
      delivery.resume();
    }
  }

  async *#read(
    topic: StoredTopic,
    partition: number,
    { from, until, background }: ReadRange & { readonly until: number },
  ): AsyncGenerator<LogRecord[]> {
    const { store, schedule } = this.#log.options;
    const limits = background
      ? { recordsMax: backgroundRecordsMax, bytesMax: backgroundBytesMax }
      : { recordsMax: readRecordsMax, bytesMax: readBytesMax };
    let seq = Math.max(0, from);
    while (seq < until) {
      this.#assert('read');
      const records = store.slice(topic, partition, { from: seq, until, ...limits });
      if (records.length === 0) return;
      yield records;
      seq = records[records.length - 1]!.seq + 1;
      // A long range must not keep the process from its sockets.
      if (seq < until) await new Promise<void>((resolve) => schedule(resolve));
    }
  }

  #forget(delivery: Delivery, group: Group): void {
    this.#members.delete(delivery);
    this.#expelled.delete(delivery);
    this.#log.removeSubscriber(delivery);
    group.leave(delivery);
  }

  #partitionOf(topicName: string, partition: number): StoredTopic {
    this.#assert('read');
    const topic = this.#log.topic(topicName);
    if (topic.partitions[partition] !== undefined) return topic;
    const has = `topic ${topicName} has partitions 0 to ${topic.info.partitions - 1}`;
    throw new TailraceError('not_found', `${has}, not ${shown(partition)}`);
  }

  #cutError(): TailraceError {
    return new TailraceError('unavailable', 'the log cannot be reached: the connection is cut');
  }

  #assert(operation: LocalOperation): void {
    if (this.#state === 'cut') throw this.#cutError();
    if (this.#state !== 'open') {
      const why = this.#state === 'new' ? 'the log is not started: call start first' : 'the log is closed';
      throw new TailraceError('closed', why);
    }
    const fault = this.#fault(operation);
    if (fault !== undefined) throw fault;
  }
}

/** By partition number, with holes where it is not asked for. */
function ofPartitions<T>(
  { partitions }: StoredTopic,
  only: readonly number[] | undefined,
  look: (ends: PartitionEnds, partition: number) => T,
): T[] {
  const found: T[] = [];
  for (const partition of only ?? partitions.keys()) {
    const ends = partitions[partition];
    if (ends !== undefined) found[partition] = look(ends, partition);
  }
  return found;
}

function rejecting(thrown: unknown): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(thrown) }) };
}
