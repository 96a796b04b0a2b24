/**
 * Most records of one call to a subscriber. The event loop is blocked while they are processed: 500 take a fanout node
 * some 5 ms.
 */
export const callRecordsMax = 500;
/**
 * Most records of one call while the subscriber has a backlog: each call has a fixed cost, and latency is high already.
 */
const backlogCallRecordsMax = 2_000;
/** Most bytes of one call without a backlog, or one record: a report of 1,000 tags takes as long as 100 small ones. */
export const callBytesMax = 128 * 1_024;
/** The subscriber has a backlog when the records of this number of calls wait. */
const backlogCalls = 8;

export interface CallSize {
  readonly recordsMax: number;
  /** Of more than one record. */
  readonly bytesMax: number;
}

/**
 * Returns the most records and bytes of the next call while `waiting` records are to be delivered. `recordsMax`: the
 * most records of a call without a backlog. Default: `callRecordsMax`.
 */
export function callSize(waiting: number, recordsMax = callRecordsMax): CallSize {
  const factor = waiting > recordsMax * backlogCalls ? backlogCallRecordsMax / callRecordsMax : 1;
  return { recordsMax: recordsMax * factor, bytesMax: callBytesMax * factor };
}
