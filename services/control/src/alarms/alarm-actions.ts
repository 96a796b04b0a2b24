import { shown, TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { assertDevicePath } from '@tailrace/protocol/path';
import { isPlainText } from '@tailrace/protocol/text';
import { ruleId, ruleLimits } from '@tailrace/rules/rule';
import { entryOf } from '../audit/audit-entry.ts';
import { act, type ControlContext, orRefused } from '../control-context.ts';
import { assertMayCommand, assertRole, type Requester } from '../requester.ts';

const { Event, AlarmActionKind } = tailrace.v1;

export const alarmActionKinds = [
  ...(['acknowledge', 'shelve', 'unshelve', 'reset', 'remove_from_service', 'return_to_service'] as const),
] as const;
export type AlarmActionName = (typeof alarmActionKinds)[number];

const numbers: Readonly<Record<AlarmActionName, number>> = {
  acknowledge: AlarmActionKind.ALARM_ACTION_KIND_ACKNOWLEDGE,
  shelve: AlarmActionKind.ALARM_ACTION_KIND_SHELVE,
  unshelve: AlarmActionKind.ALARM_ACTION_KIND_UNSHELVE,
  reset: AlarmActionKind.ALARM_ACTION_KIND_RESET,
  remove_from_service: AlarmActionKind.ALARM_ACTION_KIND_REMOVE_FROM_SERVICE,
  return_to_service: AlarmActionKind.ALARM_ACTION_KIND_RETURN_TO_SERVICE,
};

const idCharactersMax = 128;

/** What a person does about an alarm. */
export interface AlarmActionRequest {
  readonly device: string;
  readonly rule: string;
  /** The activation that the person has seen; '' for any. */
  readonly alarm: string;
  /** The last transition that the person has seen; 0 for any. */
  readonly number: number;
  readonly kind: string;
  /** Of a shelf, its reason, required. */
  readonly note: string;
  /** Of a shelf, required. */
  readonly forMs: number;
}

/**
 * Accepts what a person does about an alarm: it is in the audit, and on its way to alarms, which answers by a
 * transition with the ID of the action, or refuses it. Resolves with that ID. Rejects with `invalid_message`,
 * `invalid_path`, and `forbidden` (without the right to command the device; to take an alarm out of service or back,
 * without the role `engineer`).
 */
export async function acceptAlarmAction(
  context: ControlContext,
  requester: Requester,
  request: AlarmActionRequest,
): Promise<string> {
  const { device, rule, alarm, number, note, forMs } = request;
  const kind = checkedKind(request);
  const details = { kind, rule, alarm, number, note, forMs };
  const refused = { action: 'alarm.refused', target: device, details };
  return await orRefused(context, requester, refused, async () => {
    assertMayCommand(requester, device);
    if (kind === 'remove_from_service' || kind === 'return_to_service') assertRole(requester, 'engineer');
    const id = context.uniqueId();
    const time = context.clock.now();
    const until = kind === 'shelve' ? { until: time + forMs } : {};
    const { subject: by, traceparent } = requester;
    const alarmAction = { id, device, rule, alarm, number, kind: numbers[kind], by, note, time, ...until };
    const entry = entryOf(requester, { time, action: `alarm.${kind}`, target: device, details: { ...details, id } });
    const value = Event.encode({ alarmAction }).finish();
    const acts = [{ key: device, entry, records: [{ topic: 'events' as const, value, traceparent }] }];
    return await act(context, async () => ({ result: id, acts }));
  });
}

function checkedKind({ device, rule, alarm, number, kind, note, forMs }: AlarmActionRequest): AlarmActionName {
  assertDevicePath(device);
  if (!ruleId.safeParse(rule).success) throw invalid('rule', 'the ID of a rule', rule);
  if (alarm.length > idCharactersMax || !isPlainText(alarm)) throw invalid('alarm', 'the ID of an alarm', alarm);
  if (!Number.isSafeInteger(number) || number < 0) throw invalid('number', 'an integer of 0 or more', number);
  const { noteCharactersMax, shelfMsMax } = ruleLimits;
  if (note.length > noteCharactersMax || !isPlainText(note))
    throw invalid('note', `a text of at most ${noteCharactersMax} characters without control characters`, note);
  const found = alarmActionKinds.find((each) => each === kind);
  if (found === undefined) throw invalid('kind', alarmActionKinds.join(', '), kind);
  if (found !== 'shelve') return found;
  if (note === '') throw invalid('note', 'the reason of a shelf', note);
  if (!(forMs >= 1_000 && forMs <= shelfMsMax)) throw invalid('forMs', `1000 to ${shelfMsMax} for a shelf`, forMs);
  return found;
}

function invalid(field: string, expected: string, value: unknown): TailraceError {
  return new TailraceError('invalid_message', `${field}: expected ${expected}, got ${shown(value)}`);
}
