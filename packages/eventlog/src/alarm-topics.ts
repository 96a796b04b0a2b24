import type { TopicSpec } from './event-log.ts';

/**
 * Returns the topic of the rules of alarms: compacted, of one partition, so that every reader has them in one order.
 * The key is the ID of the rule, the value its JSON, and a tombstone deletes it.
 */
export function rulesTopicSpec(name: string): TopicSpec {
  return { name, partitions: 1, ...keptForever, compacted: true };
}

/**
 * Returns the topic of the kind and the labels of devices, by which rules select them: compacted, of one partition. The
 * key is a device path, the value JSON (`textFromAttributes`), and a tombstone removes them.
 */
export function devicesTopicSpec(name: string): TopicSpec {
  return { name, partitions: 1, ...keptForever, compacted: true };
}

/**
 * Returns the topic of the checkpoints of alarms: compacted, with as many partitions as the telemetry topic. The key is
 * a device path, or that of the whole partition.
 */
export function alarmsTopicSpec(name: string, partitions: number): TopicSpec {
  return { name, partitions, ...keptForever, compacted: true };
}

/** Compaction removes only records with a newer one of the same key. */
const keptForever = { retentionMs: Number.POSITIVE_INFINITY, retentionBytes: Number.POSITIVE_INFINITY };
