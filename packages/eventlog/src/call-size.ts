/**
 * Most records of one call to a subscriber. More would keep the process from its sockets while they are worked through:
 * 500 take a fanout node some 5 ms.
 */
export const callRecordsMax = 500;
/** The same while the subscriber is behind: each call has a fixed cost, and the wait is long already. */
const backlogCallRecordsMax = 2_000;
/** So many calls' records wait: the subscriber is behind. */
const backlogCalls = 8;

/**
 * Returns the most records of the next call, while so many `waiting` are there to be handed over. `recordsMax`: of a
 * call without a backlog. Default: `callRecordsMax`.
 */
export function callSize(waiting: number, recordsMax = callRecordsMax): number {
  const factor = backlogCallRecordsMax / callRecordsMax;
  return waiting > recordsMax * backlogCalls ? recordsMax * factor : recordsMax;
}
