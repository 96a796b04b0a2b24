import { TailraceError } from '@tailrace/protocol/error';
import type { Delivery } from '@tailrace/protocol/report';
import type { Link } from './link.ts';
import { ReportBuffer } from './report-buffer.ts';
import type { Subscription } from './subscription.ts';
import type { SubscriptionRecord } from './subscription-record.ts';

/** What a subscription asks of its stream. */
interface Owner {
  /** Around a change of what is asked of the servers. */
  changing(change: () => void): void;
  end(): void;
}

/** What the program holds of a subscription. */
export function subscriptionOf(record: SubscriptionRecord, link: () => Link | undefined, owner: Owner): Subscription {
  const { signal } = record.options;
  signal?.addEventListener('abort', owner.end, { once: true });
  // The signal may outlive the stream, and many of them.
  record.onEnded = () => signal?.removeEventListener('abort', owner.end);
  const resumed = (speed?: number) => {
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
      if (record.paused || record.refusedForGood || record.state.name === 'ended') return;
      owner.changing(() => {
        if (!record.stopped) link()?.pause(record);
        record.paused = true;
        record.change({ name: 'paused' });
      });
    },
    resume({ speed }: { readonly speed?: number } = {}) {
      if (!record.paused || record.state.name === 'ended') return;
      record.paused = false;
      if (speed !== undefined) record.progress.replay(speed);
      if (link()?.serves(record)) record.show();
      else record.change({ name: 'waiting' });
      resumed(speed);
    },
    unsubscribe: () => owner.end(),
    [Symbol.asyncIterator]: (): AsyncIterableIterator<Delivery, undefined, undefined> => {
      if (record.hasLoop) {
        throw new TailraceError('conflict', `a loop over ${record.channel} runs already; right is one at a time`);
      }
      const buffer = new ReportBuffer(
        {
          hold() {
            // A second connection may have been asked for it already, and would not be paused.
            owner.changing(() => {
              if (!record.stopped) link()?.pause(record);
              record.held = true;
            });
          },
          shed() {
            if (link()?.isAsked(record)) record.shed();
            link()?.drop(record);
          },
          release() {
            record.held = false;
            resumed();
          },
          leave: () => owner.end(),
        },
        record.options.bufferReportsMax ?? 1000,
      );
      record.feed(buffer);
      return buffer;
    },
  };
}
