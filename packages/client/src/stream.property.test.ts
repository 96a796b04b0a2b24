import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { createTestServer } from './testing.ts';

const nodes = ['ws://a.test/v1/stream', 'ws://b.test/v1/stream', 'ws://c.test/v1/stream'];
const node = fc.integer({ min: 0, max: nodes.length - 1 });
const which = fc.integer({ min: 0, max: 1 });

/** Events of two subscriptions and their network. */
const event = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('report' as const), device: fc.integer({ min: 0, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 15_000 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('turn' as const), turns: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('drop' as const), node: fc.option(node, { nil: undefined }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), node }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reach' as const), node, isReachable: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), which }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('resume' as const), which }) },
);

test('through disconnects, moves, drains and pauses each report is delivered once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { minLength: 5, maxLength: 60 }),
      fc.infiniteStream(fc.integer({ min: 0, max: 999 })),
      fc.boolean(),
      async (events, randoms, delta) => {
        const server = createTestServer();
        const stream = server.stream({ url: nodes.slice(0, 2), random: () => Number(randoms.next().value) / 1000 });
        const channels = ['plant1.>', 'plant1.d0'];
        const got: string[][] = [[], []];
        const subscriptions = channels.map((channel, index) =>
          stream.subscribe(channel, {
            delta,
            onReports: (reports) => {
              for (const { device, seq, readings, delta: partial } of reports) {
                const values = Object.fromEntries(readings.map(({ tag, value }) => [tag, value]));
                assert.ok(!partial);
                got[index]!.push(`${device} ${seq} ${values['n']} ${values['even']}`);
              }
            },
            onState: (state) => {
              if (state.name === 'live') assert.notEqual(state.recovered, false);
            },
          }),
        );
        await server.settled();
        const sent: string[] = [];
        let n = 0;
        for (const happens of events) {
          if (happens.kind === 'report') {
            const even = ++n % 4 < 2;
            const { device, seq } = server.publish(`plant1.d${happens.device}`, { n, even });
            sent.push(`${device} ${seq} ${n} ${even}`);
          } else if (happens.kind === 'pass') await server.clock.advance(happens.ms);
          else if (happens.kind === 'turn') for (let turn = 0; turn < happens.turns; turn++) await Promise.resolve();
          else if (happens.kind === 'drop')
            server.drop(1006, happens.node === undefined ? undefined : nodes[happens.node]);
          else if (happens.kind === 'move') for (const channel of channels) server.moved(channel, nodes[happens.node]!);
          else if (happens.kind === 'drain') server.send({ draining: { afterMs: 1000 } });
          else if (happens.kind === 'reach') server.setReachable(happens.isReachable, nodes[happens.node]);
          else if (happens.kind === 'pause') subscriptions[happens.which]!.pause();
          else subscriptions[happens.which]!.resume();
        }
        for (const url of nodes) server.setReachable(true, url);
        for (const subscription of subscriptions) subscription.resume();
        await server.clock.advance(60_000);
        const byDevice = (list: readonly string[]) =>
          Object.groupBy(list, (report) => report.split(' ')[0]!) as Record<string, string[]>;
        assert.deepEqual({ ...byDevice(got[0]!) }, { ...byDevice(sent) });
        assert.deepEqual(
          got[1],
          sent.filter((report) => report.startsWith('plant1.d0 ')),
        );
        assert.equal(server.connections.length, 1, 'expected one connection');
        stream.close();
      },
    ),
    fuzzed(400),
  );
});

test('through the same events, a slow loop receives each report once, in order', async () => {
  const take = fc.record({ kind: fc.constant('take' as const), count: fc.integer({ min: 1, max: 6 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 24, arbitrary: event }, { weight: 6, arbitrary: take }), {
        minLength: 5,
        maxLength: 80,
      }),
      fc.infiniteStream(fc.integer({ min: 0, max: 999 })),
      fc.integer({ min: 1, max: 4 }),
      async (events, randoms, bufferReportsMax) => {
        const server = createTestServer();
        const stream = server.stream({ url: nodes.slice(0, 2), random: () => Number(randoms.next().value) / 1000 });
        const subscriptions = [stream.subscribe('plant1.>', { bufferReportsMax }), stream.subscribe('plant1.d0')];
        const got: string[] = [];
        let allowed = 0;
        let wake = () => {};
        const allow = (count: number) => {
          allowed += count;
          wake();
        };
        const loop = (async () => {
          for await (const { device, seq } of subscriptions[0]!) {
            got.push(`${device} ${seq}`);
            for (; allowed <= 0; await new Promise<void>((resolve) => (wake = resolve)));
            allowed--;
          }
        })();
        await server.settled();
        const sent: string[] = [];
        for (const happens of events) {
          if (happens.kind === 'report') {
            const { device, seq } = server.publish(`plant1.d${happens.device}`, { n: sent.length });
            sent.push(`${device} ${seq}`);
          } else if (happens.kind === 'pass') await server.clock.advance(happens.ms);
          else if (happens.kind === 'turn') for (let turn = 0; turn < happens.turns; turn++) await Promise.resolve();
          else if (happens.kind === 'drop')
            server.drop(1006, happens.node === undefined ? undefined : nodes[happens.node]);
          else if (happens.kind === 'move')
            for (const { channel } of subscriptions) server.moved(channel, nodes[happens.node]!);
          else if (happens.kind === 'drain') server.send({ draining: { afterMs: 1000 } });
          else if (happens.kind === 'reach') server.setReachable(happens.isReachable, nodes[happens.node]);
          else if (happens.kind === 'pause') subscriptions[happens.which]!.pause();
          else if (happens.kind === 'resume') subscriptions[happens.which]!.resume();
          else allow(happens.count);
        }
        for (const url of nodes) server.setReachable(true, url);
        for (const subscription of subscriptions) subscription.resume();
        allow(Number.POSITIVE_INFINITY);
        await server.clock.advance(60_000);
        const byDevice = (list: readonly string[]) => ({ ...Object.groupBy(list, (each) => each.split(' ')[0]!) });
        assert.deepEqual(byDevice(got), byDevice(sent));
        stream.close();
        await loop;
      },
    ),
    fuzzed(600),
  );
});
