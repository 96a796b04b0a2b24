import { connect } from 'node:net';
import { shown, TailraceError } from '@tailrace/protocol/error';

const greetingBytesMax = 100_000;

/** What a NATS server says of itself to everyone who connects. */
export interface NatsInfo {
  readonly version: string;
}

/**
 * Connects and waits for the server's greeting, `INFO {…}\r\n`
 * (https://docs.nats.io/reference/reference-protocols/nats-protocol). Rejects where nobody listens, nobody greets
 * within `deadlineMs`, or what greets is no NATS server.
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

/** From the line of the greeting; undefined where it is none. */
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
 * Host and port of `nats://[user:password@]host[:port]`. `invalid_config` says what is wrong, without the user and the
 * password.
 */
export function natsAddressFrom(text: string, variable: string): { host: string; port: number } {
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'nats:' && url.protocol !== 'tls:') || url.hostname === '') {
    throw new TailraceError(
      'invalid_config',
      `${variable} is ${shown(text.replace(/\/\/.*@/, '//…@'))}; it should look like nats://127.0.0.1:4222`,
    );
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 4222) };
}
