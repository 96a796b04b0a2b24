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

/** A verifier of keys by URL; `answer` is what the URL says next, or how it fails. */
function arrangement(answer: () => Response | Promise<Response>, more: Partial<TokenVerifierOptions> = {}) {
  const clock = createManualClock();
  const lines: { level: string; facts: object; sentence: string }[] = [];
  const line = (level: string) => (facts: object, sentence: string) => void lines.push({ level, facts, sentence });
  const logger: Logger = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => logger,
  };
  const state = { answer, calls: 0, signal: undefined as AbortSignal | null | undefined };
  const fetchKeys: typeof fetch = async (_, init) => {
    state.calls++;
    state.signal = init?.signal;
    return state.answer();
  };
  const verifier = createTokenVerifier({ keys: [{ jwksUrl }], clock, logger, fetch: fetchKeys, ...more });
  return { clock, lines, state, verifier };
}

const says =
  (text: string, status = 200) =>
  () =>
    new Response(text, { status });
const down = () => Promise.reject(new TypeError('fetch failed'));
const unavailable = { code: 'unavailable', retryable: true };
const unauthorized = { code: 'unauthorized', retryable: false };

test('keys are fetched by the first token that needs them, once for all that wait', async () => {
  const { verifier, state, clock } = arrangement(says(both));
  assert.equal(state.calls, 0);
  await Promise.all([byFirst, bySecond, first.token(), byFirst].map((token) => verifier.verify(token)));
  assert.equal(state.calls, 1);
  assert.equal(clock.timers(), 0);
});

test('what is no token, or of an algorithm that no key set is for, fetches nothing', async () => {
  const { verifier, state } = arrangement(says(both));
  for (const token of ['hello', secretToken(secret)]) await assert.rejects(verifier.verify(token), unauthorized);
  assert.equal(state.calls, 0);
});

test('an unknown key is asked for once a cooldown, however many tokens name one', async () => {
  const { verifier, state, clock } = arrangement(says(one));
  await verifier.verify(byFirst);
  const strangers = () =>
    Promise.all(['3', '4', '5'].map((kid) => assert.rejects(verifier.verify(second.token({}, { kid })), unauthorized)));
  await strangers();
  assert.equal(state.calls, 1, 'the keys are recent');
  clock.advance(30_000);
  await strangers();
  await strangers();
  assert.equal(state.calls, 2);
  clock.advance(30_000);
  await strangers();
  assert.equal(state.calls, 3);
});

test('a new key is found by the first token that names it, after the cooldown', async () => {
  const { verifier, state, clock } = arrangement(says(one));
  await verifier.verify(byFirst);
  clock.advance(30_000);
  state.answer = says(both);
  assert.ok(await verifier.verify(bySecond));
  assert.ok(verifier.cached(byFirst), 'what stays in the set stays known');
});

test('what a withdrawn key has signed does not hold any more, also where it was known', async () => {
  const { verifier, state, clock } = arrangement(says(both));
  await verifier.verify(byFirst);
  await verifier.verify(bySecond);
  clock.advance(600_000);
  assert.equal(verifier.cached(byFirst), undefined, 'the keys are too old to answer at once');
  state.answer = says(two);
  await assert.rejects(verifier.verify(byFirst), unauthorized);
  assert.equal(state.calls, 2);
  assert.ok(verifier.cached(bySecond));
});

test('a set whose keys have no names is rotated, too', async () => {
  const { verifier, state, clock } = arrangement(says(keySetText(first.jwk())));
  await verifier.verify(first.token());
  clock.advance(30_000);
  state.answer = says(keySetText(second.jwk()));
  assert.ok(await verifier.verify(second.token()));
  await assert.rejects(verifier.verify(first.token()), unauthorized);
});

test('before there are any keys tokens are unavailable, with a sentence that tells nothing of the URL', async () => {
  const { verifier, state, lines, clock } = arrangement(down);
  const message = /could not be fetched yet; try again in some seconds$/;
  await assert.rejects(verifier.verify(byFirst), { ...unavailable, message });
  await assert.rejects(verifier.verify(byFirst), unavailable);
  assert.equal(state.calls, 1, 'it is not asked for each token');
  assert.match(lines[0]!.sentence, /cannot be fetched; until they can, tokens are answered with "unavailable"/);
  clock.advance(5_000);
  state.answer = says(one);
  assert.ok(await verifier.verify(byFirst));
  assert.equal(lines.at(-1)?.sentence, 'the keys of tokens are fetched');
});

test('when the URL is down the last keys stay in use, nobody waits twice, and the log says so', async () => {
  const { verifier, state, lines, clock } = arrangement(says(one));
  await verifier.verify(byFirst);
  clock.advance(600_000);
  state.answer = down;
  assert.ok(await verifier.verify(byFirst));
  assert.ok(await verifier.verify(first.token({ sub: 'new' })));
  assert.equal(state.calls, 2);
  assert.match(lines.at(-1)!.sentence, /cannot be fetched; those fetched last stay in use/);
  clock.advance(30_000);
  state.answer = () => new Promise(() => {});
  assert.ok(await verifier.verify(byFirst), 'the one that hangs is not waited for');
  assert.equal(state.calls, 3);
  clock.advance(5_000);
});

test('a token of an unknown key is not called wrong while newer keys cannot be fetched', async () => {
  const { verifier, state, clock } = arrangement(says(one));
  await verifier.verify(byFirst);
  clock.advance(30_000);
  state.answer = down;
  await assert.rejects(verifier.verify(bySecond), { ...unavailable, message: /newer keys cannot be fetched now/ });
  await assert.rejects(verifier.verify(second.token({}, { kid: '1' })), unauthorized);
});

test('a source that is down does not keep out the tokens of another', async () => {
  const keys = [{ jwksUrl }, { publicKeys: second.pem }, { secret }];
  const { verifier, state } = arrangement(down, { keys });
  assert.ok(await verifier.verify(bySecond));
  assert.ok(await verifier.verify(secretToken(secret)));
  assert.equal(state.calls, 0);
});

test('no whole answer within the deadline is none', async () => {
  const { verifier, state, clock, lines } = arrangement(says(one));
  const asked = Promise.withResolvers<void>();
  state.answer = () =>
    new Promise((_, reject) => {
      state.signal!.addEventListener('abort', () => reject(state.signal!.reason));
      asked.resolve();
    });
  const verifying = assert.rejects(verifier.verify(byFirst), unavailable);
  await asked.promise;
  clock.advance(5_000);
  await verifying;
  assert.equal(state.calls, 1, 'who has waited does not start another');
  assert.match(String((lines[0]!.facts as { error: Error }).error.message), /no whole answer within 5000 ms/);
});

const answers: readonly (readonly [what: string, answer: () => Response, sentence: RegExp])[] = [
  ['an error', says(both, 503), /status 503; 200 is right/],
  ['no JSON', says('<html>'), /are neither PEM/],
  ['an empty set', says(keySetText()), /have none to check tokens with/],
  ['a private key', says(keySetText(first.privateKey.export({ format: 'jwk' }))), /private or secret key/],
  ['more than fits', says(`${both}${' '.repeat(262_144)}`), /more than 262144 bytes/],
];

for (const [what, answer, sentence] of answers) {
  test(`a URL that answers with ${what} leaves the keys as they are`, async () => {
    const { verifier, state, clock, lines } = arrangement(says(one));
    await verifier.verify(byFirst);
    clock.advance(600_000);
    state.answer = answer;
    assert.ok(await verifier.verify(byFirst));
    assert.equal(state.calls, 2);
    const { level, facts } = lines.at(-1)!;
    assert.equal(level, 'warn');
    assert.match((facts as { error: Error }).error.message, sentence);
  });
}

test('what is no URL of keys is refused without being shown', () => {
  for (const url of ['', 'keys', 'file:///etc/keys', 'https://user:password@issuer.example/']) {
    assert.throws(() => createTokenVerifier({ keys: [{ jwksUrl: url }] }), {
      code: 'invalid_config',
      message: /^the URL of the keys of tokens is none; right is https:\/\/issuer\.example/,
    });
  }
});

test('keys over http are warned of, except from the machine itself', () => {
  for (const [url, warnings] of [
    ['http://issuer.example/keys', 1],
    ['http://127.0.0.1:8080/keys', 0],
    ['https://issuer.example/keys', 0],
  ] as const) {
    assert.equal(arrangement(down, { keys: [{ jwksUrl: url }] }).lines.length, warnings);
  }
});
