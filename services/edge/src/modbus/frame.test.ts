import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import type { Frame, Framing } from './frame.ts';
import { type Reply, readRequest, replyFrom, writeManyRequest, writeOneRequest } from './pdu.ts';
import { crc16, rtuFraming } from './rtu-frame.ts';
import { tcpFraming } from './tcp-frame.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const plain = (frames: readonly Frame[]) =>
  frames.map(({ transaction, unit, pdu }) => [transaction, unit, Buffer.from(pdu).toString('hex')]);

test('a request has the bytes of the specification', () => {
  // V1.1b3, 6.3: registers 108 to 110. Messaging on TCP V1.0b, 3.1.3: the header.
  const { pdu } = readRequest('holding', 0x6b, 3);
  assert.deepEqual(Buffer.from(pdu), hex('03 006b 0003'));
  assert.deepEqual(Buffer.from(tcpFraming.encode(0x1501, 0xff, pdu)), hex('1501 0000 0006 ff 03 006b 0003'));
  // Over Serial Line V1.02, 6.2.2: the low byte of the checksum first.
  assert.deepEqual(Buffer.from(rtuFraming.encode(0, 2, hex('07'))), hex('02 07 4112'));
  assert.deepEqual(Buffer.from(writeOneRequest('coil', 0xac, true).pdu), hex('05 00ac ff00'));
  assert.deepEqual(Buffer.from(writeOneRequest('holding', 1, hex('0003')).pdu), hex('06 0001 0003'));
  assert.deepEqual(Buffer.from(writeManyRequest('holding', 1, hex('000a0102')).pdu), hex('10 0001 0002 04 000a0102'));
  assert.deepEqual(Buffer.from(writeManyRequest('coil', 0x13, true).pdu), hex('0f 0013 0001 01 01'));
});

test('the checksum of the specification', () => {
  assert.equal(crc16(hex('0207'), 0, 2), 0x1241);
});

for (const [name, framing] of Object.entries({ tcp: tcpFraming, rtu: rtuFraming })) {
  test(`frames are found however their bytes are split: ${name}`, () => {
    const replies = ['0306022b00000064', '8302', '050003ff00', '1000010002', '010100'].map(hex);
    const bytes = Buffer.concat(replies.map((pdu, index) => framing.encode(index + 1, 17 + index, pdu)));
    const expected = replies.map((pdu, index) => [
      framing.hasTransactions ? index + 1 : 0,
      17 + index,
      pdu.toString('hex'),
    ]);
    for (let size = 1; size <= bytes.length; size++) {
      const parser = framing.createParser();
      const frames: Frame[] = [];
      for (let at = 0; at < bytes.length; at += size) frames.push(...parser.push(bytes.subarray(at, at + size)));
      assert.deepEqual(plain(frames), expected, `chunks of ${size}`);
    }
  });
}

function assertInvalid(framing: Framing, bytes: string, message: RegExp): void {
  assert.throws(() => framing.createParser().push(hex(bytes)), { code: 'invalid_message', message });
}

test('bytes in which no frame can be found are an error', () => {
  assertInvalid(tcpFraming, '0001 0001 0003 01 8302', /protocol 0, got 1/);
  assertInvalid(tcpFraming, '0001 0000 0001 01', /length of 2 to 254, got 1/);
  assertInvalid(tcpFraming, '0001 0000 00ff 01', /length of 2 to 254, got 255/);
  assertInvalid(rtuFraming, '02 8302 0000', /checksum/);
  assertInvalid(rtuFraming, '02 2b02', /function that was requested, got 43/);
  assertInvalid(rtuFraming, '02 03ff', /at most 251 bytes of data, got 255/);
});

test('a reply to another request, or one that does not repeat the write, is malformed', () => {
  const read = readRequest('holding', 0, 2);
  const write = writeManyRequest('holding', 1, hex('000a0102'));
  const kinds = (request: Parameters<typeof replyFrom>[0], ...replies: string[]) =>
    replies.map((reply) => replyFrom(request, hex(reply)).kind);
  assert.deepEqual(replyFrom(read, hex('0304 00010002')), { kind: 'data', data: hex('00010002') });
  assert.deepEqual(replyFrom(read, hex('8302')), { kind: 'exception', exception: 2 });
  assert.deepEqual(
    kinds(read, '', '03', '0304000100', '03020001', '0404 00010002', '0302 00010002', '83', '830200', '8402'),
    Array(9).fill('malformed'),
  );
  assert.deepEqual(kinds(write, '10 0001 0002'), ['data']);
  assert.deepEqual(
    kinds(write, '10 0001 0001', '10 0002 0002', '10 0001', '10 0001 0002 00'),
    Array(4).fill('malformed'),
  );
  const { reason } = replyFrom(read, hex('03020001')) as Reply & { kind: 'malformed' };
  assert.equal(reason, 'reply: expected 6 bytes, got 4');
});

test('any bytes in any chunks are frames or one error, and little memory', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 });
  const requests = [readRequest('holding', 0, 2), readRequest('coil', 0, 9), writeOneRequest('coil', 1, true)];
  for (const framing of [tcpFraming, rtuFraming]) {
    fc.assert(
      fc.property(chunks, fc.boolean(), (all, hasHeader) => {
        const parser = framing.createParser();
        if (hasHeader) parser.push(framing.encode(7, 1, hex('8302')));
        for (const bytes of all) {
          try {
            for (const { pdu } of parser.push(bytes)) {
              assert.ok(pdu.length <= 253);
              for (const request of requests) assert.equal(typeof replyFrom(request, pdu).kind, 'string');
            }
          } catch (thrown) {
            assert.ok(isTailraceError(thrown) && thrown.code === 'invalid_message', String(thrown));
            return;
          }
        }
      }),
      fuzzed(2_000),
    );
  }
});
