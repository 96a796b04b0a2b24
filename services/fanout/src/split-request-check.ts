import { connect } from 'node:net';

/** Turns of the event loop between the segments: the server, in this process, accepts and reads the first in them. */
const segmentGapTurns = 6;
const deadlineMs = 1_000;

/**
 * Resolves with whether the server at this port reads a request whose first line is in two TCP segments, or undefined
 * if unknown. Builds of uWebSockets.js from August to October 2024 answer it with 505
 * (https://github.com/uNetworking/uWebSockets/issues/1776), and no build has a version number. Never rejects; takes a
 * few turns of the event loop.
 */
export async function readsSplitRequests(host: string, port: number): Promise<boolean | undefined> {
  const socket = connect({ host: localHost(host), port, noDelay: true, timeout: deadlineMs });
  try {
    return await new Promise((resolve) => {
      socket.once('error', () => resolve(undefined));
      socket.once('timeout', () => resolve(undefined));
      socket.once('close', () => resolve(undefined));
      socket.once('data', (answer) => resolve(!answer.toString('latin1').startsWith('HTTP/1.1 505')));
      socket.once('connect', () => {
        socket.write('GET /healthz HTTP', () =>
          afterTurns(segmentGapTurns, () => void socket.write('/1.1\r\nHost: check\r\n\r\n')),
        );
      });
    });
  } finally {
    socket.destroy();
  }
}

/** Returns the loopback address for a server that listens on all addresses. */
function localHost(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

function afterTurns(count: number, call: () => void): void {
  setImmediate(() => (count === 0 ? call() : afterTurns(count - 1, call)));
}
