import assert from 'node:assert/strict';
import { TailraceError } from '@tailrace/protocol/error';
import { bytes, failure, type Promised, text } from './contract-bench.ts';

/** What every Bus keeps of requests and answers. */
export function requests(promised: Promised): void {
  promised('a request gets the answer of whoever serves the subject, also from itself', async ({ open }) => {
    const [interestClient, server] = [await open(), await open()];
    await server.serve('ask.*', (payload, subject) => [bytes(`${subject} ${text(payload)}`)]);
    for (const bus of [interestClient, server]) {
      const answer = await bus.request('ask.me', bytes('why'), { deadlineMs: 5000 });
      assert.deepEqual(answer.map(text), ['ask.me why']);
    }
  });

  promised('many requests at once each get their own answer', async ({ open }) => {
    const [interestClient, server] = [await open(), await open()];
    await server.serve('many.a', async (payload) => {
      if (payload.length % 2 === 0) await Promise.resolve();
      return [payload, payload];
    });
    const asked = Array.from({ length: 500 }, (_, i) =>
      interestClient.request('many.a', bytes(i), { deadlineMs: 10_000 }),
    );
    const answers = await Promise.all(asked);
    answers.forEach((parts, i) => void assert.deepEqual(parts.map(text), [String(i), String(i)]));
  });

  promised('of two servers of a subject each request reaches one', async ({ open }) => {
    const [interestClient, one, two] = [await open(), await open(), await open()];
    let calls = 0;
    for (const server of [one, two]) {
      await server.serve('pair.a', () => {
        calls++;
        return [bytes('x')];
      });
    }
    for (let i = 0; i < 20; i++) await interestClient.request('pair.a', bytes(i), { deadlineMs: 5000 });
    assert.equal(calls, 20);
  });

  promised('a server that has stopped serving is not asked any more', async ({ open }) => {
    const [interestClient, server] = [await open(), await open()];
    const served = await server.serve('gone.a', () => [bytes('x')]);
    await interestClient.request('gone.a', bytes('x'), { deadlineMs: 5000 });
    await served.stop();
    // The server learns of it with the next round trip.
    await server.subscribe('gone.fence', () => {});
    await assert.rejects(
      interestClient.request('gone.a', bytes('x'), { deadlineMs: 5000 }),
      failure('unavailable', /gone\.a/),
    );
  });
}

/** What every Bus keeps of answers in many parts. */
export function manyParts(promised: Promised): void {
  promised('an answer of no part, of one, and of 1,000 comes whole and in order', async ({ open }) => {
    const [interestClient, server] = [await open(), await open()];
    await server.serve('parts.*', (payload) =>
      Array.from({ length: Number(text(payload)) }, (_, i) => bytes(`part ${i}`)),
    );
    for (const count of [0, 1, 1000]) {
      const parts = await interestClient.request('parts.a', bytes(count), { deadlineMs: 10_000 });
      assert.deepEqual(
        parts.map(text),
        Array.from({ length: count }, (_, i) => `part ${i}`),
      );
    }
  });

  promised('parts of 900 KB, 20 of them, come whole', async ({ open }) => {
    const [interestClient, server] = [await open(), await open()];
    await server.serve('heavy.a', () => Array.from({ length: 20 }, (_, i) => new Uint8Array(900_000).fill(i)));
    const parts = await interestClient.request('heavy.a', bytes('x'), { deadlineMs: 20_000 });
    assert.equal(parts.length, 20);
    parts.forEach((part, i) => {
      assert.equal(part.length, 900_000);
      assert.ok(part.every((byte) => byte === i));
    });
  });

  promised('a part over the bound, or too many, reach the asker as too_large', async ({ open }) => {
    const [interestClient, server] = [await open(), await open()];
    const { payloadBytesMax } = server.stats();
    await server.serve('over.part', () => [bytes('x'), new Uint8Array(payloadBytesMax + 1)]);
    await server.serve('over.count', () => new Array(70_000).fill(bytes('x')));
    await assert.rejects(
      interestClient.request('over.part', bytes('x'), { deadlineMs: 5000 }),
      failure('too_large', /part of/),
    );
    await assert.rejects(
      interestClient.request('over.count', bytes('x'), { deadlineMs: 5000 }),
      failure('too_large', /70000 parts/),
    );
    await assert.rejects(
      interestClient.request('over.part', new Uint8Array(payloadBytesMax + 1), { deadlineMs: 5000 }),
      failure('too_large'),
    );
  });
}

/** What every Bus keeps where there is no answer. */
export function failedRequests(promised: Promised): void {
  promised('where nobody serves the subject the asker hears unavailable at once', async ({ open }) => {
    const bus = await open();
    await assert.rejects(
      bus.request('nobody.there', bytes('x'), { deadlineMs: 60_000 }),
      failure('unavailable', /nobody\.there/),
    );
  });

  promised('an answer that does not come in time is a timeout, and a late one goes nowhere', async ({ open }) => {
    const [interestClient, server] = [await open(), await open()];
    let answerLate: (parts: Uint8Array[]) => void = () => {};
    await server.serve('late.a', (payload) =>
      text(payload) === 'slow' ? new Promise((resolve) => (answerLate = resolve)) : [bytes('quick')],
    );
    await assert.rejects(
      interestClient.request('late.a', bytes('slow'), { deadlineMs: 50 }),
      failure('timeout', /late\.a.*50 ms/),
    );
    answerLate([bytes('late')]);
    assert.deepEqual((await interestClient.request('late.a', bytes('x'), { deadlineMs: 5000 })).map(text), ['quick']);
  });

  promised(
    'a TailraceError of the server reaches the asker with code, message and whether to retry, and nothing else',
    async ({ open }) => {
      const [interestClient, server] = [await open(), await open()];
      await server.serve('refuse.sync', () => {
        throw new TailraceError('not_found', 'no partition 77: there are 12 — “ü”', { cause: new TypeError('hidden') });
      });
      await server.serve('refuse.async', async () => {
        throw new TailraceError('conflict', 'not the owner', { retryable: true });
      });
      await assert.rejects(interestClient.request('refuse.sync', bytes('x'), { deadlineMs: 5000 }), (error) => {
        failure('not_found', /^no partition 77: there are 12 — “ü”$/)(error);
        assert.equal((error as TailraceError).retryable, false);
        assert.equal((error as TailraceError).cause, undefined);
        return true;
      });
      await assert.rejects(interestClient.request('refuse.async', bytes('x'), { deadlineMs: 5000 }), (error) => {
        failure('conflict', /^not the owner$/)(error);
        return (error as TailraceError).retryable;
      });
    },
  );

  promised(
    'anything else that a server throws is internal to the asker and stands in the log',
    async ({ open, complaints }) => {
      const [interestClient, server] = [await open(), await open()];
      await server.serve('bug.a', () => {
        throw new TypeError('a secret detail');
      });
      await assert.rejects(interestClient.request('bug.a', bytes('x'), { deadlineMs: 5000 }), (error) => {
        failure('internal')(error);
        assert.doesNotMatch((error as Error).message, /secret/);
        return true;
      });
      assert.ok(complaints.includes('a request failed'));
    },
  );
}
