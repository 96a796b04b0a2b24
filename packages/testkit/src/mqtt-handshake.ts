import { connect } from 'node:net';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** CONNECT of MQTT 3.1.1: clean session, keep-alive 10 s, client ID `probe`. */
const connectPacket = Buffer.from('101100044d5154540402000a000570726f6265', 'hex');
const connackType = 0x20;

/**
 * Connects as a client of MQTT 3.1.1. Resolves when the server accepts it. Rejects with `unavailable` if no server
 * listens, or none accepts within `deadlineMs`.
 */
export function mqttAccepts(host: string, port: number, deadlineMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => socket.write(connectPacket));
    const fail = (message: string, cause?: unknown) => {
      socket.destroy();
      reject(new TailraceError('unavailable', message, { cause }));
    };
    const timer = setTimeout(() => fail(`no answer from ${host}:${port} within ${deadlineMs} ms`), deadlineMs);
    socket.on('data', (chunk) => {
      if (chunk[0] !== connackType || chunk[3] !== 0) {
        fail(`${host}:${port} answers ${chunk.toString('hex', 0, 8)}, not as MQTT does`);
        return;
      }
      socket.end();
      resolve();
    });
    socket.on('error', (error) => fail(`cannot reach ${host}:${port}: ${error.message}`, error));
    socket.on('close', () => {
      clearTimeout(timer);
      fail(`${host}:${port} closed the connection without an answer`);
    });
  });
}

/** Returns host and port of `mqtt://host[:port]`. Throws `invalid_config` for anything else. */
export function mqttAddressFrom(text: string, variable: string): { host: string; port: number } {
  const url = URL.parse(text);
  if (url?.protocol !== 'mqtt:' || url.hostname === '') {
    throw new TailraceError(
      'invalid_config',
      `${variable}: expected an address such as mqtt://127.0.0.1:1883, got ${shown(text.replace(/\/\/.*@/, '//…@'))}`,
    );
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 1883) };
}
