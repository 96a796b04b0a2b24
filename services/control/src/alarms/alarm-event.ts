import type { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { tailrace } from '@tailrace/protocol/generated';
import { isDevicePath } from '@tailrace/protocol/path';
import { ruleId } from '@tailrace/rules/rule';
import type { AlarmNotice } from '../notifications/alarm-notice.ts';
import { noticeFrom } from '../notifications/notice-from.ts';

const { Event } = tailrace.v1;

/** A transition as the store has it: its fields as words, and the ID of the action that it answers. */
export type StoredTransition = AlarmNotice & { readonly action?: string };

/** An action of a person that alarms has refused. */
export interface RefusedAction {
  readonly action: string;
  readonly device: string;
  readonly rule: string;
  readonly code: string;
  readonly message: string;
}

/** An event of alarms in the topic of events. */
export type AlarmEvent = { readonly seq: number } & (
  | { readonly kind: 'owner' }
  | { readonly kind: 'transition'; readonly owner: number; readonly transition: StoredTransition }
  | { readonly kind: 'refused'; readonly owner: number; readonly refused: RefusedAction }
);

/** First bytes of an `Event` of alarms: the tags of its fields 5, 7 and 20. A field above 15 has two. */
const transitionTag = (5 << 3) | 2;
const refusedTag = (7 << 3) | 2;
const ownerTags = [((20 << 3) & 0x7f) | 2 | 0x80, (20 << 3) >>> 7] as const;

/**
 * Decodes a record of the topic of events. Undefined: it is not about alarms, as most records. `invalid`: it cannot be
 * decoded, or names no device, no rule or no number.
 */
export function alarmEventFrom(seq: number, bytes: Uint8Array): AlarmEvent | 'invalid' | undefined {
  const [first, second] = bytes;
  const isOwner = first === ownerTags[0] && second === ownerTags[1];
  if (!isOwner && first !== transitionTag && first !== refusedTag) return undefined;
  let event: tailrace.v1.Event;
  try {
    event = Event.decode(bytes);
  } catch {
    return 'invalid';
  }
  const { alarmOwner, alarmTransition, alarmActionRefused } = event;
  if (alarmOwner) return { seq, kind: 'owner' };
  if (alarmTransition) {
    const transition = transitionFrom(alarmTransition as tailrace.v1.AlarmTransition);
    if (transition === undefined) return 'invalid';
    return { seq, kind: 'transition', owner: alarmTransition.owner ?? 0, transition };
  }
  const { action = '', device = '', rule = '', code = '', message = '', owner } = storable(alarmActionRefused ?? {});
  if (!isDevicePath(device) || !action) return 'invalid';
  const refused = { action, device, rule: rule ?? '', code: code ?? '', message: message ?? '' };
  return { seq, kind: 'refused', owner: owner ?? 0, refused };
}

/** Returns transitions, as of checkpoints, as the store has them; those that are invalid are left out. */
export function storedTransitions(transitions: readonly tailrace.v1.IAlarmTransition[]): readonly StoredTransition[] {
  return transitions
    .map((transition) => transitionFrom(transition as tailrace.v1.AlarmTransition))
    .filter((transition) => transition !== undefined);
}

/** Events in the order of the log that count. */
export interface AcceptedEvents {
  readonly transitions: readonly StoredTransition[];
  readonly refused: readonly RefusedAction[];
  /** Events that were written twice, or by a process of alarms that has lost the partition. */
  readonly duplicates: number;
}

/** Returns which events count. `order` has the owner and the numbers before them, and has those after them then. */
export function acceptEvents(events: readonly AlarmEvent[], order: AlarmOrder): AcceptedEvents {
  const transitions: StoredTransition[] = [];
  const refused: RefusedAction[] = [];
  let duplicates = 0;
  for (const event of events) {
    if (event.kind === 'owner') order.takenOver(event.seq);
    else if (event.kind === 'refused') {
      if (order.isOfOwner(event.owner)) refused.push(event.refused);
      else duplicates++;
    } else {
      const { device, rule, number } = event.transition;
      if (order.accepts({ owner: event.owner, device, rule, number })) transitions.push(event.transition);
      else duplicates++;
    }
  }
  return { transitions, refused, duplicates };
}

function transitionFrom(message: tailrace.v1.AlarmTransition): StoredTransition | undefined {
  const notice = storable(noticeFrom(message));
  const { id, device, rule, number } = notice;
  if (id === '' || !isDevicePath(device) || !ruleId.safeParse(rule).success) return undefined;
  if (!Number.isSafeInteger(number) || number < 1 || !Number.isFinite(notice.time)) return undefined;
  return message.action === '' ? notice : { ...notice, action: message.action };
}

/** Returns the value as PostgreSQL and JSON can hold it: texts without NUL and halves of characters, finite numbers. */
function storable<T extends object>(value: T): T {
  const replaced = (_key: string, each: unknown) => {
    if (typeof each === 'string') return each.toWellFormed().replaceAll('\0', '\uFFFD');
    return each === null || (typeof each === 'number' && !Number.isFinite(each)) ? undefined : each;
  };
  return JSON.parse(JSON.stringify(value, replaced)) as T;
}
