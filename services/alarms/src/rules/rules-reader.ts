import { rulesTopicSpec } from '@tailrace/eventlog/alarm-topics';
import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import { TopicPoller } from '@tailrace/eventlog/topic-poller';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { ruleFromBytes } from '@tailrace/rules/rule';
import { CompiledRule } from '../evaluation/compiled-rule.ts';
import type { RuleSet } from './rule-set.ts';

/** A changed rule is in force at the latest after this time and one read, ms. */
const pollMs = 500;
const warningEveryMs = 60_000;

export interface RulesReaderOptions {
  readonly eventLog: Pick<EventLog, 'ensureTopic' | 'describeTopic' | 'read' | 'bounds'>;
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rules: RuleSet;
  /** Called when rules have changed. */
  readonly onChange: () => void;
}

/**
 * Follows the topic of rules, into which control writes what is in its store. The service starts with the rules of the
 * topic, and goes on with them, while the store is away.
 *
 * All rules of one read are in force at once. A record that is no rule is counted, and the version before it stays in
 * force: a rule must not end an alarm because a program has written it badly.
 */
export class RulesReader {
  readonly counts = { read: 0, invalid: 0 };
  readonly poller: TopicPoller;
  readonly #onInvalid: LimitedWarning;
  #read = new Map<string, CompiledRule>();

  constructor({ eventLog, topic, clock, logger, rules, onChange }: RulesReaderOptions) {
    const sentence = 'a record of the topic of rules is no rule; skipped';
    this.#onInvalid = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.poller = new TopicPoller({
      ...{ eventLog, spec: rulesTopicSpec(topic), what: 'the topic of rules', clock, logger, pollMs },
      onRecords: (records) => {
        for (const record of records) this.#take(record);
      },
      onRestart: () => {
        this.#read = new Map();
      },
      onEnd: () => {
        if (rules.replace(this.#read)) onChange();
      },
    });
  }

  /** Reads all rules. Rejects as `TopicPoller.start` does. */
  start(): Promise<void> {
    return this.poller.start();
  }

  stop(): void {
    this.poller.stop();
  }

  #take({ key, value, seq, unreadable, emptyUntil }: LogRecord): void {
    if (emptyUntil !== undefined) return;
    if (unreadable === undefined && value.length === 0) {
      this.#read.delete(key);
      return;
    }
    try {
      if (unreadable !== undefined) throw new TailraceError('invalid_rule', unreadable.message);
      const rule = ruleFromBytes(value);
      if (rule.id !== key) {
        throw new TailraceError('invalid_rule', `id: expected ${shown(key)}, the key of its record, got ${rule.id}`);
      }
      this.#read.set(key, new CompiledRule(rule));
      this.counts.read++;
    } catch (thrown) {
      this.counts.invalid++;
      const { message } = tailraceErrorFrom(thrown);
      this.#onInvalid.write(() => ({ seq, rule: key, reason: message }));
    }
  }
}
