import { TailraceError } from '@tailrace/protocol/error';
import type { Delivery } from '@tailrace/protocol/report';
import type { Link } from './link.ts';
import { ReportBuffer } from './report-buffer.ts';
import type { Subscription } from './subscription.ts';
import type { SubscriptionRecord } from './subscription-record.ts';

/** The stream of a subscription. */
interface Owner {
  /** Runs a change of the requested subscriptions. */
  changing(change: () => void): void;
  end(): void;
}

/** Creates the program's handle of a subscription. */
export function subscriptionOf(record: SubscriptionRecord, link: () => Link | undefined, owner: Owner): Subscription {
  const { signal } = record.options;
  signal?.addEventListener('abort', owner.end, { once: true });
  // The signal may outlive the stream, and many of them.
  record.onClosed = () => signal?.removeEventListener('abort', owner.end);
  const resume = (speed?: number) => {
    if (record.isWanted) owner.changing(() => link()?.resume(record, speed));
  };
  return {
    channel: record.channel,
    get state() {
      return record.state;
    },
    get dropped() {
      return record.delivered.dropped;
    },
    get position() {
      return record.progress.position;
    },
    pause() {
      if (record.isPaused || record.isRefusedForGood || record.state.name === 'ended') return;
      owner.changing(() => {
        if (!record.isStopped) link()?.pause(record);
        record.isPaused = true;
        record.change({ name: 'paused' });
      });
    },
    resume({ speed }: { readonly speed?: number } = {}) {
      if (!record.isPaused || record.state.name === 'ended') return;
      record.isPaused = false;
      if (speed !== undefined) record.progress.replay(speed);
      if (link()?.serves(record)) record.reportState();
      else record.change({ name: 'waiting' });
      resume(speed);
    },
    unsubscribe: () => owner.end(),
    [Symbol.asyncIterator]: (): AsyncIterableIterator<Delivery, undefined, undefined> => {
      if (record.hasLoop) {
        throw new TailraceError('conflict', `subscription to ${record.channel}: expected one loop at a time, got two`);
      }
      const buffer = new ReportBuffer(
        {
          hold() {
            // It may be requested on a second connection, which would not be paused.
            owner.changing(() => {
              if (!record.isStopped) link()?.pause(record);
              record.isHeld = true;
            });
          },
          shed() {
            if (link()?.isRequested(record)) record.shed();
            link()?.unsubscribe(record);
          },
          release() {
            record.isHeld = false;
            resume();
          },
          leave: () => owner.end(),
        },
        record.options.bufferReportsMax ?? 1000,
      );
      record.startLoop(buffer);
      return buffer;
    },
  };
}
