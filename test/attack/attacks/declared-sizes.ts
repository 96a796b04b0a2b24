import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const pauseMs = 20;

/** A varint of a declared length, followed by far less. */
function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

const declared = [2n ** 31n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const bodies: readonly Buffer[] = [
  // A report, a reading and a text with that length.
  ...declared.map((length) => Buffer.concat([Buffer.from([0x0a]), varint(length), Buffer.from([0x0a, 0x01])])),
  ...declared.map((length) => nested(0x1a, Buffer.concat([Buffer.from([0x0a]), varint(length)]))),
  // Nested groups, which old Protobuf has, and 1 MB of unknown fields.
  Buffer.alloc(500_000, 0x0b),
  Buffer.concat(Array.from({ length: 100_000 }, () => Buffer.from([0xf8, 0x7f, 0x01]))),
  // 200,000 empty reports.
  Buffer.alloc(400_000, Buffer.from([0x0a, 0x00])),
  // Varints that never end.
  Buffer.alloc(100_000, 0xff),
];

function nested(tag: number, inner: Buffer): Buffer {
  const report = Buffer.concat([Buffer.from([tag]), varint(BigInt(inner.length)), inner]);
  return Buffer.concat([Buffer.from([0x0a]), varint(BigInt(report.length)), report]);
}

/**
 * Sizes and counts that are declared and never sent: memory allocated for them crashed socket.io-parser
 * (GHSA-677m-j7p3-52f9), Kafka (pull request 577) and Envoy's Kafka filter (issue 45859).
 */
export const declaredSizes: Attack = {
  name: 'declared-sizes',
  words:
    'Protobuf that declares lengths up to 2^64, groups and unknown fields without end, to ingest and to the streams',
  targets: ['standalone'],
  refusals: ['http 400 invalid_report', 'close 4400'],
  async run(context) {
    // The first iteration is always complete.
    for (let iteration = 0; iteration === 0 || !context.isExpired(); iteration++) {
      for (const body of bodies) {
        if (iteration > 0 && context.isExpired()) break;
        await post(context, body, { 'content-type': 'application/x-protobuf' });
        const stream = await AttackStream.open(context, { protocol: 'tailrace.v1.proto' });
        stream?.send(body.subarray(0, 16_000));
        await stream?.untilClosed();
        stream?.terminate();
        await context.sleep(pauseMs);
      }
    }
  },
};
