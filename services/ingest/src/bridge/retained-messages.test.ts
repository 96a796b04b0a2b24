import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientHandlers, ClientSubscription } from '@tailrace/mqtt/client-options';
import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { RetainedMessages } from './retained-messages.ts';
import { SessionSubscriptions } from './session-subscriptions.ts';

function createNotes(initial: Record<string, unknown> = {}) {
  const values = new Map(Object.entries(initial));
  const notes = {
    get: (key: string) => values.get(key),
    set: async (key: string, value: unknown) => void values.set(key, value),
    read: async () => {},
  };
  return { notes, values };
}

function setUp(initial: Record<string, unknown> = {}) {
  const clock = createFakeClock();
  const { notes, values } = createNotes(initial);
  const clients: { subscriptions: readonly ClientSubscription[]; handlers: ClientHandlers; isStopped: boolean }[] = [];
  const settled: number[] = [];
  const taken: { topic: string; done: () => void }[] = [];
  const retained = new RetainedMessages({
    name: 'plant',
    filters: ['a/#', 'b'],
    notes,
    createClient(subscriptions, handlers) {
      const client = { subscriptions, handlers, isStopped: false };
      clients.push(client);
      return {
        start() {},
        settle: (ticket) => settled.push(ticket),
        flush() {},
        pause() {},
        resume() {},
        stop: async () => {
          client.isStopped = true;
        },
      };
    },
    take: ({ topic }, done) => void taken.push({ topic, done }),
    clock,
    random: () => 0,
    logger: silentLogger,
  });
  const send = (topic: string, retain: boolean, ticket: number) =>
    clients.at(-1)!.handlers.publish({ topic, retain, ticket } as unknown as InboundMessage);
  return { clock, values, clients, settled, taken, retained, send };
}

test('takes retained messages on a connection of its own, and notes the filters when the log has all', async () => {
  const { retained, clients, send, taken, settled, clock, values } = setUp();
  retained.start();
  assert.deepEqual(
    clients[0]!.subscriptions.map(({ filter, retainHandling, retainAsPublished }) => [
      filter,
      retainHandling,
      retainAsPublished,
    ]),
    [
      ['a/#', 0, true],
      ['b', 0, true],
    ],
  );
  clients[0]!.handlers.opened!({ isSessionPresent: false });
  send('a/1', true, 0);
  send('a/2', false, 1);
  assert.deepEqual([taken.map(({ topic }) => topic), settled], [['a/1'], [1]]);
  await clock.advance(10_000);
  assert.equal(values.size, 0, 'not while the log does not have all');
  taken[0]!.done();
  await clock.advance(2_000);
  assert.deepEqual([...values.keys()], ['plant/retained/a/#', 'plant/retained/b']);
  assert.deepEqual([settled, clients[0]!.isStopped], [[1, 0], true]);
});

test('connects for filters without a note alone, and not at all when each has one', () => {
  const some = setUp({ 'plant/retained/b': true });
  some.retained.start();
  assert.deepEqual(
    some.clients[0]!.subscriptions.map(({ filter }) => filter),
    ['a/#'],
  );
  const none = setUp({ 'plant/retained/b': true, 'plant/retained/a/#': true });
  none.retained.start();
  assert.deepEqual(none.clients, []);
});

test('a lost connection starts again later, unless another node has taken the messages meanwhile', async () => {
  const { retained, clients, clock, values } = setUp();
  retained.start();
  const lost = { reason: 0x8e, message: 'taken over', isPermanent: false, retryInMs: 1, cause: undefined };
  clients[0]!.handlers.disconnected!(lost);
  assert.equal(clients[0]!.isStopped, true);
  await clock.advance(5_000);
  assert.equal(clients.length, 2);
  clients[1]!.handlers.disconnected!(lost);
  values.set('plant/retained/a/#', true).set('plant/retained/b', true);
  await clock.advance(60_000);
  assert.equal(clients.length, 2);
});

test('a stopped one does not connect again', async () => {
  const { retained, clients, clock } = setUp();
  retained.start();
  await retained.stop();
  clients[0]!.handlers.disconnected!({ reason: 0, message: '', isPermanent: false, retryInMs: 1, cause: undefined });
  await clock.advance(600_000);
  assert.equal(clients.length, 1);
  assert.equal(clock.pending(), 0);
});

test('the subscriptions of a session are known after they were noted, and those that left the file are obsolete', async () => {
  const { notes } = createNotes();
  const of = (...wanted: ClientSubscription[]) => new SessionSubscriptions(notes, 'plant/session/c', wanted);
  const first = of({ filter: '$share/t/a b/#', qos: 1 }, { filter: 'c', qos: 0 });
  assert.deepEqual([first.isKnown, first.obsolete()], [false, []]);
  await first.note();
  assert.equal(of({ filter: 'c', qos: 0 }).isKnown, true);
  assert.deepEqual(of({ filter: 'c', qos: 0 }).obsolete(), ['$share/t/a b/#']);
  assert.equal(of({ filter: 'c', qos: 1 }).isKnown, false, 'another QoS is subscribed again');
  await of({ filter: 'c', qos: 0 }).note();
  assert.deepEqual(of({ filter: 'c', qos: 0 }).obsolete(), []);
});
