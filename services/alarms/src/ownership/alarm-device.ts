import type { tailrace } from '@tailrace/protocol/generated';
import type { DeviceAlarms } from '@tailrace/rules/device-alarms';
import type { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';

/** A device of a partition with its alarms, and what the partition keeps beside them. */
export class AlarmDevice {
  readonly path: string;
  readonly alarms: DeviceAlarms;
  /** Version of the rules that are applied; -1: none yet. */
  rulesVersion = -1;
  /** The rules that are applied; undefined: none yet. */
  rules: readonly CompiledRule[] | undefined;
  /** Whether something was evaluated since the last checkpoint. */
  isChanged = false;
  /** When the partition calls `advance`, epoch ms; infinite: not at all. */
  scheduledMs = Number.POSITIVE_INFINITY;
  /** By rule: the last transition, without what only the next owner needs. */
  readonly last = new Map<string, tailrace.v1.IAlarmTransition>();

  constructor(path: string, alarms: DeviceAlarms) {
    this.path = path;
    this.alarms = alarms;
  }

  /** Takes the last transition of a rule. */
  keep({ point: _, ...transition }: tailrace.v1.IAlarmTransition): void {
    this.last.set(transition.rule ?? '', transition);
  }
}
