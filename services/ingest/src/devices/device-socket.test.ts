import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeReason } from './device-socket.ts';

test('a reason of at most 123 bytes is unchanged, a longer one is shortened before the character that does not fit', () => {
  for (const reason of ['', 'x'.repeat(41), 'x'.repeat(123), 'ä'.repeat(61), '€'.repeat(41)])
    assert.equal(closeReason(reason), reason);
  assert.equal(closeReason('x'.repeat(124)), 'x'.repeat(123));
  for (const character of ['ä', '€', '😀']) {
    for (let before = 110; before < 124; before++) {
      const shortened = closeReason('x'.repeat(before) + character.repeat(10));
      const bytes = Buffer.byteLength(shortened);
      assert.ok(bytes <= 123 && bytes > 123 - Buffer.byteLength(character), `${bytes}`);
      assert.match(shortened, new RegExp(`^x{${before}}(${character})*$`, 'u'));
    }
  }
});
