import { connect } from 'node:net';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** Of a response to the two requests. */
const responseBytesMax = 1_000_000;

/**
 * Connects and requests the API versions, then the cluster's brokers, as a client's first two requests do
 * (https://kafka.apache.org/protocol: ApiVersions is key 18, Metadata key 3). Resolves with the number of brokers that
 * can serve: 0 while the broker is starting. Rejects if no server listens, none responds within `deadlineMs`, or the
 * response is not of Kafka.
 */
export async function kafkaBrokerCount(host: string, port: number, deadlineMs: number): Promise<number> {
  const versions = await ask(host, port, request(18, 0, Buffer.alloc(0)), deadlineMs);
  if (versions.length < 6 || versions.readInt16BE(4) !== 0) {
    throw new TailraceError('unavailable', `${host}:${port} answers, but not as Kafka does`);
  }
  // Version 1 with an empty list: brokers, no topics.
  const metadata = await ask(host, port, request(3, 1, Buffer.alloc(4)), deadlineMs);
  return metadata.length < 8 ? 0 : metadata.readInt32BE(4);
}

/** Returns host and port of `127.0.0.1:9092` or `[::1]:9092`. Throws `invalid_config` for anything else. */
export function hostAndPortFrom(address: string, variable: string): { host: string; port: number } {
  const found = /^(?:\[([0-9a-fA-F:]+)\]|([^\s:/]+)):(\d{1,5})$/.exec(address);
  const port = Number(found?.[3]);
  if (!found || port < 1 || port > 65_535) {
    throw new TailraceError(
      'invalid_config',
      `${variable}: expected an address such as 127.0.0.1:9092, got ${shown(address)}`,
    );
  }
  return { host: (found[1] ?? found[2])!, port };
}

function request(apiKey: number, version: number, body: Buffer): Buffer {
  const head = Buffer.alloc(14);
  head.writeInt32BE(10 + body.length, 0);
  head.writeInt16BE(apiKey, 4);
  head.writeInt16BE(version, 6);
  head.writeInt32BE(1, 8);
  head.writeInt16BE(-1, 12); // no client ID
  return Buffer.concat([head, body]);
}

/** Resolves with the response without its length: correlation ID, then the body. */
function ask(host: string, port: number, bytes: Buffer, deadlineMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let received = Buffer.alloc(0);
    const fail = (message: string, cause?: unknown) => {
      socket.destroy();
      reject(new TailraceError('unavailable', message, { cause }));
    };
    // Not the socket's own timeout, which restarts with every byte.
    const timer = setTimeout(() => fail(`no answer from ${host}:${port} within ${deadlineMs} ms`), deadlineMs);
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4) return;
      const length = received.readInt32BE(0);
      if (length < 4 || length > responseBytesMax) return fail(`${host}:${port} answers, but not as Kafka does`);
      if (received.length < 4 + length) return;
      socket.destroy();
      resolve(received.subarray(4, 4 + length));
    });
    socket.on('error', (error) => fail(`cannot reach ${host}:${port}: ${error.message}`, error));
    socket.on('close', () => {
      clearTimeout(timer);
      fail(`${host}:${port} closed the connection without an answer`);
    });
  });
}
