import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { type Order, RegisterCodec, type RegisterFormat, type RegisterType, registerTypes } from './register.ts';

const seeded = fuzzed();

function codec(type: RegisterType, options: Partial<RegisterFormat> = {}): RegisterCodec {
  return new RegisterCodec({ type, wordOrder: 'big', byteOrder: 'big', scale: 1, offset: 0, ...options });
}

const orders: readonly (readonly [string, Order, Order])[] = [
  ['ABCD', 'big', 'big'],
  ['CDAB', 'little', 'big'],
  ['BADC', 'big', 'little'],
  ['DCBA', 'little', 'little'],
];

/** Returns the bytes of a value in order ABCD…, in another order of two registers. */
function inOrder(hex: string, order: string): Uint8Array {
  const byLetter = Object.fromEntries(
    [...'ABCD'].map((letter, index) => [letter, hex.slice(2 * index, 2 * index + 2)]),
  );
  return Buffer.from([...order].map((letter) => byLetter[letter]).join(''), 'hex');
}

test('a value of two registers is read and written in each of the four orders', () => {
  for (const [name, wordOrder, byteOrder] of orders) {
    // 21.3 as a float of 32 bits is 41AA6666; the integer is 305,419,896.
    const float = codec('f32', { wordOrder, byteOrder });
    assert.equal(float.read(inOrder('41aa6666', name), 0), Math.fround(21.3), name);
    assert.deepEqual(Buffer.from(float.write(21.3)), inOrder('41aa6666', name), name);
    const integer = codec('u32', { wordOrder, byteOrder });
    assert.equal(integer.read(inOrder('12345678', name), 0), 0x1234_5678, name);
    assert.deepEqual(Buffer.from(integer.write(0x1234_5678)), inOrder('12345678', name), name);
  }
});

test('four registers are reversed as a whole', () => {
  const bytes = Buffer.from('0708050603040102', 'hex');
  assert.equal(codec('u64', { wordOrder: 'little', as: 'text' }).read(bytes, 0), String(0x0102_0304_0506_0708n));
});

test('integers have a sign only in types with one', () => {
  assert.equal(codec('u16').read(Buffer.from('ffff', 'hex'), 0), 65_535);
  assert.equal(codec('i16').read(Buffer.from('ffff', 'hex'), 0), -1);
  assert.equal(codec('u32').read(Buffer.from('ffffffff', 'hex'), 0), 4_294_967_295);
  assert.equal(codec('i32').read(Buffer.from('fffffffe', 'hex'), 0), -2);
  assert.equal(codec('i64').read(Buffer.from('ffffffffffffffff', 'hex'), 0), -1);
});

test('64-bit integers beyond 2^53 are the nearest number, and reported, or exact as text', () => {
  const bytes = Buffer.from('0020000000000001', 'hex');
  const number = codec('u64');
  assert.equal(number.read(bytes, 0), 2 ** 53);
  assert.equal(number.isExact, false);
  assert.equal(codec('u64', { as: 'text' }).read(bytes, 0), '9007199254740993');
  number.read(Buffer.from('000fffffffffffff', 'hex'), 0);
  assert.equal(number.isExact, true);
  assert.deepEqual(Buffer.from(codec('u64', { as: 'text' }).write('9007199254740993')), bytes);
});

test('scale and offset return decimals without an error in the last digit', () => {
  assert.equal(codec('u16', { scale: 0.1 }).read(Buffer.from([0, 3]), 0), 0.3);
  assert.equal(codec('i16', { scale: 0.1, offset: -40 }).read(Buffer.from([2, 101]), 0), 21.3);
  assert.equal(codec('u16', { scale: 25 }).read(Buffer.from([0, 4]), 0), 100);
  assert.deepEqual([...codec('u16', { scale: 0.1, offset: -40 }).write(21.3)], [2, 101]);
});

test('decimal digits in registers are a number, and other bytes are no value', () => {
  assert.equal(codec('bcd16').read(Buffer.from('1234', 'hex'), 0), 1_234);
  assert.equal(codec('bcd32', { wordOrder: 'little' }).read(Buffer.from('56781234', 'hex'), 0), 12_345_678);
  assert.deepEqual(Buffer.from(codec('bcd32').write(12_345_678)), Buffer.from('12345678', 'hex'));
  const invalid = codec('bcd16');
  assert.equal(invalid.read(Buffer.from('12a4', 'hex'), 0), undefined);
  assert.equal(invalid.reason, 'invalid_bcd');
});

test('a float that is not finite is no value', () => {
  const float = codec('f32');
  for (const hex of ['7fc00000', '7f800000', 'ff800000']) {
    assert.equal(float.read(Buffer.from(hex, 'hex'), 0), undefined);
    assert.equal(float.reason, 'not_finite');
  }
});

test('a text stops at its first NUL, and is padded with NUL', () => {
  const text = codec('text', { registers: 3 });
  assert.equal(text.read(Buffer.from('AB12\0x'), 0), 'AB12');
  assert.equal(text.read(Buffer.from('pump  '), 0), 'pump');
  assert.equal(codec('text', { registers: 2, byteOrder: 'little' }).read(Buffer.from('BA21'), 0), 'AB12');
  assert.deepEqual(Buffer.from(text.write('AB')), Buffer.from('AB\0\0\0\0'));
  assert.throws(() => text.write('sevenXX'), { code: 'invalid_message' });
  assert.throws(() => text.write('€'), { code: 'invalid_message' });
});

test('a bit is read and written with the others of its register', () => {
  const bit = codec('bit', { bit: 9 });
  assert.equal(bit.read(Buffer.from('0200', 'hex'), 0), true);
  assert.deepEqual([...bit.registersWithBit(true, Buffer.from('00ff', 'hex'))], [2, 255]);
  assert.deepEqual([...bit.registersWithBit(false, Buffer.from('ffff', 'hex'))], [0xfd, 0xff]);
  const swapped = codec('bit', { bit: 9, byteOrder: 'little' });
  assert.equal(swapped.read(Buffer.from('0002', 'hex'), 0), true);
  assert.deepEqual([...swapped.registersWithBit(true, Buffer.from('ff00', 'hex'))], [0xff, 2]);
});

test('a value that the type cannot have is refused, with what it can have', () => {
  const refused: readonly (readonly [RegisterCodec, number | string | boolean])[] = [
    [codec('u16'), 65_536],
    [codec('u16'), -1],
    [codec('i16'), 32_768],
    [codec('u16'), 'text'],
    [codec('u16', { scale: 0.1 }), 6_554],
    [codec('bcd16'), 10_000],
    [codec('f32'), 1e39],
    [codec('bool'), 1],
    [codec('u64', { as: 'text' }), '18446744073709551616'],
    [codec('u64', { as: 'text' }), 5],
  ];
  for (const [each, value] of refused) {
    assert.throws(() => each.write(value), { code: 'invalid_message', message: /expected .*, got / }, `${value}`);
  }
});

test('every value that is written is read back, whatever the type, the orders and the scale', () => {
  const bounds: Readonly<Partial<Record<RegisterType, readonly [number, number]>>> = {
    u16: [0, 65_535],
    i16: [-32_768, 32_767],
    u32: [0, 4_294_967_295],
    i32: [-2_147_483_648, 2_147_483_647],
    u64: [0, Number.MAX_SAFE_INTEGER],
    i64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    bcd16: [0, 9_999],
    bcd32: [0, 99_999_999],
  };
  const order = fc.constantFrom<Order>('big', 'little');
  const integers = fc.constantFrom(...(Object.keys(bounds) as RegisterType[])).chain((type) => {
    const [min, max] = bounds[type]!;
    return fc.record({ type: fc.constant(type), raw: fc.integer({ min, max }) });
  });
  fc.assert(
    fc.property(integers, order, order, fc.constantFrom(1, 0.1, 0.001, 10), (each, wordOrder, byteOrder, scale) => {
      const used = codec(each.type, { wordOrder, byteOrder, scale });
      const value = scale < 1 ? each.raw / Math.round(1 / scale) : each.raw * scale;
      if (Math.abs(each.raw) > 2 ** 45) return;
      assert.equal(used.read(used.write(value), 0), value);
    }),
    seeded,
  );
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), order, order, (value, wordOrder, byteOrder) => {
      const double = codec('f64', { wordOrder, byteOrder });
      // Without -0, which becomes 0 by the offset.
      assert.equal(double.read(double.write(value), 0), value + 0);
    }),
    seeded,
  );
});

test('any bytes are a value that a reading may have, or none', () => {
  const order = fc.constantFrom<Order>('big', 'little');
  const types = fc.constantFrom(...registerTypes);
  fc.assert(
    fc.property(
      types,
      order,
      order,
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
      (type, wordOrder, byteOrder, bytes) => {
        const value = codec(type, { wordOrder, byteOrder, registers: 4 }).read(bytes, 2);
        if (typeof value === 'number') assert.ok(Number.isFinite(value));
        if (typeof value === 'string') assert.ok(!value.includes('\0'));
      },
    ),
    fuzzed(1_000),
  );
});
