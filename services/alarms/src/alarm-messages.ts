import { tailrace } from '@tailrace/protocol/generated';
import type {
  AlarmAction,
  AlarmActionKind,
  AlarmActionRefused,
  AlarmCause,
  AlarmState,
  AlarmTransition,
} from '@tailrace/rules/lifecycle/alarm-transition';

/** What the partition adds to a transition. */
export interface WrittenBy {
  /** Position of the `AlarmOwner` of the writer. */
  readonly owner: number;
  /** State of the rule at the device, for the next owner. */
  readonly point: Uint8Array;
}

const { AlarmState: States, AlarmCause: Causes, AlarmActionKind: Kinds } = tailrace.v1;

const stateNumber = (state: AlarmState) => numberOf(States, `ALARM_STATE_${state.toUpperCase()}`);
const causeNumber = (cause: AlarmCause) => numberOf(Causes, `ALARM_CAUSE_${cause.toUpperCase()}`);

function numberOf<E extends number>(names: Readonly<Record<string, unknown>>, name: string): E {
  return names[name] as E;
}

/** Returns the message of a transition. */
export function transitionMessage(
  transition: AlarmTransition,
  { owner, point }: WrittenBy,
): tailrace.v1.IAlarmTransition {
  const { state, previous, cause, value, context, ...fields } = transition;
  return {
    ...fields,
    state: stateNumber(state),
    previous: stateNumber(previous),
    cause: causeNumber(cause),
    ...(value !== undefined && { value: valueMessage(value) }),
    context: context.map((reading) => ({ ...reading, value: valueMessage(reading.value) })),
    owner,
    point,
  };
}

/** Returns the message of a refusal. */
export function refusalMessage(refused: AlarmActionRefused, owner: number): tailrace.v1.IAlarmActionRefused {
  return { ...refused, owner };
}

/** Returns the action of a message; undefined for a kind of a later version. */
export function actionFrom(message: tailrace.v1.IAlarmAction): AlarmAction | undefined {
  const kind = kindFrom(message.kind ?? Kinds.ALARM_ACTION_KIND_UNSPECIFIED);
  if (kind === undefined) return undefined;
  const { id, device, rule, alarm, number, by, note, until, time } = message;
  return {
    ...{ id: id ?? '', device: device ?? '', rule: rule ?? '', alarm: alarm ?? '', number: number ?? 0 },
    ...{ kind, by: by ?? '', note: note ?? '', time: time ?? 0 },
    ...(until != null && { until }),
  };
}

function kindFrom(number: tailrace.v1.AlarmActionKind): AlarmActionKind | undefined {
  if (number === Kinds.ALARM_ACTION_KIND_UNSPECIFIED) return undefined;
  const name: string | undefined = Kinds[number];
  return name?.replace('ALARM_ACTION_KIND_', '').toLowerCase() as AlarmActionKind | undefined;
}

function valueMessage(value: number | boolean | string): tailrace.v1.ICommandValue {
  switch (typeof value) {
    case 'number':
      return { number: value };
    case 'boolean':
      return { boolean: value };
    default:
      return { text: value };
  }
}
