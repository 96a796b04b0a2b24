import type { WorkQueue } from '../src/catch-up/work-scheduler.ts';
import { Mutex } from '../src/channels/mutex.ts';
import type { Subscriber, Subscription, SubscriptionStart } from '../src/channels/subscription.ts';
import { ConnectionViews, type UserViews } from '../src/views/connection-views.ts';
import type { View } from '../src/views/view.ts';
import type { Encoding } from '../src/views/view-options.ts';

/** A client of the hub with one subscription, which is always writable. */
export abstract class UnboundedSubscriber implements Subscriber {
  readonly encoding: Encoding;
  readonly work: WorkQueue;
  readonly catchUpMutex: Mutex = new Mutex();
  readonly replayMutex: Mutex = new Mutex();
  /** One subscription is never on a view twice. */
  readonly views: ConnectionViews = new ConnectionViews({ viewsPerConnectionMax: 1 }, freeViews);
  start: SubscriptionStart | undefined;
  /** The position of `live`. */
  livePosition: string | undefined;

  constructor(encoding: Encoding, work: WorkQueue) {
    this.encoding = encoding;
    this.work = work;
  }

  sendHead(_subscription: Subscription, start: SubscriptionStart): void {
    this.start = start;
  }

  whenWritable(): Promise<void> | undefined {
    return undefined;
  }

  send(_subscription: Subscription, frame: string | Uint8Array): void {
    this.receive(frame);
  }

  join({ view }: Subscription, position?: string): void {
    view.sockets++;
    this.livePosition = position;
    this.onTopic(view);
  }

  leave({ view }: Subscription): void {
    view.sockets--;
    this.offTopic(view);
  }

  abstract receive(frame: string | Uint8Array): void;
  abstract onTopic(view: View): void;
  abstract offTopic(view: View): void;
}

const freeViews: UserViews = { viewError: () => undefined, addView() {}, removeView() {} };
