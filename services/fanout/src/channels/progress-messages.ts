import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError } from '@tailrace/protocol/error';
import { createPositions, type Positions, tokenFromPositions } from '@tailrace/protocol/position';
import { type Coroutine, runCoroutine } from '../catch-up/coroutine.ts';
import type { WorkQueue, WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { PartitionTable } from '../ownership/partition-table.ts';
import { SharedMessage } from '../views/shared-message.ts';
import type { Views } from '../views/view.ts';
import type { Channel, Channels } from './channels.ts';
import type { SubscribeReplies } from './subscribe-replies.ts';

export interface ProgressMessagesOptions {
  readonly channels: Pick<Channels, 'all'>;
  readonly views: Pick<Views, 'flush' | 'publishMessage'>;
  readonly table: Pick<PartitionTable, 'next'>;
  readonly replies: Pick<SubscribeReplies, 'here'>;
  readonly work: Pick<WorkScheduler, 'queue'>;
  readonly clock: Pick<Clock, 'every'>;
  readonly logger: Pick<Logger, 'error'>;
}

/**
 * Sends clients the position of their channel where it has few reports.
 *
 * A client learns the positions of a partition from the reports that it receives. Those of a quiet device, and of a
 * subtree in the partitions of other devices, get old while reports of others fill the partition. When the client
 * reconnects, a node would read all of these to find none for it, or report a range as missing in which nothing is
 * missing. Materialize sends such messages for the same purpose (`SUBSCRIBE … WITH (PROGRESS)`).
 */
export class ProgressMessages {
  /** Between two checks of all channels, ms. */
  static readonly periodMs: number = 5_000;
  /** Reports of a partition, after the last one of the channel, from which its clients are sent the position. */
  static readonly recordsMin: number = 500;
  /** Channels that are checked in one step: each may have several views. */
  static readonly channelsPerStep: number = 20;
  /** Messages published, each to all clients of a view. */
  readonly counts = { sent: 0 };
  readonly #options: ProgressMessagesOptions;
  readonly #queue: WorkQueue;
  /** The position of each partition at the last check, and as far as this check has seen it. */
  #before: number[] = [];
  #reached: number[] = [];
  #timer: Timer | undefined;
  #isChecking = false;

  constructor(options: ProgressMessagesOptions) {
    this.#options = options;
    this.#queue = options.work.queue('progress', 'node');
  }

  start(): void {
    this.#timer = this.#options.clock.every(ProgressMessages.periodMs, () => void this.#checkAll());
  }

  /** Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#queue.close();
  }

  /** Skips a period in which the last check still waits for the event loop, or is refused by the scheduler. */
  async #checkAll(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      await runCoroutine(this.#queue, this.#check(), () => this.#timer !== undefined);
    } catch (error) {
      // Refused by the scheduler, or stopped. The clients get their positions with the next check.
      if (!isTailraceError(error)) this.#options.logger.error({ error }, 'clients could not be sent their positions');
    } finally {
      this.#isChecking = false;
    }
  }

  *#check(): Coroutine {
    let checked = 0;
    for (const channel of this.#options.channels.all()) {
      const quiet = this.#quietPartitions(channel);
      if (quiet.length > 0) this.#send(channel, quiet);
      if (++checked % ProgressMessages.channelsPerStep === 0) yield undefined;
    }
    this.#before = this.#reached;
    this.#reached = [];
  }

  /**
   * Returns the partitions with many reports since the last one of the channel, and none of the channel since the last
   * check. Otherwise every device in a partition with a high rate would be quiet, and its clients would receive a
   * message every period beside their reports.
   */
  #quietPartitions(channel: Channel): readonly number[] {
    if (!channel.live || channel.subscriptions === 0) return none;
    return channel.partitions.filter((number) => {
      const { next } = channel.slot(number);
      const isFar = this.#nextOf(channel, number) - next >= ProgressMessages.recordsMin;
      return isFar && next <= (this.#before[number] ?? 0);
    });
  }

  #nextOf(channel: Channel, number: number): number {
    const next = this.#options.table.next(channel, number);
    this.#reached[number] = Math.max(this.#reached[number] ?? 0, next);
    return next;
  }

  /**
   * Sends the positions of the quiet partitions alone. A frame with reports of another one may be published in the same
   * turn, and dropped for a slow socket that still takes this small message.
   */
  #send(channel: Channel, quiet: readonly number[]): void {
    const { views, replies } = this.#options;
    // Everything before the position is published before the message.
    views.flush();
    const here = replies.here(channel);
    const position = tokenFromPositions(ofPartitions(here, (number) => quiet.includes(number)));
    for (const view of channel.views.values()) {
      // A view with `align` is sent consistent cuts in place of reports.
      if (view.sockets === 0 || view.options.align !== undefined) continue;
      const held = view.pace?.isEmpty === false ? view.pace.partitions() : undefined;
      const isSent = (number: number) => quiet.includes(number) && held?.has(number) !== true;
      if (held !== undefined && !quiet.some(isSent)) continue;
      const reached = held === undefined ? position : tokenFromPositions(ofPartitions(here, isSent));
      views.publishMessage(view, new SharedMessage({ progress: { view: view.number, position: reached } }));
      this.counts.sent++;
    }
    // The next message is due after as many further reports.
    for (const number of quiet) channel.advance(number, this.#nextOf(channel, number));
  }
}

const none: readonly never[] = [];

/** Returns the positions of some partitions. */
function ofPartitions(positions: Positions, isWanted: (number: number) => boolean): Positions {
  return createPositions(
    positions.epoch,
    positions.entries().filter(([partition]) => isWanted(partition)),
  );
}
