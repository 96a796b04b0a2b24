import assert from 'node:assert/strict';
import { serverMessageFromBytes } from '@tailrace/protocol/server-message';
import type { RawWebSocket } from '@tailrace/testkit/raw-websocket';
import type { TestNode } from './node.ts';

/** Connects a client, and waits for its welcome. */
export async function welcomed(node: TestNode, protocol: 'json' | 'proto' = 'json'): Promise<RawWebSocket> {
  const ws = await node.connect({ path: `/v1/stream?token=${node.token}`, protocols: [`tailrace.v1.${protocol}`] });
  await ws.nextMessage();
  return ws;
}

/** Waits for an error, and the close code after it. */
export async function refusal(
  ws: RawWebSocket,
): Promise<{ error: { code: string; message: string; id?: string }; close: number }> {
  const { payload, type } = await ws.nextMessage();
  const message = type === 'text' ? JSON.parse(payload.toString('utf8')) : serverMessageFromBytes(payload);
  assert.ok('error' in message, payload.toString('utf8'));
  return { error: message.error, close: (await ws.closed).code };
}

/** Asserts that the node serves a new client. */
export async function assertServes(node: TestNode): Promise<void> {
  const ws = await welcomed(node);
  ws.sendText('{"ping":{"t":1}}');
  assert.ok('pong' in ((await ws.nextJson()) as object));
  ws.close();
  await ws.closed;
}
