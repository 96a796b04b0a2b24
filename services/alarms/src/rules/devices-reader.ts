import { devicesTopicSpec } from '@tailrace/eventlog/alarm-topics';
import { attributesFromText } from '@tailrace/rules/device-attributes';
import type { RuleSet } from './rule-set.ts';
import { TopicReader, type TopicReaderOptions } from './topic-reader.ts';

/**
 * Returns the reader of the topic of the kind and labels of devices. `onChange` is called when a device has other
 * rules.
 */
export function createDevicesReader(options: TopicReaderOptions, rules: RuleSet, onChange: () => void): TopicReader {
  /** Of the read in progress, by path; undefined: a tombstone. */
  let changes = new Map<string, string | undefined>();
  let isWhole = false;
  return new TopicReader(options, {
    ...{ spec: devicesTopicSpec(options.topic), what: 'the topic of devices', keyName: 'device' },
    invalid: 'a record of the topic of devices has no kind and labels; skipped',
    onRecord(key, value) {
      const text = new TextDecoder().decode(value);
      attributesFromText(text);
      changes.set(key, text);
    },
    onTombstone: (key) => void changes.set(key, undefined),
    onRestart() {
      changes = new Map();
      isWhole = true;
    },
    onEnd() {
      const read = changes;
      if (isWhole) for (const path of rules.devices.paths) if (!read.has(path)) read.set(path, undefined);
      isWhole = false;
      changes = new Map();
      if (read.size > 0 && rules.setAttributes(read)) onChange();
    },
  });
}
