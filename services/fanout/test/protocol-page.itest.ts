import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { issueToken } from '@tailrace/platform/token';
import { type ClientMessage, clientMessageFromJson } from '@tailrace/protocol/client-message';
import type { ServerMessage } from '@tailrace/protocol/server-message';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { startNode, tokenSecret } from './node.ts';
import { type Watcher, watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

const page = readFileSync(join(import.meta.dirname, '../../../docs/PROTOCOL.md'), 'utf8');
const examplesOf = (kind: string) =>
  [...page.matchAll(/<!-- (.*?) -->\n```json\n(.*?)```/gs)].flatMap(([, each, text]) => (each === kind ? [text!] : []));

/** Messages that a single node does not send, and the tests that receive them. */
const testedElsewhere: Readonly<Record<string, string>> = {
  moved: 'placement.itest.ts',
  stale: 'presence-and-cuts.itest.ts',
  online: 'presence-and-cuts.itest.ts',
  offline: 'presence/cluster-presence.test.ts',
  interrupted: 'presence/cluster-presence.test.ts',
  restored: 'presence/cluster-presence.test.ts',
  progress: 'channels/progress-messages.test.ts',
  alarm: 'events/cluster-events.test.ts',
  command: 'events/cluster-events.test.ts',
  lease: 'events/event-hub.test.ts',
  accepted: 'sessions/control-requests.test.ts',
};

/** Waits for the answer that the page names for a message. */
async function answerTo(watcher: Watcher, message: ClientMessage): Promise<ServerMessage> {
  if ('subscribe' in message) {
    const { subscribed } = await watcher.next('subscribed');
    assert.equal(subscribed.id, message.subscribe.id);
    const isBack = message.subscribe.after !== undefined || message.subscribe.from !== undefined;
    assert.equal(subscribed.recovered !== undefined, isBack);
    return { subscribed };
  }
  if ('unsubscribe' in message) return await watcher.next('unsubscribed');
  if ('pause' in message) return await watcher.next('paused');
  if ('resume' in message) return await watcher.next('live');
  if ('ping' in message) return await watcher.next('pong');
  return await watcher.next('error');
}

test('every example of a client message is sent to a node, and answered as the page describes', async () => {
  const node = await startNode();
  after(() => node.stop());
  const watcher = await watch({ port: node.port, token: node.token });
  const messages = examplesOf('client → server').map(clientMessageFromJson);
  const kinds = (wanted: string) => messages.filter((message) => wanted in message);
  // In a valid order: subscribe before pause. `auth` last, because its token is invalid.
  for (const kind of ['subscribe', 'ping', 'pause', 'resume', 'unsubscribe', 'auth']) {
    assert.ok(kinds(kind).length > 0, kind);
    for (const message of kinds(kind)) {
      watcher.send(message);
      const answer = await answerTo(watcher, message);
      if (kind === 'auth') assert.ok('error' in answer && answer.error.code === 'unauthorized');
    }
  }
  await watcher.end();
});

test('a node sends every kind of server message on the page', async (t) => {
  const node = await startNode({ expiryWarningMs: 60_000, tokenClockToleranceMs: 0, drainMs: 100 });
  const seen = new Set<string>();
  const issue = (facts: object) =>
    issueToken({ secret: tokenSecret, subject: 's', publish: [], subscribe: ['>'], expiresInMs: 30_000, ...facts });
  // The token expires in less than a minute: `expiring` is sent at once.
  const watcher = await watch({ port: node.port, token: await issue({}) });
  t.after(() => watcher.end());
  const next = async (kind: string) => {
    await watcher.next(kind);
    seen.add(kind);
  };
  await node.append('p.d', [{ tag: 'n', value: 1 }]);
  watcher.send({ subscribe: { id: 'a', channel: 'p.>' } });
  await next('subscribed');
  await node.append('p.d', [{ tag: 'n', value: 2 }]);
  watcher.send({ ping: { t: 1 } });
  await next('pong');
  watcher.send({ pause: { id: 'a' } });
  await next('paused');
  watcher.send({ resume: { id: 'a' } });
  await next('live');
  await eventually(() => watcher.last('p.d') === 2);
  seen.add('data');
  watcher.send({ unsubscribe: { id: 'a' } });
  await next('unsubscribed');
  watcher.send({ unsubscribe: { id: 'a' } });
  await next('error');
  watcher.send({ subscribe: { id: 'c', channel: 'p.>', align: 100 } });
  await next('subscribed');
  await next('cut');
  const operator = await issueToken({
    ...{ secret: tokenSecret, subject: 'o', publish: [], subscribe: [], expiresInMs: 60_000, roles: ['operator'] },
  });
  const answer = await fetch(`http://127.0.0.1:${node.port}/v1/notice`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operator}` },
    body: JSON.stringify({ severity: 'info', message: 'hello' }),
  });
  assert.equal(answer.status, 202);
  await next('notice');
  const stopped = node.stop();
  await next('draining');
  await stopped;
  for (const message of watcher.messages.all) for (const kind of Object.keys(message)) seen.add(kind);
  const kindsOnPage = new Set(examplesOf('server → client').flatMap((text) => Object.keys(JSON.parse(text))));
  const missing = [...kindsOnPage].filter((kind) => !seen.has(kind) && !(kind in testedElsewhere));
  assert.deepEqual(missing, []);
  // The other tests exist, and name the message.
  for (const [kind, file] of Object.entries(testedElsewhere)) {
    const folder = file.endsWith('.itest.ts') ? '.' : '../src';
    assert.match(readFileSync(join(import.meta.dirname, folder, file), 'utf8'), new RegExp(`\\b${kind}\\b`), file);
  }
});
