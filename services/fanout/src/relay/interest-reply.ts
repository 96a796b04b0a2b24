import type { tailrace } from '@tailrace/protocol/generated';
import type { Channel } from '../channels/channels.ts';
import { Device } from '../channels/device.ts';
import { LogReport } from '../channels/log-report.ts';
import type { Partition } from '../ownership/partition.ts';

/** The reply of an owner for one channel. */
export interface InterestReply {
  readonly channel: Channel;
  /** With `logReports` the channel is complete up to this position, exclusive. */
  complete: number;
  /** If the log has deleted a part of the backlog: the first position that it has. */
  missingUntil: number | undefined;
  /** Last values, or the backlog of the channel, oldest first. */
  readonly logReports: LogReport[];
  /** Ranges of the backlog that the log cannot read, oldest first. */
  readonly unreadable: tailrace.v1.IUnreadableRange[];
  /** Idle devices of the channel. */
  readonly presences: tailrace.v1.IPresence[];
  /** Whether the owner had no time for the channel: it is to be requested again. */
  isDeferred: boolean;
}

/** Groups the parts of a reply by channel. */
export function interestRepliesFrom(
  partition: number,
  channels: readonly Channel[],
  replies: readonly tailrace.v1.OwnerReply[],
): InterestReply[] {
  const complete = replies[0]?.next ?? 0;
  const byPattern = new Map<string, InterestReply>();
  for (const channel of channels) {
    const none = { missingUntil: undefined, logReports: [], unreadable: [], presences: [], isDeferred: false };
    byPattern.set(channel.pattern, { channel, complete, ...none });
  }
  for (const part of replies) {
    const reply = byPattern.get(part.channel);
    if (reply === undefined) continue;
    reply.complete = part.next;
    reply.isDeferred ||= part.deferred;
    reply.missingUntil ??= part.missingUntil ?? undefined;
    for (const update of part.updates) reply.logReports.push(LogReport.fromUpdate(partition, update));
    reply.unreadable.push(...part.unreadable);
    reply.presences.push(...part.presences);
  }
  return [...byPattern.values()];
}

/**
 * Whether a report at or after `next`, which this node has not received, belongs to a joined channel. Then the frame
 * with it was sent before the reply, and is lost or late: the channel would get the report out of order.
 */
export function showsLoss(replies: readonly InterestReply[], partition: Partition, next: number): boolean {
  if (next < 0) return false;
  return replies.some(({ logReports }) =>
    logReports.some(
      (logReport) => logReport.seq >= next && partition.follows(new Device(logReport.report.device, partition.number)),
    ),
  );
}
