import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { corsFrom } from '@tailrace/platform/cors';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { noTracing } from '@tailrace/platform/tracing';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { Answers } from './answers.ts';
import type { DeviceSocketServer } from './devices/device-socket.ts';
import { MemoryDevice } from './devices/memory-sockets.ts';
import { BodyScheduler, Endpoint, type EndpointOptions, formatFrom } from './endpoint.ts';
import { MemoryTransport } from './memory-transport.ts';
import { createIngestMetrics } from './metrics.ts';
import { Observer } from './observer.ts';

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('each known content type selects its format, in any case and with a charset', () => {
  assert.equal(formatFrom('application/json'), 'json');
  assert.equal(formatFrom('Application/JSON; charset=UTF-8'), 'json');
  assert.equal(formatFrom('application/json;charset="utf-8"'), 'json');
  assert.equal(formatFrom('application/x-ndjson'), 'ndjson');
  assert.equal(formatFrom('application/jsonl'), 'ndjson');
  assert.equal(formatFrom('application/x-protobuf'), 'protobuf');
  assert.equal(formatFrom('application/protobuf'), 'protobuf');
});

test('a missing content type selects JSON', () => {
  assert.equal(formatFrom(''), 'json');
});

test('the error of an unknown content type names the known ones', () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'constructor',
    '__proto__',
    ';',
    'a'.repeat(10_000),
  ]) {
    assert.throws(
      () => formatFrom(type),
      fails('invalid_message', /application\/json .*application\/x-ndjson .*application\/x-protobuf/),
    );
  }
});

test('the parameter proto of a Protobuf content type names its message', () => {
  assert.equal(formatFrom('application/x-protobuf; proto=tailrace.v1.ReportBatch'), 'report-batch');
  assert.equal(formatFrom('application/x-protobuf;proto="tailrace.v1.IoTData"'), 'iot-data');
  assert.equal(formatFrom('Application/Protobuf; charset=utf-8; proto = tailrace.v1.IoTDataBatch'), 'iot-data-batch');
  // Another format has no such parameter, and unknown ones are ignored.
  assert.equal(formatFrom('application/json; proto=tailrace.v1.IoTData'), 'json');
  assert.equal(formatFrom('application/x-protobuf; version=2; flag'), 'protobuf');
  for (const proto of ['tailrace.v1.Report', 'IoTData', '', 'constructor', '__proto__'])
    assert.throws(
      () => formatFrom(`application/x-protobuf; proto=${proto}`),
      fails('invalid_message', /expected proto=tailrace\.v1\.ReportBatch, .*IoTDataBatch, got "/),
    );
});

test('JSON in another charset than UTF-8 is refused', () => {
  assert.throws(
    () => formatFrom('application/json; charset=latin1'),
    fails('invalid_message', /expected charset=utf-8, got "latin1"/),
  );
});

function setUp() {
  const bodies = new BodyScheduler();
  const steps: string[] = [];
  const add = (sender: object, name: string, count: number, onDone = () => {}) => {
    let left = count;
    bodies.add(sender, () => {
      steps.push(name);
      if (--left === 0) onDone();
      return left === 0;
    });
  };
  /** Waits for one turn of the event loop. Returns the steps that were done in it. */
  const turn = async () => {
    steps.length = 0;
    await setImmediate();
    return [...steps];
  };
  /** Returns the steps of this many turns, one after the other. */
  const turns = async (count: number) => {
    const done: string[][] = [];
    while (done.length < count) done.push(await turn());
    return done;
  };
  return { bodies, add, turns };
}

/** Returns how many calls wait for the next turn of the event loop. */
const callsDue = () => process.getActiveResourcesInfo().filter((type) => type === 'Immediate').length;

test('each turn of the event loop runs one step, and senders alternate', async () => {
  const { add, turns } = setUp();
  add({}, 'a', 3);
  add({}, 'b', 2);
  add({}, 'c', 1);
  assert.equal(callsDue(), 1);
  assert.deepEqual(await turns(6), [['a'], ['b'], ['c'], ['a'], ['b'], ['a']]);
  assert.equal(callsDue(), 0, 'without work there is no further turn');
});

test('bodies of one sender keep their order, and get no more steps than those of another', async () => {
  const { bodies, add, turns } = setUp();
  const [one, other] = [{}, {}];
  add(one, 'first', 2);
  add(one, 'second', 1);
  add(other, 'other', 2);
  assert.deepEqual((await turns(5)).flat(), ['first', 'other', 'first', 'other', 'second']);
  assert.equal(bodies.has(one) || bodies.has(other), false);
});

test('a body that is received while the last step of the one before runs waits for it', async () => {
  const { bodies, add, turns } = setUp();
  const sender = {};
  add(sender, 'first', 1, () => {
    assert.ok(bodies.has(sender));
    add(sender, 'second', 1);
  });
  assert.deepEqual(await turns(3), [['first'], ['second'], []]);
  assert.equal(bodies.has(sender), false);
});

test('four bodies are started at once, however many senders there are, and the others follow in their order', async () => {
  const { add, turns } = setUp();
  for (let sender = 0; sender < 9; sender++) add({}, String(sender), 3);
  const done = (await turns(27)).flat();
  const left = new Map<string, number>();
  for (const name of done) {
    left.set(name, (left.get(name) ?? 3) - 1);
    const started = [...left.values()].filter((steps) => steps > 0).length;
    assert.ok(started <= 4, `${started} at once`);
  }
  assert.deepEqual(done.slice(0, 12).toSorted(), ['0', '0', '0', '1', '1', '1', '2', '2', '2', '3', '3', '3']);
  assert.deepEqual([...left.keys()], ['0', '1', '2', '3', '4', '5', '6', '7', '8']);
});

/** An endpoint that serves sockets alone, on a transport in memory. `accept` is that of the path /v1/device. */
async function servingSockets(accept: DeviceSocketServer['accept'] = () => () => ignoreEvents) {
  const clock = createFakeClock();
  const metrics = createMetrics({ service: 'ingest', node: 'test', processMetrics: false });
  const endpoint = new Endpoint({
    answers: new Answers(2_000),
    cors: corsFrom(['https://app.example'], { methods: 'POST', headers: '' }),
    observer: new Observer({
      ...{ metrics: createIngestMetrics(metrics), tracing: noTracing, clock, topic: 't', system: undefined },
    }),
    logger: silentLogger,
    sockets: new Map([['/v1/device', { subprotocols: [], messageBytesMax: 1_000, accept }]]),
  } as unknown as EndpointOptions);
  const transport = new MemoryTransport({ clock, logger: silentLogger });
  await transport.listen(endpoint);
  const count = async (outcome: string) =>
    new RegExp(`tailrace_ingest_requests_total\\{[^}]*outcome="${outcome}"[^}]*\\} (\\d+)`).exec(
      await metrics.text(),
    )?.[1];
  /** Returns the status; 101 for an opened socket. */
  const connect = (target: string, headers: Readonly<Record<string, string>> = {}) => {
    const answer = transport.connectDevice({ target, headers });
    return answer instanceof MemoryDevice ? 101 : answer?.status;
  };
  return { endpoint, transport, connect, count };
}

const ignoreEvents = { message() {}, ping() {}, pong() {}, closed() {} };

test('a request for a WebSocket is passed to what serves its path, and counted', async () => {
  const paths: string[] = [];
  const { connect, count } = await servingSockets((head) => {
    paths.push(head.path, head.header('authorization'));
    return () => ignoreEvents;
  });
  assert.equal(connect('/v1/device?a=b', { authorization: 'Bearer x' }), 101);
  assert.deepEqual(paths, ['/v1/device', 'Bearer x']);
  assert.equal(connect('/v1/other'), undefined);
  assert.deepEqual([await count('upgraded'), await count('unsupported')], ['1', '0']);
});

test('a request for a WebSocket is refused with the error of what serves its path', async () => {
  let error: unknown = new TailraceError('limit_reached', 'expected at most 10 sessions, got 11');
  const { transport, count } = await servingSockets(() => {
    throw error;
  });
  const refused = transport.connectDevice({ target: '/v1/device' });
  assert.ok(refused !== undefined && !(refused instanceof MemoryDevice));
  assert.deepEqual([refused.status, refused.headers[1]], [503, ['Retry-After', '2']]);
  assert.match(refused.body, /expected at most 10 sessions, got 11/);
  error = new RangeError('a mistake');
  const failed = transport.connectDevice({ target: '/v1/device' });
  assert.ok(failed !== undefined && !(failed instanceof MemoryDevice));
  assert.equal(failed.status, 500);
  assert.doesNotMatch(failed.body, /a mistake/);
  assert.deepEqual([await count('overloaded'), await count('internal')], ['1', '1']);
});

test('a page of a web site may open a socket only from an allowed origin', async () => {
  const { connect, count } = await servingSockets();
  assert.equal(connect('/v1/device', { origin: 'https://other.example' }), 403);
  assert.equal(connect('/v1/device', { origin: 'null' }), 403);
  assert.equal(connect('/v1/device', { origin: 'https://app.example' }), 101);
  assert.equal(await count('forbidden'), '2');
});

test('a server that leaves or drains refuses WebSockets', async () => {
  const { endpoint, connect } = await servingSockets();
  endpoint.leave();
  assert.equal(connect('/v1/device'), 503);
  endpoint.drain();
  assert.equal(connect('/v1/device'), 503);
});

test('a request for a WebSocket that is invalid, or none, is answered with what is expected', async () => {
  const { transport, connect } = await servingSockets(() => {
    throw new RangeError('accept was called');
  });
  assert.equal(connect('/v1/device', { 'sec-websocket-version': '8' }), 426);
  assert.equal(connect('/v1/device', { 'sec-websocket-key': '' }), 400);
  const plain = await transport.request({ method: 'GET', target: '/v1/device' });
  assert.equal(plain?.status, 426);
  const headers = Object.fromEntries(plain?.headers ?? []);
  assert.deepEqual([headers['Upgrade'], headers['Sec-WebSocket-Version']], ['websocket', '13']);
  const post = await transport.request({ method: 'POST', target: '/v1/device' });
  assert.deepEqual([post?.status, Object.fromEntries(post?.headers ?? [])['Allow']], [405, 'GET']);
});
