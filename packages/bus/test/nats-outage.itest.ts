import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createInbox } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { bytes, failure, text } from './contract-bench.ts';
import { createNatsBench, type NatsBench } from './nats-bench.ts';

failOnLeaks();

const down = { where: (state: string) => state === 'disconnected' };
const up = { where: (state: string) => state === 'connected' };

describe('the bus and a NATS server that crashes or stops', () => {
  let server: NatsServer;
  let bench: NatsBench;
  beforeEach(async () => {
    server = await startNats();
    bench = createNatsBench(server.url);
  });
  afterEach(async () => {
    await bench.close();
    await server.stop();
  });

  it('after a crash of the server subscriptions and serving resume by themselves', async () => {
    const one = await bench.open();
    const two = await bench.open();
    const seen = createInbox<string>();
    await one.bus.subscribe('resume.*', (payload) => seen.put(text(payload)));
    await one.bus.serve('resume.request', (payload) => [payload]);
    const stopped = await one.bus.subscribe('resume.*', () => assert.fail('stopped before the crash'));
    await stopped.stop();

    await server.kill();
    await Promise.all([one.states.next(down), two.states.next(down)]);
    await server.restart();
    await Promise.all([one.states.next(up), two.states.next(up)]);

    two.bus.publish('resume.a', bytes('again'));
    assert.equal(await seen.next(), 'again');
    assert.deepEqual((await two.bus.request('resume.request', bytes('who'), { deadlineMs: 5000 })).map(text), ['who']);
    assert.deepEqual(one.states.all, ['connected', 'disconnected', 'connected']);
  });

  it('what is published during an outage is dropped, counted, and never delivered late', async () => {
    const publisher = await bench.open();
    const subscriber = await bench.open();
    const seen = createInbox<string>();
    await subscriber.bus.subscribe('outage.a', (payload) => seen.put(text(payload)));
    publisher.bus.publish('outage.a', bytes('before'));
    assert.equal(await seen.next(), 'before');

    await server.kill();
    await Promise.all([publisher.states.next(down), subscriber.states.next(down)]);
    for (let i = 0; i < 100; i++) publisher.bus.publish('outage.a', bytes(`during ${i}`));
    assert.equal(publisher.bus.stats().dropped, 100);
    assert.equal(publisher.bus.stats().pendingBytes, 0);
    assert.deepEqual([publisher.bus.stats().connections, publisher.bus.stats().connected], [1, false]);
    // Also while it dials and no server listens yet.
    const dropping = setInterval(() => publisher.bus.publish('outage.a', bytes('while dialling')), 1);
    const isUp = publisher.states.next(up).finally(() => clearInterval(dropping));
    await server.restart();
    await Promise.all([isUp, subscriber.states.next(up)]);

    publisher.bus.publish('outage.a', bytes('after'));
    assert.equal(await seen.next(), 'after');
    assert.deepEqual(seen.all, ['before', 'after']);
  });

  it('a request pending when the connection is lost, or sent during the outage, is unavailable at once', async () => {
    const { bus, states } = await bench.open();
    const requests = createInbox<string>();
    await bus.serve('lost.a', (payload) => {
      requests.put(text(payload));
      return new Promise(() => {});
    });
    const rejected = assert.rejects(
      bus.request('lost.a', bytes('x'), { deadlineMs: 60_000 }),
      failure('unavailable', /lost/),
    );
    await requests.next();
    await server.kill();
    await rejected;
    await states.next(down);
    await assert.rejects(
      bus.request('lost.a', bytes('x'), { deadlineMs: 60_000 }),
      failure('unavailable', /not connected/),
    );
  });

  it('a subscription made during an outage starts after it', async () => {
    const { bus, states } = await bench.open();
    const seen = createInbox<string>();
    await server.kill();
    await states.next(down);
    const subscribed = bus.subscribe('start.a', (payload) => seen.put(text(payload)));
    await server.restart();
    await subscribed;
    bus.publish('start.a', bytes('received'));
    assert.equal(await seen.next(), 'received');
  });

  it('a server that is stopped: publish drops and counts beyond the limit, the connection is closed, and all resumes', async () => {
    const bound = { pendingBytesMax: 8 * 1024 * 1024, pingIntervalMs: 150, connectTimeoutMs: 300 };
    const publisher = await bench.open(bound);
    const subscriber = await bench.open(bound);
    const seen = createInbox<string>();
    await subscriber.bus.subscribe('still.a', (payload) => payload.length < 10 && seen.put(text(payload)));
    await server.signal('SIGSTOP');
    const payload = new Uint8Array(100_000);
    for (let i = 0; i < 200; i++) publisher.bus.publish('still.a', payload);
    const { dropped, pendingBytes, pendingBytesMax } = publisher.bus.stats();
    assert.ok(
      pendingBytes <= pendingBytesMax && pendingBytes > pendingBytesMax - 200_000,
      `${pendingBytes} bytes pending`,
    );
    assert.equal(dropped, 200 - Math.floor(pendingBytesMax / (100_000 + 'still.a'.length + 16)));
    await assert.rejects(publisher.bus.request('still.a', payload, { deadlineMs: 50 }), failure('timeout'));

    await Promise.all([publisher.states.next(down), subscriber.states.next(down)]);
    publisher.bus.publish('still.a', payload);
    assert.equal(publisher.bus.stats().dropped, dropped + 1);
    await server.signal('SIGCONT');
    await Promise.all([publisher.states.next(up), subscriber.states.next(up)]);
    publisher.bus.publish('still.a', bytes('goes on'));
    assert.equal(await seen.next(), 'goes on');
  });
});
