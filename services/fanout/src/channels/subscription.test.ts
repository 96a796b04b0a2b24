import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPositions } from '@tailrace/protocol/position';
import { createLocalNode } from '../../test/local-node.ts';
import { CatchUp } from '../catch-up/catch-up.ts';
import { Subscription, type SubscriptionState } from './subscription.ts';

const catchUp = () => new CatchUp(createPositions('e'), false);

function waiting(): Subscription {
  const { channels, views } = createLocalNode({ partitions: 1 });
  const channel = channels.open('p.d');
  return new Subscription({
    channel,
    view: views.enter(channel, 'json'),
    subscriber: undefined as never,
    request: { id: 'a', channel: 'p.d', snapshot: true },
    requestedMs: 0,
    owner: { onLive() {}, unsubscribe() {} },
    onRefused() {},
  });
}

/** The events that lead to each state, and those that may follow. */
const allowed: Readonly<Record<SubscriptionState, { path: readonly Event[]; events: readonly Event[] }>> = {
  waiting: { path: [], events: ['start', 'close'] },
  behind: { path: ['start'], events: ['join', 'pause', 'close'] },
  live: { path: ['start', 'join'], events: ['fallBehind', 'pause', 'close'] },
  paused: { path: ['start', 'pause'], events: ['resume', 'close'] },
  closed: { path: ['close'], events: [] },
};
type Event = keyof typeof events;
const events = {
  start: (each: Subscription) => each.start(catchUp()),
  join: (each: Subscription) => each.join(),
  fallBehind: (each: Subscription) => each.fallBehind(catchUp()),
  pause: (each: Subscription) => each.pause(catchUp()),
  resume: (each: Subscription) => each.resume(catchUp()),
  close: (each: Subscription) => each.close(),
};
/** Three events lead to `behind`; the state before determines the event. */
const toBehind: readonly Event[] = ['start', 'fallBehind', 'resume'];

for (const [state, { path, events: expected }] of Object.entries(allowed)) {
  test(`from ${state} a subscription changes by ${expected.join(', ') || 'no event'} only`, () => {
    const isBehindAllowed = expected.some((event) => toBehind.includes(event));
    for (const [event, run] of Object.entries(events)) {
      if (isBehindAllowed && toBehind.includes(event as Event) && !expected.includes(event as Event)) continue;
      const subscription = waiting();
      for (const step of path) events[step](subscription);
      assert.equal(subscription.state, state);
      if (expected.includes(event as Event)) run(subscription);
      else {
        assert.throws(() => run(subscription), {
          code: 'internal',
          message: new RegExp(`^subscription "a": expected .+ after ${state}, got \\w+$`),
        });
        assert.equal(subscription.state, state);
      }
    }
  });
}

test('the catch-up of a subscription is stopped when it is live, or paused', () => {
  const subscription = waiting();
  const first = catchUp();
  subscription.start(first);
  subscription.join();
  assert.deepEqual([first.isStopped, subscription.catchUp], [true, undefined]);
  const second = catchUp();
  subscription.pause(second);
  assert.deepEqual([second.isStopped, subscription.catchUp], [true, second]);
});

test('a subscription that is refused is closed by its owner, and its client is sent one error', () => {
  const { channel, view } = waiting();
  const errors: string[] = [];
  const subscription: Subscription = new Subscription({
    ...{ channel, view, subscriber: undefined as never, requestedMs: 0 },
    request: { id: 'a', channel: 'p.d', snapshot: true },
    owner: { onLive() {}, unsubscribe: (each) => each.close() },
    onRefused: ({ code }) => errors.push(code),
  });
  const error = Object.assign(new Error('no'), { code: 'unavailable' }) as never;
  subscription.refuse(error);
  subscription.refuse(error);
  assert.deepEqual([subscription.state, errors], ['closed', ['unavailable']]);
});
