import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { createAuthority } from '@tailrace/testkit/certificates';
import { createInbox, eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type Mosquitto, startMosquitto } from '@tailrace/testkit/mosquitto';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { ClientConnection } from '../src/client-connection.ts';
import type { ClientHandlers, ClientOptions, Disconnected } from '../src/client-options.ts';
import type { InboundMessage } from '../src/inbound-messages.ts';
import { type ConnectOptions, connectWire } from '../src/net-wire.ts';
import type { OutboundMessage } from '../src/publish.ts';

failOnLeaks();

/** `ClientConnection` on a real broker. */

interface Peer {
  readonly client: ClientConnection;
  readonly messages: ReturnType<typeof createInbox<{ topic: string; payload: string; message: InboundMessage }>>;
  readonly opened: ReturnType<typeof createInbox<{ isSessionPresent: boolean }>>;
  readonly acknowledged: ReturnType<typeof createInbox<number>>;
  readonly subscribed: ReturnType<typeof createInbox<[filter: string, reason: number]>>;
  readonly disconnected: ReturnType<typeof createInbox<Disconnected>>;
}

function createPeer(address: ConnectOptions, options: Partial<ClientOptions>, acknowledges = true): Peer {
  const messages = createInbox<{ topic: string; payload: string; message: InboundMessage }>();
  const opened = createInbox<{ isSessionPresent: boolean }>();
  const acknowledged = createInbox<number>();
  const subscribed = createInbox<[filter: string, reason: number]>();
  const disconnected = createInbox<Disconnected>();
  const handlers: ClientHandlers = {
    publish(message) {
      messages.put({ topic: message.topic, payload: message.payload.toString(), message });
      if (acknowledges && message.ticket >= 0) client.settle(message.ticket, 0);
    },
    opened: opened.put,
    acknowledged: (_packetId, _message, reason) => acknowledged.put(reason),
    subscribed: ({ filter }, reason) => subscribed.put([filter, reason]),
    disconnected: disconnected.put,
  };
  const client = new ClientConnection(
    {
      clock: systemClock,
      random: Math.random,
      dial: (wireHandlers) => connectWire(address, wireHandlers),
      credentials: () => ({}),
      version: 5,
      clientId: `test-${randomUUID()}`,
      cleanStart: true,
      sessionExpirySeconds: 600,
      keepAliveSeconds: 60,
      receiveMaximum: 2048,
      packetBytesMax: 262_144,
      topicAliasMaximum: 10,
      unackedMax: 1000,
      subscriptions: [],
      isSubscribed: false,
      backoff: { baseMs: 20, capMs: 100 },
      newExchangeId: randomUUID,
      ...options,
    },
    handlers,
  );
  client.start();
  return { client, messages, opened, acknowledged, subscribed, disconnected };
}

/** Publishes as the window of the broker allows: its Receive Maximum is `max_inflight_messages`. */
async function publishAll({ client }: Peer, messages: readonly OutboundMessage[]): Promise<void> {
  for (const message of messages) await eventually(() => client.publish(message) !== undefined);
}

const stopOptions = { drainMs: 1000 };
const messageOf = (topic: string, payload: string, qos: 0 | 1 = 1): OutboundMessage => ({
  topic,
  payload: Buffer.from(payload),
  qos,
});

describe('Mosquitto', () => {
  let mosquitto: Mosquitto;
  before(async () => {
    mosquitto = await startMosquitto({ settings: () => ['max_queued_messages 100000', 'max_inflight_messages 20'] });
  });
  after(() => mosquitto.stop());
  const address = () => ({ host: mosquitto.host, port: mosquitto.port });

  for (const version of [4, 5] as const) {
    const name = version === 4 ? '3.1.1' : '5';

    test(`[${name} MQTT-3.3.4-1] publishes, subscribes and receives at QoS 0, 1 and 2`, async () => {
      const topic = `plant/${version}`;
      const receiver = createPeer(address(), {
        version,
        subscriptions: [{ filter: `${topic}/#`, qos: 2 }],
      });
      await receiver.opened.next();
      assert.deepEqual(receiver.subscribed.all, [[`${topic}/#`, 2]]);
      const sender = createPeer(address(), { version });
      await sender.opened.next();
      sender.client.publish(messageOf(`${topic}/a`, 'zero', 0));
      sender.client.publish(messageOf(`${topic}/b`, 'one'));
      await receiver.messages.atLeast(2);
      await sender.acknowledged.next();
      assert.deepEqual(receiver.messages.all.map(({ payload }) => payload).sort(), ['one', 'zero']);
      await Promise.all([sender.client.stop(stopOptions), receiver.client.stop(stopOptions)]);
    });

    test(`[${name} MQTT-4.4.0-1] gets what was queued for its session once, without a SUBSCRIBE`, async () => {
      const topic = `queue/${version}`;
      const session = {
        version,
        clientId: `session-${version}`,
        cleanStart: false,
        subscriptions: [{ filter: topic, qos: 1 }],
      } as const;
      const first = createPeer(address(), session);
      assert.equal((await first.opened.next()).isSessionPresent, false);
      await first.client.stop(stopOptions);
      const sender = createPeer(address(), { version });
      await sender.opened.next();
      await publishAll(
        sender,
        Array.from({ length: 50 }, (_, index) => messageOf(topic, `${index}`)),
      );
      await sender.acknowledged.atLeast(50);
      const second = createPeer(address(), { ...session, isSubscribed: true });
      assert.equal((await second.opened.next()).isSessionPresent, true);
      await second.messages.atLeast(50);
      assert.deepEqual(
        second.messages.all.map(({ payload }) => payload),
        Array.from({ length: 50 }, (_, index) => `${index}`),
      );
      assert.deepEqual(second.subscribed.all, []);
      await Promise.all([sender.client.stop(stopOptions), second.client.stop(stopOptions)]);
    });
  }

  test('has more than 100 messages in flight on MQTT 5, and settles them in any order', async () => {
    const receiver = createPeer(address(), { subscriptions: [{ filter: 'many', qos: 1 }] }, false);
    await receiver.opened.next();
    const sender = createPeer(address(), {});
    await sender.opened.next();
    await publishAll(
      sender,
      Array.from({ length: 500 }, (_, index) => messageOf('many', `${index}`)),
    );
    await receiver.messages.atLeast(500);
    assert.equal(receiver.client.unsettled, 500);
    for (const { message } of [...receiver.messages.all].reverse()) receiver.client.settle(message.ticket, 0);
    receiver.client.flush();
    assert.equal(receiver.client.unsettled, 0);
    await Promise.all([sender.client.stop(stopOptions), receiver.client.stop(stopOptions)]);
  });

  test('gets all of a queue that is longer than its Receive Maximum, in order, on one connection', async () => {
    const session = {
      clientId: 'long-queue',
      cleanStart: false,
      receiveMaximum: 5,
      // 2.0.11 sends more than that as soon as the first ones of a resumed session are acknowledged.
      pausesAtReceiveMaximum: true,
      subscriptions: [{ filter: 'long', qos: 1 }],
    } as const;
    const first = createPeer(address(), session);
    await first.opened.next();
    await first.client.stop(stopOptions);
    const sender = createPeer(address(), {});
    await sender.opened.next();
    const payloads = Array.from({ length: 100 }, (_, index) => `${index}`);
    await publishAll(
      sender,
      payloads.map((payload) => messageOf('long', payload)),
    );
    await sender.acknowledged.atLeast(100);
    const second = createPeer(address(), { ...session, isSubscribed: true }, false);
    await second.messages.atLeast(5);
    for (let settled = 0; settled < 100; settled++) {
      const { message } = await second.messages.next();
      assert.ok(second.client.unsettled <= 5);
      second.client.settle(message.ticket, 0);
      second.client.flush();
    }
    assert.deepEqual(
      second.messages.all.map(({ payload }) => payload),
      payloads,
    );
    assert.deepEqual(second.disconnected.all, []);
    await Promise.all([sender.client.stop(stopOptions), second.client.stop(stopOptions)]);
  });

  test('[5 MQTT-4.8.2-1] two clients of one share receive each message once', async () => {
    const subscriptions = [{ filter: '$share/tailrace/shared/#', qos: 1 }] as const;
    const members = [createPeer(address(), { subscriptions }), createPeer(address(), { subscriptions })];
    for (const { opened } of members) await opened.next();
    const sender = createPeer(address(), {});
    await sender.opened.next();
    await publishAll(
      sender,
      Array.from({ length: 20 }, (_, index) => messageOf('shared/a', `${index}`)),
    );
    await eventually(() => {
      const payloads = members.flatMap(({ messages }) => messages.all.map(({ payload }) => Number(payload)));
      assert.deepEqual(
        payloads.sort((a, b) => a - b),
        Array.from({ length: 20 }, (_, index) => index),
      );
    });
    await Promise.all([sender, ...members].map(({ client }) => client.stop(stopOptions)));
  });

  test('[5 MQTT-3.8.4-4] retained messages come with retain handling 0, and not with 2', async () => {
    const sender = createPeer(address(), {});
    await sender.opened.next();
    sender.client.publish({ ...messageOf('kept/a', 'old'), retain: true });
    await sender.acknowledged.next();
    const asks = createPeer(address(), { subscriptions: [{ filter: 'kept/#', qos: 1, retainHandling: 0 }] });
    const declines = createPeer(address(), { subscriptions: [{ filter: 'kept/#', qos: 1 }] });
    await declines.opened.next();
    const { message } = await asks.messages.next();
    assert.equal(message.retain, true);
    sender.client.publish(messageOf('kept/a', 'new'));
    assert.equal((await declines.messages.next()).payload, 'new');
    assert.equal(declines.messages.all.length, 1);
    await Promise.all([sender, asks, declines].map(({ client }) => client.stop(stopOptions)));
  });

  test('[5 MQTT-3.14.2-2] a stop with session expiry 0 discards the session', async () => {
    const session = { clientId: 'discarded', cleanStart: false, subscriptions: [{ filter: 'x', qos: 1 }] } as const;
    const first = createPeer(address(), session);
    await first.opened.next();
    await first.client.stop({ ...stopOptions, sessionExpirySeconds: 0 });
    const second = createPeer(address(), session);
    assert.equal((await second.opened.next()).isSessionPresent, false);
    await second.client.stop(stopOptions);
  });

  test('a client whose client ID is taken over connects again', async () => {
    const first = createPeer(address(), { clientId: 'fight', backoff: { baseMs: 200, capMs: 200 }, random: () => 1 });
    await first.opened.next();
    const second = createPeer(address(), {
      clientId: 'fight',
      backoff: { baseMs: 60_000, capMs: 60_000 },
      random: () => 1,
    });
    await second.opened.next();
    // 2.0.11 closes the connection without a DISCONNECT.
    assert.ok([0, 0x8e].includes((await first.disconnected.next()).reason));
    await first.opened.next();
    assert.ok([0, 0x8e].includes((await second.disconnected.next()).reason));
    await Promise.all([first.client.stop(stopOptions), second.client.stop(stopOptions)]);
  });

  test('loses no acknowledged message over a restart of the broker', async () => {
    const receiver = createPeer(address(), {
      clientId: 'survivor',
      cleanStart: false,
      subscriptions: [{ filter: 'restart', qos: 1 }],
    });
    await receiver.opened.next();
    const sender = createPeer(address(), { clientId: 'sender', cleanStart: false });
    await sender.opened.next();
    for (let index = 0; index < 10; index++) sender.client.publish(messageOf('restart', `before-${index}`));
    await sender.acknowledged.atLeast(10);
    await receiver.messages.atLeast(10);
    // An orderly stop writes the sessions to disk.
    await mosquitto.kill('SIGTERM');
    await receiver.disconnected.next();
    await mosquitto.restart();
    assert.equal((await receiver.opened.next()).isSessionPresent, true);
    await sender.opened.next();
    sender.client.publish(messageOf('restart', 'after'));
    await receiver.messages.next({ where: ({ payload }) => payload === 'after' });
    await Promise.all([sender.client.stop(stopOptions), receiver.client.stop(stopOptions)]);
  });
});

test('[3.1.1 MQTT-7.1.2-1] connects to Mosquitto over TLS', async () => {
  const dir = await createTempDir('mosquitto-tls');
  const authority = await createAuthority(dir.path);
  const identity = await authority.issue('server');
  const mosquitto = await startMosquitto({
    settings: (secondPort) => [
      `listener ${secondPort} 127.0.0.1`,
      `certfile ${identity.certFile}`,
      `keyfile ${identity.keyFile}`,
    ],
  });
  const tls = { ca: await readFile(authority.caFile) };
  const peer = createPeer({ host: 'localhost', port: mosquitto.secondPort, tls }, { version: 4 });
  await peer.opened.next();
  assert.notEqual(peer.client.publish(messageOf('a', 'x')), undefined);
  assert.equal(await peer.acknowledged.next(), 0);
  await peer.client.stop(stopOptions);
  await mosquitto.stop();
  await dir.remove();
});
