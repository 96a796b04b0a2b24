import { rulesTopicSpec } from '@tailrace/eventlog/alarm-topics';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import { ruleFromBytes } from '@tailrace/rules/rule';
import type { RuleSet } from './rule-set.ts';
import { TopicReader, type TopicReaderOptions } from './topic-reader.ts';

/**
 * Returns the reader of the topic of rules. All rules of one read are in force at once. After a record that is no rule
 * the version before it stays in force: a rule must not end an alarm because a program has written it badly. `onChange`
 * is called when rules have changed.
 */
export function createRulesReader(options: TopicReaderOptions, rules: RuleSet, onChange: () => void): TopicReader {
  let read = new Map<string, CompiledRule>();
  return new TopicReader(options, {
    ...{ spec: rulesTopicSpec(options.topic), what: 'the topic of rules', keyName: 'rule' },
    invalid: 'a record of the topic of rules is no rule; skipped',
    onRecord(key, value) {
      const rule = ruleFromBytes(value);
      if (rule.id !== key)
        throw new TailraceError('invalid_rule', `id: expected ${shown(key)}, the key of its record, got ${rule.id}`);
      read.set(key, new CompiledRule(rule));
    },
    onTombstone: (key) => void read.delete(key),
    onRestart() {
      read = new Map();
    },
    onEnd() {
      if (rules.replace(read)) onChange();
    },
  });
}
