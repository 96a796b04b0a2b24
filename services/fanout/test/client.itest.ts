import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createStream } from '@tailrace/client/stream';
import { eventually } from '@tailrace/testkit/eventually';
import { startNode, type TestNode } from './node.ts';

let node: TestNode;
before(async () => {
  node = await startNode();
});
after(() => node.stop());

test('our own client, cut off again and again while reports go on, is given every report once', async () => {
  const sockets: WebSocket[] = [];
  class Cut extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const given: number[] = [];
  const recoveries: (boolean | undefined)[] = [];
  const stream = createStream({
    url: `ws://127.0.0.1:${node.port}`,
    token: node.token,
    WebSocket: Cut,
    backoff: { baseMs: 10, capMs: 20 },
  });
  const take = (reports: readonly { readonly readings: readonly { readonly value: unknown }[] }[]) => {
    for (const { readings } of reports) given.push(Number(readings[0]?.value));
  };
  const subscription = stream.subscribe('own.client', {
    onSnapshot: take,
    onReports: take,
    onState: (state) => {
      if (state.name === 'live') recoveries.push(state.recovered);
    },
  });
  let value = 0;
  const report = () => node.append('own.client', [{ tag: 'n', value: ++value }]);
  await report();
  await eventually(() => subscription.state.name === 'live');
  for (let round = 0; round < 10; round++) {
    await report();
    sockets.at(-1)!.close();
    for (let i = 0; i < 20; i++) await report();
    stream.reconnect();
    await eventually(() => recoveries.length === round + 2, { describe: 'live again' });
  }
  await report();
  await eventually(() => assert.equal(given.at(-1), value));
  assert.deepEqual(
    given,
    Array.from({ length: value - given[0]! + 1 }, (_, i) => given[0]! + i),
  );
  assert.deepEqual(recoveries, [undefined, ...Array(10).fill(true)]);
  stream.close();
});
