import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alarmChannels, claimsFrom, matchesOne } from './token-claims.ts';

const tokenOf = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

test('the claims of a token are read, whatever characters they have, and those of another token are unknown', () => {
  assert.deepEqual(claimsFrom(tokenOf({ sub: 'Jürgen ≥ 1', subscribe: ['>'], command: ['home.>'] })), {
    ...{ subject: 'Jürgen ≥ 1', subscribe: ['>'], command: ['home.>'] },
  });
  assert.deepEqual(claimsFrom(tokenOf({})), { subject: '', subscribe: [], command: [] });
  for (const token of ['', 'opaque', 'a.!.c', `h.${btoa('[')}.s`]) assert.equal(claimsFrom(token), undefined);
});

test('a device is matched by its path, and by a pattern above it', () => {
  assert.ok(matchesOne(['plant1.a', 'home.>'], 'home.lamps.hall'));
  assert.ok(matchesOne(['>'], 'home.lamps.hall'));
  assert.ok(!matchesOne(['home.lamps', 'home2.>'], 'home.lamps.hall'));
});

test('the alarms of overlapping patterns are subscribed to once', () => {
  const channels = (subscribe: string[]) => alarmChannels({ subject: 'a', subscribe, command: [] });
  assert.deepEqual(channels(['plant1.>', 'plant1.line2.>', 'home.a', 'plant1.>']), ['plant1.>', 'home.a']);
  assert.deepEqual(channels(['home.a', '>']), ['>']);
  assert.deepEqual(alarmChannels(undefined), ['>']);
});
