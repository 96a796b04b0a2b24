import { connect } from 'node:net';
import { shown, TailraceError } from '@tailrace/protocol/error';

const greetingBytesMax = 100_000;

/** The part of a NATS server's INFO message that tests use. */
export interface NatsInfo {
  readonly version: string;
}

/**
 * Connects and waits for the server's greeting, `INFO {…}\r\n`
 * (https://docs.nats.io/reference/reference-protocols/nats-protocol). Rejects if no server listens, none sends a
 * greeting within `deadlineMs`, or the greeting is not of NATS.
 */
export function natsServerInfo(host: string, port: number, deadlineMs: number): Promise<NatsInfo> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let received = '';
    const fail = (message: string, cause?: unknown) => {
      socket.destroy();
      reject(new TailraceError('unavailable', message, { cause }));
    };
    const timer = setTimeout(() => fail(`no answer from ${host}:${port} within ${deadlineMs} ms`), deadlineMs);
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => {
      received += chunk;
      const end = received.indexOf('\r\n');
      if (end < 0 && received.length < greetingBytesMax && 'INFO '.startsWith(received.slice(0, 5))) return;
      const info = natsInfoFrom(end < 0 ? received : received.slice(0, end));
      if (!info) return fail(`${host}:${port} greets with ${shown(received)}, not as NATS does`);
      socket.destroy();
      resolve(info);
    });
    socket.on('error', (error) => fail(`cannot reach ${host}:${port}: ${error.message}`, error));
    socket.on('close', () => {
      clearTimeout(timer);
      fail(`${host}:${port} closed the connection without a greeting`);
    });
  });
}

/** Parses the line of the greeting; undefined for any other text. */
export function natsInfoFrom(line: string): NatsInfo | undefined {
  if (!line.startsWith('INFO ')) return undefined;
  try {
    const info = JSON.parse(line.slice(5)) as { version?: unknown };
    return { version: String(info.version) };
  } catch {
    return undefined;
  }
}

/**
 * Returns host and port of `nats://[user:password@]host[:port]`. Throws `invalid_config` without user and password in
 * its message.
 */
export function natsAddressFrom(text: string, variable: string): { host: string; port: number } {
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'nats:' && url.protocol !== 'tls:') || url.hostname === '') {
    throw new TailraceError(
      'invalid_config',
      `${variable}: expected an address such as nats://127.0.0.1:4222, got ${shown(text.replace(/\/\/.*@/, '//…@'))}`,
    );
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 4222) };
}
