import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayPresence } from './gateway-presence.ts';

function start() {
  const refused: string[] = [];
  let sent: { readonly msgid: string; readonly text: string }[] = [];
  const presence = new GatewayPresence({
    idPrefix: 'x',
    send: (frame) => {
      const { type, msgid, from, qos, payload } = JSON.parse(frame);
      assert.deepEqual([type, qos], ['presence', 1]);
      sent.push({ msgid, text: `${from} ${payload.online}` });
    },
    onRefused: ({ code, message }) => refused.push(`${code}: ${message}`),
  });
  const take = () => {
    const taken = sent;
    sent = [];
    return taken;
  };
  const texts = () => take().map(({ text }) => text);
  return { presence, refused, take, texts };
}

test('each session announces all devices with their last state, and each change once', () => {
  const { presence, texts } = start();
  presence.set('p.a', true);
  presence.set('p.b', true);
  presence.set('p.b', false);
  assert.deepEqual(texts(), []);
  presence.live();
  assert.deepEqual(texts(), ['p.a true', 'p.b false']);
  presence.set('p.a', true);
  presence.set('p.a', false);
  assert.deepEqual(texts(), ['p.a false']);
  presence.lost();
  presence.set('p.a', true);
  presence.live();
  assert.deepEqual(texts(), ['p.a true', 'p.b false']);
});

test('at most 64 announcements have no answer, and a refused one is reported', () => {
  const { presence, refused, take } = start();
  presence.live();
  for (let n = 0; n < 100; n++) presence.set(`p.d${n}`, true);
  const first = take();
  assert.equal(first.length, 64);
  assert.ok(presence.answered(first[0]!.msgid, { status: 'accepted' }));
  assert.ok(presence.answered(first[1]!.msgid, { status: 'rejected', code: 'forbidden', message: 'not covered' }));
  assert.equal(presence.answered('other', { status: 'accepted' }), false);
  assert.deepEqual(
    take().map(({ text }) => text),
    ['p.d64 true', 'p.d65 true'],
  );
  assert.deepEqual(refused, ['forbidden: presence of p.d1: not covered']);
  presence.lost();
  assert.equal(presence.answered(first[2]!.msgid, { status: 'accepted' }), false, 'of another session');
});
