import { shown, TailraceError } from '@tailrace/protocol/error';
import { pathFromMqttTopic } from '@tailrace/protocol/path';

/** What a device sends on a topic. */
export type TopicKind = 'report' | 'protobuf' | 'tag' | 'presence' | 'reply';

/** A topic of a device. */
export interface DeviceTopic {
  readonly kind: TopicKind;
  /** Device path. */
  readonly path: string;
  /** Of a topic with one value; '' for the others. */
  readonly tag: string;
}

/** More than the longest path and the longest tag have. */
const charactersMax = 1_024;

const forms = '<path>/telemetry, <path>/telemetry/pb, <path>/telemetry/<tag>, <path>/presence or <path>/reply';

/**
 * Returns what a topic is for: `plant1/line2/press7/telemetry` has the reports of `plant1.line2.press7`. Throws
 * `invalid_path` for any other topic.
 */
export function deviceTopicFrom(topic: string): DeviceTopic {
  if (topic.length > charactersMax) throw unknownTopic(topic);
  const lastSlash = topic.lastIndexOf('/');
  const last = topic.slice(lastSlash + 1);
  const rest = lastSlash < 0 ? '' : topic.slice(0, lastSlash);
  switch (last) {
    case 'telemetry':
      return topicOf('report', topic, rest);
    case 'presence':
      return topicOf('presence', topic, rest);
    case 'reply':
      return topicOf('reply', topic, rest);
    default: {
      if (!rest.endsWith('/telemetry') || last === '') throw unknownTopic(topic);
      const path = rest.slice(0, -'/telemetry'.length);
      return last === 'pb' ? topicOf('protobuf', topic, path) : topicOf('tag', topic, path, last);
    }
  }
}

/** Returns the path of a filter `<path>/command`; undefined for any other filter. */
export function commandPathFrom(filter: string): string | undefined {
  const end = '/command';
  if (!filter.endsWith(end)) return undefined;
  try {
    return pathFromMqttTopic(filter.slice(0, -end.length));
  } catch {
    return undefined;
  }
}

function topicOf(kind: TopicKind, topic: string, path: string, tag = ''): DeviceTopic {
  if (path === '') throw unknownTopic(topic);
  return { kind, path: pathFromMqttTopic(path), tag };
}

function unknownTopic(topic: string): TailraceError {
  return new TailraceError('invalid_path', `MQTT topic: expected ${forms}, got ${shown(topic)}`);
}
