import assert from 'node:assert/strict';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import type { Claims } from '@tailrace/platform/token';
import { type ClientMessage, clientMessageBytes } from '@tailrace/protocol/client-message';
import { TailraceError } from '@tailrace/protocol/error';
import { type ServerMessage, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import type { SessionOptions } from '../src/sessions/session.ts';
import { Session } from '../src/sessions/session.ts';
import { SessionCounts } from '../src/sessions/session-counts.ts';
import type { Encoding } from '../src/views/view-options.ts';
import { freeAccess } from './free-access.ts';
import type { LocalNode } from './local-node.ts';
import { noPlacement } from './no-placement.ts';

/** Verifies test tokens: a token is its patterns, as in `p.>,q.d`; `bad` is invalid. */
export async function verify(token: string): Promise<Claims> {
  if (token === 'bad') throw new TailraceError('unauthorized', 'the token "bad"… is malformed');
  return { subject: 's', publish: [], subscribe: token === '' ? [] : token.split(',') };
}

export interface ClientOptions
  extends Partial<
    Pick<
      SessionOptions,
      'verify' | 'hub' | 'control' | 'placement' | 'subscriptionsMax' | 'viewsPerConnectionMax' | 'logger' | 'access'
    >
  > {
  encoding?: Encoding;
}

/** Opens a session on a socket that records messages, and joins topics as a real one does. */
export function connectSession(node: LocalNode, options: ClientOptions = {}) {
  const { encoding = 'json', ...parts } = options;
  const received: ServerMessage[] = [];
  const topics = new Map<string, number>();
  const closes: number[] = [];
  const receive = (frame: string | Uint8Array) => {
    const message = typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame);
    received.push(message ?? assert.fail('an unknown message'));
  };
  node.sockets.add({
    onPublished(topic, frame) {
      for (let i = 0; i < (topics.get(topic) ?? 0); i++) receive(frame);
    },
  });
  const socket = {
    isLost: false,
    watcher: undefined,
    pings: 0,
    send: receive,
    sendData: receive,
    whenWritable: () => undefined,
    setLagging() {},
    ping() {
      this.pings++;
    },
    join: (topic: string) => void topics.set(topic, (topics.get(topic) ?? 0) + 1),
    leave: (topic: string) => assert.ok(topics.delete(topic)),
    end: (code: number) => void closes.push(code),
  };
  const session = new Session('session-1', encoding, socket, {
    hub: node.hub,
    eventHub: node.eventHub,
    control: { of: () => assert.fail('control is requested') },
    work: node.work,
    placement: noPlacement(),
    verify,
    now: () => node.clock.now(),
    node: 'n',
    version: '1.2.3',
    heartbeatMs: 30_000,
    messageBytesMax: 1_024,
    subscriptionsMax: 4,
    viewsPerConnectionMax: 64,
    logger: silentLogger,
    counts: new SessionCounts(),
    access: freeAccess(),
    ...parts,
  });
  const send = (message: ClientMessage) =>
    session.onMessage(encoding === 'json' ? JSON.stringify(message) : clientMessageBytes(message));
  return {
    session,
    socket,
    topics,
    closes,
    received,
    send,
    /** Removes and returns the messages received, by kind. */
    kinds: () => received.splice(0).map((message) => Object.keys(message)[0]),
    errors: () => received.splice(0).flatMap((message) => ('error' in message ? [message.error] : [])),
  };
}

export async function openedSession(node: LocalNode, token = '>', options: ClientOptions = {}) {
  const client = connectSession(node, options);
  await client.session.authenticate(token);
  assert.deepEqual(client.kinds(), ['welcome']);
  return client;
}

export const subscribe = (id: string, channel: string) => ({ subscribe: { id, channel } });

/** Creates a logger that records errors. */
export function logging() {
  const errors: object[] = [];
  const logger: Logger = { ...silentLogger, error: (facts) => errors.push(facts) };
  return { logger, errors };
}
