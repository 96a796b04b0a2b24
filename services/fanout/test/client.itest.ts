import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createStream } from '@tailrace/client/stream';
import { eventually } from '@tailrace/testkit/eventually';
import { type ProxyFault, proxyAnswer, startFaultyProxy } from '@tailrace/testkit/faulty-proxy';
import { WebSocket as WsWebSocket } from 'ws';
import { startNode, type TestNode } from './node.ts';

let node: TestNode;
before(async () => {
  node = await startNode();
});
after(() => node.stop());

test('the SDK delivers every report once, over repeated disconnects under load', async () => {
  const sockets: WebSocket[] = [];
  class NotedSocket extends WebSocket {
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
    WebSocket: NotedSocket,
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
  for (let iteration = 0; iteration < 10; iteration++) {
    await report();
    sockets.at(-1)!.close();
    for (let i = 0; i < 20; i++) await report();
    stream.reconnect();
    await eventually(() => recoveries.length === iteration + 2, { describe: 'live again' });
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

for (const [runtime, Constructor] of [
  ["Node's WebSocket", globalThis.WebSocket],
  ['the package ws', WsWebSocket as unknown as typeof globalThis.WebSocket],
] as const) {
  test(`with ${runtime} a handshake that a proxy refuses while the server restarts is retried`, async (t) => {
    const answers = [400, 404, 429, 500, 502, 503, 504, 505, 520, 530].map((status) => proxyAnswer(status, 'No'));
    const garbage = ['HTTP/1.1 101 Switching Protocols\r\n\r\n', '\0\0\0', 'SSH-2.0-x\r\n'];
    const responses: ProxyFault[] = [...answers, ...garbage, 'reset', 'lost answer'];
    const proxy = await startFaultyProxy(node.port, responses);
    t.after(() => proxy.close());
    await node.append('own.proxied', [{ tag: 'n', value: 1 }]);
    const losses: (readonly [code: number, mayReconnect: boolean])[] = [];
    const stream = createStream({
      url: `ws://127.0.0.1:${proxy.port}`,
      token: node.token,
      WebSocket: Constructor,
      backoff: { baseMs: 5, capMs: 10 },
    });
    t.after(() => stream.close());
    stream.onState((state) => {
      if (state.name === 'waiting') losses.push([state.loss.code, state.loss.mayReconnect]);
    });
    const values: unknown[] = [];
    stream.subscribe('own.proxied', { onSnapshot: (reports) => values.push(reports[0]?.readings[0]?.value) });
    await eventually(() => values.length === 1);
    assert.deepEqual(
      losses,
      responses.map(() => [1006, true]),
    );
    assert.equal(proxy.connections, responses.length + 1);
  });
}
