import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createTokenVerifier } from '../src/token.ts';
import { createManualClock } from './manual-clock.ts';
import { createTestKey, keySetText } from './token-signer.ts';

const [first, second] = [createTestKey('rsa'), createTestKey('ec')];
const byFirst = first.token({}, { kid: '1' });
const bySecond = second.token({}, { kid: '2' });
const one = keySetText(first.jwk({ kid: '1', use: 'sig' }));
const two = keySetText(second.jwk({ kid: '2', use: 'sig' }));

const responding =
  (text: string): RequestListener =>
  (_, res) =>
    void res.setHeader('content-type', 'application/json').end(text);

/** An issuer on a port of its own, whose response can be changed, and which can stop and start again. */
async function issuer(t: TestContext, respond: RequestListener) {
  const state = { respond, requests: 0 };
  const listener: RequestListener = (req, res) => {
    state.requests++;
    state.respond(req, res);
  };
  let server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  t.after(stop);
  const start = async () => {
    server = createServer(listener).listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  return { state, stop, start, jwksUrl: `http://127.0.0.1:${port}/keys` };
}

test('an issuer rotates its key: the new one is fetched, the old one is withdrawn', async (t) => {
  const { state, jwksUrl } = await issuer(t, responding(one));
  const clock = createManualClock();
  const verifier = createTokenVerifier({ keys: [{ jwksUrl }], clock });
  await verifier.verify(byFirst);
  await assert.rejects(verifier.verify(bySecond), { code: 'unauthorized' });
  assert.equal(state.requests, 1);
  state.respond = responding(two);
  clock.advance(30_000);
  assert.equal((await verifier.verify(bySecond)).subject, 'anna');
  await assert.rejects(verifier.verify(byFirst), { code: 'unauthorized', message: /names the key "1"/ });
  assert.equal(state.requests, 2);
});

test('keys of an issuer that is down at the start are fetched later, and stay in use if it is down again', async (t) => {
  const { stop, start, jwksUrl } = await issuer(t, responding(one));
  await stop();
  const clock = createManualClock();
  const verifier = createTokenVerifier({ keys: [{ jwksUrl }], clock });
  await assert.rejects(verifier.verify(byFirst), { code: 'unavailable', retryable: true });
  await start();
  clock.advance(5_000);
  await verifier.verify(byFirst);
  await stop();
  clock.advance(3_600_000);
  assert.equal((await verifier.verify(first.token({ sub: 'ben' }, { kid: '1' }))).subject, 'ben');
});

test('a response of an issuer that is never complete is aborted at the deadline', async (t) => {
  const started = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const { jwksUrl } = await issuer(t, (_, res) => {
    res.write('{"keys":[');
    res.on('close', closed.resolve);
    started.resolve();
  });
  const clock = createManualClock();
  const verifier = createTokenVerifier({ keys: [{ jwksUrl }], clock });
  const verifying = assert.rejects(verifier.verify(byFirst), { code: 'unavailable' });
  await started.promise;
  clock.advance(5_000);
  await Promise.all([verifying, closed.promise]);
});

test('a response of an issuer without end is aborted at the limit', async (t) => {
  const closed = Promise.withResolvers<void>();
  const { jwksUrl } = await issuer(t, (_, res) => {
    const flood = () => {
      while (!res.destroyed && res.write(' '.repeat(65_536)));
    };
    res.on('drain', flood).on('close', closed.resolve);
    flood();
  });
  const verifier = createTokenVerifier({ keys: [{ jwksUrl }] });
  await assert.rejects(verifier.verify(byFirst), { code: 'unavailable' });
  await closed.promise;
});

test('a redirect is not followed', async (t) => {
  const elsewhere = await issuer(t, responding(one));
  const { jwksUrl } = await issuer(t, (_, res) => void res.writeHead(302, { location: elsewhere.jwksUrl }).end());
  const verifier = createTokenVerifier({ keys: [{ jwksUrl }] });
  await assert.rejects(verifier.verify(byFirst), { code: 'unavailable' });
  assert.equal(elsewhere.state.requests, 0);
});
