import type { Clock } from '@tailrace/platform/clock';
import type { IntakeEntry } from './intake-entry.ts';
import type { MessageIntake } from './message-intake.ts';
import type { RetryQueueOptions } from './retry-queue.ts';

/** Returns the options of queues whose items are entries of the intake. Many queues may share them. */
export function intakeRetries(
  intake: Pick<MessageIntake, 'add'>,
  clock: Pick<Clock, 'after'>,
  random?: () => number,
): RetryQueueOptions<IntakeEntry> {
  return { append: (entry) => intake.add(entry), clock, ...(random === undefined ? {} : { random }) };
}
