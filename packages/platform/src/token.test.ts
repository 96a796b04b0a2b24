import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import fc from 'fast-check';
import { createManualClock } from '../test/manual-clock.ts';
import { createTokenVerifier, issueToken, type TokenIssue } from './token.ts';

const secret = 'a-secret-of-at-least-thirty-two-bytes';

function arrangement(cacheMax?: number) {
  const clock = createManualClock();
  const verifier = createTokenVerifier({ secret, clock, ...(cacheMax === undefined ? {} : { cacheMax }) });
  const issue = (more: Partial<TokenIssue> = {}) =>
    issueToken({ secret, subject: 'anna', publish: [], subscribe: ['plant1.>'], expiresInMs: 60_000, clock, ...more });
  return { clock, verifier, issue };
}

const encoded = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url');

/** The year 2100. */
const farSeconds = 4_102_444_800;

/** Returns a token that no library would sign. It expires in 2100 unless `claims` has another `exp`. */
function forged(claims: object, header: unknown = { alg: 'HS256' }, key = secret): string {
  const signed = `${encoded(header)}.${encoded({ exp: farSeconds, ...claims })}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

async function refusal(verifier: ReturnType<typeof createTokenVerifier>, token: string): Promise<string> {
  const error = await verifier.verify(token).then(
    () => assert.fail('the token was accepted'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof TailraceError);
  assert.equal(error.code, 'unauthorized');
  if (token.length > 12) assert.ok(!error.message.includes(token.slice(0, 12)), 'the token is in its message');
  return error.message;
}

test('the claims of an issued token are verified', async () => {
  const { verifier, issue, clock } = arrangement();
  const claims = await verifier.verify(await issue({ publish: ['plant1.line3.press7'] }));
  assert.deepEqual(claims, {
    subject: 'anna',
    publish: ['plant1.line3.press7'],
    subscribe: ['plant1.>'],
    issuedAt: clock.now(),
    expiresAt: clock.now() + 60_000,
  });
});

test('missing claims grant nothing, and a token without exp is refused, or does not expire if that is allowed', async () => {
  const { clock } = arrangement();
  const token = forged({ sub: 'anna', exp: undefined });
  assert.match(await refusal(createTokenVerifier({ secret, clock }), token), /has no expiry \(exp\); expected one/);
  const verifier = createTokenVerifier({ secret, clock, expiryRequired: false });
  assert.deepEqual(await verifier.verify(token), { subject: 'anna', publish: [], subscribe: [] });
  clock.advance(10 * 365 * 86_400_000);
  assert.equal(verifier.cached(token)?.subject, 'anna');
});

test('each reason of an invalid token has its own message', async () => {
  const { verifier, issue, clock } = arrangement();
  const seconds = clock.now() / 1000;
  const good = await issue();
  const [header, payload, signature] = good.split('.') as [string, string, string];
  const none = `${encoded({ alg: 'none' })}.${payload}.`;
  assert.match(await refusal(verifier, none), /signed with the algorithm "none"; expected HS256/);
  assert.match(await refusal(verifier, forged({ sub: 'a' }, { alg: 'HS512' })), /algorithm "HS512"; expected HS256/);
  assert.match(
    await refusal(verifier, forged({ sub: 'a' }, { alg: 'HS256' }, 'x'.repeat(40))),
    /signed with another key/,
  );
  assert.match(
    await refusal(verifier, `${header}.${encoded({ sub: 'root', publish: ['>'] })}.${signature}`),
    /or was changed on the way/,
  );
  assert.match(
    await refusal(verifier, forged({ sub: 'a', exp: seconds - 1 })),
    /expired at 2023-11-14T22:13:19\.000Z; it is 2023-11-14T22:13:20\.000Z here/,
  );
  assert.match(
    await refusal(verifier, forged({ sub: 'a', nbf: seconds + 60 })),
    /not valid before 2023-11-14T22:14:20\.000Z/,
  );
  assert.match(
    await refusal(verifier, forged({ sub: 'a', exp: 'tomorrow' })),
    /has exp "tomorrow"; expected seconds since 1970/,
  );
  assert.match(await refusal(verifier, 'hello'), /malformed; expected three parts/);
  assert.match(await refusal(verifier, ''), /^expected a token, as in the header .*, got none$/);
  assert.match(await refusal(verifier, 'x'.repeat(8_193)), /has 8193 bytes; expected at most 8192/);
});

test('invalid claims are refused with their names', async () => {
  const { verifier } = arrangement();
  assert.match(await refusal(verifier, forged({})), /as its subject \(sub\); expected a text of 1 to 200/);
  assert.match(
    await refusal(verifier, forged({ sub: 'a', publish: '>' })),
    /has ">" as publish; expected a list of at most 256 patterns/,
  );
  assert.match(
    await refusal(verifier, forged({ sub: 'a', subscribe: ['plant1..x'] })),
    /grants subscribe on an invalid pattern; pattern: .*, got "plant1\.\.x"/,
  );
  assert.match(
    await refusal(verifier, forged({ sub: 'a', subscribe: Array.from({ length: 257 }, () => '>') })),
    /at most 256 patterns/,
  );
});

test('names that a revocation cannot have are refused', async () => {
  const { verifier } = arrangement();
  for (const name of ['\ud800', 'a\nb', '\u0085']) {
    assert.match(
      await refusal(verifier, forged({ sub: name })),
      /as its subject \(sub\); .* without control characters/,
    );
    assert.match(await refusal(verifier, forged({ sub: 'a', jti: name })), /as its ID \(jti\)/);
    assert.match(await refusal(verifier, forged({ sub: 'a', iss: name })), /the issuer .* \(iss\)/);
    assert.match(await refusal(verifier, forged({ sub: 'a', roles: [name] })), /as roles/);
  }
});

test('a verified token is cached until it expires', async () => {
  const { verifier, issue, clock } = arrangement();
  const token = await issue();
  assert.equal(verifier.cached(token), undefined);
  const claims = await verifier.verify(token);
  assert.equal(verifier.cached(token), claims);
  clock.advance(59_999);
  assert.equal(verifier.cached(token), claims);
  clock.advance(1);
  assert.equal(verifier.cached(token), undefined);
  assert.match(await refusal(verifier, token), /expired/);
});

test('a refused token is not cached', async () => {
  const { verifier } = arrangement();
  const token = forged({ sub: 'a' }, { alg: 'HS256' }, 'x'.repeat(40));
  await refusal(verifier, token);
  assert.equal(verifier.cached(token), undefined);
});

test('the cache evicts the least recently used token', async () => {
  const { verifier, issue } = arrangement(2);
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((subject) => issue({ subject })));
  await verifier.verify(a!);
  await verifier.verify(b!);
  assert.ok(verifier.cached(a!));
  await verifier.verify(c!);
  assert.deepEqual(
    [a, b, c].map((token) => verifier.cached(token!)?.subject),
    ['a', undefined, 'c'],
  );
});

test('a secret under 32 bytes is refused, to verify and to issue, and not in the message', async () => {
  const weak = { code: 'invalid_config', message: /token secret: expected at least 32 bytes \(HS256\), got 5/ };
  assert.throws(() => createTokenVerifier({ secret: 'short' }), weak);
  await assert.rejects(arrangement().issue({ secret: 'short' }), weak);
});

test('no token is issued that would not be accepted', async () => {
  await assert.rejects(arrangement().issue({ publish: ['plant1.*'] }), { code: 'invalid_pattern' });
});

test('any other text is refused with unauthorized, and no other error', async () => {
  const { verifier, issue } = arrangement();
  const good = await issue();
  const mutated = fc
    .tuple(fc.nat(good.length - 1), fc.string({ maxLength: 4 }))
    .map(([at, junk]) => good.slice(0, at) + junk + good.slice(at));
  const segments = fc.array(
    fc.oneof(
      fc.base64String(),
      fc.json().map((json) => Buffer.from(json).toString('base64url')),
    ),
    { maxLength: 5 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        mutated,
        segments.map((parts) => parts.join('.')),
      ),
      async (token) => {
        if (token === good) return;
        const error = await verifier.verify(token).catch((thrown: unknown) => thrown);
        assert.ok(error instanceof TailraceError && error.code === 'unauthorized', String(error));
      },
    ),
    { numRuns: 500, seed: 7 },
  );
});
