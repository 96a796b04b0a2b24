import type { tailrace } from '@tailrace/protocol/generated';
import { tailrace as generated } from '@tailrace/protocol/generated';
import type { AlarmNotice, NoticeValue } from './alarm-notice.ts';

const { AlarmState, AlarmCause } = generated.v1;

/** Returns a transition of the log as a notification has it. A state or cause of a later version is a number. */
export function noticeFrom(transition: tailrace.v1.AlarmTransition): AlarmNotice {
  const { id, alarm, rule, ruleVersion, device, number, time, activated, priority, context } = transition;
  const { limit, alarmClass, tag, limitValue, by, note, until, firstOut, message } = transition;
  const optional = {
    previous: wordOf(AlarmState, 'ALARM_STATE_', transition.previous),
    cause: wordOf(AlarmCause, 'ALARM_CAUSE_', transition.cause),
    value: plainValue(transition.value),
    context: context.map(({ tag: name, value, unit }) => ({
      tag: name!,
      ...present({ value: plainValue(value), unit }),
    })),
    ...{ ruleVersion, activated, priority, limit, alarmClass, tag, limitValue, by, note, until, firstOut, message },
  };
  return {
    ...{ id, alarm, rule, device, number: Number(number), time },
    state: wordOf(AlarmState, 'ALARM_STATE_', transition.state) ?? 'unknown',
    ...present(optional),
  };
}

/** Leaves out what proto3 does not distinguish from an absent field, except for values. */
function present(fields: Readonly<Record<string, unknown>>): Partial<AlarmNotice> {
  const isPresent = (name: string, value: unknown) =>
    value !== undefined &&
    value !== null &&
    (name === 'value' || name === 'limitValue' || (value !== '' && value !== 0 && value !== false)) &&
    !(Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => isPresent(name, value)));
}

function plainValue(value: tailrace.v1.ICommandValue | null | undefined): NoticeValue | undefined {
  return value?.number ?? value?.boolean ?? value?.text ?? undefined;
}

/** Returns `returned_unacknowledged` of ALARM_STATE_RETURNED_UNACKNOWLEDGED; undefined for the unspecified one. */
function wordOf(names: object, prefix: string, number: number): string | undefined {
  if (number === 0) return undefined;
  const name = (names as Readonly<Record<number, string>>)[number];
  return name === undefined ? String(number) : name.slice(prefix.length).toLowerCase();
}
