import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Reading } from '@tailrace/protocol/reading';
import type { Report } from '@tailrace/protocol/report';
import type { RuleWrite } from '../commands/command-executor.ts';
import type { WriteResult } from '../read-back.ts';
import type { Sample } from '../sample.ts';
import type { Rule, RuleAction } from './rule.ts';

export interface RuleActionsOptions {
  readonly put: (report: Omit<Report, 'id'>) => void;
  /** Never rejects. */
  readonly write: (write: RuleWrite) => Promise<WriteResult>;
  readonly clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly logger: Logger;
}

/** Least time between two writes of an action, ms: a value that swings about its limit must not wear out a machine. */
const writeEveryMs = 1_000;

/** A write of a rule. */
interface WriteState {
  readonly action: Extract<RuleAction, { write: object }>;
  /** Whether the rule has become active, and nothing was written since. */
  isDue: boolean;
  isWriting: boolean;
  /** When it was written last, monotonic ms. */
  writtenMs: number;
  timer: Timer | undefined;
}

/**
 * Does what a rule names when its threshold is crossed. An event is a report of the device with the reading
 * `<event> = true`, and `false` when the rule is clear again. A value is written only when the rule becomes active. If
 * that is less than a second after it was written before, it is written at the end of the second, unless the rule is
 * clear by then.
 */
export class RuleActions {
  readonly #options: RuleActionsOptions;
  readonly #writes = new Map<RuleAction, WriteState>();

  constructor(options: RuleActionsOptions) {
    this.#options = options;
  }

  changed(rule: Rule, isActive: boolean, sample: Sample): void {
    for (const action of rule.actions) {
      if ('event' in action) this.#event(rule, action.event, action.severity, isActive, sample);
      else {
        const state = this.#stateOf(action);
        state.isDue = isActive;
        this.#writeNext(state);
      }
    }
  }

  /** Writes nothing any more that was delayed. */
  stop(): void {
    for (const state of this.#writes.values()) {
      state.isDue = false;
      state.timer?.cancel();
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

  #stateOf(action: WriteState['action']): WriteState {
    const known = this.#writes.get(action);
    if (known !== undefined) return known;
    const writtenMs = Number.NEGATIVE_INFINITY;
    const state: WriteState = { action, isDue: false, isWriting: false, writtenMs, timer: undefined };
    this.#writes.set(action, state);
    return state;
  }

  #writeNext(state: WriteState): void {
    const { clock, logger } = this.#options;
    state.timer?.cancel();
    if (!state.isDue || state.isWriting) return;
    const waitMs = state.writtenMs + writeEveryMs - clock.monotonic();
    if (waitMs <= 0) {
      void this.#write(state);
      return;
    }
    logger.warn({ ...state.action.write, waitMs }, 'a rule writes too often; the write waits');
    state.timer = clock.after(waitMs, () => this.#writeNext(state));
  }

  async #write(state: WriteState): Promise<void> {
    const { write, clock, logger } = this.#options;
    const { device, tag, value } = state.action.write;
    state.isWriting = true;
    let isStarted = false;
    const start = () => {
      isStarted = state.isDue;
      if (isStarted) state.writtenMs = clock.monotonic();
      // It is due again when the rule has been clear.
      state.isDue = false;
      return isStarted;
    };
    const result = await write({ device, tag, value, isSafety: state.action.safety, start });
    state.isWriting = false;
    const level = result.state === 'done' ? 'info' : 'warn';
    logger[level]({ device, tag, value, ...result }, `write of a rule: ${result.state}`);
    if (isStarted) this.#writeNext(state);
    else state.isDue = false;
  }
}
