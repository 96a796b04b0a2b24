import { type AlarmNames, alarmOf } from './alarm-output.ts';
import type { AlarmPoint } from './alarm-point.ts';
import type { AlarmAction, AlarmActionRefused } from './lifecycle/alarm-transition.ts';

/** Actions that are recognized when they are read again. Control sends each one again until the log has taken it. */
const actionsKnownMax = 16;

/** The last actions that were applied or refused. */
export class KnownActions {
  readonly #ids: string[];

  constructor(ids: readonly string[] = []) {
    this.#ids = [...ids];
  }

  has(id: string): boolean {
    return this.#ids.includes(id);
  }

  add(id: string): void {
    if (this.has(id)) return;
    this.#ids.push(id);
    if (this.#ids.length > actionsKnownMax) this.#ids.shift();
  }

  /** Oldest first. */
  state(): readonly string[] {
    return [...this.#ids];
  }
}

/** Returns why an action does not fit the alarm that there is now; undefined if it does. */
export function mismatchOf(
  { kind, alarm, number }: AlarmAction,
  point: AlarmPoint,
  names: AlarmNames,
): Pick<AlarmActionRefused, 'code' | 'message'> | undefined {
  const present = alarmOf(point.id, point.activatedSeq, names);
  if (alarm !== '' && alarm !== present)
    return { code: 'conflict', message: `${kind}: expected the present alarm ${present}, got ${alarm}` };
  if (number !== 0 && number !== point.number)
    return {
      code: 'conflict',
      message: `${kind}: expected the last transition ${point.number} of the alarm, got ${number}`,
    };
  return undefined;
}
