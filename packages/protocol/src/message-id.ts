/**
 * The duplicate window, ms: a report with the device and message ID of one that was appended less than this before is a
 * duplicate and is not delivered. Two minutes, as in NATS JetStream. A sender must stop its retries earlier: see the
 * publisher's `giveUpMs`.
 */
export const messageIdWindowMs = 120_000;
