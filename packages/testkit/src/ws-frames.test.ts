import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closeFrom, closePayload, createFrameDecoder, encodeFrame, opcodes } from './ws-frames.ts';

// RFC 6455, section 5.7.
const examples = {
  hello: '810548656c6c6f',
  helloMasked: '818537fa213d7f9f4d5158',
  hel: '010348656c',
  lo: '80026c6f',
  ping: '890548656c6c6f',
};

test('the example frames of RFC 6455, section 5.7, are decoded', () => {
  const decode = createFrameDecoder();
  const frames = decode(Buffer.from(Object.values(examples).join(''), 'hex'));
  assert.deepEqual(
    frames.map((frame) => [frame.fin, frame.opcode, frame.payload.toString()]),
    [
      [true, opcodes.text, 'Hello'],
      [true, opcodes.text, 'Hello'],
      [false, opcodes.text, 'Hel'],
      [true, opcodes.continuation, 'lo'],
      [true, opcodes.ping, 'Hello'],
    ],
  );
});

test('the example frames of RFC 6455, section 5.7, are encoded', () => {
  const write = (frame: Parameters<typeof encodeFrame>[0]) => encodeFrame({ ...frame, mask: false }).toString('hex');
  assert.equal(write({ opcode: opcodes.text, payload: 'Hello' }), examples.hello);
  assert.equal(write({ opcode: opcodes.text, payload: 'Hel', fin: false }), examples.hel);
  assert.equal(write({ opcode: opcodes.continuation, payload: 'lo' }), examples.lo);
  assert.equal(write({ opcode: opcodes.ping, payload: 'Hello' }), examples.ping);
  assert.equal(write({ opcode: opcodes.binary, payload: Buffer.alloc(256) }).slice(0, 8), '827e0100');
  assert.equal(write({ opcode: opcodes.binary, payload: Buffer.alloc(65_536) }).slice(0, 20), '827f0000000000010000');
});

test('any frame is decoded as it was encoded, masked or not, split into any chunks', () => {
  const frame = fc.record({
    fin: fc.boolean(),
    rsv: fc.integer({ min: 0, max: 7 }),
    opcode: fc.integer({ min: 0, max: 15 }),
    size: fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536),
    mask: fc.boolean(),
    split: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(frame, ({ size, split, mask, ...rest }) => {
      const payload = Buffer.alloc(size, 'tailrace');
      const bytes = encodeFrame({ ...rest, payload, mask });
      const decode = createFrameDecoder();
      const frames = [
        ...decode(bytes.subarray(0, split)),
        ...decode(bytes.subarray(split, split + 1)),
        ...decode(bytes.subarray(split + 1)),
      ];
      assert.deepEqual(frames, [{ ...rest, payload }]);
    }),
    { numRuns: 50 },
  );
});

test('the bytes of a masked frame do not contain its text', () => {
  const [first] = createFrameDecoder()(encodeFrame({ opcode: opcodes.text, payload: 'a'.repeat(100) }));
  assert.equal(first?.payload.toString(), 'a'.repeat(100));
  assert.ok(!encodeFrame({ opcode: opcodes.text, payload: 'a'.repeat(100) }).includes('aaaaa'));
});

test('a frame may have a wrong length field', () => {
  const bytes = encodeFrame({ opcode: opcodes.text, payload: 'x', claimedLength: 1_000_000_000, mask: false });
  assert.equal(bytes.length, 11);
  assert.throws(() => createFrameDecoder()(bytes), { code: 'too_large', message: /claims 1000000000 bytes/ });
});

test('a close frame carries code and reason, or nothing', () => {
  assert.deepEqual(closeFrom(closePayload(4401, 'token expired')), { code: 4401, reason: 'token expired' });
  assert.deepEqual(closeFrom(closePayload()), { code: 1005, reason: '' });
});
