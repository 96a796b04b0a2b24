import type { CommandSwitchState } from '@tailrace/eventlog/control-record';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';

export interface CommandSwitchOptions {
  /** The setting `commandsEnabled`: off, whatever operators switch. */
  readonly isEnabled: boolean;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly metrics: Metrics;
}

/** Whether devices receive commands: the setting of this node, and the switch of operators, which all nodes read. */
export class CommandSwitch {
  readonly #options: CommandSwitchOptions;
  #state: CommandSwitchState | undefined;

  constructor(options: CommandSwitchOptions) {
    this.#options = options;
    options.metrics.gauge(
      'tailrace_ingest_disabled_commands',
      '1 while each command is refused, by the setting commandsEnabled or the switch of operators, else 0.',
      () => (this.offReason() === undefined ? 0 : 1),
    );
  }

  /** Takes the state that was read from the control topic. Returns whether commands are off since this call. */
  take(state: CommandSwitchState): boolean {
    const wasOff = this.#state?.isOff === true;
    this.#state = state;
    const { isOff, by, reason } = state;
    if (isOff === wasOff) return false;
    const { logger } = this.#options;
    if (isOff) logger.warn({ by, reason }, 'an operator has turned commands off: each one is refused');
    else logger.info({ by, reason }, 'an operator has turned commands on');
    return isOff;
  }

  /** Returns why commands are refused; undefined if they are not. */
  offReason(): string | undefined {
    if (!this.#options.isEnabled) return 'commands are off on this node (commandsEnabled)';
    if (this.#state?.isOff !== true) return undefined;
    const { by, time, reason } = this.#state;
    const since = `commands are off since ${new Date(time).toISOString()}, by ${by}`;
    return reason === '' ? since : `${since}: ${reason}`;
  }
}
