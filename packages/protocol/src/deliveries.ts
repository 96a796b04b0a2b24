import { deliveryFromJson } from './delivery.ts';
import { type TailraceError, tailraceErrorFrom } from './error.ts';
import { listFrom } from './message-fields.ts';
import type { Delivery } from './report.ts';

/**
 * Receives a delivery that cannot be read, as parsed from JSON, and the error. The delivery is left out; the rest of
 * its message is accepted.
 */
export type UnreadableListener = (delivery: unknown, error: TailraceError) => void;

/**
 * Returns the deliveries of a message. The result may share `value`'s objects. Throws `invalid_message` for anything
 * but a list. Passes a delivery that cannot be read to `onUnreadable`; without a listener it throws `invalid_report`.
 */
export function deliveriesFrom(value: unknown, where: string, onUnreadable?: UnreadableListener): readonly Delivery[] {
  const list = listFrom(value, where) as readonly Delivery[];
  let readable: Delivery[] | undefined;
  for (let index = 0; index < list.length; index++) {
    try {
      const delivery = deliveryFromJson(list[index]);
      readable?.push(delivery);
    } catch (thrown) {
      if (onUnreadable === undefined) throw thrown;
      readable ??= list.slice(0, index);
      onUnreadable(list[index], tailraceErrorFrom(thrown));
    }
  }
  return readable ?? list;
}
