import type { AlarmAction, AlarmActionRefused, AlarmCause, AlarmState } from './alarm-transition.ts';

/**
 * The life cycle of the alarm of one rule at one device, after ISA-18.2 and IEC 62682; OPC UA Part 9, 5.8 has the same
 * states as independent variables.
 *
 * Below is the alarm itself, `base`:
 *
 *   normal ──raise──▶ unacknowledged ──acknowledge──▶ acknowledged ──return──▶ normal, or latched
 *                          │    ▲                        │                       latched ──reset──▶ normal
 *                        return └── re-alarm, worse limit┘
 *                          ▼
 *                 returned_unacknowledged ──acknowledge──▶ normal, or latched
 *
 * - An alarm that is raised again while it is returned or latched is a new activation: unacknowledged.
 * - Above `base`, the first of these that holds is the state that people see: out of service, shelved, suppressed.
 *   While one holds the condition is still evaluated, and changes `base` without a transition.
 * - A condition that goes while it is hidden leaves nothing to acknowledge: normal, or latched.
 * - After a shelf that a person removes, an alarm whose condition holds is acknowledged, since the person knows of it.
 *   Of a class with two steps it is what it was: one person alone must not acknowledge it this way.
 *   After one that expires, and after a return to service, it is unacknowledged.
 * - After a suppression it is what it was: unacknowledged, unless a person has acknowledged this activation before.
 */
export type BaseState = 'normal' | 'unacknowledged' | 'acknowledged' | 'returned_unacknowledged' | 'latched';

export interface LifeCycleRules {
  readonly latched: boolean;
  readonly noteRequired: boolean;
  readonly twoStep: boolean;
  readonly shelfMsMax: number;
  /** Undefined: never. */
  readonly reAlarmMs: number | undefined;
  readonly escalation: readonly { readonly afterMs: number; readonly priority: number }[];
}

/** The state as plain data. Times are epoch ms by the clock of ingest or control, which are one for this purpose. */
export interface LifeCycleState {
  base: BaseState;
  isSuppressed: boolean;
  isOutOfService: boolean;
  /** When the shelf expires; 0: none. */
  shelvedUntil: number;
  /** Who has acknowledged first, of two people; empty: no person. */
  firstBy: string;
  /** When people have seen the present `base` first; escalation and re-alarm count from here. */
  sinceMs: number;
  /** Number of escalations since then. */
  escalated: number;
}

export function initialLifeCycle(): LifeCycleState {
  return {
    base: 'normal',
    isSuppressed: false,
    isOutOfService: false,
    shelvedUntil: 0,
    firstBy: '',
    sinceMs: 0,
    escalated: 0,
  };
}

/** The state that people see. */
export function stateOf(life: LifeCycleState): AlarmState {
  if (life.isOutOfService) return 'out_of_service';
  if (life.shelvedUntil > 0) return 'shelved';
  if (life.isSuppressed) return 'suppressed';
  return life.base;
}

export function isHidden(life: LifeCycleState): boolean {
  return life.isOutOfService || life.shelvedUntil > 0 || life.isSuppressed;
}

/** The condition has become true: a new activation. Returns the cause of a transition; undefined: there is none. */
export function raise(life: LifeCycleState, atMs: number): AlarmCause | undefined {
  enter(life, 'unacknowledged', atMs);
  return isHidden(life) ? undefined : 'raised';
}

/** Another limit of the same activation holds. A worse one must be acknowledged again. */
export function changeLimit(life: LifeCycleState, isWorse: boolean, atMs: number): AlarmCause | undefined {
  if (isWorse) {
    life.firstBy = '';
    if (life.base === 'acknowledged') enter(life, 'unacknowledged', atMs);
  }
  return isHidden(life) ? undefined : 'limit_changed';
}

/** The condition has gone. */
export function returnToNormal(life: LifeCycleState, rules: LifeCycleRules, atMs: number): AlarmCause | undefined {
  const hidden = isHidden(life);
  enter(life, life.base === 'unacknowledged' && !hidden ? 'returned_unacknowledged' : settled(rules), atMs);
  return hidden ? undefined : 'returned';
}

/** The rule was removed, or its new version does not have the condition. */
export function changeRule(life: LifeCycleState, atMs: number): AlarmCause | undefined {
  const hidden = isHidden(life);
  enter(life, 'normal', atMs);
  return hidden ? undefined : 'rule_changed';
}

/** Returns whether the state that people see has changed. */
export function suppress(life: LifeCycleState, isSuppressed: boolean, atMs: number): AlarmCause | undefined {
  if (life.isSuppressed === isSuppressed) return undefined;
  const before = stateOf(life);
  life.isSuppressed = isSuppressed;
  if (stateOf(life) === before) return undefined;
  if (!isSuppressed) show(life, atMs);
  return isSuppressed ? 'suppressed' : 'unsuppressed';
}

/** When `lifeCycleTimer` has something to do; infinite: never. */
export function lifeCycleDueMs(life: LifeCycleState, rules: LifeCycleRules): number {
  if (life.shelvedUntil > 0) return life.shelvedUntil;
  if (isHidden(life)) return Number.POSITIVE_INFINITY;
  if (life.base === 'acknowledged') return life.sinceMs + (rules.reAlarmMs ?? Number.POSITIVE_INFINITY);
  const step = rules.escalation[life.escalated];
  return life.base === 'unacknowledged' && step !== undefined ? life.sinceMs + step.afterMs : Number.POSITIVE_INFINITY;
}

/** The time `lifeCycleDueMs` has come. */
export function lifeCycleTimer(life: LifeCycleState, atMs: number): AlarmCause {
  if (life.shelvedUntil > 0) {
    life.shelvedUntil = 0;
    if (life.base === 'acknowledged') life.base = 'unacknowledged';
    show(life, atMs);
    return 'shelf_expired';
  }
  if (life.base === 'acknowledged') {
    enter(life, 'unacknowledged', atMs);
    return 'realarmed';
  }
  life.escalated++;
  return 'escalated';
}

export type Refusal = Pick<AlarmActionRefused, 'code' | 'message'>;

/** Applies what a person does, whose view is current. Returns the cause of the transition, or a refusal. */
export function act(life: LifeCycleState, rules: LifeCycleRules, action: AlarmAction): AlarmCause | Refusal {
  switch (action.kind) {
    case 'acknowledge':
      return acknowledge(life, rules, action);
    case 'shelve':
      return shelve(life, rules, action);
    case 'unshelve':
      if (life.isOutOfService || life.shelvedUntil === 0) return unexpected(life, action, 'shelved');
      life.shelvedUntil = 0;
      if (!rules.twoStep) {
        if (life.base === 'unacknowledged') life.base = 'acknowledged';
        else if (life.base === 'returned_unacknowledged') life.base = settled(rules);
      }
      show(life, action.time);
      return 'unshelved';
    case 'reset':
      if (stateOf(life) !== 'latched') return unexpected(life, action, 'latched');
      enter(life, 'normal', action.time);
      return 'reset';
    case 'remove_from_service':
      if (life.isOutOfService) return unexpected(life, action, 'any other state');
      if (action.note === '') return noteless(action, 'why it is removed');
      life.isOutOfService = true;
      life.shelvedUntil = 0;
      return 'removed_from_service';
    case 'return_to_service':
      if (!life.isOutOfService) return unexpected(life, action, 'out_of_service');
      life.isOutOfService = false;
      if (life.base === 'acknowledged') life.base = 'unacknowledged';
      show(life, action.time);
      return 'returned_to_service';
  }
}

function acknowledge(life: LifeCycleState, rules: LifeCycleRules, action: AlarmAction): AlarmCause | Refusal {
  const state = stateOf(life);
  if (state !== 'unacknowledged' && state !== 'returned_unacknowledged')
    return unexpected(life, action, 'unacknowledged or returned_unacknowledged');
  if (rules.noteRequired && action.note === '') return noteless(action, 'as the class of the alarm requires');
  if (rules.twoStep && life.firstBy === '') {
    life.firstBy = action.by;
    return 'acknowledged';
  }
  if (rules.twoStep && life.firstBy === action.by)
    return { code: 'conflict', message: `acknowledge: expected a second person, got ${action.by} again` };
  enter(life, state === 'unacknowledged' ? 'acknowledged' : settled(rules), action.time);
  return 'acknowledged';
}

function shelve(life: LifeCycleState, rules: LifeCycleRules, action: AlarmAction): AlarmCause | Refusal {
  const { until = 0, time } = action;
  if (life.isOutOfService) return unexpected(life, action, 'any other state');
  if (action.note === '') return noteless(action, 'the reason');
  if (!(until > time && until - time <= rules.shelfMsMax)) {
    return {
      code: 'invalid_message',
      message: `shelve: expected a time of at most ${rules.shelfMsMax} ms from now, got ${until - time} ms`,
    };
  }
  life.shelvedUntil = until;
  return 'shelved';
}

function unexpected(life: LifeCycleState, { kind }: AlarmAction, expected: string): Refusal {
  return { code: 'conflict', message: `${kind}: expected an alarm that is ${expected}, got ${stateOf(life)}` };
}

function noteless({ kind }: AlarmAction, why: string): Refusal {
  return { code: 'invalid_message', message: `${kind}: expected a note, ${why}, got none` };
}

/** The state of an alarm whose condition has gone, and that needs no acknowledgement. */
function settled(rules: LifeCycleRules): BaseState {
  return rules.latched ? 'latched' : 'normal';
}

function enter(life: LifeCycleState, base: BaseState, atMs: number): void {
  life.base = base;
  life.firstBy = '';
  life.escalated = 0;
  life.sinceMs = atMs;
}

/** People see `base` again. */
function show(life: LifeCycleState, atMs: number): void {
  life.firstBy = '';
  life.escalated = 0;
  life.sinceMs = atMs;
}
