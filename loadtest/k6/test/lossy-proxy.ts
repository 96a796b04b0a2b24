import { startTcpProxy } from '@tailrace/testkit/tcp-proxy';

/** Tag of `data` in a Protobuf ServerMessage. */
const dataTag = 0x1a;
const binary = 2;

/** A proxy between k6 and a fanout node that loses one data frame: only the counters of the devices show it. */
export interface LossyProxy {
  readonly port: number;
  readonly lost: number;
  close(): Promise<void>;
}

/** Starts a proxy that loses the data frame with this number, counted over all connections. */
export async function startLossyProxy(port: number, lostFrame: number): Promise<LossyProxy> {
  let seen = 0;
  let lost = 0;
  const proxy = await startTcpProxy({
    target: () => ({ port }),
    pass(client, server) {
      client.pipe(server);
      let isStream = false;
      let rest: Buffer = Buffer.alloc(0);
      server.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        if (!isStream) {
          const end = rest.indexOf('\r\n\r\n');
          isStream = end >= 0 && rest.toString('latin1', 9, 12) === '101';
          const head = isStream ? rest.subarray(0, end + 4) : rest;
          client.write(head);
          rest = rest.subarray(head.length);
          if (!isStream) return;
        }
        for (let frame = frameOf(rest); frame !== undefined; frame = frameOf(rest)) {
          const isData = frame.opcode === binary && rest[frame.head] === dataTag;
          if (isData && ++seen === lostFrame) lost++;
          else client.write(rest.subarray(0, frame.end));
          rest = rest.subarray(frame.end);
        }
      });
    },
  });
  return {
    port: proxy.port,
    get lost() {
      return lost;
    },
    close: () => proxy.close(),
  };
}

/** Returns the first frame if it is complete (RFC 6455 section 5.2; frames of a server are not masked). */
function frameOf(bytes: Buffer): { readonly opcode: number; readonly head: number; readonly end: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 127;
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < head) return undefined;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return bytes.length < head + length ? undefined : { opcode: bytes[0]! & 15, head, end: head + length };
}
