import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tailrace/testkit/eventually';
import { connectRaw, type RawSocket, readResponse } from '@tailrace/testkit/raw-socket';
import { connectRawWebSocket, type RawWebSocket } from '@tailrace/testkit/raw-websocket';
import type { AttackContext } from './attack-definition.ts';
import { fetchMetrics } from './metrics-page.ts';

/** Connections at the same time: the backlog of a listening socket. */
const groupSize = 250;
const steadyGroup = 50;
const steadyMs = 100;
/** For requests in flight when the metric is reached. */
const heldMs = 500;

/**
 * Opens connections to a port, 500 per second: these attacks do not measure a burst of connections.
 */
export async function connectSteadily(port: number, count: number): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < count) {
    const some = Math.min(steadyGroup, count - sockets.length);
    sockets.push(...(await connectMany(port, some)));
    await sleep(steadyMs);
  }
  return sockets;
}

/** Opens connections to a port, as fast as they are accepted. */
export async function connectMany(port: number, count: number): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < count) {
    const group = Math.min(groupSize, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: group }, () => connectRaw({ port, deadlineMs: 20_000 })))));
  }
  return sockets;
}

/**
 * Resolves when a metric of the server has reached a value, so that it has received what was written, and not before
 * the end of the attack.
 */
export async function untilServerHolds(context: AttackContext, metric: string, least: number): Promise<void> {
  const { internalPort } = context.addresses;
  const holds = async () => (await fetchMetrics(internalPort)).sum(metric) >= least;
  // Where it never does, the responses have the reason.
  await eventually(holds, { deadlineMs: 10_000, pollMs: 50 }).catch(() => {});
  await sleep(heldMs);
  while (!context.isExpired()) await context.sleep(100);
}

/** Counts the response on each socket; one without a response within the deadline counts as `no answer`. */
export async function countAnswers(
  context: AttackContext,
  sockets: readonly RawSocket[],
  deadlineMs: number,
): Promise<void> {
  await Promise.all(
    sockets.map(async (socket) => {
      try {
        context.counts.response(await readResponse(socket, { deadlineMs }));
      } catch {
        context.counts.add('no answer');
      }
      socket.close();
    }),
  );
}

/** Returns the head of a request to ingest, and `body`. */
export function ingestRequest(token: string, fields: readonly string[], body = ''): string {
  const all = ['Host: ingest', `Authorization: Bearer ${token}`, 'Content-Type: application/json', ...fields];
  return `POST /v1/ingest HTTP/1.1\r\n${all.map((field) => `${field}\r\n`).join('')}\r\n${body}`;
}

export interface RawStreamOptions {
  /** Default: the token of the attack; undefined: none. */
  readonly token?: string | undefined;
  readonly protocol?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Opens a WebSocket on the streams that may violate the protocol. */
export function openRawStream(context: AttackContext, options: RawStreamOptions = {}): Promise<RawWebSocket> {
  const token = 'token' in options ? options.token : context.token;
  return connectRawWebSocket({
    port: context.addresses.streamPort,
    path: '/v1/stream',
    protocols: [options.protocol ?? 'tailrace.v1.json'],
    headers: { ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }), ...options.headers },
    deadlineMs: 20_000,
  });
}
