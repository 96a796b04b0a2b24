/** A value of a tag. */
export type NoticeValue = number | boolean | string;

/**
 * A transition of an alarm, as a notification has it: the fields of AlarmTransition (alarm.proto) under the same names,
 * with states and causes as lower-case words. Fields that are empty are absent.
 */
export interface AlarmNotice {
  /** Of the transition: the same at each attempt, and for each target. */
  readonly id: string;
  /** Of the activation: the same from one raise to the next. */
  readonly alarm: string;
  readonly rule: string;
  readonly ruleVersion?: number;
  readonly device: string;
  /** Rises by one with each transition of the rule at the device. */
  readonly number: number;
  readonly state: string;
  readonly previous?: string;
  readonly cause?: string;
  /** LL, L, H or HH. */
  readonly limit?: string;
  /** 1 is the highest, 5 the lowest. */
  readonly priority?: number;
  readonly alarmClass?: string;
  /** Epoch ms. */
  readonly time: number;
  /** Epoch ms; absent: `time`. */
  readonly activated?: number;
  readonly tag?: string;
  readonly value?: NoticeValue;
  readonly limitValue?: number;
  readonly context?: readonly { readonly tag: string; readonly value?: NoticeValue; readonly unit?: string }[];
  readonly by?: string;
  readonly note?: string;
  /** Of a shelf, epoch ms. */
  readonly until?: number;
  readonly firstOut?: boolean;
  readonly message?: string;
}

/** Of an alarm without one. */
export const lowestPriority = 5;

const activeStates: ReadonlySet<string> = new Set(['unacknowledged', 'acknowledged']);

/** Whether the condition of the alarm holds, and no person and no other alarm has put it aside. */
export function isActive({ state }: Pick<AlarmNotice, 'state'>): boolean {
  return activeStates.has(state);
}

/** Returns one sentence for a subject or a summary, without control characters: `press7 pressure HH 9.1 (limit 9)`. */
export function summaryOf({ device, rule, tag, limit, value, limitValue, message }: AlarmNotice): string {
  const what = message ?? [tag ?? rule, limit].filter((part) => part !== undefined).join(' ');
  const measured = value === undefined ? '' : ` ${value}${limitValue === undefined ? '' : ` (limit ${limitValue})`}`;
  return plainLine(`${device}: ${what}${measured}`);
}

const lineCharactersMax = 200;

/** Returns the text as one line of at most 200 characters. */
export function plainLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they would end a header.
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return line.length <= lineCharactersMax ? line : `${line.slice(0, lineCharactersMax - 1)}…`;
}
