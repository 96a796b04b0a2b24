import type { TopicSpec } from './event-log.ts';

/** A day: of an older session, only its close matters, which is at most as old as what clients still show. */
const retentionMs = 24 * 3_600_000;
/** Of a partition: some half a million events. A node that takes over the partition reads all of them. */
const retentionBytes = 33_554_432;

/**
 * Returns the topic of the events of devices, such as the start and the close of their sessions. It has as many
 * partitions as the telemetry topic, so that the owner of a partition reads the events of its devices.
 */
export function eventsTopicSpec(name: string, partitions: number): TopicSpec {
  return { name, partitions, retentionMs, retentionBytes };
}
