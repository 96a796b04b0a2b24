import type { tailrace } from '@tailrace/protocol/generated';
import type { Channel } from '../channels/channels.ts';
import { Device } from '../channels/device.ts';
import { LogReport } from '../channels/log-report.ts';
import type { Partition } from '../ownership/partition.ts';

/** What an owner answered about one channel. */
export interface InterestReply {
  readonly channel: Channel;
  /** The channel has everything before, once it has the arrivals. */
  complete: number;
  /** Where the log no longer had everything: the first position that it had. */
  missingUntil: number | undefined;
  /** Last values, or what the channel missed, oldest first. */
  readonly logReports: LogReport[];
  /** Of what it missed, positions that the log cannot read, oldest first. */
  readonly unreadable: tailrace.v1.IUnreadableRange[];
  /** Devices of the channel that do not speak. */
  readonly presences: tailrace.v1.IPresence[];
  /** The owner had no time for the channel: it is to be asked for again. */
  isDeferred: boolean;
}

/** The parts of an answer by channel. */
export function interestRepliesFrom(
  partition: number,
  asked: readonly Channel[],
  replies: readonly tailrace.v1.OwnerReply[],
): InterestReply[] {
  const complete = replies[0]?.next ?? 0;
  const answers = new Map<string, InterestReply>();
  for (const channel of asked) {
    const none = { missingUntil: undefined, logReports: [], unreadable: [], presences: [], isDeferred: false };
    answers.set(channel.pattern, { channel, complete, ...none });
  }
  for (const reply of replies) {
    const answer = answers.get(reply.channel);
    if (answer === undefined) continue;
    answer.complete = reply.next;
    answer.isDeferred ||= reply.deferred;
    answer.missingUntil ??= reply.missingUntil ?? undefined;
    for (const update of reply.updates) answer.logReports.push(LogReport.fromUpdate(partition, update));
    answer.unreadable.push(...reply.unreadable);
    answer.presences.push(...reply.presences);
  }
  return [...answers.values()];
}

/**
 * Whether a report that is news here, from `next` on, belongs to a channel that has joined already: the frame that had it was sent before the answer, and is
 * lost, or late. The channel could not be told of it in order.
 */
export function showsLoss(answers: readonly InterestReply[], partition: Partition, next: number): boolean {
  if (next < 0) return false;
  return answers.some(({ logReports }) =>
    logReports.some(
      (logReport) => logReport.seq >= next && partition.follows(new Device(logReport.report.device, partition.number)),
    ),
  );
}
