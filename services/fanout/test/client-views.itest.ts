import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Delivery } from '@tailrace/client/report';
import { createStream, type Stream } from '@tailrace/client/stream';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startNode, type TestNode, tokenSecret } from './node.ts';

failOnLeaks({ graceMs: 5_000 });

let node: TestNode;
const streams: Stream[] = [];
before(async () => {
  node = await startNode({ expiryWarningMs: 60_000, tokenClockToleranceMs: 0 });
});
after(async () => {
  for (const stream of streams) stream.close();
  await node.stop();
});

function connect(token: string | (() => Promise<string>) = node.token): Stream {
  const stream = createStream({ url: `ws://127.0.0.1:${node.port}`, token, backoff: { baseMs: 10, capMs: 20 } });
  streams.push(stream);
  return stream;
}

const numberOf = ({ readings }: Delivery) => Number(readings.find(({ tag }) => tag === 'n')?.value);

async function report(device: string, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await node.append(device, [{ tag: 'n', value: n }]);
}

const upTo = (count: number, from = 1) => Array.from({ length: count - from + 1 }, (_, index) => from + index);

test('the SDK pauses on the server, and gets what was sent meanwhile when it resumes', async () => {
  const stream = connect();
  const got: number[] = [];
  const take = (reports: readonly Delivery[]) => got.push(...reports.map(numberOf));
  const subscription = stream.subscribe('own.pause', { onSnapshot: take, onReports: take });
  await eventually(() => subscription.state.name === 'live');
  await report('own.pause', 1, 3);
  await eventually(() => assert.deepEqual(got, upTo(3)));
  subscription.pause();
  // The other subscription gets reports that the server received after the pause.
  const other: number[] = [];
  stream.subscribe('own.pause', { snapshot: false, onReports: (reports) => other.push(...reports.map(numberOf)) });
  await report('own.pause', 4, 5);
  await eventually(() => assert.equal(other.at(-1), 5));
  assert.deepEqual(got, upTo(3));
  subscription.resume();
  await eventually(() => assert.deepEqual(got, upTo(5)));
  await eventually(() => subscription.state.name === 'live');
});

test('the SDK in a slow loop never gets more than its buffer holds, and loses nothing', async () => {
  const stream = connect();
  const subscription = stream.subscribe('own.loop', { bufferReportsMax: 5 });
  const got: number[] = [];
  const iterator = subscription[Symbol.asyncIterator]();
  await eventually(() => subscription.state.name === 'live');
  await report('own.loop', 1, 200);
  for (let index = 0; got.at(-1) !== 200; index++) {
    const { value } = await iterator.next();
    got.push(numberOf(value!));
    if (index === 50) await report('own.loop', 201, 260);
  }
  while (got.at(-1) !== 260) got.push(numberOf((await iterator.next()).value!));
  assert.deepEqual(got, upTo(260));
  await iterator.return?.();
});

test('the SDK in a slow loop gets all of a snapshot that is larger than its buffer', async () => {
  const devices = upTo(1_000).map((number) => `large.d${number}`);
  const text = 'x'.repeat(4_000);
  await Promise.all(devices.map((device) => node.append(device, [{ tag: 'text', value: text }])));
  const stream = connect();
  let isComplete = false;
  const subscription = stream.subscribe('large.>', {
    bufferReportsMax: 300,
    onSnapshotComplete: () => {
      isComplete = true;
    },
  });
  const got = new Set<string>();
  const loop = (async () => {
    for await (const { device } of subscription) {
      got.add(device);
      if (got.size % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await eventually(() => assert.equal(got.size, devices.length));
  assert.ok(isComplete);
  subscription.unsubscribe();
  await loop;
});

test('the SDK starts from a time, and from a stored position', async () => {
  const startMs = Date.now();
  await report('own.past', 1, 20);
  const stream = connect();
  const got: number[] = [];
  const states: string[] = [];
  const subscription = stream.subscribe('own.past', {
    from: startMs,
    onReports: (reports) => got.push(...reports.map(numberOf)),
    onState: ({ name }) => states.push(name),
  });
  await eventually(() => assert.deepEqual(got, upTo(20)));
  await eventually(() => assert.deepEqual(states, ['replaying', 'live']));
  const { position } = subscription;
  subscription.unsubscribe();
  await report('own.past', 21, 25);
  const later: number[] = [];
  stream.subscribe('own.past', { after: position, onReports: (reports) => later.push(...reports.map(numberOf)) });
  await eventually(() => assert.deepEqual(later, upTo(25, 21)));
});

test('the SDK delivers whole reports where only changes are sent, also over a reconnect', async () => {
  const sockets: WebSocket[] = [];
  class Noted extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const stream = createStream({
    url: `ws://127.0.0.1:${node.port}`,
    token: node.token,
    WebSocket: Noted,
    backoff: { baseMs: 10, capMs: 20 },
  });
  streams.push(stream);
  const got: string[] = [];
  const subscription = stream.subscribe('own.delta', {
    delta: true,
    onReports: (reports) => {
      for (const { readings, delta } of reports)
        got.push(`${readings.map(({ tag, value }) => `${tag}=${value}`).sort()} ${delta ?? 'whole'}`);
    },
  });
  await eventually(() => subscription.state.name === 'live');
  const appendReport = (n: number, mode: string) =>
    node.append('own.delta', [
      { tag: 'mode', value: mode },
      { tag: 'n', value: n },
    ]);
  await appendReport(1, 'a');
  await appendReport(2, 'a');
  await eventually(() => assert.equal(got.length, 2));
  sockets.at(-1)!.close();
  await appendReport(3, 'a');
  await appendReport(3, 'b');
  stream.reconnect();
  await eventually(() => assert.equal(got.length, 4));
  await appendReport(4, 'b');
  await eventually(() => assert.equal(got.length, 5));
  assert.deepEqual(got, [
    'mode=a,n=1 whole',
    'mode=a,n=2 whole',
    'mode=a,n=3 whole',
    'mode=b,n=3 whole',
    'mode=b,n=4 whole',
  ]);
});

test('the SDK replaces its token when the server warns of its expiry, and stays connected', async () => {
  let asked = 0;
  let endMs = 0;
  const stream = connect(async () => {
    const expiresInMs = asked++ === 0 ? 1_000 : 3_600_000;
    // Tokens count whole seconds.
    if (asked === 1) endMs = Date.now() + expiresInMs + 1_000;
    return await issueToken({
      secret: tokenSecret,
      subject: `own ${asked}`,
      publish: [],
      subscribe: ['>'],
      expiresInMs,
    });
  });
  const states: string[] = [];
  stream.onState(({ name }) => states.push(name));
  const subscription = stream.subscribe('own.token');
  await eventually(() => subscription.state.name === 'live');
  await eventually(() => assert.equal(asked, 2));
  await eventually(() => Date.now() > endMs + 500, { describe: 'the old token has expired' });
  assert.equal(subscription.state.name, 'live');
  assert.deepEqual(states, ['live']);
});
