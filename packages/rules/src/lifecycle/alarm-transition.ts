import type { TagValue } from '../rule-condition.ts';

/** States of ISA-18.2 for one rule at one device; `AlarmState` of alarm.proto describes them. */
export type AlarmState =
  | 'normal'
  | 'unacknowledged'
  | 'acknowledged'
  | 'returned_unacknowledged'
  | 'latched'
  | 'shelved'
  | 'suppressed'
  | 'out_of_service';

/** What has changed the state; `AlarmCause` of alarm.proto describes them. */
export type AlarmCause =
  | 'raised'
  | 'limit_changed'
  | 'returned'
  | 'acknowledged'
  | 'reset'
  | 'shelved'
  | 'unshelved'
  | 'shelf_expired'
  | 'suppressed'
  | 'unsuppressed'
  | 'removed_from_service'
  | 'returned_to_service'
  | 'realarmed'
  | 'escalated'
  | 'rule_changed';

/** What a person does about an alarm; `AlarmActionKind` of alarm.proto. */
export type AlarmActionKind =
  | 'acknowledge'
  | 'shelve'
  | 'unshelve'
  | 'reset'
  | 'remove_from_service'
  | 'return_to_service';

/** What a person does about an alarm. The fields are those of `AlarmAction` of alarm.proto. */
export interface AlarmAction {
  readonly id: string;
  readonly device: string;
  readonly rule: string;
  /** The activation that the person has seen; empty: any. */
  readonly alarm: string;
  /** The last transition that the person has seen; 0: any. */
  readonly number: number;
  readonly kind: AlarmActionKind;
  readonly by: string;
  readonly note: string;
  /** Of a shelf, epoch ms. */
  readonly until?: number;
  /** Epoch ms by the clock of control. */
  readonly time: number;
}

/** A tag's value at the time of a transition. */
export interface AlarmReading {
  readonly tag: string;
  readonly value: TagValue;
  readonly unit: string;
  /** Epoch ms by the clock of the device. */
  readonly time: number;
}

/** One transition of the alarm of a rule at a device. The fields are those of `AlarmTransition` of alarm.proto. */
export interface AlarmTransition {
  readonly id: string;
  readonly alarm: string;
  readonly rule: string;
  readonly ruleVersion: number;
  readonly device: string;
  readonly number: number;
  readonly state: AlarmState;
  readonly previous: AlarmState;
  readonly cause: AlarmCause;
  readonly limit: string;
  readonly priority: number;
  readonly alarmClass: string;
  readonly time: number;
  readonly activated: number;
  readonly epoch: string;
  readonly seq?: number;
  readonly tag: string;
  readonly value?: TagValue;
  readonly limitValue?: number;
  readonly context: readonly AlarmReading[];
  readonly by: string;
  readonly note: string;
  readonly until?: number;
  readonly firstOut: boolean;
  readonly message: string;
  readonly action: string;
}

/** The fields are those of `AlarmActionRefused` of alarm.proto. */
export interface AlarmActionRefused {
  readonly action: string;
  readonly device: string;
  readonly rule: string;
  readonly code: 'not_found' | 'conflict' | 'invalid_message';
  readonly message: string;
}
