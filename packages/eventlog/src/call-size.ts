/**
 * Most records of one call to a subscriber. The event loop is blocked while they are processed: 500 take a fanout node
 * some 5 ms.
 */
export const callRecordsMax = 500;
/**
 * Most records of one call while the subscriber has a backlog: each call has a fixed cost, and latency is high already.
 */
const backlogCallRecordsMax = 2_000;
/** The subscriber has a backlog when the records of this number of calls wait. */
const backlogCalls = 8;

/**
 * Returns the most records of the next call while `waiting` records are to be delivered. `recordsMax`: the most records
 * of a call without a backlog. Default: `callRecordsMax`.
 */
export function callSize(waiting: number, recordsMax = callRecordsMax): number {
  const factor = backlogCallRecordsMax / callRecordsMax;
  return waiting > recordsMax * backlogCalls ? recordsMax * factor : recordsMax;
}
