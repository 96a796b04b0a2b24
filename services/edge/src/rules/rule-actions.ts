import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Reading } from '@tailrace/protocol/reading';
import type { Report } from '@tailrace/protocol/report';
import type { WriteResult } from '../read-back.ts';
import type { Sample, Value } from '../sample.ts';
import type { Rule } from './rule.ts';

export interface RuleActionsOptions {
  readonly put: (report: Omit<Report, 'id'>) => void;
  readonly write: (device: string, tag: string, value: Value, isSafety: boolean) => Promise<WriteResult>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly logger: Logger;
}

/** Least time between two writes of a rule, ms: a value that swings about its limit must not wear out a machine. */
const writeEveryMs = 1_000;

/**
 * Does what a rule names when its threshold is crossed. An event is a report of the device with the reading
 * `<event> = true`, and `false` when the rule is clear again. A value is written only when the rule becomes active.
 */
export class RuleActions {
  readonly #options: RuleActionsOptions;
  readonly #writtenMs = new Map<Rule, number>();

  constructor(options: RuleActionsOptions) {
    this.#options = options;
  }

  changed(rule: Rule, isActive: boolean, sample: Sample): void {
    for (const action of rule.actions) {
      if ('event' in action) this.#event(rule, action.event, action.severity, isActive, sample);
      else if (isActive) this.#write(rule, action.write, action.safety);
    }
  }

  #event(rule: Rule, event: string, severity: string | undefined, isActive: boolean, sample: Sample): void {
    const { put, logger } = this.#options;
    const { device, tag } = rule.when;
    const readings: Reading[] = [{ tag: event, value: isActive }];
    if (severity !== undefined) readings.push({ tag: `${event}_severity`, value: severity });
    logger.info({ device, tag, event, severity, value: sample.value }, `the rule is ${isActive ? 'active' : 'clear'}`);
    put({ device, time: sample.time, readings });
  }

  #write(rule: Rule, { device, tag, value }: { device: string; tag: string; value: Value }, isSafety: boolean): void {
    const { clock, write, logger } = this.#options;
    const nowMs = clock.monotonic();
    const writtenMs = this.#writtenMs.get(rule) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - writtenMs < writeEveryMs) {
      logger.warn({ device, tag, value }, 'a rule writes too often; the write is left out');
      return;
    }
    this.#writtenMs.set(rule, nowMs);
    void write(device, tag, value, isSafety).then((result) => {
      logger.info({ device, tag, value, ...result }, `a rule has written: ${result.state}`);
    });
  }
}
