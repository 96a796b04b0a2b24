import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { TopicSpec } from '../event-log.ts';
import { assertSameTopic } from '../topic.ts';
import { Group } from './group.ts';
import type { LocalSource } from './local-source.ts';
import type { Store, StoredTopic } from './store.ts';

export interface LocalLogOptions {
  readonly store: Store;
  readonly clock: Clock;
  schedule(call: () => void): void;
  readonly queueRecordsMax: number;
  /** Most records of one call to a subscriber without a backlog. Default: see `callSize`. */
  readonly callRecordsMax?: number;
  /** See `GroupContext`. Default: 10,000. */
  readonly handoverMs?: number;
}

/** A log within this process on any store: the topics and groups that its connections share. */
export class LocalLog {
  readonly options: LocalLogOptions;
  readonly #groups = new Map<string, Group>();
  readonly #sources = new Map<string, Set<LocalSource>>();
  readonly #creating = new Map<string, Promise<StoredTopic>>();

  constructor(options: LocalLogOptions) {
    this.options = options;
    options.store.onAppended = (topic) => {
      for (const source of this.#sources.get(topic) ?? []) source.wake();
    };
  }

  async ensureTopic(spec: TopicSpec): Promise<StoredTopic> {
    const { store } = this.options;
    const topic = store.topic(spec.name) ?? (await this.#create(spec));
    assertSameTopic(topic.spec, spec);
    const { retentionMs, retentionBytes } = topic.spec;
    if (retentionMs !== spec.retentionMs || retentionBytes !== spec.retentionBytes) await store.retain(topic, spec);
    return topic;
  }

  /** Concurrent calls share one creation. */
  #create(spec: TopicSpec): Promise<StoredTopic> {
    const running = this.#creating.get(spec.name);
    if (running !== undefined) return running;
    const creating = this.options.store.createTopic(spec).finally(() => this.#creating.delete(spec.name));
    this.#creating.set(spec.name, creating);
    return creating;
  }

  topic(name: string): StoredTopic {
    const topic = this.options.store.topic(name);
    if (topic !== undefined) return topic;
    throw new TailraceError('not_found', `topic ${shown(name)} does not exist: create it by ensureTopic`);
  }

  group(name: string, topics: readonly StoredTopic[]): Group {
    const existing = this.#groups.get(name);
    const isSame =
      existing?.topics.length === topics.length && topics.every((topic) => existing.topics.includes(topic));
    if (existing !== undefined && isSame) return existing;
    if (existing !== undefined && !existing.isEmpty) {
      const names = existing.topics.map((topic) => topic.info.name).join(', ');
      const why = `group ${name} reads ${names}: all members of a group must read the same topics`;
      throw new TailraceError('conflict', why);
    }
    const group = new Group(this.options, name, topics);
    this.#groups.set(name, group);
    return group;
  }

  addSource(source: LocalSource, topics: readonly string[]): void {
    for (const topic of topics) {
      const sources = this.#sources.get(topic) ?? new Set();
      this.#sources.set(topic, sources.add(source));
    }
  }

  removeSource(source: LocalSource, topics: readonly string[]): void {
    for (const topic of topics) this.#sources.get(topic)?.delete(source);
  }
}
