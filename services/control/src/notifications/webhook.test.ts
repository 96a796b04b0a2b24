import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import type { AlarmNotice } from './alarm-notice.ts';
import { isWebhookSecret, newWebhookSecret, signatureOf, webhookBodyBytesMax, webhookRequest } from './webhook.ts';

const notice: AlarmNotice = {
  ...{ id: 'transition1', alarm: 'a1', rule: 'r1', device: 'plant1.press7', number: 1, state: 'unacknowledged' },
  ...{ cause: 'raised', time: Date.parse('2026-01-15T12:00:00.250Z') },
};

test('the signature of the sample of the specification', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const signature = signatureOf(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}');
  assert.equal(signature, 'g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('a request has the ID of the transition, the time of the attempt, and a signature that a receiver can verify', () => {
  const secret = newWebhookSecret();
  const { headers, body } = webhookRequest(notice, [secret], 1_768_478_400_999);
  assert.deepEqual([headers['webhook-id'], headers['webhook-timestamp']], ['transition1', '1768478400']);
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const expected = createHmac('sha256', key).update(`transition1.1768478400.${body}`).digest('base64');
  assert.equal(headers['webhook-signature'], `v1,${expected}`);
  assert.deepEqual(JSON.parse(body), {
    type: 'alarm.raised',
    timestamp: '2026-01-15T12:00:00.250Z',
    data: notice,
  });
  const again = webhookRequest(notice, [secret], 1_768_478_460_000);
  assert.deepEqual([again.body, again.headers['webhook-id']], [body, 'transition1']);
  assert.notEqual(again.headers['webhook-signature'], headers['webhook-signature']);
});

test('while a secret is replaced, both sign', () => {
  const secrets = [newWebhookSecret(), newWebhookSecret()];
  const { headers } = webhookRequest(notice, secrets, 0);
  assert.match(headers['webhook-signature']!, /^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/);
});

test('a secret is whsec_ and 24 to 64 bytes in base64', () => {
  const of = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;
  for (const secret of [newWebhookSecret(), of(24), of(64)]) assert.ok(isWebhookSecret(secret), secret);
  for (const secret of [
    '',
    'whsec_',
    of(23),
    of(65),
    of(32).slice(6),
    `${of(32)}!`,
    'whsec_not base64 at all, but long',
  ])
    assert.equal(isWebhookSecret(secret), false, secret);
});

test('a body is at most 64 KiB: other tags are left out, and texts are shortened', () => {
  const context = Array.from({ length: 500 }, (_, n) => ({ tag: `t${n}`, value: 'x'.repeat(1_000) }));
  const { body } = webhookRequest({ ...notice, context, message: 'm'.repeat(100_000) }, [newWebhookSecret()], 0);
  assert.ok(Buffer.byteLength(body) <= webhookBodyBytesMax);
  const { data } = JSON.parse(body) as { data: AlarmNotice };
  assert.deepEqual([data.id, data.context, data.message!.length], ['transition1', undefined, 1_000]);
});
