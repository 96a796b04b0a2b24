import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '../test/manual-clock.ts';
import { createTestKey, keySetText, secretToken } from '../test/token-signer.ts';
import type { Logger } from './logger.ts';
import { createTokenVerifier, type TokenVerifierOptions } from './token.ts';

const jwksUrl = 'https://issuer.example/keys?code=hidden';
const secret = 'a-secret-of-at-least-thirty-two-bytes';
const [first, second] = [createTestKey('ec'), createTestKey('ec')];
const one = keySetText(first.jwk({ kid: '1' }));
const both = keySetText(first.jwk({ kid: '1' }), second.jwk({ kid: '2' }));
const two = keySetText(second.jwk({ kid: '2' }));
const byFirst = first.token({}, { kid: '1' });
const bySecond = second.token({}, { kid: '2' });

/** Returns a verifier with keys by URL; `respond`: the next response, or error, of the URL. */
function arrangement(respond: () => Response | Promise<Response>, more: Partial<TokenVerifierOptions> = {}) {
  const clock = createManualClock();
  const lines: { level: string; facts: object; message: string }[] = [];
  const line = (level: string) => (facts: object, message: string) => void lines.push({ level, facts, message });
  const logger: Logger = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => logger,
  };
  const state = { respond, calls: 0, signal: undefined as AbortSignal | null | undefined };
  const fetchKeys: typeof fetch = async (_, init) => {
    state.calls++;
    state.signal = init?.signal;
    return state.respond();
  };
  const verifier = createTokenVerifier({ keys: [{ jwksUrl }], clock, logger, fetch: fetchKeys, ...more });
  return { clock, lines, state, verifier };
}

const responds =
  (text: string, status = 200) =>
  () =>
    new Response(text, { status });
const down = () => Promise.reject(new TypeError('fetch failed'));
const unavailable = { code: 'unavailable', retryable: true };
const unauthorized = { code: 'unauthorized', retryable: false };

test('keys are fetched for the first token that needs them, once for all that wait', async () => {
  const { verifier, state, clock } = arrangement(responds(both));
  assert.equal(state.calls, 0);
  await Promise.all([byFirst, bySecond, first.token(), byFirst].map((token) => verifier.verify(token)));
  assert.equal(state.calls, 1);
  assert.equal(clock.timers(), 0);
});

test('an invalid token, or an algorithm without key sets, fetches nothing', async () => {
  const { verifier, state } = arrangement(responds(both));
  for (const token of ['hello', secretToken(secret)]) await assert.rejects(verifier.verify(token), unauthorized);
  assert.equal(state.calls, 0);
});

test('keys are fetched once per cooldown for any number of tokens with unknown keys', async () => {
  const { verifier, state, clock } = arrangement(responds(one));
  await verifier.verify(byFirst);
  const verifyUnknown = () =>
    Promise.all(['3', '4', '5'].map((kid) => assert.rejects(verifier.verify(second.token({}, { kid })), unauthorized)));
  await verifyUnknown();
  assert.equal(state.calls, 1, 'the keys are recent');
  clock.advance(30_000);
  await verifyUnknown();
  await verifyUnknown();
  assert.equal(state.calls, 2);
  clock.advance(30_000);
  await verifyUnknown();
  assert.equal(state.calls, 3);
});

test('a new key is fetched for the first token that names it, after the cooldown', async () => {
  const { verifier, state, clock } = arrangement(responds(one));
  await verifier.verify(byFirst);
  clock.advance(30_000);
  state.respond = responds(both);
  assert.ok(await verifier.verify(bySecond));
  assert.ok(verifier.cached(byFirst), 'tokens of keys that stay in the set stay cached');
});

test('tokens of a withdrawn key are invalid, also if they are cached', async () => {
  const { verifier, state, clock } = arrangement(responds(both));
  await verifier.verify(byFirst);
  await verifier.verify(bySecond);
  clock.advance(600_000);
  assert.equal(verifier.cached(byFirst), undefined, 'the keys are too old for a cached result');
  state.respond = responds(two);
  await assert.rejects(verifier.verify(byFirst), unauthorized);
  assert.equal(state.calls, 2);
  assert.ok(verifier.cached(bySecond));
});

test('a set whose keys have no IDs is rotated, too', async () => {
  const { verifier, state, clock } = arrangement(responds(keySetText(first.jwk())));
  await verifier.verify(first.token());
  clock.advance(30_000);
  state.respond = responds(keySetText(second.jwk()));
  assert.ok(await verifier.verify(second.token()));
  await assert.rejects(verifier.verify(first.token()), unauthorized);
});

test('without keys tokens are unavailable, and the URL is not in the message', async () => {
  const { verifier, state, lines, clock } = arrangement(down);
  const message = /could not be fetched yet; try again in some seconds$/;
  await assert.rejects(verifier.verify(byFirst), { ...unavailable, message });
  await assert.rejects(verifier.verify(byFirst), unavailable);
  assert.equal(state.calls, 1, 'it is not fetched for each token');
  assert.match(lines[0]!.message, /cannot be fetched; until they can, tokens are refused with "unavailable"/);
  clock.advance(5_000);
  state.respond = responds(one);
  assert.ok(await verifier.verify(byFirst));
  assert.equal(lines.at(-1)?.message, 'the keys of tokens are fetched');
});

test('while the URL is down the last keys stay in use, a token waits for one attempt only, and it is logged', async () => {
  const { verifier, state, lines, clock } = arrangement(responds(one));
  await verifier.verify(byFirst);
  clock.advance(600_000);
  state.respond = down;
  assert.ok(await verifier.verify(byFirst));
  assert.ok(await verifier.verify(first.token({ sub: 'new' })));
  assert.equal(state.calls, 2);
  assert.match(lines.at(-1)!.message, /cannot be fetched; the last ones stay in use/);
  clock.advance(30_000);
  state.respond = () => new Promise(() => {});
  assert.ok(await verifier.verify(byFirst), 'an attempt that hangs is not waited for');
  assert.equal(state.calls, 3);
  clock.advance(5_000);
});

test('a token of an unknown key is unavailable while newer keys cannot be fetched', async () => {
  const { verifier, state, clock } = arrangement(responds(one));
  await verifier.verify(byFirst);
  clock.advance(30_000);
  state.respond = down;
  await assert.rejects(verifier.verify(bySecond), { ...unavailable, message: /newer keys cannot be fetched now/ });
  await assert.rejects(verifier.verify(second.token({}, { kid: '1' })), unauthorized);
});

test('a source that is down does not affect tokens of another', async () => {
  const keys = [{ jwksUrl }, { publicKeys: second.pem }, { secret }];
  const { verifier, state } = arrangement(down, { keys });
  assert.ok(await verifier.verify(bySecond));
  assert.ok(await verifier.verify(secretToken(secret)));
  assert.equal(state.calls, 0);
});

test('an incomplete response at the deadline is an error', async () => {
  const { verifier, state, clock, lines } = arrangement(responds(one));
  const requested = Promise.withResolvers<void>();
  state.respond = () =>
    new Promise((_, reject) => {
      state.signal!.addEventListener('abort', () => reject(state.signal!.reason));
      requested.resolve();
    });
  const verifying = assert.rejects(verifier.verify(byFirst), unavailable);
  await requested.promise;
  clock.advance(5_000);
  await verifying;
  assert.equal(state.calls, 1, 'the token that has waited does not start another');
  assert.match(
    String((lines[0]!.facts as { error: Error }).error.message),
    /expected a complete response within 5000 ms/,
  );
});

const invalidResponses: readonly (readonly [what: string, respond: () => Response, pattern: RegExp])[] = [
  ['an error', responds(both, 503), /expected status 200, got 503/],
  ['no JSON', responds('<html>'), /expected PEM/],
  ['an empty set', responds(keySetText()), /none is for checking tokens/],
  ['a private key', responds(keySetText(first.privateKey.export({ format: 'jwk' }))), /private or secret key/],
  ['more than fits', responds(`${both}${' '.repeat(262_144)}`), /at most 262144 bytes/],
];

for (const [what, respond, pattern] of invalidResponses) {
  test(`a response with ${what} does not change the keys`, async () => {
    const { verifier, state, clock, lines } = arrangement(responds(one));
    await verifier.verify(byFirst);
    clock.advance(600_000);
    state.respond = respond;
    assert.ok(await verifier.verify(byFirst));
    assert.equal(state.calls, 2);
    const { level, facts } = lines.at(-1)!;
    assert.equal(level, 'warn');
    assert.match((facts as { error: Error }).error.message, pattern);
  });
}

test('an invalid URL of keys is refused, and not in the message', () => {
  for (const url of ['', 'keys', 'file:///etc/keys', 'https://user:password@issuer.example/']) {
    assert.throws(() => createTokenVerifier({ keys: [{ jwksUrl: url }] }), {
      code: 'invalid_config',
      message: /^URL of the keys of tokens: expected https:\/\/issuer\.example/,
    });
  }
});

test('keys over http are a warning, except from the machine itself', () => {
  for (const [url, warnings] of [
    ['http://issuer.example/keys', 1],
    ['http://127.0.0.1:8080/keys', 0],
    ['https://issuer.example/keys', 0],
  ] as const) {
    assert.equal(arrangement(down, { keys: [{ jwksUrl: url }] }).lines.length, warnings);
  }
});
