import assert from 'node:assert/strict';
import { TailraceError } from '@tailrace/protocol/error';
import { bytes, failure, type Promised, text } from './contract-bench.ts';

/** The contract of every Bus on requests and replies. */
export function requests(promised: Promised): void {
  promised('a request gets the reply of the responder of the subject, also from itself', async ({ open }) => {
    const [requester, responder] = [await open(), await open()];
    await responder.serve('request.*', (payload, subject) => [bytes(`${subject} ${text(payload)}`)]);
    for (const bus of [requester, responder]) {
      const reply = await bus.request('request.me', bytes('why'), { deadlineMs: 5000 });
      assert.deepEqual(reply.map(text), ['request.me why']);
    }
  });

  promised('many requests at once each get their own reply', async ({ open }) => {
    const [requester, responder] = [await open(), await open()];
    await responder.serve('many.a', async (payload) => {
      if (payload.length % 2 === 0) await Promise.resolve();
      return [payload, payload];
    });
    const pending = Array.from({ length: 500 }, (_, i) =>
      requester.request('many.a', bytes(i), { deadlineMs: 10_000 }),
    );
    const replies = await Promise.all(pending);
    replies.forEach((parts, i) => void assert.deepEqual(parts.map(text), [String(i), String(i)]));
  });

  promised('of two responders of a subject each request reaches one', async ({ open }) => {
    const [requester, one, two] = [await open(), await open(), await open()];
    let calls = 0;
    for (const responder of [one, two]) {
      await responder.serve('pair.a', () => {
        calls++;
        return [bytes('x')];
      });
    }
    for (let i = 0; i < 20; i++) await requester.request('pair.a', bytes(i), { deadlineMs: 5000 });
    assert.equal(calls, 20);
  });

  promised('a responder that has stopped serving gets no more requests', async ({ open }) => {
    const [requester, responder] = [await open(), await open()];
    const served = await responder.serve('gone.a', () => [bytes('x')]);
    await requester.request('gone.a', bytes('x'), { deadlineMs: 5000 });
    await served.stop();
    // The NATS server receives it with the next round trip.
    await responder.subscribe('gone.fence', () => {});
    await assert.rejects(
      requester.request('gone.a', bytes('x'), { deadlineMs: 5000 }),
      failure('unavailable', /gone\.a/),
    );
  });
}

/** The contract of every Bus on replies in many parts. */
export function multipartReplies(promised: Promised): void {
  promised('a reply of no part, of one, and of 1,000 is complete and in order', async ({ open }) => {
    const [requester, responder] = [await open(), await open()];
    await responder.serve('parts.*', (payload) =>
      Array.from({ length: Number(text(payload)) }, (_, i) => bytes(`part ${i}`)),
    );
    for (const count of [0, 1, 1000]) {
      const parts = await requester.request('parts.a', bytes(count), { deadlineMs: 10_000 });
      assert.deepEqual(
        parts.map(text),
        Array.from({ length: count }, (_, i) => `part ${i}`),
      );
    }
  });

  promised('20 parts of 900 KB are complete', async ({ open }) => {
    const [requester, responder] = [await open(), await open()];
    await responder.serve('heavy.a', () => Array.from({ length: 20 }, (_, i) => new Uint8Array(900_000).fill(i)));
    const parts = await requester.request('heavy.a', bytes('x'), { deadlineMs: 20_000 });
    assert.equal(parts.length, 20);
    parts.forEach((part, i) => {
      assert.equal(part.length, 900_000);
      assert.ok(part.every((byte) => byte === i));
    });
  });

  promised('a part over the limit, or too many parts, reach the requester as too_large', async ({ open }) => {
    const [requester, responder] = [await open(), await open()];
    const { payloadBytesMax } = responder.stats();
    await responder.serve('over.part', () => [bytes('x'), new Uint8Array(payloadBytesMax + 1)]);
    await responder.serve('over.count', () => new Array(70_000).fill(bytes('x')));
    await assert.rejects(
      requester.request('over.part', bytes('x'), { deadlineMs: 5000 }),
      failure('too_large', /part of a reply/),
    );
    await assert.rejects(
      requester.request('over.count', bytes('x'), { deadlineMs: 5000 }),
      failure('too_large', /70000 parts/),
    );
    await assert.rejects(
      requester.request('over.part', new Uint8Array(payloadBytesMax + 1), { deadlineMs: 5000 }),
      failure('too_large'),
    );
  });
}

/** The contract of every Bus on requests without a reply. */
export function failedRequests(promised: Promised): void {
  promised('a request to a subject without responders rejects with unavailable at once', async ({ open }) => {
    const bus = await open();
    await assert.rejects(
      bus.request('no.responders', bytes('x'), { deadlineMs: 60_000 }),
      failure('unavailable', /no\.responders/),
    );
  });

  promised('a reply that does not come in time is a timeout, and a late one is dropped', async ({ open }) => {
    const [requester, responder] = [await open(), await open()];
    let replyLate: (parts: Uint8Array[]) => void = () => {};
    await responder.serve('late.a', (payload) =>
      text(payload) === 'slow' ? new Promise((resolve) => (replyLate = resolve)) : [bytes('quick')],
    );
    await assert.rejects(
      requester.request('late.a', bytes('slow'), { deadlineMs: 50 }),
      failure('timeout', /late\.a.*50 ms/),
    );
    replyLate([bytes('late')]);
    assert.deepEqual((await requester.request('late.a', bytes('x'), { deadlineMs: 5000 })).map(text), ['quick']);
  });

  promised(
    'a TailraceError of the responder reaches the requester with code, message and whether to retry, and nothing else',
    async ({ open }) => {
      const [requester, responder] = [await open(), await open()];
      await responder.serve('refuse.sync', () => {
        throw new TailraceError('not_found', 'no partition 77: there are 12 — “ü”', { cause: new TypeError('hidden') });
      });
      await responder.serve('refuse.async', async () => {
        throw new TailraceError('conflict', 'not the owner', { retryable: true });
      });
      await assert.rejects(requester.request('refuse.sync', bytes('x'), { deadlineMs: 5000 }), (error) => {
        failure('not_found', /^no partition 77: there are 12 — “ü”$/)(error);
        assert.equal((error as TailraceError).retryable, false);
        assert.equal((error as TailraceError).cause, undefined);
        return true;
      });
      await assert.rejects(requester.request('refuse.async', bytes('x'), { deadlineMs: 5000 }), (error) => {
        failure('conflict', /^not the owner$/)(error);
        return (error as TailraceError).retryable;
      });
    },
  );

  promised(
    'anything else that a responder throws is internal to the requester and is logged',
    async ({ open, complaints }) => {
      const [requester, responder] = [await open(), await open()];
      await responder.serve('bug.a', () => {
        throw new TypeError('a secret detail');
      });
      await assert.rejects(requester.request('bug.a', bytes('x'), { deadlineMs: 5000 }), (error) => {
        failure('internal')(error);
        assert.doesNotMatch((error as Error).message, /secret/);
        return true;
      });
      assert.ok(complaints.includes('a request failed'));
    },
  );
}
