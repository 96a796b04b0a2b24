import { deliveryFromJson } from './delivery.ts';
import { type TailraceError, tailraceErrorFrom } from './error.ts';
import { listFrom } from './message-fields.ts';
import type { Delivery } from './report.ts';

/**
 * Called with a delivery that cannot be read, as it came, and the error. It is left out; the rest of its message is
 * taken.
 */
export type UnreadableListener = (delivery: unknown, error: TailraceError) => void;

/**
 * Returns the deliveries of a message, and takes `value` over. Throws `invalid_message` for what is no list. A delivery
 * that cannot be read goes to `onUnreadable`; without a listener it throws `invalid_report`.
 */
export function deliveriesFrom(value: unknown, where: string, onUnreadable?: UnreadableListener): readonly Delivery[] {
  const list = listFrom(value, where) as readonly Delivery[];
  let kept: Delivery[] | undefined;
  for (let index = 0; index < list.length; index++) {
    try {
      const delivery = deliveryFromJson(list[index]);
      kept?.push(delivery);
    } catch (thrown) {
      if (onUnreadable === undefined) throw thrown;
      kept ??= list.slice(0, index);
      onUnreadable(list[index], tailraceErrorFrom(thrown));
    }
  }
  return kept ?? list;
}
