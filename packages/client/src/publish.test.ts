import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createPublisher, type PublisherOptions } from './publish.ts';

type Answer = (reports: Report[], init: RequestInit) => Response | Promise<Response>;

const accept: Answer = (reports) => Response.json({ accepted: reports.length, rejected: [] }, { status: 202 });

function setUp(answers: Answer[], options: Partial<PublisherOptions> = {}) {
  const clock = createFakeClock();
  const requests: Report[][] = [];
  const inits: RequestInit[] = [];
  const fetch = async (_url: unknown, init: RequestInit = {}) => {
    const reports = JSON.parse(String(init.body)) as Report[];
    requests.push(reports);
    inits.push(init);
    return (answers.shift() ?? accept)(reports, init);
  };
  const publisher = createPublisher({
    url: 'http://ingest:8082',
    token: 'secret',
    fetch: fetch as typeof globalThis.fetch,
    clock,
    random: () => 0.5,
    backoff: { baseMs: 1000 },
    ...options,
  });
  return { clock, publisher, requests, inits };
}

function report(value: number, id?: string): Report {
  return { device: 'plant1.press', time: 1, readings: [{ tag: 'force', value }], ...(id ? { id } : {}) };
}

const valuesOf = (reports: readonly Report[] | undefined) => reports?.map(({ readings }) => readings[0]?.value);
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error) => (error instanceof TailraceError ? error.code : String(error)),
  );

test('reports published within the linger are sent in one request, in order, with the token', async () => {
  const { clock, publisher, requests, inits } = setUp([]);
  const results = [publisher.publish(report(1)), publisher.publish([report(2), report(3)])];
  await clock.advance(20);
  assert.deepEqual(await Promise.all(results), [
    { accepted: 1, refused: [] },
    { accepted: 2, refused: [] },
  ]);
  assert.deepEqual(requests.map(valuesOf), [[1, 2, 3]]);
  assert.deepEqual(inits[0]?.headers, { 'content-type': 'application/json', authorization: 'Bearer secret' });
});

test('a report keeps its id or gets a unique one, and has the same one in a retry', async () => {
  const { clock, publisher, requests } = setUp([() => new Response('', { status: 503 })]);
  const result = publisher.publish([report(1, 'mine'), report(2), report(3)]);
  await clock.advance(2000);
  await result;
  const [first, second] = requests.map((reports) => reports.map(({ id }) => id));
  assert.deepEqual(first, second);
  assert.equal(first?.[0], 'mine');
  assert.equal(new Set(first).size, 3);
});

test('refused reports are returned with their reason, and the others are accepted', async () => {
  const rejected = [{ index: 1, code: 'invalid_report', message: 'the unit is too long' }];
  const { clock, publisher } = setUp([() => Response.json({ accepted: 2, rejected }, { status: 202 })]);
  const result = publisher.publish([report(1, 'a'), report(2, 'b'), report(3, 'c')]);
  await clock.advance(20);
  assert.deepEqual(await result, {
    accepted: 2,
    refused: [{ report: report(2, 'b'), code: 'invalid_report', message: 'the unit is too long' }],
  });
});

test('400 with every report refused settles the batch', async () => {
  const rejected = [{ index: 0, code: 'invalid_path', message: 'no' }];
  const { clock, publisher } = setUp([() => Response.json({ accepted: 0, rejected }, { status: 400 })]);
  const result = publisher.publish(report(1));
  await clock.advance(20);
  assert.equal((await result).refused[0]?.code, 'invalid_path');
});

test('429 and 503 are retried, not before Retry-After, and in order', async () => {
  const waits: number[] = [];
  const { clock, publisher, requests } = setUp(
    [() => new Response('', { status: 429, headers: { 'retry-after': '3' } }), () => new Response('', { status: 503 })],
    { onRetry: (_error, waitMs) => waits.push(waitMs) },
  );
  const first = publisher.publish(report(1));
  await clock.advance(20);
  void publisher.publish(report(2));
  await clock.advance(3499);
  assert.equal(requests.length, 1);
  await clock.advance(1);
  assert.equal(requests.length, 2);
  await clock.advance(1000);
  assert.deepEqual(await first, { accepted: 1, refused: [] });
  assert.deepEqual(waits, [3500, 1000]);
  assert.deepEqual(requests.map(valuesOf), [[1], [1, 2], [1, 2]]);
});

test('a request without a response times out and is retried', async () => {
  const hang: Answer = (_reports, init) =>
    new Promise((_resolve, reject) => init.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
  const { clock, publisher, requests } = setUp([hang], { requestTimeoutMs: 2000 });
  const result = publisher.publish(report(1));
  await clock.advance(4000);
  assert.equal((await result).accepted, 1);
  assert.equal(requests.length, 2);
});

test('a refused token rejects its batch, and later reports are sent', async () => {
  const refuse: Answer = () =>
    Response.json({ error: { code: 'unauthorized', message: 'token expired' } }, { status: 401 });
  const { clock, publisher } = setUp([refuse]);
  const refused = publisher.publish(report(1));
  const code = codeOf(refused);
  await clock.advance(20);
  assert.equal(await code, 'unauthorized');
  await assert.rejects(refused, /token expired/);
  const later = publisher.publish(report(2));
  await clock.advance(20);
  assert.equal((await later).accepted, 1);
});

test('a request that is too large is sent in halves; a single report that is too large is rejected', async () => {
  const tooMany: Answer = (reports) => (reports.length > 1 ? new Response('', { status: 413 }) : accept(reports, {}));
  const { clock, publisher, requests } = setUp([tooMany, tooMany, tooMany, tooMany, tooMany]);
  const result = publisher.publish([report(1), report(2), report(3)]);
  await clock.advance(100);
  assert.equal((await result).accepted, 3);
  assert.deepEqual(requests.map(valuesOf)[0], [1, 2, 3]);

  const alone = setUp([() => new Response('', { status: 413 })]);
  const code = codeOf(alone.publisher.publish(report(1)));
  await alone.clock.advance(20);
  assert.equal(await code, 'too_large');
});

test('batches are bounded by count and by bytes', async () => {
  const { clock, publisher, requests } = setUp([], { batchReportsMax: 3, batchBytesMax: 250 });
  void publisher.publish([report(1), report(2), report(3), report(4), report(5)]);
  await clock.advance(20);
  assert.ok(requests.length >= 3);
  assert.deepEqual(requests.flatMap(valuesOf), [1, 2, 3, 4, 5]);
  for (const reports of requests) assert.ok(JSON.stringify(reports).length <= 250);
});

test('a full queue rejects new reports and keeps queued ones', async () => {
  const { clock, publisher } = setUp([], { queueReportsMax: 2 });
  const kept = publisher.publish([report(1), report(2)]);
  assert.equal(await codeOf(publisher.publish(report(3))), 'limit_reached');
  assert.equal(publisher.stats().queuedReports, 2);
  await clock.advance(20);
  assert.equal((await kept).accepted, 2);
  assert.deepEqual(
    { ...publisher.stats() },
    {
      queuedReports: 0,
      queuedReportsMax: 2,
      queuedBytes: 0,
      queuedBytesMax: 16_777_216,
      accepted: 2,
      refused: 0,
      retries: 0,
    },
  );
});

test('a report that cannot be delivered within giveUpMs is rejected', async () => {
  const down: Answer = () => Promise.reject(new TypeError('fetch failed'));
  const { clock, publisher } = setUp(
    Array.from({ length: 100 }, () => down),
    { giveUpMs: 10_000 },
  );
  const code = codeOf(publisher.publish(report(1)));
  await clock.advance(60_000);
  assert.equal(await code, 'unavailable');
  assert.equal(publisher.stats().queuedReports, 0);
});

test('a response that is not from ingest is retried', async () => {
  const { clock, publisher, requests } = setUp([
    () => new Response('<html>Welcome to the hotel</html>', { status: 200 }),
  ]);
  const result = publisher.publish(report(1));
  await clock.advance(5000);
  assert.equal((await result).accepted, 1);
  assert.equal(requests.length, 2);
});

for (const [what, rejected] of [
  ['twice', [{ index: 0 }, { index: 0 }]],
  ['by no whole number', [{ index: 0.5 }, { index: 1 }]],
] as const) {
  test(`a response that names a refused report ${what} accepts none`, async () => {
    const { clock, publisher, requests } = setUp([() => Response.json({ accepted: 1, rejected }, { status: 202 })]);
    const result = publisher.publish([report(1), report(2), report(3)]);
    await clock.advance(5000);
    assert.deepEqual(await result, { accepted: 3, refused: [] });
    assert.equal(requests.length, 2, 'all were retried');
  });
}

test('a redirect is not followed but retried, and the error has its location', async () => {
  const headers = { location: 'https://portal.example/' };
  const redirect: Answer = () => new Response(null, { status: 307, headers });
  const { clock, publisher, requests, inits } = setUp([redirect]);
  const result = publisher.publish(report(1));
  await clock.advance(5_000);
  assert.deepEqual(await result, { accepted: 1, refused: [] });
  assert.deepEqual(requests.map(valuesOf), [[1], [1]]);
  assert.equal(inits[0]?.redirect, 'manual');

  const always = setUp(Array.from({ length: 50 }, () => redirect));
  const failed = assert.rejects(always.publisher.publish(report(1)), {
    code: 'unavailable',
    message: /answered 307, see "https:\/\/portal\.example\/"/,
  });
  await always.clock.advance(100_000);
  await failed;
});

test('an endless response is read only up to a bound', async () => {
  let sent = 0;
  let isCancelled = false;
  const endless = () =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1_048_576;
        // Bounds the memory of a client that reads all of it.
        if (sent > 64 * 1_048_576) controller.close();
        else controller.enqueue(new Uint8Array(1_048_576).fill(0x20));
      },
      cancel() {
        isCancelled = true;
      },
    });
  const { clock, publisher, requests } = setUp([() => new Response(endless(), { status: 202 })]);
  const result = publisher.publish(report(1));
  await clock.advance(20);
  // The response stream does not use the clock.
  while (publisher.stats().retries === 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(5000);
  assert.equal((await result).accepted, 1);
  assert.equal(requests.length, 2);
  assert.ok(sent <= 6 * 1_048_576, `${sent} bytes`);
  assert.ok(isCancelled);
});

test('drain waits for the last response; close rejects the queue and leaves no timer', async () => {
  const { clock, publisher } = setUp([]);
  const result = publisher.publish(report(1));
  const drained = publisher.drain();
  await clock.advance(20);
  await drained;
  await result;
  const code = codeOf(publisher.publish(report(2)));
  publisher.close();
  assert.equal(await code, 'closed');
  assert.equal(await codeOf(publisher.publish(report(3))), 'closed');
  assert.equal(clock.pending(), 0);
});

const statuses = [
  408, 425, 429, 500, 502, 503, 504, 505, 506, 507, 508, 511, 520, 521, 522, 523, 524, 525, 526, 529, 530, 599,
];
for (const status of statuses) {
  test(`${status} is retried`, async () => {
    const { clock, publisher, requests } = setUp([() => new Response('', { status })]);
    const result = publisher.publish(report(1));
    await clock.advance(2000);
    assert.equal((await result).accepted, 1);
    assert.equal(requests.length, 2);
  });
}

for (const [status, code] of [
  [400, 'invalid_report'],
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'not_found'],
  [405, 'internal'],
  [431, 'too_large'],
  [501, 'internal'],
] as const) {
  test(`${status} is not retried, and the error has the first characters of an HTML page`, async () => {
    const page = `<html>\r\n<head><title>${status} No</title></head>${'x'.repeat(10_000)}`;
    const { clock, publisher, requests } = setUp([() => new Response(page, { status })]);
    const result = publisher.publish(report(1));
    const caught = result.catch((error: unknown) => error);
    await clock.advance(120_000);
    const error = await caught;
    assert.ok(error instanceof TailraceError && error.code === code);
    assert.match(error.message, new RegExp(`answered ${status}: "<html>.*<title>${status} No`));
    assert.ok(error.message.length < 250);
    assert.equal(requests.length, 1);
  });
}

test('the error of a size limit states whether it is of the head or the body', async () => {
  for (const [status, what] of [
    [431, /the request head, which carries the token, is too large: .* answered 431/],
    [413, /the request body is too large: .* answered 413/],
  ] as const) {
    const { clock, publisher } = setUp([() => new Response('', { status })]);
    const result = assert.rejects(publisher.publish(report(1)), { code: 'too_large', message: what });
    await clock.advance(20);
    await result;
  }
  const own = Response.json({ error: { code: 'too_large', message: 'expected at most 16384 bytes' } }, { status: 431 });
  const { clock, publisher } = setUp([() => own]);
  const result = assert.rejects(publisher.publish(report(1)), { message: /too large: expected at most 16384 bytes/ });
  await clock.advance(20);
  await result;
});

test('a server that always responds 505 is given up after giveUpMs, and the error has its status', async () => {
  const old: Answer = () => new Response('<html>505 HTTP Version Not Supported</html>', { status: 505 });
  const { clock, publisher, requests } = setUp(Array.from({ length: 1000 }, () => old));
  const result = publisher.publish(report(1));
  const caught = result.catch((error: unknown) => error);
  await clock.advance(89_999);
  assert.equal(publisher.stats().queuedReports, 1);
  const before = requests.length;
  await clock.advance(1);
  assert.equal(requests.length, before + 1, 'the last attempt is at giveUpMs');
  const error = await caught;
  assert.ok(error instanceof TailraceError && error.code === 'unavailable');
  assert.match(error.message, /^given up after 90 s: .* answered 505: "<html>505 HTTP Version Not Supported/);
  assert.ok(requests.length < 30, `${requests.length} requests`);
});

test('Retry-After in seconds and as a date is respected, but not beyond giveUpMs', async () => {
  const epochMs = createFakeClock().now();
  const at = (ms: number) => new Date(ms).toUTCString();
  for (const [header, waitMs] of [
    ['7', 7500],
    // A date has whole seconds, and the response comes 20 ms after the start.
    [at(epochMs + 30_000), Date.parse(at(epochMs + 30_000)) - epochMs - 20 + 500],
    [at(epochMs - 30_000), 500],
    ['86400', 90_000 - 20],
    [at(epochMs + 86_400_000), 90_000 - 20],
    ['soon', 500],
  ] as const) {
    for (const status of [408, 425, 429, 503, 505]) {
      const waits: number[] = [];
      const { clock, publisher } = setUp([() => new Response('', { status, headers: { 'retry-after': header } })], {
        onRetry: (_error, ms) => waits.push(ms),
      });
      const result = publisher.publish(report(1));
      await clock.advance(90_000);
      assert.equal((await result).accepted, 1);
      assert.deepEqual(waits, [waitMs], `${status} ${header}`);
    }
  }
});

test('only reports older than giveUpMs are rejected; later ones are sent', async () => {
  let isUp = false;
  const { clock, publisher, requests } = setUp(
    Array.from(
      { length: 60 },
      () => (reports, init) => (isUp ? accept(reports, init) : new Response('', { status: 502 })),
    ),
    { giveUpMs: 10_000, backoff: { baseMs: 1000, capMs: 1000 } },
  );
  const first = codeOf(publisher.publish(report(1)));
  await clock.advance(8000);
  const second = publisher.publish(report(2));
  await clock.advance(2500);
  assert.equal(await first, 'unavailable');
  isUp = true;
  await clock.advance(1000);
  assert.equal((await second).accepted, 1);
  assert.deepEqual(valuesOf(requests.at(-1)), [2]);
});

test('options that allow a retry outside of the duplicate window are rejected', () => {
  const options = { url: 'http://ingest:8082', fetch: globalThis.fetch };
  for (const bad of [
    { giveUpMs: 105_001 },
    { giveUpMs: 60_000, requestTimeoutMs: 60_001 },
    { giveUpMs: -1 },
    { giveUpMs: Number.NaN },
  ])
    assert.throws(() => createPublisher({ ...options, ...bad }), {
      code: 'invalid_config',
      message:
        /^giveUpMs: expected 0 to (105000|59999), got (105001|60000|-1|NaN); servers know message IDs for 120000 ms$/,
    });
  for (const good of [{ giveUpMs: 105_000 }, { giveUpMs: 0 }, { requestTimeoutMs: 100_000 }])
    createPublisher({ ...options, ...good });
});

test('a report is not retried after a suspension longer than the duplicate window', async () => {
  const clock = createFakeClock();
  let suspendedMs = 0;
  const { publisher, requests } = setUp(
    [
      () => {
        suspendedMs = 300_000;
        return new Response('', { status: 503 });
      },
    ],
    {
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        after: (ms, call) => clock.after(ms + suspendedMs, call),
      },
    },
  );
  const sent = codeOf(publisher.publish(report(1)));
  await clock.advance(20);
  const unsent = publisher.publish(report(2));
  await clock.advance(400_000);
  assert.equal(await sent, 'unavailable');
  assert.deepEqual(await unsent, { accepted: 1, refused: [] });
  assert.deepEqual(requests.map(valuesOf), [[1], [2]]);
});

test('requestTimeoutMs out of bounds is rejected by its name, for any giveUpMs', () => {
  const options = { url: 'http://ingest:8082', fetch: globalThis.fetch };
  for (const requestTimeoutMs of [120_001, 200_000, 0, -10_000, Number.NaN, Number.POSITIVE_INFINITY])
    for (const giveUpMs of [undefined, 125_000])
      assert.throws(
        () => createPublisher({ ...options, requestTimeoutMs, ...(giveUpMs === undefined ? {} : { giveUpMs }) }),
        {
          code: 'invalid_config',
          message: `requestTimeoutMs: expected 1 to 120000, got ${requestTimeoutMs}; servers know message IDs for 120000 ms`,
        },
      );
  createPublisher({ ...options, requestTimeoutMs: 120_000 });
});

test('an attempt without a response is a timeout in onRetry, and in the last error', async () => {
  const errors: [code: string, message: string][] = [];
  const { clock, publisher } = setUp(
    Array.from({ length: 20 }, () => () => new Promise<Response>(() => {})),
    { requestTimeoutMs: 2000, giveUpMs: 5000, onRetry: ({ code, message }) => errors.push([code, message]) },
  );
  const message = 'request to http://ingest:8082/v1/ingest failed: expected an answer within 2 s, got none';
  const result = assert.rejects(publisher.publish(report(1)), {
    code: 'unavailable',
    message: `given up after 5 s: ${message}`,
  });
  await clock.advance(20_000);
  await result;
  assert.deepEqual(errors[0], ['timeout', message]);
});

test('onRetry is not called after an attempt that rejects every report', async () => {
  let retries = 0;
  const { clock, publisher, requests } = setUp(
    Array.from({ length: 20 }, () => () => new Response('', { status: 503 })),
    { giveUpMs: 5000, onRetry: () => retries++ },
  );
  const code = codeOf(publisher.publish(report(1)));
  await clock.advance(20_000);
  assert.equal(await code, 'unavailable');
  assert.equal(retries, requests.length - 1);
  assert.equal(publisher.stats().retries, requests.length - 1);
  assert.equal(clock.pending(), 0);
});

test('an exception in onRetry does not stop the publisher', async (t) => {
  const uncaught: unknown[] = [];
  const { queueMicrotask } = globalThis;
  t.mock.method(globalThis, 'queueMicrotask', (call: () => void) =>
    queueMicrotask(() => {
      try {
        call();
      } catch (thrown) {
        uncaught.push(thrown);
      }
    }),
  );
  const { clock, publisher } = setUp([() => new Response('', { status: 503 })], {
    onRetry() {
      throw new RangeError('mine');
    },
  });
  const result = publisher.publish(report(1));
  await clock.advance(2000);
  assert.equal((await result).accepted, 1);
  assert.deepEqual(uncaught, [new RangeError('mine')]);
});

test('a token function that never resolves is a timeout', async () => {
  let asked = 0;
  const { clock, publisher } = setUp([], { token: () => (++asked === 1 ? new Promise(() => {}) : 'secret') });
  const result = publisher.publish(report(1));
  await clock.advance(20_000);
  assert.equal((await result).accepted, 1);
});

test('close during a token request leaves no timer, and nothing is sent when it resolves', async () => {
  let resolve: (token: string) => void = () => {};
  const { clock, publisher, requests } = setUp([], {
    token: () => new Promise((resolveToken) => (resolve = resolveToken)),
  });
  const code = codeOf(publisher.publish(report(1)));
  await clock.advance(20);
  publisher.close();
  assert.equal(await code, 'closed');
  await clock.advance(0);
  assert.equal(clock.pending(), 0);
  resolve('secret');
  await clock.advance(0);
  assert.equal(requests.length, 0);
});

test('a token that resolves after the timeout of its request is not used for it', async () => {
  const resolves: ((token: string) => void)[] = [];
  const { clock, publisher, requests } = setUp([], {
    requestTimeoutMs: 2000,
    token: () => new Promise((resolve) => resolves.push(resolve)),
  });
  const result = publisher.publish(report(1));
  await clock.advance(3000);
  assert.equal(resolves.length, 2);
  for (const resolve of resolves) resolve('secret');
  await clock.advance(0);
  assert.equal((await result).accepted, 1);
  assert.equal(requests.length, 1);
});

test('a token that is invalid in a header is rejected at once, and is not in the error', async () => {
  for (const token of ['sec\nret', 'sécret', 'sec ret', '\u0000secret']) {
    const { clock, publisher, requests } = setUp([], { token });
    const caught = publisher.publish(report(1)).catch((error: unknown) => error);
    await clock.advance(20);
    const error = await caught;
    assert.ok(error instanceof TailraceError && error.code === 'unauthorized' && !error.message.includes('cret'));
    assert.equal(requests.length, 0);
  }
});

const cyclic: Record<string, unknown> = { device: 'a', time: 1, readings: [] };
cyclic['self'] = cyclic;
const reading = (value: unknown) => ({ device: 'a', time: 1, readings: [{ tag: 't', value }] });
/** Returns an object with so many levels. */
const nested = (levels: number): object => ({ a: levels === 1 ? 1 : nested(levels - 1) });
const throwing = {
  device: 'a',
  time: 1,
  get readings(): never[] {
    throw new RangeError('not now');
  },
};
const unserializable: readonly [what: string, reports: unknown, message: RegExp][] = [
  ['a bigint', reading(10n), /^readings\[0\]\.value: expected .*, got bigint 10$/],
  ['NaN', reading(Number.NaN), /^readings\[0\]\.value: expected .*, got NaN$/],
  ['an infinity', reading(Number.NEGATIVE_INFINITY), /^readings\[0\]\.value: expected .*, got -Infinity$/],
  ['undefined as a value', reading(undefined), /^readings\[0\]\.value: expected .*, got undefined$/],
  ['a function', reading(() => 1), /^readings\[0\]\.value: expected .*, got function$/],
  ['a symbol', reading(Symbol('x')), /^readings\[0\]\.value: expected .*, got Symbol\(x\)$/],
  ['a date', { ...reading(1), time: new Date() }, /^time: expected .*, got a Date; getTime\(\) is its number$/],
  ['NaN as a time', { ...reading(1), time: Number.NaN }, /^time: expected .*, got NaN$/],
  [
    'an object that contains itself',
    cyclic,
    /^self\.self\..*: expected at most 8 levels of lists and objects, got more$/,
  ],
  ['nine levels', nested(9), /^a\.a\.a\.a\.a\.a\.a\.a: expected at most 8 levels of lists and objects, got more$/],
  ['no report', undefined, /^report: expected .*, got undefined$/],
  ['no report in a list', [reading(1), undefined], /^\[1\]: expected .*, got undefined$/],
  [
    'NaN in the second report',
    [reading(1), reading(Number.NaN)],
    /^\[1\]\.readings\[0\]\.value: expected .*, got NaN$/,
  ],
  ['a getter that throws', throwing, /^expected reports as plain data: RangeError: not now$/],
  [
    'a toJSON that throws',
    {
      ...reading(1),
      toJSON: () => {
        throw new Error('no');
      },
    },
    /toJSON: expected .*, got function$/,
  ],
  ['null', null, /^expected reports as plain data: TypeError/],
];
for (const [what, reports, message] of unserializable) {
  test(`publish rejects ${what} with its path, and nothing is thrown, sent or queued`, async () => {
    const { clock, publisher, requests } = setUp([]);
    // Must not throw synchronously.
    const result = publisher.publish(reports as Report);
    await assert.rejects(result, { name: 'TailraceError', code: 'invalid_report', message });
    await clock.advance(20);
    assert.deepEqual([requests.length, publisher.stats().queuedReports, clock.pending()], [0, 0, 0]);
  });
}

test('eight levels of lists and objects are published unchanged', async () => {
  const { clock, publisher, requests } = setUp([]);
  const deep = { ...report(1, 'a'), site: nested(7) };
  const result = publisher.publish(deep);
  await clock.advance(20);
  assert.equal((await result).accepted, 1);
  assert.deepEqual(requests, [[deep]]);
});

test('undefined fields that JSON leaves out count as absent', async () => {
  const { clock, publisher, requests } = setUp([]);
  const sparse = { device: 'a', time: 1, readings: [{ tag: 't', value: 1, unit: undefined }], id: undefined };
  const result = publisher.publish(sparse as unknown as Report);
  await clock.advance(20);
  assert.equal((await result).accepted, 1);
  assert.deepEqual(requests[0]?.[0]?.readings, [{ tag: 't', value: 1 }]);
});
