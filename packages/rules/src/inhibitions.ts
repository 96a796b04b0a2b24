import type { AlarmPoint } from './alarm-point.ts';
import type { TagValues } from './evaluation/tag-table.ts';

/** Which rules of a device are inhibited: by other alarms, by the states of tags, or by an expression. */
export class Inhibitions {
  /** Those with an inhibition. */
  readonly inhibited: readonly AlarmPoint[];
  readonly #points: readonly AlarmPoint[];
  readonly #values: TagValues;

  constructor(points: readonly AlarmPoint[], values: TagValues) {
    this.#points = points;
    this.#values = values;
    this.inhibited = points.filter(({ inhibition }) => inhibition !== undefined);
  }

  /** Undefined: unknown. A rule that is out of service does not inhibit others. */
  isInhibited(point: AlarmPoint): boolean | undefined {
    const inhibition = point.compiled.inhibition!;
    for (const id of inhibition.alarms) {
      const other = this.#points.find((each) => each.id === id);
      if (other === undefined) continue;
      if (other.conditions.some(({ isActive }) => isActive) && !other.life.isOutOfService) return true;
    }
    return inhibition.holds(this.#values);
  }

  /** Returns the points that this alarm inhibits, and those that they inhibit in turn. */
  inhibitedBy(id: string): readonly AlarmPoint[] {
    const found: AlarmPoint[] = [];
    const search = (inhibiting: string): void => {
      for (const point of this.inhibited) {
        if (!point.compiled.inhibition!.alarms.includes(inhibiting) || point.id === id || found.includes(point))
          continue;
        found.push(point);
        search(point.id);
      }
    };
    search(id);
    return found;
  }
}
