import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { createInbox } from '@tailrace/testkit/eventually';
import type { Bus } from '../src/bus.ts';
import { bytes, createComplaintLog, failure, type Promised, text } from './contract-bench.ts';
import { lifecycle } from './contract-lifecycle.ts';
import { failedRequests, multipartReplies, requests } from './contract-requests.ts';

/** A network to run the suite on: one server, or one memory network. */
export interface ContractNetwork {
  /** Not started. */
  createBus(node: string, logger: Logger): Bus;
  close(): Promise<void>;
}

/** The contract of every Bus. Each test has its own nodes and its own subjects on one network. */
export function busContract(adapter: string, openNetwork: () => Promise<ContractNetwork>): void {
  describe(`bus contract: ${adapter}`, () => {
    let network: ContractNetwork;
    let nodes = 0;
    before(async () => {
      network = await openNetwork();
    });
    after(() => network.close());

    const promised: Promised = (promise, test) =>
      it(promise, async () => {
        const buses: Bus[] = [];
        const complaints: string[] = [];
        const open = async (node = 'node') => {
          const bus = network.createBus(`${node}-${nodes++}`, createComplaintLog(complaints));
          buses.push(bus);
          await bus.start();
          return bus;
        };
        try {
          await test({ open, complaints });
        } finally {
          await Promise.all(buses.map((bus) => bus.close()));
        }
      });

    messages(promised);
    subscriptions(promised);
    requests(promised);
    multipartReplies(promised);
    failedRequests(promised);
    lifecycle(promised);
  });
}

function messages(promised: Promised): void {
  promised('messages of one publisher on one subject are delivered once each and in order', async ({ open }) => {
    const [publisher, subscriber] = [await open(), await open()];
    const seen = createInbox<string>();
    await subscriber.subscribe('order.a', (payload) => seen.put(text(payload)));
    for (let i = 0; i < 5000; i++) publisher.publish('order.a', bytes(i));
    await seen.atLeast(5000);
    assert.deepEqual(
      seen.all,
      Array.from({ length: 5000 }, (_, i) => String(i)),
    );
    assert.equal(publisher.stats().dropped, 0);
  });

  promised(
    'a subscriber receives payload and subject as they were published, also of its own bus',
    async ({ open }) => {
      const bus = await open();
      const seen = createInbox<[string, number[]]>();
      await bus.subscribe('echo.>', (payload, subject) => seen.put([subject, [...payload]]));
      bus.publish('echo.x.y', new Uint8Array([0, 255, 13, 10, 0]));
      bus.publish('echo.empty', new Uint8Array(0));
      await seen.atLeast(2);
      assert.deepEqual(seen.all, [
        ['echo.x.y', [0, 255, 13, 10, 0]],
        ['echo.empty', []],
      ]);
    },
  );

  promised(
    'delivery is asynchronous: publish returns before a subscriber on the same bus is called',
    async ({ open }) => {
      const bus = await open();
      const seen = createInbox<string>();
      await bus.subscribe('later.a', (payload) => seen.put(text(payload)));
      bus.publish('later.a', bytes('x'));
      assert.equal(seen.all.length, 0);
      await seen.next();
    },
  );

  promised(
    'a payload over the limit throws too_large and is not sent, one at the limit is delivered',
    async ({ open }) => {
      const bus = await open();
      const { payloadBytesMax } = bus.stats();
      const seen = createInbox<number>();
      await bus.subscribe('large.a', (payload) => seen.put(payload.length));
      assert.throws(
        () => bus.publish('large.a', new Uint8Array(payloadBytesMax + 1)),
        failure('too_large', new RegExp(`${payloadBytesMax}`)),
      );
      bus.publish('large.a', new Uint8Array(payloadBytesMax));
      assert.equal(await seen.next(), payloadBytesMax);
    },
  );

  promised('an invalid subject or pattern is refused, and the message has its text', async ({ open }) => {
    const bus = await open();
    for (const subject of [
      '',
      'a b',
      'a..b',
      '.a',
      'a.',
      'a.*',
      'a.>',
      'a\r\nPUB x 0',
      '$SYS.a',
      '_INBOX.a',
      'ü',
      'x'.repeat(600),
    ]) {
      assert.throws(() => bus.publish(subject, bytes('x')), failure('invalid_path', /^bus subject: expected/), subject);
    }
    for (const pattern of ['', 'a.>.b', 'a b', '$JS.>', '>.a', 'a..>']) {
      await assert.rejects(
        bus.subscribe(pattern, () => {}),
        failure('invalid_pattern', /^bus pattern: expected/),
        pattern,
      );
    }
  });
}

function subscriptions(promised: Promised): void {
  promised('wildcards: * is one token, > one or more', async ({ open }) => {
    const bus = await open();
    const seen = createInbox<string>();
    for (const pattern of ['wild.*', 'wild.>', 'wild.*.c', '*.b', 'wild.b.>']) {
      await bus.subscribe(pattern, (_, subject) => seen.put(`${pattern} < ${subject}`));
    }
    for (const subject of ['wild', 'wild.b', 'wild.b.c', 'wild.b.c.d', 'other.b']) bus.publish(subject, bytes('x'));
    await bus.subscribe('wilds-end', (_, subject) => seen.put(subject));
    bus.publish('wilds-end', bytes('x'));
    await seen.next({ where: (item) => item === 'wilds-end' });
    assert.deepEqual(
      seen.all.toSorted(),
      [
        '*.b < other.b',
        '*.b < wild.b',
        'wild.* < wild.b',
        'wild.*.c < wild.b.c',
        'wild.> < wild.b',
        'wild.> < wild.b.c',
        'wild.> < wild.b.c.d',
        'wild.b.> < wild.b.c',
        'wild.b.> < wild.b.c.d',
        'wilds-end',
      ].toSorted(),
    );
  });

  promised('after stop the callback is not called, and other subscriptions continue', async ({ open }) => {
    const bus = await open();
    const stopped = createInbox<string>();
    const other = createInbox<string>();
    const subscription = await bus.subscribe('stop.a', (payload) => stopped.put(text(payload)));
    await bus.subscribe('stop.a', (payload) => other.put(text(payload)));
    bus.publish('stop.a', bytes('before'));
    await stopped.next();
    bus.publish('stop.a', bytes('on the way'));
    await subscription.stop();
    await subscription.stop();
    bus.publish('stop.a', bytes('after'));
    await other.atLeast(3);
    assert.deepEqual(stopped.all, ['before']);
  });

  promised(
    'a subscriber that throws or hangs is logged and does not affect other subscribers',
    async ({ open, complaints }) => {
      const bus = await open();
      const seen = createInbox<string>();
      await bus.subscribe('faulty.a', () => {
        throw new TailraceError('internal', 'a faulty subscriber');
      });
      await bus.subscribe('faulty.a', (async () => {
        throw new TailraceError('internal', 'a faulty asynchronous subscriber');
      }) as () => void);
      await bus.subscribe('faulty.a', (() => new Promise(() => {})) as () => void);
      await bus.subscribe('faulty.a', (payload) => seen.put(text(payload)));
      for (let i = 0; i < 10; i++) bus.publish('faulty.a', bytes(i));
      await seen.atLeast(10);
      assert.equal(complaints.filter((message) => message === 'a subscriber to the bus failed').length, 20);
    },
  );
}
