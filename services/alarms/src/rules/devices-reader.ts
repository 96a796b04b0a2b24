import { devicesTopicSpec } from '@tailrace/eventlog/alarm-topics';
import type { EventLog, LogRecord } from '@tailrace/eventlog/event-log';
import { TopicPoller } from '@tailrace/eventlog/topic-poller';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { attributesFromText } from '@tailrace/rules/device-attributes';
import type { RuleSet } from './rule-set.ts';

/** Changed labels are in force at the latest after this time and one read, ms. */
const pollMs = 500;
const warningEveryMs = 60_000;

export interface DevicesReaderOptions {
  readonly eventLog: Pick<EventLog, 'ensureTopic' | 'describeTopic' | 'read' | 'bounds'>;
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rules: RuleSet;
  /** Called when a device has other rules. */
  readonly onChange: () => void;
}

/**
 * Follows the topic of the kind and labels of devices, into which control writes them, as `RulesReader` follows that of
 * the rules. A record that cannot be read is counted, and the attributes before it stay.
 */
export class DevicesReader {
  readonly counts = { read: 0, invalid: 0 };
  readonly poller: TopicPoller;
  readonly #onInvalid: LimitedWarning;
  /** Of the read in progress, by path; undefined: a tombstone. */
  #changes = new Map<string, string | undefined>();
  #isWhole = false;

  constructor({ eventLog, topic, clock, logger, rules, onChange }: DevicesReaderOptions) {
    const sentence = 'a record of the topic of devices has no kind and labels; skipped';
    this.#onInvalid = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.poller = new TopicPoller({
      ...{ eventLog, spec: devicesTopicSpec(topic), what: 'the topic of devices', clock, logger, pollMs },
      onRecords: (records) => {
        for (const record of records) this.#take(record);
      },
      onRestart: () => {
        this.#changes = new Map();
        this.#isWhole = true;
      },
      onEnd: () => {
        const changes = this.#changes;
        if (this.#isWhole) for (const path of rules.devices.paths) if (!changes.has(path)) changes.set(path, undefined);
        this.#isWhole = false;
        this.#changes = new Map();
        if (changes.size > 0 && rules.setAttributes(changes)) onChange();
      },
    });
  }

  /** Reads all of it. Rejects as `TopicPoller.start` does. */
  start(): Promise<void> {
    return this.poller.start();
  }

  stop(): void {
    this.poller.stop();
  }

  #take({ key, value, seq, unreadable, emptyUntil }: LogRecord): void {
    if (emptyUntil !== undefined) return;
    if (unreadable === undefined && value.length === 0) {
      this.#changes.set(key, undefined);
      return;
    }
    try {
      if (unreadable !== undefined) throw unreadable;
      const text = new TextDecoder().decode(value);
      attributesFromText(text);
      this.#changes.set(key, text);
      this.counts.read++;
    } catch (thrown) {
      this.counts.invalid++;
      const { message } = tailraceErrorFrom(thrown);
      this.#onInvalid.write(() => ({ seq, device: key, reason: message }));
    }
  }
}
