/**
 * A report whose device and message ID are in the log already, appended at most this long before, is a repetition and
 * is not delivered again, ms. Two minutes, as NATS JetStream's duplicate window. A sender that tries again has to stop
 * before: see `giveUpMs` of the publisher.
 */
export const messageIdWindowMs = 120_000;
