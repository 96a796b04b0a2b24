import { shown } from '@tailrace/protocol/error';
import { malformed } from './reason.ts';

/** Section 4.7.3. */
export const topicBytesMax = 65_535;

/**
 * Throws MqttError (0x81) unless the text is a topic name: not empty, no wildcard, no U+0000, at most 65,535 bytes
 * (MQTT-4.7.3-1 to -3; MQTT-4.7.1-1 of 3.1.1, MQTT-4.7.0-1 of 5).
 */
export function assertTopicName(topic: string): void {
  if (topic.includes('+') || topic.includes('#')) {
    throw malformed(`topic: expected no wildcard, got ${shown(topic)}`);
  }
  assertLevels(topic, 'topic');
}

/**
 * Throws MqttError (0x81) unless the text is a topic filter: as a name, with `#` as its last level alone
 * (MQTT-4.7.1-2 of 3.1.1, MQTT-4.7.1-1 of 5) and `+` as whole levels (MQTT-4.7.1-3 of 3.1.1, MQTT-4.7.1-2 of 5), and
 * with name and filter behind `$share` (MQTT-4.8.2-1, -2). 3.1.1 knows no `$share`: it is a level as any other.
 */
export function assertTopicFilter(filter: string, version: 4 | 5): void {
  assertLevels(filter, 'topic filter');
  if (filter.includes('+') || filter.includes('#')) {
    const levels = filter.split('/');
    for (const [index, level] of levels.entries()) {
      const isOwnLevel = level === '+' || (level === '#' && index === levels.length - 1);
      if (!isOwnLevel && /[+#]/.test(level)) {
        throw malformed(`topic filter: expected + as a whole level and # as the last one, got ${shown(filter)}`);
      }
    }
  }
  if (version === 5 && isShared(filter) && sharedFilter(filter) === undefined) {
    throw malformed(`topic filter: expected $share/<name>/<filter>, got ${shown(filter)}`);
  }
}

export function isShared(filter: string): boolean {
  return filter.startsWith('$share/') || filter === '$share';
}

/** Returns name and filter of `$share/<name>/<filter>`; undefined if the text has not this form. */
export function sharedFilter(filter: string): { name: string; filter: string } | undefined {
  const match = /^\$share\/([^/+#]+)\/(.+)$/s.exec(filter);
  return match === null ? undefined : { name: match[1]!, filter: match[2]! };
}

/** Returns the filter of a shared subscription. Throws MqttError for a name that is empty or has `/`, `+` or `#`. */
export function sharedFilterOf(name: string, filter: string): string {
  if (!/^[^/+#]+$/.test(name)) {
    throw malformed(`name of a share: expected at least one character, and none of / + #, got ${shown(name)}`);
  }
  assertTopicFilter(filter, 5);
  return `$share/${name}/${filter}`;
}

/**
 * Returns whether a filter matches a topic name, byte by byte and without normalization (MQTT-4.7.3-4). A filter that
 * starts with a wildcard matches no topic that starts with `$` (MQTT-4.7.2-1). Both must have been checked.
 */
export function filterMatches(filter: string, topic: string): boolean {
  let atFilter = 0;
  let atTopic = 0;
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false;
  for (;;) {
    const filterEnd = levelEnd(filter, atFilter);
    const topicEnd = levelEnd(topic, atTopic);
    const level = filter.slice(atFilter, filterEnd);
    if (level === '#') return true;
    if (level !== '+' && level !== topic.slice(atTopic, topicEnd)) return false;
    if (topicEnd === topic.length) {
      // `a/#` matches `a` too (section 4.7.1.2).
      return filterEnd === filter.length || filter.slice(filterEnd) === '/#';
    }
    if (filterEnd === filter.length) return false;
    atFilter = filterEnd + 1;
    atTopic = topicEnd + 1;
  }
}

function levelEnd(text: string, from: number): number {
  const end = text.indexOf('/', from);
  return end < 0 ? text.length : end;
}

function assertLevels(text: string, what: string): void {
  if (text === '') throw malformed(`${what}: expected at least one character, got none`);
  if (text.includes('\0')) throw malformed(`${what}: expected no U+0000`);
  // A character has at most three bytes, or four in two units.
  if (text.length * 3 > topicBytesMax && Buffer.byteLength(text) > topicBytesMax) {
    throw malformed(`${what}: expected at most ${topicBytesMax} bytes, got ${Buffer.byteLength(text)}`);
  }
}
