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
  // A report, a reading and a text that claim to be that long.
  ...declared.map((length) => Buffer.concat([Buffer.from([0x0a]), varint(length), Buffer.from([0x0a, 0x01])])),
  ...declared.map((length) => nested(0x1a, Buffer.concat([Buffer.from([0x0a]), varint(length)]))),
  // Groups within groups, which old Protobuf has, and fields that are not known, 1 MB of them.
  Buffer.alloc(500_000, 0x0b),
  Buffer.concat(Array.from({ length: 100_000 }, () => Buffer.from([0xf8, 0x7f, 0x01]))),
  // 200,000 reports of nothing.
  Buffer.alloc(400_000, Buffer.from([0x0a, 0x00])),
  // Varints that never end.
  Buffer.alloc(100_000, 0xff),
];

function nested(tag: number, inner: Buffer): Buffer {
  const report = Buffer.concat([Buffer.from([tag]), varint(BigInt(inner.length)), inner]);
  return Buffer.concat([Buffer.from([0x0a]), varint(BigInt(report.length)), report]);
}

/**
 * Sizes and counts that are declared and never come: room made for what is declared ended socket.io-parser
 * (GHSA-677m-j7p3-52f9), Kafka (pull request 577) and Envoy's Kafka filter (issue 45859).
 */
export const declaredSizes: Attack = {
  name: 'declared-sizes',
  words: 'Protobuf that declares lengths up to 2^64, groups and unknown fields without end, to both doors',
  targets: ['standalone'],
  refusals: ['http 400 invalid_report', 'close 4400'],
  async run(context) {
    // The first round goes to its end.
    for (let round = 0; round === 0 || !context.isOver(); round++) {
      for (const body of bodies) {
        if (round > 0 && context.isOver()) break;
        await post(context, body, { 'content-type': 'application/x-protobuf' });
        const stream = await AttackStream.open(context, { protocol: 'tailrace.v1.proto' });
        stream?.send(body.subarray(0, 16_000));
        await stream?.untilClosed();
        stream?.cut();
        await context.sleep(pauseMs);
      }
    }
  },
};
