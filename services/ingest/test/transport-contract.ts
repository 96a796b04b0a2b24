import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TailraceError } from '@tailrace/protocol/error';
import type { HttpExchange, Transport } from '../src/transport.ts';

export interface ContractRequest {
  readonly method: string;
  /** With the query. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ContractAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A request as its client sees it, on each adapter. */
export interface ContractClient {
  /** Resolves with undefined if the request gets no answer. */
  readonly answered: Promise<ContractAnswer | undefined>;
  write(text: string): void;
  end(): void;
  abort(): void;
}

/** A transport and its clients. */
export interface ContractSubject {
  readonly transport: Transport;
  /** Called after `listen`. */
  send(request: ContractRequest): ContractClient;
}

interface Received {
  readonly error: string | undefined;
  readonly body: string;
}

const json = [['Content-Type', 'application/json']] as const;

/**
 * The contract of every transport of ingest. `create` returns one that does not listen yet, with a body deadline of 1
 * s.
 */
export function transportContract(name: string, create: (t: TestContext) => ContractSubject): void {
  async function listening(t: TestContext, request: (exchange: HttpExchange) => void) {
    const subject = create(t);
    t.after(() => subject.transport.close());
    await subject.transport.listen({ request, refused() {}, isNearLimit: () => false });
    return subject;
  }

  /** Answers each body with its length; `limit`: most bytes of one. */
  async function echoing(t: TestContext, limit = 1_000) {
    const received: Received[] = [];
    const settled = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const subject = await listening(t, (exchange) => {
      started.resolve();
      exchange.readBody(limit, undefined, (error: TailraceError | undefined, body) => {
        received.push({ error: error?.code, body: body.toString() });
        exchange.answer(error === undefined ? 200 : 400, json, `${body.length}`);
        settled.resolve();
      });
    });
    return { ...subject, received, started: started.promise, settled: settled.promise };
  }

  const contract = (promise: string, run: (t: TestContext) => Promise<void>) => test(`${name}: ${promise}`, run);

  contract('a request has its method, path and headers, and gets its answer', async (t) => {
    const seen: unknown[] = [];
    const { send } = await listening(t, (exchange) => {
      seen.push([exchange.method, exchange.path, exchange.header('x-custom'), exchange.header('x-other')]);
      assert.equal(exchange.isFinished, false);
      assert.notEqual(exchange.address, '');
      assert.equal(exchange.certificate, undefined);
      assert.equal(exchange.answer(202, json, '{}'), true);
      assert.equal(exchange.isFinished, true);
      assert.equal(exchange.answer(500, json, 'again'), false);
    });
    const client = send({ method: 'POST', target: '/v1/ingest?a=1', headers: { 'x-custom': 'yes' } });
    client.end();
    const answer = await client.answered;
    assert.deepEqual([answer?.status, answer?.body], [202, '{}']);
    assert.equal(answer?.headers['content-type'], 'application/json');
    assert.deepEqual(seen, [['POST', '/v1/ingest', 'yes', '']]);
  });

  contract('a body is received whole, in any number of chunks', async (t) => {
    const { send, received } = await echoing(t);
    const client = send({ method: 'POST', target: '/' });
    for (const chunk of ['hel', '', 'l', 'o']) client.write(chunk);
    client.end();
    assert.equal((await client.answered)?.body, '5');
    assert.deepEqual(received, [{ error: undefined, body: 'hello' }]);
  });

  contract('a body may be read after it was received', async (t) => {
    const { send } = await listening(t, (exchange) => {
      setImmediate(() =>
        exchange.readBody(100, undefined, (_error, body) => void exchange.answer(200, json, body.toString())),
      );
    });
    const client = send({ method: 'POST', target: '/' });
    client.write('late');
    client.end();
    assert.equal((await client.answered)?.body, 'late');
  });

  contract('a body above its limit is refused as too large', async (t) => {
    const { send, received } = await echoing(t, 10);
    const client = send({ method: 'POST', target: '/' });
    client.write('x'.repeat(11));
    client.end();
    assert.equal((await client.answered)?.status, 400);
    assert.deepEqual(received, [{ error: 'too_large', body: '' }]);
  });

  contract('a stalled body is refused at its deadline', async (t) => {
    const { send, received } = await echoing(t);
    const client = send({ method: 'POST', target: '/' });
    client.write('x');
    assert.equal((await client.answered)?.status, 400);
    assert.deepEqual(received, [{ error: 'timeout', body: '' }]);
    client.abort();
  });

  contract('a body is received as a stream while it is sent, and a pause holds the rest', async (t) => {
    const received: string[] = [];
    const settled: (TailraceError | undefined)[] = [];
    const first = Promise.withResolvers<void>();
    const owner = { unfinishedBytes: 0 };
    let stream: ReturnType<HttpExchange['streamBody']>;
    const { send } = await listening(t, (exchange) => {
      if (exchange.path === '/other') {
        exchange.answer(200, json);
        return;
      }
      stream = exchange.streamBody(
        {
          streamData(bytes) {
            received.push(bytes.toString());
            if (received.join('') !== 'first') return;
            stream!.pause();
            first.resolve();
          },
          streamEnd(error) {
            settled.push(error);
            exchange.answer(200, json, received.join(''));
          },
        },
        owner,
      );
      stream!.setWaiting(7);
    });
    const client = send({ method: 'POST', target: '/', headers: { 'transfer-encoding': 'chunked' } });
    client.write('first');
    await first.promise;
    assert.equal(owner.unfinishedBytes, 7);
    client.write('second');
    client.end();
    // Requests that are sent later are served meanwhile.
    for (let other = 0; other < 3; other++) {
      const later = send({ method: 'POST', target: '/other' });
      later.end();
      assert.equal((await later.answered)?.status, 200);
    }
    assert.deepEqual(received, ['first']);
    stream!.resume();
    assert.equal((await client.answered)?.body, 'firstsecond');
    assert.deepEqual([received, settled], [['first', 'second'], [undefined]]);
  });

  contract('a stream whose client closes the connection fails', async (t) => {
    const failed = Promise.withResolvers<TailraceError | undefined>();
    const started = Promise.withResolvers<void>();
    const { send } = await listening(t, (exchange) => {
      const sink = { streamData: () => started.resolve(), streamEnd: failed.resolve };
      exchange.streamBody(sink, { unfinishedBytes: 0 });
    });
    const client = send({ method: 'POST', target: '/', headers: { 'transfer-encoding': 'chunked' } });
    client.write('x');
    await started.promise;
    client.abort();
    assert.match((await failed.promise)?.code ?? '', /^(closed|invalid_message)$/);
  });

  contract('an answer may be sent in parts, before the body is complete', async (t) => {
    const exchanges: HttpExchange[] = [];
    const received = Promise.withResolvers<void>();
    const { send } = await listening(t, (exchange) => {
      exchanges.push(exchange);
      exchange.streamBody({ streamData: () => received.resolve(), streamEnd() {} }, { unfinishedBytes: 0 });
      assert.equal(exchange.answerHead(200, json), true);
      assert.equal(exchange.answerPart('one,'), true);
    });
    const client = send({ method: 'POST', target: '/', headers: { 'transfer-encoding': 'chunked' } });
    client.write('x');
    await received.promise;
    const [exchange] = exchanges;
    assert.equal(exchange!.isFinished, false);
    assert.equal(exchange!.answerPart('two,'), true);
    assert.equal(exchange!.answerEnd('three'), true);
    assert.equal(exchange!.answerEnd('again'), false);
    assert.equal(exchange!.answerPart('again'), false);
    const answer = await client.answered;
    assert.deepEqual([answer?.status, answer?.body], [200, 'one,two,three']);
    assert.equal(answer?.headers['content-type'], 'application/json');
    client.abort();
  });

  contract('a request whose client closes the connection cannot be answered', async (t) => {
    const { send, received, started, settled } = await echoing(t);
    const client = send({ method: 'POST', target: '/', headers: { 'content-length': '5' } });
    client.write('x');
    await started;
    client.abort();
    await settled;
    // On a socket, an incomplete body is a framing error.
    assert.match(received[0]?.error ?? '', /^(closed|invalid_message)$/);
    assert.equal(await client.answered, undefined);
  });

  contract('an error of the handler is answered with 500, and other requests are served', async (t) => {
    const { send } = await listening(t, (exchange) => {
      if (exchange.path === '/error') throw new RangeError('a mistake');
      exchange.readBody(100, undefined, () => {
        if (exchange.path === '/later') throw new RangeError('a mistake');
        exchange.answer(200, json, 'ok');
      });
    });
    const statuses: unknown[] = [];
    for (const target of ['/error', '/later', '/']) {
      const client = send({ method: 'POST', target });
      client.end();
      statuses.push((await client.answered)?.status);
    }
    assert.deepEqual(statuses, [500, 500, 200]);
  });

  contract('a drain waits for received requests, and accepts no further ones', async (t) => {
    const open: HttpExchange[] = [];
    const received = Promise.withResolvers<void>();
    const { transport, send } = await listening(t, (exchange) => {
      open.push(exchange);
      received.resolve();
    });
    const client = send({ method: 'POST', target: '/' });
    client.end();
    await received.promise;
    let isDrained = false;
    const drained = transport.drain().then(() => {
      isDrained = true;
    });
    const late = send({ method: 'POST', target: '/' });
    late.end();
    assert.equal(await late.answered, undefined);
    assert.equal(isDrained, false);
    open[0]!.answer(200, json, 'last');
    assert.equal((await client.answered)?.body, 'last');
    await drained;
    assert.equal(open.length, 1);
  });

  contract('a close drops every request without an answer', async (t) => {
    const received = Promise.withResolvers<HttpExchange>();
    const { transport, send } = await listening(t, (exchange) => received.resolve(exchange));
    const client = send({ method: 'POST', target: '/' });
    client.end();
    const exchange = await received.promise;
    transport.close();
    assert.equal(await client.answered, undefined);
    assert.equal(exchange.isFinished, true);
    assert.equal(exchange.answer(200, json, ''), false);
    transport.close();
  });
}
